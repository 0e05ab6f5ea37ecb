"""A scripted expert for robosuite's NutAssemblySquare; it reads the simulator's state."""

from __future__ import annotations

import numpy as np

from robot_skills.robot import ACTION_SIZE, ROTATION_SCALE, Float
from sim.robosuite_world import Array, RobosuiteWorld

NUT, PEG = "SquareNut_main", "peg1"
#: Where the handle is grasped, in the frame of the nut, m: outside the frame of the hole.
HANDLE = np.array([0.065, 0.0, 0.0])
#: Half the height of the peg, m.
PEG_TOP = 0.1
#: Within these the hand is there, m and radians; and nut and peg fit, m and radians.
NEAR, TURNED, FITS, SQUARE = 0.008, 0.08, 0.004, 0.05
#: How far above the handle's middle the fingers may close, m: the hand stands on the table before that.
RESTS = 0.012
#: Where the handle may point when the hole goes over the peg, radians: not away from the base, where the
#: hand beyond the peg would be out of reach.
HEADINGS = (-np.pi / 2, np.pi / 2, np.pi)
#: Above handle and peg while the hand is to one side of them, m.
ABOVE, OVER = 0.08, 0.05
#: Above the top of the peg, m, where the nut is on it and falls by itself.
ON = 0.008
#: Action for a metre and a radian that are left: the controller covers a part of the way in each step.
GAIN, TURN_GAIN = 1.0 / 0.05, 1.0 / ROTATION_SCALE
CLOSING_STEPS, OPENING_STEPS = 12, 8
#: Farther than this from the handle, m, closed fingers have lost it.
LOST = 0.03


class SquareExpert:
    """Grasps the handle, lifts, brings the hole over the peg, lowers and lets go: a feedback law with memory.

    Args:
        world: the NutAssemblySquare world, at the start of an episode.
    """

    def __init__(self, world: RobosuiteWorld) -> None:
        self._world, self._closed, self._over, self._on = world, 0, False, 0

    def action(self) -> Float:
        """What to do now, (7,) in [-1, 1]."""
        hand, rotation = self._world.tool()
        nut, axes = self._world.body(NUT)
        peg, _ = self._world.body(PEG)
        if (
            self._closed > CLOSING_STEPS
            and not self._on
            and np.linalg.norm(nut + axes @ HANDLE - hand) > LOST
        ):
            self._closed, self._over = 0, False
        way, turn, closes = self._grasp(hand, rotation, nut, axes)
        if self._closed >= CLOSING_STEPS:
            way, turn, closes = self._place(nut, axes, peg)
        tilt = np.cross(rotation[:, 2], [0.0, 0.0, -1.0])
        action = np.zeros(ACTION_SIZE, np.float32)
        action[:3] = np.clip(GAIN * way, -1.0, 1.0)
        action[3:6] = np.clip(TURN_GAIN * np.array([tilt[0], tilt[1], turn]), -1.0, 1.0)
        action[6] = 1.0 if closes else -1.0
        return action

    def _grasp(self, hand: Array, rotation: Array, nut: Array, axes: Array) -> tuple[Array, float, bool]:
        """Above the handle, down, and close: the way left, the turn left, whether to close."""
        handle = nut + axes @ HANDLE
        turn = _angle(rotation[:, 1], axes[:, 0], np.pi)  # the fingers close along the hand's x
        aside = float(np.linalg.norm((handle - hand)[:2]))
        there = aside <= NEAR and abs(turn) <= TURNED
        if self._closed or (there and abs(handle[2] - hand[2]) <= RESTS):
            self._closed += 1
            return handle - hand, turn, True
        above = np.zeros(3) if there else np.array([0.0, 0.0, ABOVE])
        return handle + above - hand, turn, False

    def _place(self, nut: Array, axes: Array, peg: Array) -> tuple[Array, float, bool]:
        """Up, over the peg with the hole square to it, down, and open."""
        top = peg[2] + PEG_TOP
        way = peg - nut
        turns = [_angle(axes[:, 0], np.array([np.cos(to), np.sin(to)]), 2 * np.pi) for to in HEADINGS]
        turn = min(turns, key=abs)
        fits = float(np.linalg.norm(way[:2])) <= FITS and abs(turn) <= SQUARE
        self._over = self._over or (fits and nut[2] > top)
        if self._over:
            self._on += self._on > 0 or nut[2] < top + ON
            down = np.array([way[0], way[1], top - OVER - nut[2]])
            up = np.array([0.0, 0.0, OVER if self._on > OPENING_STEPS else 0.0])
            return (up if self._on else down), 0.0 if self._on else turn, not self._on
        if nut[2] < top + OVER / 2:
            return np.array([0.0, 0.0, top + OVER - nut[2]]), 0.0, True
        return np.array([way[0], way[1], top + OVER - nut[2]]), turn, True


def _angle(start: Array, goal: Array, period: float) -> float:
    """The smallest turn about the vertical from one axis to another, where a `period` is all one."""
    angle = np.arctan2(goal[1], goal[0]) - np.arctan2(start[1], start[0])
    return float((angle + period / 2) % period - period / 2)
