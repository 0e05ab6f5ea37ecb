"""Commands in words on an arm: planned for what is there, carried out skill by skill, and planned again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from robot_skills.bridge.runner import SkillRunner
from robot_skills.bridge.scenes import Scenes
from robot_skills.composite import carry_out
from robot_skills.errors import JobError
from robot_skills.execution import Step
from robot_skills.library import SkillLibrary
from robot_skills.skill import Outcome, SkillCall, Status
from robot_skills.symbolic.closed_loop import MAX_REPLANS, Event, RunResult, run_command
from robot_skills.symbolic.diagnosis import Budgets

if TYPE_CHECKING:
    from planners.planner import Planner, PlanResult
    from robot_skills.bridge.recording import Recorder


class Orders:
    """Plans commands, and carries them out on an arm.

    Args:
        runner: carries out single skills.
        library: its skills.
        scenes: what is there.
        planner: of commands.
        replans: how often a command may be planned anew.
        recorder: is told the plan.
    """

    def __init__(
        self,
        runner: SkillRunner,
        library: SkillLibrary,
        scenes: Scenes,
        planner: Planner,
        *,
        replans: int = MAX_REPLANS,
        recorder: Recorder | None = None,
    ) -> None:
        self._runner, self._library, self._scenes = runner, library, scenes
        self._planner, self._replans, self._recorder = planner, replans, recorder

    def plan(self, command: str) -> PlanResult:
        """Plan a command for what is there now; nothing moves.

        Raises:
            InputError: the command is empty or too long, or a skill of its plan is not trained.
            JobError: nobody says what is there.
        """
        planned = self._planner.plan(command, self._scenes.look())
        for call in planned.plan:
            for step in self._library.expand(call):
                self._library.check(step)
        return planned

    def carry_out(
        self,
        planned: PlanResult,
        preempt: threading.Event | None = None,
        on_step: Callable[[Step], None] = lambda step: None,
        on_event: Callable[[Event], None] = lambda event: None,
        timeout: float | None = None,
    ) -> RunResult:
        """Carry a verified plan out.

        Args:
            planned: as `plan` gave it.
            preempt: set it, from any thread, to stop the arm within a control step.
            on_step: called after each control step.
            on_event: told of every skill and new plan.
            timeout: seconds for a skill; None: its own.

        Raises:
            JobError: something else is running, or nobody says any more what is there.
        """
        assert planned.verified
        assert planned.goal is not None
        preempt = preempt or threading.Event()

        def play(call: SkillCall) -> Outcome:
            try:
                outcome = self._runner.run(call, preempt, on_step, timeout)
            except JobError as error:
                return Outcome(call, Status.ABORTED, str(error), 0, 0.0)
            self._scenes.learn(self._library.skill(call.skill), outcome)
            return outcome

        def done(call: SkillCall) -> bool:
            return self._scenes.look().holds(self._library.skill(call.skill).goal(call))

        def tell(event: Event) -> None:
            if event.kind == "replan":
                self._note(planned, event.plan)
            on_event(event)

        with self._runner.alone(preempt):
            self._note(planned, planned.plan)
            return run_command(
                planned.goal,
                planned.plan,
                self._library.skills,
                self._scenes.look,
                lambda call: carry_out(call, self._library.expand(call), play, done),
                budgets=Budgets(replans=self._replans) if self._replans else Budgets(0, 0, 0, 0),
                on_event=tell,
            )

    def _note(self, planned: PlanResult, plan: Sequence[SkillCall]) -> None:
        if self._recorder is not None:
            self._recorder.plan(planned.command, planned.goal, plan)
