"""One demonstration while it is being made: what is sensed, then the action, then the control step.

An episode holds no waiting. While no key is held and the arm has stood still for `HOLD` steps, time stands
still too: a policy that learns from a person's hesitation learns to hesitate. So an episode begins with the
first key, and what is stored is what happened, step for step: the same actions from the same start lead to
the same states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode
from robot_skills.robot import Float, Observation, Robot
from robot_skills.skill import SkillCall

#: Steps at rest that are recorded; at the end of a success they carry end = 1, as many as scripted
#: demonstrations have, so that a policy learns to hold still and to say that it is over.
HOLD = 4
#: The arm stands still when no feature of its state (m; entries of a rotation matrix) changes by more in a
#: step.
REST = 5e-4


@dataclass(frozen=True)
class Trial:
    """A scene that the robot stands in, and what is to be demonstrated there.

    Attributes:
        text: the language argument.
        scene: what set the scene up, plain JSON values.
        closed: whether the gripper is told to be closed at the start.
        target: where the skill's argument is now, (3,) m, from simulator state; NaN where nobody knows.
        reached: whether the skill's success formula holds now on simulator state; None where nobody knows.
    """

    seed: int
    call: SkillCall
    text: str
    scene: Mapping[str, Any]
    closed: bool
    target: Callable[[], NDArray[np.float64]]
    reached: Callable[[], bool | None]


class Recorder:
    """Drives the robot and keeps what it saw and did."""

    def __init__(self, robot: Robot, trial: Trial) -> None:
        self.trial, self.closed = trial, trial.closed
        self._robot = robot
        self._seen: list[Observation] = []
        self._actions: list[Float] = []
        self._targets: list[NDArray[np.float64]] = []
        self._resting = HOLD

    def __len__(self) -> int:
        return len(self._actions)

    @property
    def still(self) -> bool:
        """Whether time stands still until the next key."""
        return self._resting >= HOLD

    def toggle(self) -> None:
        """Close the gripper, or open it, from the next step on."""
        self.closed = not self.closed

    def step(self, move: Float) -> None:
        """Record and carry out one control step, unless there is nothing to do.

        Args:
            move: translation and rotation, (6,) in [-1, 1].
        """
        commanded = bool(move.any()) or self._toggled()
        if self.still and not commanded:
            return
        seen = self._robot.observe()
        stood = bool(self._seen) and np.abs(seen.state - self._seen[-1].state).max() < REST
        self._resting = self._resting + 1 if stood and not commanded else 0
        self._record(seen, move)

    def hold(self) -> None:
        """Stand still until there are `HOLD` steps at rest."""
        while not self.still:
            self._record(self._robot.observe(), np.zeros(6, np.float32))
            self._resting += 1

    def episode(self, expert: str, attributes: Mapping[str, Any]) -> Episode:
        """Everything up to now; the steps at rest at the end carry end = 1."""
        end = np.zeros(len(self), np.float32)
        end[len(self) - self._resting :] = 1.0
        cameras = self._robot.spec.cameras
        return Episode(
            images={name: np.stack([seen.images[name] for seen in self._seen]) for name in cameras},
            state=np.stack([seen.state for seen in self._seen]),
            action=np.stack(self._actions),
            end=end,
            target=np.stack(self._targets).astype(np.float32),
            text=self.trial.text,
            call=self.trial.call,
            scene=self.trial.scene,
            seed=self.trial.seed,
            expert=expert,
            attributes=attributes,
        )

    def _record(self, seen: Observation, move: Float) -> None:
        self._seen.append(seen)
        self._targets.append(self.trial.target())
        self._actions.append(np.array([*move, _grip(self.closed)], np.float32))
        self._robot.act(self._actions[-1])

    def _toggled(self) -> bool:
        """Whether the gripper is told something else than in the step before."""
        before = self._actions[-1][6] if self._actions else _grip(self.trial.closed)
        return bool(before != _grip(self.closed))


def _grip(closed: bool) -> float:
    """The seventh number of an action."""
    return 1.0 if closed else -1.0
