"""Talk around a command: courtesies, stories and excuses, made of parts. None of it asks for anything.

The things it mentions are never those of a scene, and where a command points back ("put it away") nothing
is mentioned before it that it could point to.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from planners.phrasing.noise import MARK
from planners.phrasing.templates import fill, phrases, slots

#: slot of talk.txt -> the section that fills it
_PARTS = {
    "P": "person", "O": "belonging", "R": "room", "N": "animal", "W": "weather", "E": "event", "V": "errand",
    "M": "mood", "Q": "time",
}  # fmt: skip
#: Before these words something may be put in.
_GAP = re.compile(r"(?<=\w) (?=(?:in|on|into|onto|inside|to|and|then|from|over|off|back|onto|please)\b)")


@dataclass(frozen=True)
class Talker:
    """Puts talk around commands.

    Attributes:
        rng: for every draw.
        held_out: whether to talk in the held-out constructions.
    """

    rng: random.Random
    held_out: bool = False

    def line(self, section: str, words: Mapping[str, str] | None = None) -> str:
        """A line of a section, its parts drawn; `words` are for slots that no section fills."""
        line = phrases("talk")[section].draw(self.rng, self.held_out)
        drawn = {slot: self.line(_PARTS[slot[0]]) for slot in slots(line) if slot[0] in _PARTS}
        return fill(line, {**(words or {}), **drawn})

    def around(self, command: str, pointing: bool) -> str:
        """A command with talk before, after or within it.

        Args:
            command: the command.
            pointing: whether it points back to what was said before it.
        """
        shape = self.rng.choices(("before", "after", "within", "both"), (4, 3.5, 2, 1))[0]
        if shape == "within":
            return self._within(command)
        if shape != "after":
            command = f"{self._opening(pointing)} {command}"
        return command if shape == "before" else self._closed(command)

    def _opening(self, pointing: bool) -> str:
        if pointing or self.rng.random() < 0.5:
            return self.line("before")
        story = f"{self.line('story')}{self.rng.choice(('.', '.', '.', '!', ',', '...', ' -'))}"
        return story if self.rng.random() < 0.5 else f"{story} {self.line('turning')}"

    def _closed(self, command: str) -> str:
        joint = self.rng.choice((" ", ", ", ", ", ". ", " - "))
        if self.rng.random() < 0.6:
            return f"{command}{joint}{self.line('after')}"
        lead = self.rng.choice(
            (". ", ". ", ", ", " - ", "; ", ", as ", " because ", ", since ", ", you see, ")
        )
        return f"{command}{lead}{self.line(self.rng.choice(('story', 'reason')))}"

    def _within(self, command: str) -> str:
        """An aside in the middle, outside the words that an answer quotes."""
        gaps = [gap.start() for gap in _GAP.finditer(command) if command.count(MARK, 0, gap.start()) % 2 == 0]
        if not gaps:
            return f"{command}, {self.line('aside')}"
        place = self.rng.choice(gaps)
        left, right = self.rng.choice(((", ", ","), (", ", ","), (" - ", " -"), (" (", ")"), (" ", "")))
        return f"{command[:place]}{left}{self.line('aside')}{right}{command[place:]}"
