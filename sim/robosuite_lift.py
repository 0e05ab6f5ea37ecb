"""A scripted expert for robosuite's Lift; it reads the simulator's state."""

from __future__ import annotations

import numpy as np

from robot_skills.robot import ACTION_SIZE, Float
from sim.robosuite_world import Array, RobosuiteWorld

#: Within this of the point that it heads for, m, the hand is there.
NEAR = 0.01
#: Above the cube while the hand is to one side of it; how high it is lifted; m.
ABOVE, LIFTED = 0.08, 0.15
#: Action for a metre that is left: the controller covers a part of the way in each step, so it asks for more.
GAIN = 1.0 / 0.05
CLOSING_STEPS = 6


class LiftExpert:
    """Goes above the cube, down, closes, and lifts: a feedback law with one thing to remember, the grasp.

    Args:
        world: the Lift world, at the start of an episode.
    """

    def __init__(self, world: RobosuiteWorld) -> None:
        self._world, self._closed = world, 0

    def action(self) -> Float:
        """What to do now, (7,) in [-1, 1]."""
        hand, rotation = self._world.tool()
        cube, axes = self._world.body("cube_main")
        aside = float(np.linalg.norm((cube - hand)[:2]))
        if self._closed >= CLOSING_STEPS:
            goal = hand + np.array([0.0, 0.0, LIFTED])
        elif aside > NEAR and self._closed == 0:
            goal = cube + np.array([0.0, 0.0, ABOVE])
        else:
            goal = cube
        if self._closed or (aside <= NEAR and abs(cube[2] - hand[2]) <= NEAR):
            self._closed += 1
        action = np.zeros(ACTION_SIZE, np.float32)
        action[:3] = np.clip(GAIN * (goal - hand), -1.0, 1.0)
        action[3:6] = _turn(rotation, axes)
        action[6] = 1.0 if self._closed else -1.0
        return action


def _turn(rotation: Array, cube: Array) -> Array:
    """Keep the hand pointing down and turn the fingers to the faces of the cube, by the smaller angle."""
    angle = np.arctan2(cube[1, 0], cube[0, 0]) - np.arctan2(rotation[1, 0], rotation[0, 0])
    angle = (angle + np.pi / 4) % (np.pi / 2) - np.pi / 4
    tilt = np.cross(rotation[:, 2], [0.0, 0.0, -1.0])
    turn: Array = np.clip(np.array([tilt[0], tilt[1], angle]), -1.0, 1.0)
    return turn
