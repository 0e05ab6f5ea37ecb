"""Looking at the scene while a skill runs, so that it ends when what it builds on is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from robot_skills.errors import InputError
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.diagnosis import Diagnosis, lost

if TYPE_CHECKING:
    from robot_skills.execution import Step


class Watch:
    """Ends skills whose conditions broke (`diagnosis.lost`).

    Args:
        skills: the cards.
        observe: looks at the scene, each time anew.
        every: control steps between two looks: 3 are 0.3 s on the tabletop.
        times: looks in a row that must see the same: a thing that is being put down, or tips for a moment
            while it is pushed, is not lost.

    Attributes:
        broken: what ended the last skill; None: nothing did.
    """

    def __init__(
        self,
        skills: Mapping[str, Skill],
        observe: Callable[[], SceneGraph],
        every: int = 3,
        times: int = 2,
    ) -> None:
        if every < 1 or times < 1:
            raise InputError(f"every and times of a watch are 1 or more, not {every} and {times}.")
        self._skills, self._observe = skills, observe
        self._every, self._times = every, times
        self.broken: Diagnosis | None = None

    def guard(self, call: SkillCall) -> Callable[[Step], str | None]:
        """What `robot_skills.execution.execute` takes as `on_step` for one call: why it must end, or None."""
        skill, before, seen = self._skills[call.skill], self._observe(), 0
        self.broken = None

        def look(step: Step) -> str | None:
            nonlocal seen
            if (step.number + 1) % self._every:
                return None
            found = lost(skill, call, before, self._observe())
            seen = 0 if found is None else seen + 1
            if found is None or seen < self._times:
                return None
            self.broken = found
            return found.text

        return look
