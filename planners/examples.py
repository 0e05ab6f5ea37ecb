"""The bank of example commands that the language model is shown, and the search for those most alike.

Examples name their things A, B, C as a reduced command does, so that one example serves every scene. For
the sentence embedding the letters become ordinary nouns, since "A" means nothing to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planners.goal_form import NONE
from planners.reading import LETTERS, Reading
from robot_skills.logic import Atom, Formula, atoms, parse

_BANK = Path(__file__).with_name("examples.txt")
_NOUNS = ("block", "ball", "cylinder", "cube", "can", "toy", "thing", "piece")

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Example:
    """A reduced command and the goal it asks for; None, or "none", where there is none."""

    command: str
    goal: Formula | None

    def __str__(self) -> str:
        return f"{self.command} => {self.goal or NONE}"


@cache
def bank() -> tuple[Example, ...]:
    """The examples that come with the package."""
    lines = (line.strip() for line in _BANK.read_text().splitlines())
    return tuple(_example(line) for line in lines if line and not line.startswith("#"))


def _example(line: str) -> Example:
    command, _, goal = line.partition(" => ")
    return Example(command, None if goal == NONE else parse(goal))


@dataclass(frozen=True)
class ExampleBank:
    """Examples and the embedding that compares commands.

    Attributes:
        embed: texts -> (N, D) unit vectors.
        examples: what there is to choose from.
    """

    embed: Embed
    examples: tuple[Example, ...]

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        return self.embed([_worded(each.command, _nouns_of(each.goal)) for each in self.examples])

    def nearest(self, reading: Reading, count: int) -> tuple[Example, ...]:
        """The examples most like a command, the most alike first."""
        scores = self._vectors @ self.embed([_worded(reading.text, _nouns(reading))])[0]
        return tuple(self.examples[number] for number in np.argsort(-scores, kind="stable")[:count])


def _worded(command: str, nouns: Mapping[str, str]) -> str:
    fixtures = {"drawer": "the drawer", "door": "the door", "button": "the button", "table": "the table"}
    return " ".join(nouns.get(token, fixtures.get(token, token)) for token in command.split())


def _nouns(reading: Reading) -> dict[str, str]:
    kinds = {
        thing.label: "bowl" if "bowl" in thing.kinds else "door" if "openable" in thing.tags else None
        for thing in reading.things
    }
    return _named(kinds)


def _nouns_of(goal: Formula | None) -> dict[str, str]:
    """Nouns for an example's letters, told from what the goal does with them."""
    kinds: dict[str, str | None] = dict.fromkeys(LETTERS)
    for atom in atoms(goal) if goal is not None else ():
        match atom:
            case Atom("in", (_, place)) if place in kinds:
                kinds[place] = "bowl"
            case Atom("open" | "closed", (place,)) if place in kinds:
                kinds[place] = "door"
    return _named(kinds)


def _named(kinds: Mapping[str, str | None]) -> dict[str, str]:
    free = iter(_NOUNS)
    return {label: f"the {kind or next(free)}" for label, kind in kinds.items() if label in LETTERS}
