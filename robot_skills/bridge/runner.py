"""Skill calls on an arm, one at a time, for whoever offers them to others."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.foreseen import ForeseenChunks
from robot_skills.errors import JobError
from robot_skills.execution import ChunkSource, LocalChunks, Step, execute
from robot_skills.library import SkillLibrary
from robot_skills.skill import Outcome, Skill, SkillCall

if TYPE_CHECKING:
    from robot_skills.bridge.recording import Recorder


def local_policies(library: SkillLibrary) -> Callable[[str], ChunkSource]:
    """What finds the policy of a skill in this process; it computes beside the motion, on one thread."""
    import torch

    torch.set_num_threads(1)
    return lambda name: LocalChunks(library.policy(name), threaded=True)


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
        self._busy = threading.RLock()
        #: Held where the arm is resumed and where it is stopped, so that a stop is never undone by a call
        #: that came before it.
        self._moving = threading.Lock()
        self._preempt: threading.Event | None = None
        self._running: SkillCall | None = None

    @property
    def running(self) -> SkillCall | None:
        """The call that is being carried out."""
        return self._running

    @property
    def busy(self) -> bool:
        """Whether somebody has the arm."""
        return self._preempt is not None

    @contextlib.contextmanager
    def alone(self, preempt: threading.Event) -> Iterator[None]:
        """Keep the arm for several calls in a row: nobody else's come between, and a stop ends them all.

        Raises:
            JobError: somebody else has it.
        """
        if not self._busy.acquire(blocking=False):
            raise JobError(f"One skill at a time: {self.running or 'another'} is running.")
        before, self._preempt = self._preempt, preempt
        try:
            yield
        finally:
            self._preempt = before
            self._busy.release()

    def check(self, call: SkillCall) -> Skill:
        """The skill of a call, if it is trained and takes these arguments.

        Raises:
            InputError: with what would be right.
        """
        return self._library.check(call)

    def limit(self, skill: Skill) -> float:
        """Seconds that a skill has: longer on an arm that is slower than it learned at."""
        return self._arm.stretch * skill.timeout

    def run(
        self,
        call: SkillCall,
        preempt: threading.Event | None = None,
        on_step: Callable[[Step], None] = lambda step: None,
        timeout: float | None = None,
    ) -> Outcome:
        """Carry a call out.

        Args:
            call: of a skill of the library.
            preempt: set it, from any thread, to stop the arm within a control step.
            on_step: called after each control step.
            timeout: seconds; None: the skill's own.

        Raises:
            InputError: the call is wrong.
            JobError: another is running, or a rule of the safety chain objects to any motion.
        """
        preempt = preempt or threading.Event()
        with self.alone(preempt):
            skill = self.check(call)
            self._running = call
            try:
                return self._run(skill, call, preempt, on_step, timeout or self.limit(skill))
            finally:
                self._running = None

    def stop(self, reason: str) -> None:
        """Stop the arm until the next call, and end what is running."""
        with self._moving:
            preempt = self._preempt
            if preempt is not None:
                preempt.set()
            self._arm.emergency(reason)

    def _run(
        self,
        skill: Skill,
        call: SkillCall,
        preempt: threading.Event,
        on_step: Callable[[Step], None],
        timeout: float,
    ) -> Outcome:
        recorder = self._recorder

        def told(step: Step) -> None:
            if recorder is not None:
                recorder.step(step)
            on_step(step)

        # Before the arm may move: loading a policy takes seconds, in which the watchdog would stop it.
        chunks = ForeseenChunks(
            self._sources(call.skill), self._arm, recorder.chunk if recorder else lambda chunk: None
        )
        with self._moving:
            if not preempt.is_set():
                self._arm.resume()
        if recorder is not None:
            recorder.begin(call, skill.language(call))
        outcome = execute(self._arm, skill, call, chunks, timeout=timeout, preempt=preempt, on_step=told)
        if recorder is not None:
            recorder.end(outcome)
        return outcome
