from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import yaml

import robot_skills
from robot_skills.logic import Atom, parse_atom
from robot_skills.scene_graph import Entity, SceneGraph
from robot_skills.skill import Skill
from sim.tabletop.oracle import TAGS, fitting

FIXTURES = ("drawer", "door", "button", "table")


def make_scene(
    objects: Iterable[str], facts: Iterable[str] = (), fixtures: Iterable[str] = FIXTURES
) -> SceneGraph:
    """A scene with everything on the table unless `facts` say otherwise; drawer and door shut."""
    entities = [_entity(name) for name in (*objects, *fixtures)]
    true = {parse_atom(fact) for fact in facts}
    placed = {fact.args[0] for fact in true if fact.predicate in ("on", "in", "holding")}
    for entity in entities:
        if entity.kind in ("block", "cylinder", "ball", "bowl") and entity.name not in placed:
            true.add(Atom("on", (entity.name, "table")))
    return SceneGraph(tuple(entities), frozenset(true | set(fitting(entities))))


def _entity(name: str) -> Entity:
    *adjectives, kind = name.split()
    attributes = {"colour": adjectives[-1]} if adjectives else {}
    if len(adjectives) == 2:
        attributes["size"] = adjectives[0]
    return Entity(name, kind, frozenset(TAGS[kind]), attributes)


@pytest.fixture(scope="session")
def skills() -> Mapping[str, Skill]:
    cards = sorted((Path(robot_skills.__file__).parent / "pretrained").glob("*/skill.yaml"))
    loaded = [Skill.from_json(yaml.safe_load(card.read_text())) for card in cards]
    return {skill.name: skill for skill in loaded}
