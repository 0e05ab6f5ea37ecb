"""Plans out of plans: the example whose command is most alike lends its steps, this command its things.

A step's thing that the example's command names becomes a slot, filled with what this command names in its
place; one that it does not name ("something salty") stays. Which example is most alike is told from the
commands as they are and from the commands with their things left open; an example that names as many things
as this command goes before one that does not, and a plan that does not replay on the cards is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planners.examples import Embed
from robot_skills.logic import And
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.verification import verify

Plan = tuple[SkillCall, ...]


@dataclass(frozen=True)
class Worked:
    """A command and the plan that answers it."""

    command: str
    plan: Plan


@dataclass(frozen=True)
class Outline:
    """A command with its things left open, and what they are, in order of mention."""

    text: str
    things: tuple[str, ...]


@dataclass(frozen=True)
class Recall:
    """Worked examples, and the cards and things of the world that they are about.

    Attributes:
        examples: to choose from.
        scene: the world: its things by name.
        skills: the cards.
        embed: texts -> (N, D) unit vectors.
    """

    examples: tuple[Worked, ...]
    scene: SceneGraph
    skills: Mapping[str, Skill]
    embed: Embed

    @cached_property
    def _outlines(self) -> tuple[Outline, ...]:
        return tuple(outline(each.command, self.scene) for each in self.examples)

    @cached_property
    def _vectors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return (
            self.embed([each.command for each in self.examples]),
            self.embed([each.text for each in self._outlines]),
        )

    def nearest(self, command: str, besides: frozenset[int] = frozenset()) -> list[int]:
        """Numbers of the examples, the most alike first, without some."""
        asked = outline(command, self.scene)
        plain, open_ = self._vectors
        vectors = self.embed([command, asked.text])
        alike = plain @ vectors[0] + open_ @ vectors[1]
        kinds = self._kinds(asked)
        return sorted(
            (number for number in range(len(self.examples)) if number not in besides),
            key=lambda number: (self._kinds(self._outlines[number]) != kinds, -alike[number]),
        )

    def copy(self, command: str, besides: frozenset[int] = frozenset()) -> Plan:
        """The plan of the example most alike, word for word: what this module is measured against."""
        alike = self._vectors[0] @ self.embed([command])[0]
        left = [number for number in range(len(self.examples)) if number not in besides]
        return self.examples[max(left, key=lambda number: float(alike[number]))].plan

    def plan(self, command: str, besides: frozenset[int] = frozenset()) -> Plan | None:
        """The first plan that replays, of the examples most alike; None when none does."""
        asked = outline(command, self.scene)
        for number in self.nearest(command, besides):
            filled = self._filled(self.examples[number].plan, self._outlines[number], asked)
            if verify(filled, And(()), self.scene, self.skills).ok:
                return filled
        return None

    def _filled(self, plan: Plan, own: Outline, asked: Outline) -> Plan:
        """The plan with what this command names in the place of what the example's named."""
        change: dict[str, str] = {}
        for kind in dict.fromkeys(self._kind(thing) for thing in own.things):
            ours = [thing for thing in own.things if self._kind(thing) == kind]
            theirs = [thing for thing in asked.things if self._kind(thing) == kind]
            change |= dict(zip(ours, theirs, strict=False))
        return tuple(
            SkillCall(call.skill, {name: change.get(value, value) for name, value in call.args.items()})
            for call in plan
        )

    def _kind(self, thing: str) -> str:
        return self.scene.entity(thing).kind

    def _kinds(self, each: Outline) -> Sequence[str]:
        return sorted(self._kind(thing) for thing in each.things)


def outline(command: str, scene: SceneGraph) -> Outline:
    """Leave a command's things open: the longest names first, each by its kind."""
    text = command.lower()
    names = sorted((entity.name for entity in scene.entities), key=len, reverse=True)
    kinds = {entity.name: entity.kind for entity in scene.entities}
    found: list[str] = []

    def mark(match: re.Match[str]) -> str:
        found.append(match.group(1))
        return kinds[match.group(1)]

    pattern = r"\b(" + "|".join(map(re.escape, names)) + r")(?:e?s)?\b"
    return Outline(re.sub(pattern, mark, text), tuple(dict.fromkeys(found)))
