"""Which key does what, and the window that keys come from.

Directions are those of a picture taken from opposite the robot (the tabletop's front camera): up the picture
is towards the robot, -x in the base frame, and to the right is +y.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from robot_skills.robot import Float


class Command(Enum):
    """What a key asks for when it goes down; the value says it in a few words."""

    SUCCEEDED = "succeeded: save it, go on to the next scene"
    FAILED = "failed: drop it and count it, go on to the next scene"
    RESTART = "discard it, the same scene again"
    NEXT = "discard it, the next scene"
    UNDO = "take the last saved episode back, and do it again"
    PAUSE = "pause, go on"
    HELP = "show or hide the keys"
    QUIT = "end; what is not saved is lost"


#: Key -> (index among dx dy dz drx dry drz, sign): moves for as long as it is held.
MOVES: Mapping[str, tuple[int, float]] = {
    "w": (0, -1.0),
    "s": (0, 1.0),
    "a": (1, -1.0),
    "d": (1, 1.0),
    "q": (2, 1.0),
    "e": (2, -1.0),
    "z": (3, 1.0),
    "x": (3, -1.0),
    "t": (4, 1.0),
    "g": (4, -1.0),
    "c": (5, 1.0),
    "v": (5, -1.0),
}
GRIPPER, SLOW = "space", "shift"
COMMANDS: Mapping[str, Command] = {
    "enter": Command.SUCCEEDED,
    "f": Command.FAILED,
    "r": Command.RESTART,
    "n": Command.NEXT,
    "u": Command.UNDO,
    "p": Command.PAUSE,
    "h": Command.HELP,
    "escape": Command.QUIT,
}
KEYS: tuple[str, ...] = (*MOVES, GRIPPER, SLOW, *COMMANDS)

#: Share of the largest action, without and with the slow key: 2 cm and 0.5 cm a control step; rotations half
#: of that share, 0.1 and 0.025 rad. A whole action, 5 cm in a tenth of a second, is too fast to steer by eye.
FAST, CAREFUL, TURN = 0.4, 0.1, 0.5

HELP: tuple[tuple[str, str], ...] = (
    ("W S", "up, down the picture"),
    ("A D", "left, right in the picture"),
    ("Q E", "higher, lower"),
    ("C V", "turn the hand, counter-clockwise, clockwise"),
    ("Z X", "tilt about the robot's x axis"),
    ("T G", "tilt about the robot's y axis"),
    ("Shift", "slowly, while held"),
    ("Space", "close, open the gripper"),
    *((key.capitalize(), command.value) for key, command in COMMANDS.items()),
)


def motion(down: Collection[str]) -> Float:
    """Translation and rotation of an action, (6,) in [-1, 1], while these keys are down."""
    move = np.zeros(6, np.float32)
    for key in down:
        if key in MOVES:
            axis, sign = MOVES[key]
            move[axis] += sign
    move *= CAREFUL if SLOW in down else FAST
    move[3:] *= TURN
    return move


@dataclass(frozen=True)
class Pressed:
    """What happened on the keyboard in one control step; keys are named as in `KEYS`.

    Attributes:
        down: held at some time during the step.
        events: went down during the step, in order.
        closed: there will be no more: the window was closed, the script is over.
    """

    down: frozenset[str] = frozenset()
    events: tuple[str, ...] = ()
    closed: bool = False


@dataclass(frozen=True)
class Status:
    """What a window tells the person.

    Attributes:
        task: what is to be demonstrated.
        mode: "ready", "recording", "still" (nothing moves and time waits), "paused" or "done".
        steps: recorded so far in this episode.
        message: what happened last.
    """

    task: str
    mode: str
    seed: int
    steps: int
    saved: int
    wanted: int
    closed: bool
    message: str
    help: bool


class Window(Protocol):
    """Where keys come from and pictures go to."""

    def poll(self) -> Pressed:
        """Wait until the control step is over, if this window keeps time, and say what was pressed in it."""

    def show(self, status: Status) -> None:
        """Draw the scene as it is now, and the status."""
