"""Conditions on a scene as it is: drawn, put into words, and looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from planners.compact import Group, Literal, literal
from planners.phrasing.nouns import Speaker
from planners.phrasing.scenes import COLOURS, LOOSE
from robot_skills.logic import Atom


@dataclass(frozen=True)
class Condition:
    """Something that is so or not.

    Attributes:
        section: of conditions.txt, which says it.
        opposite: the section that denies it.
        words: for the slots of both.
        true: whether it is so in the scene.
        likely: steps that people make depend on it.
    """

    section: str
    opposite: str
    words: Mapping[str, str]
    true: bool
    likely: tuple[Literal, ...] = ()

    def denied(self) -> Condition:
        """The opposite condition."""
        return replace(self, section=self.opposite, opposite=self.section, true=not self.true)


def draw_condition(speaker: Speaker) -> Condition | None:
    """A condition on a fixture, or on where things are; None where the scene has nothing for the draw."""
    ways = (_fixture, _fixture, _fixture, _empty, _holding, _exists, _clear, _placed, _placed)
    drawn = speaker.rng.choice(ways)(speaker)
    if drawn is not None and speaker.rng.random() < 0.4:
        return drawn.denied()
    return drawn


def _fixture(speaker: Speaker) -> Condition | None:
    scene = speaker.scene
    fixtures = [each.name for each in scene.entities if each.kind in ("drawer", "door", "button")]
    if not fixtures:
        return None
    name = speaker.rng.choice(fixtures)
    if Atom("ajar", (name,)) in scene.facts:
        return None
    if name == "button":
        words = {"L": speaker.word("lamp"), "F": speaker.word("button")}
        lit = Atom("pressed", ("button",)) in scene.facts
        steps = (literal("pressed", "button"), Literal("pressed", (Group(("button",)),), False))
        found = Condition("pressed", "unpressed", words, lit, steps)
    else:
        words, is_open = {"F": speaker.fixture(name)}, Atom("open", (name,)) in scene.facts
        found = Condition("open", "closed", words, is_open, (literal("closed", name), literal("open", name)))
    speaker.said.append(name)
    return found


def _empty(speaker: Speaker) -> Condition | None:
    places = [each.name for each in speaker.scene.tagged("container")]
    if not places:
        return None
    place = speaker.rng.choice(places)
    inside = [fact for fact in speaker.scene.facts if fact.predicate == "in" and fact.args[1] == place]
    return Condition("empty", "unempty", {"Y": speaker.one(place)}, not inside)


def _holding(speaker: Speaker) -> Condition:
    held = any(fact.predicate == "holding" for fact in speaker.scene.facts)
    return Condition("holding", "handempty", {}, held)


def _exists(speaker: Speaker) -> Condition:
    kind, colour = speaker.rng.choice(LOOSE), speaker.rng.choice((*COLOURS, None))
    shown = speaker.described(kind, colour, None)
    words = {"S": shown, "K": f"{shown}s"}
    return Condition("exists", "missing", words, bool(speaker.fitting(kind, colour)))


def _clear(speaker: Speaker) -> Condition | None:
    places = [each.name for each in speaker.scene.tagged("graspable") if "support" in each.tags]
    if not places:
        return None
    place = speaker.rng.choice(places)
    return Condition(
        "free", "occupied", {"Y": speaker.one(place)}, speaker.scene.true(Atom("clear", (place,)))
    )


def _placed(speaker: Speaker) -> Condition | None:
    rng, facts, relation = speaker.rng, speaker.scene.facts, speaker.rng.choice(("in", "on"))
    so = sorted(fact.args for fact in facts if fact.predicate == relation and fact.args[1] != "table")
    could = sorted(fact.args[::2] for fact in facts if fact.predicate == "fits" and fact.args[1] == relation)
    could = [pair for pair in could if pair[1] != "table"]
    if not could:
        return None
    thing, place = rng.choice(so) if so and rng.random() < 0.6 else rng.choice(could)
    words = {"X": speaker.one(thing), "Y": speaker.one(place)}
    return Condition(relation, f"not{relation}", words, Atom(relation, (thing, place)) in facts)
