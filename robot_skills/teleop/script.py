"""A key script: a text file in the place of a person, for tests and for machines without a display.

    # A comment. Lines follow one another; keys are named as in `robot_skills.teleop.keys`.
    space             # press a key, for one control step
    w+d x3            # hold two keys for three control steps
    wait x5           # press nothing
    4.5 shift+e x10   # begin 4.5 s after the start of the session, whatever the line before does

A line without a time begins when the line before it is over. The clock counts control steps of the session,
also those in which it is paused. The end of the script ends the session.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from robot_skills.errors import InputError, unknown
from robot_skills.teleop.keys import KEYS, Pressed, Status

WAIT = "wait"


@dataclass(frozen=True)
class Press:
    """Keys that are down from control step `start` until before `stop`; `line` of the file says so."""

    keys: frozenset[str]
    start: int
    stop: int
    line: int


class ScriptedWindow:
    """Plays presses one control step a poll, as fast as it is asked, and shows nothing."""

    def __init__(self, presses: tuple[Press, ...]) -> None:
        self._step, self._length = 0, max(press.stop for press in presses)
        self._begin: dict[int, list[Press]] = {}
        for press in presses:
            self._begin.setdefault(press.start, []).append(press)
        self._held: list[Press] = []

    def poll(self) -> Pressed:
        """Give the keys of the next control step."""
        step, self._step = self._step, self._step + 1
        begun = self._begin.get(step, [])
        self._held = [press for press in self._held if step < press.stop] + begun
        down = frozenset().union(*(press.keys for press in self._held))
        events = tuple(key for press in begun for key in sorted(press.keys))
        return Pressed(down, events, closed=step >= self._length)

    def show(self, status: Status) -> None:
        """Nobody is looking."""


def read_script(path: Path | str, rate: float) -> tuple[Press, ...]:
    """Read a key script.

    Args:
        path: of the file.
        rate: control steps a second, Hz.

    Raises:
        InputError: it cannot be read, or a line is wrong; the message names the line.
    """
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The key script {path} cannot be read: {error}.") from error
    presses: list[Press] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            presses.append(_read_line(words, number, presses[-1].stop if presses else 0, rate))
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    _check_overlap(path, presses)
    if not presses:
        raise InputError(f"The key script {path} presses no key.")
    return tuple(presses)


def _read_line(words: list[str], number: int, start: int, rate: float) -> Press:
    said, count = " ".join(words), 1
    if _is_number(words[0]):
        seconds = float(words.pop(0))
        if not 0 <= seconds < math.inf:
            raise InputError(f"a time is 0 s or more, not {said.split()[0]}.")
        start = round(seconds * rate)
    if len(words) == 2 and re.fullmatch(r"x[0-9]+", words[1]):
        count = int(words.pop()[1:])
        if count < 1:
            raise InputError("keys are held for at least one control step: x1.")
    if len(words) != 1:
        raise InputError(f"expected [SECONDS] KEY[+KEY] [xSTEPS], as in 'w+d x3', not {said!r}.")
    names = words[0].lower().split("+")
    for name in names:
        if name not in KEYS and words != [WAIT]:
            raise unknown("key", name, (*KEYS, WAIT))
    keys = frozenset() if words == [WAIT] else frozenset(names)
    return Press(keys, start, start + count, number)


def _check_overlap(path: Path | str, presses: list[Press]) -> None:
    """A key that is down cannot go down."""
    last: dict[str, Press] = {}
    for press in sorted(presses, key=lambda press: (press.start, press.line)):
        for key in sorted(press.keys):
            other = last.get(key)
            if other is not None and other.stop > press.start:
                first, second = sorted((other.line, press.line))
                raise InputError(
                    f"{path}, line {second}: {key!r} is down at that time already, by line {first}."
                )
            last[key] = press


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
