"""Hand-written phrasings, and how one is drawn.

A data file holds sections, `== name`, with one construction a line. `[a|b|]` draws one of its choices, which
may nest; capital letters are slots that the caller fills. Lines whose number falls into the held-out share
are never drawn for training: what is measured on them are constructions that the model has not read.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from robot_skills.errors import InputError

_DATA = Path(__file__).with_name("data")
#: One line in so many is held out.
HELD_OUT_OF = 9
_FEWEST_TO_SPLIT = 6
_SLOT = re.compile(r"\b[A-Z][0-9]?\b")
_INNERMOST = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Phrases:
    """The constructions of one section, split into those for training and those held out."""

    training: tuple[str, ...]
    held_out: tuple[str, ...]

    def draw(self, rng: random.Random, held_out: bool = False) -> str:
        """One construction with its choices made; slots stay."""
        lines = self.held_out if held_out and self.held_out else self.training
        return choose(rng.choice(lines), rng)


def choose(line: str, rng: random.Random) -> str:
    """Make the choices of a line, innermost first."""
    while (match := _INNERMOST.search(line)) is not None:
        line = line[: match.start()] + rng.choice(match[1].split("|")) + line[match.end() :]
    return " ".join(line.split())


def slots(text: str) -> list[str]:
    """The slots of a construction, left to right."""
    return _SLOT.findall(text)


def fill(text: str, words: Mapping[str, str]) -> str:
    """Put words into the slots.

    Raises:
        KeyError: a slot is given no words.
    """
    return _SLOT.sub(lambda match: words[match[0]], text)


@cache
def phrases(family: str) -> Mapping[str, Phrases]:
    """The sections of a data file.

    Raises:
        InputError: there is no such file, or a line stands before the first section.
    """
    path = _DATA / f"{family}.txt"
    if not path.is_file():
        raise InputError(f"There is no phrasing file {path.name}.")
    sections: dict[str, list[str]] = {}
    name = ""
    for line in filter(None, map(str.strip, path.read_text().splitlines())):
        if line.startswith("== "):
            name = line.removeprefix("== ")
            sections[name] = []
        elif not line.startswith("#"):
            if not name:
                raise InputError(f"{path.name}: {line!r} stands before the first section.")
            sections[name].append(line)
    usual = family == "plain"
    return {name: Phrases(tuple(each), ()) if usual else _split(each) for name, each in sections.items()}


def _split(lines: list[str]) -> Phrases:
    """By a checksum of the line, so that adding lines moves none from one side to the other.

    What is listed more than once is what most people say, and not held out.
    """
    if len(lines) < _FEWEST_TO_SPLIT:
        return Phrases(tuple(lines), ())
    once = (line for line in lines if lines.count(line) == 1)
    held = tuple(line for line in once if zlib.crc32(line.encode()) % HELD_OUT_OF == 0)
    return Phrases(tuple(line for line in lines if line not in held), held)


def count() -> int:
    """How many hand-written constructions there are."""
    files = sorted(_DATA.glob("*.txt"))
    return sum(
        len(each.training) + len(each.held_out) for path in files for each in phrases(path.stem).values()
    )
