"""Skill calls on an arm, one at a time, for whoever offers them to others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from robot_skills.bridge.arm import ForeseenChunks, RosArm
from robot_skills.errors import JobError
from robot_skills.execution import ChunkSource, Step, execute
from robot_skills.library import SkillLibrary
from robot_skills.skill import Outcome, Skill, SkillCall

if TYPE_CHECKING:
    from robot_skills.bridge.recording import Recorder


class SkillRunner:
    """Checks calls and carries them out, one at a time.

    Args:
        arm: that the skills drive; resumed at each call.
        library: of the skills.
        sources: name of a skill -> its policy.
        recorder: is told what each skill does.
    """

    def __init__(
        self,
        arm: RosArm,
        library: SkillLibrary,
        sources: Callable[[str], ChunkSource],
        recorder: Recorder | None = None,
    ) -> None:
        self._arm, self._library, self._sources, self._recorder = arm, library, sources, recorder
        self._busy = threading.Lock()
        #: Held where the arm is resumed and where it is stopped, so that a stop is never undone by a call
        #: that came before it.
        self._moving = threading.Lock()
        self._running: tuple[SkillCall, threading.Event] | None = None

    @property
    def running(self) -> SkillCall | None:
        """The call that is being carried out."""
        running = self._running
        return None if running is None else running[0]

    def check(self, call: SkillCall) -> Skill:
        """The skill of a call, if it is trained and takes these arguments.

        Raises:
            InputError: with what would be right.
        """
        skill = self._library.skill(call.skill)
        skill.check_arguments(call)
        self._library.weights(call.skill)
        return skill

    def run(
        self,
        call: SkillCall,
        preempt: threading.Event | None = None,
        on_step: Callable[[Step], None] = lambda step: None,
    ) -> Outcome:
        """Carry a call out.

        Args:
            call: of a skill of the library.
            preempt: set it, from any thread, to stop the arm within a control step.
            on_step: called after each control step.

        Raises:
            InputError: the call is wrong.
            JobError: another is running, or a rule of the safety chain objects to any motion.
        """
        if not self._busy.acquire(blocking=False):
            raise JobError(f"One skill at a time: {self.running or 'another'} is running.")
        try:
            self._running = call, preempt or threading.Event()
            return self._run(self.check(call), *self._running, on_step)
        finally:
            self._running = None
            self._busy.release()

    def stop(self, reason: str) -> None:
        """Stop the arm until the next call, and end the one that is running."""
        running = self._running
        with self._moving:
            if running is not None:
                running[1].set()
            self._arm.emergency(reason)

    def _run(
        self, skill: Skill, call: SkillCall, preempt: threading.Event, on_step: Callable[[Step], None]
    ) -> Outcome:
        recorder = self._recorder

        def told(step: Step) -> None:
            if recorder is not None:
                recorder.step(step)
            on_step(step)

        # Before the arm may move: loading a policy takes seconds, in which the watchdog would stop it.
        chunks = ForeseenChunks(self._sources(call.skill), self._arm)
        with self._moving:
            if not preempt.is_set():
                self._arm.resume()
        if recorder is not None:
            recorder.begin(call, skill.language(call))
        outcome = execute(self._arm, skill, call, chunks, preempt=preempt, on_step=told)
        if recorder is not None:
            recorder.end(outcome)
        return outcome
