"""One skill driving one robot: the chunk queue, the end of a skill, time-out and preemption.

At control step k the robot is observed and a chunk asked for; its action i is meant for step k + i. It
plays `execute` actions, and the next chunk takes over. With `lead` 1 that chunk is asked for one step
before it takes over and its first action is skipped, because its step has passed by then:

    step      0    1    2    3    4    5    6    7          execute 4, lead 1
    asks      A              B                   C
    plays     A0   A1   A2   A3   B1   B2   B3   B4

So inference overlaps motion on a real arm. The executor waits for the chunk where it must take over, and
which observation it was asked with is a matter of counting, so in simulation the result does not depend on
how fast the policy is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_skills.errors import InputError
from robot_skills.policies.policy import Chunk, Policy, PolicyInput
from robot_skills.robot import Float, Observation, Robot, check_action
from robot_skills.skill import Outcome, Skill, SkillCall, Status

log = logging.getLogger(__name__)

#: Seconds between two looks at the preempt event while a chunk is awaited.
POLL = 0.02


class Pending(Protocol):
    """A chunk that is being computed."""

    def result(self, timeout: float | None = None) -> Chunk:
        """The chunk.

        Raises:
            TimeoutError: it was not there within `timeout` seconds; it may be asked for again.
        """


class ChunkSource(Protocol):
    """What answers an observation with a chunk: a policy in this process or elsewhere."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras that the observation must hold."""

    @property
    def history(self) -> int:
        """How many states the policy sees, the present one included."""

    @property
    def execute(self) -> int:
        """How many actions of a chunk are played."""

    def request(self, given: PolicyInput) -> Pending:
        """Ask for a chunk, without waiting for it."""


class LocalChunks:
    """A policy in this process.

    Args:
        policy: what answers.
        threaded: compute beside the robot's motion, in a thread. In simulation there is nothing to gain.
    """

    def __init__(self, policy: Policy, *, threaded: bool = False) -> None:
        self._policy = policy
        self._pool = ThreadPoolExecutor(1, "policy") if threaded else None

    @property
    def cameras(self) -> tuple[str, ...]:
        """The policy's cameras."""
        return self._policy.cameras

    @property
    def history(self) -> int:
        """The policy's length of history."""
        return self._policy.history

    @property
    def execute(self) -> int:
        """How many actions of its chunk the policy wants played."""
        return self._policy.execute

    def request(self, given: PolicyInput) -> Pending:
        """Compute the chunk now, or start to."""
        if self._pool is not None:
            return _Threaded(self._pool.submit(self._predict, given))
        return _Ready(self._predict(given))

    def _predict(self, given: PolicyInput) -> Chunk:
        (chunk,) = self._policy.predict([given])
        return chunk


@dataclass(frozen=True)
class _Ready:
    chunk: Chunk

    def result(self, timeout: float | None = None) -> Chunk:
        return self.chunk


@dataclass(frozen=True)
class _Threaded:
    future: Future[Chunk]

    def result(self, timeout: float | None = None) -> Chunk:
        try:
            return self.future.result(timeout)
        except FutureTimeoutError as error:  # in Python 3.10 not the built-in one
            raise TimeoutError from error


class ChunkQueue:
    """Which chunk is asked for, and which action of which is played, at each control step.

    Args:
        source: answers requests; its `execute` is how many actions of each chunk are played.
        lead: control steps between asking for a chunk and its taking over. A chunk that plays n actions
            leaves no more than n - 1.
    """

    def __init__(self, source: ChunkSource, lead: int) -> None:
        self._source = source
        self._lead = lead
        self._switch = 0  # the step at which the next chunk takes over
        self._pending: Pending | None = None
        self._asked = 0  # the step at which it was asked for
        self._chunk: Chunk | None = None
        self._origin = 0  # the step that the playing chunk's first action was meant for

    def wants(self, step: int) -> bool:
        """Whether a chunk must be asked for at this step."""
        return self._pending is None and step >= self._switch - self._lead

    def ask(self, step: int, given: PolicyInput) -> None:
        """Ask for the chunk whose first action is meant for this step."""
        self._pending, self._asked = self._source.request(given), step

    def at(self, step: int, wait: Callable[[Pending], Chunk]) -> tuple[Chunk, int]:
        """The chunk that plays at this step and the index of its action.

        Args:
            step: steps come one by one, from 0.
            wait: returns the chunk of a request; called where the next chunk takes over.

        Raises:
            ValueError: a chunk has no action for this step, or not the shape of one.
        """
        if step >= self._switch and self._pending is not None:
            chunk, self._pending = check_chunk(wait(self._pending)), None
            skipped = step - self._asked
            if skipped >= len(chunk.actions):
                raise ValueError(f"A chunk of {len(chunk.actions)} actions cannot skip {skipped}.")
            self._chunk, self._origin = chunk, self._asked
            self._switch = step + min(self._source.execute, len(chunk.actions) - skipped)
        if self._chunk is None:
            raise ValueError("No chunk was asked for.")
        return self._chunk, step - self._origin


class ChunkPlayer:
    """What a policy does next, step by step: it keeps the history of states and the queue of chunks.

    Args:
        chunks: the policy.
        skill: the name of what it plays.
        text: what it is told.
        lead: of its `ChunkQueue`.

    Attributes:
        step: control steps so far.
    """

    def __init__(self, chunks: ChunkSource, skill: str, text: str, lead: int) -> None:
        self._chunks, self._skill, self._text = chunks, skill, text
        self._queue = ChunkQueue(chunks, lead)
        self._states: deque[Float] = deque(maxlen=chunks.history)
        self.step = 0

    def play(
        self,
        observe: Callable[[Sequence[str]], Observation],
        wait: Callable[[Pending], Chunk] = lambda pending: pending.result(),
    ) -> tuple[Observation, Float, float]:
        """What was observed, the action (A,) of this step, and the probability that the skill is over.

        Args:
            observe: takes the cameras that are looked through.
            wait: returns the chunk of a request.
        """
        asks = self._queue.wants(self.step)
        observation = observe(self._chunks.cameras if asks else ())
        if not self._states:  # before the first step the robot stood still
            self._states.extend([observation.state] * self._chunks.history)
        else:
            self._states.append(observation.state)
        history = np.stack(self._states).astype(np.float32)
        if asks:
            self._queue.ask(self.step, PolicyInput(observation, history, self._text, self._skill))
        chunk, index = self._queue.at(self.step, wait)
        self.step += 1
        return observation, chunk.at(index, history), float(chunk.end[index])


def check_chunk(chunk: Chunk) -> Chunk:
    """Return the chunk if its shapes are right.

    Raises:
        ValueError: they are not (T, A) and (T,) with T at least 1.
    """
    actions, end = np.shape(chunk.actions), np.shape(chunk.end)
    if len(actions) != 2 or actions[0] < 1 or end != actions[:1]:
        raise ValueError(f"A chunk has actions (T, A) and end (T,), not {actions} and {end}.")
    return chunk


@dataclass(frozen=True)
class Step:
    """One control step that was played, for whoever watches.

    Attributes:
        number: of the control step, from 0.
        seconds: robot time since the skill began, at the end of this step.
        observation: before the action; with images at the steps where a chunk was asked for.
        action: (7,) float32, as played.
        end: the policy's probability that the skill is over at this step.
    """

    number: int
    seconds: float
    observation: Observation
    action: Float
    end: float


@dataclass(frozen=True)
class ExecutionConfig:
    """How chunks are played and when a skill is over.

    Attributes:
        lead: control steps between asking for a chunk and its taking over: 1 covers an inference of one
            control step (50 ms at 20 Hz).
        end_threshold: probability of the end above which a step counts as over.
        end_steps: such steps in a row that end the skill: two, so that one doubtful frame does not.
        patience: seconds of wall time to wait for a chunk. Longer than an actor may take to come back.
    """

    lead: int = 1
    end_threshold: float = 0.5
    end_steps: int = 2
    patience: float = 240.0

    def __post_init__(self) -> None:
        if self.lead < 0:
            raise InputError(f"lead is a number of control steps, 0 or more, not {self.lead}.")
        if not 0.0 < self.end_threshold < 1.0:
            raise InputError(f"end_threshold is a probability between 0 and 1, not {self.end_threshold}.")
        if self.end_steps < 1:
            raise InputError(f"end_steps is 1 or more, not {self.end_steps}.")
        if self.patience <= 0:
            raise InputError(f"patience is a time above 0 s, not {self.patience}.")


class _EndedError(Exception):
    """The skill is to end here: its status and the reason."""


def execute(
    robot: Robot,
    skill: Skill,
    call: SkillCall,
    chunks: ChunkSource,
    *,
    goal_reached: Callable[[], bool] | None = None,
    timeout: float | None = None,
    preempt: threading.Event | None = None,
    on_step: Callable[[Step], str | None] | None = None,
    config: ExecutionConfig | None = None,
) -> Outcome:
    """Play a skill on a robot until the policy says it is over, it takes too long, or it is stopped.

    Args:
        robot: a simulator or a real arm; stopped unless the policy ended the skill.
        skill: the card; its text is what the policy is told.
        call: the skill's arguments. Whether they fit the scene is for the caller to check.
        chunks: the policy, here or in an actor.
        goal_reached: asked once, when the policy says the skill is over; None trusts the policy.
        timeout: seconds of robot time (control steps over the control rate); the card's by default.
        preempt: set it, from any thread, to stop the robot within a control step.
        on_step: called after each control step; a reason that it returns ends the skill, which then failed.
        config: lead, the rule of the end, patience.

    Returns:
        The outcome. An error of the robot, the policy or `goal_reached` is one too: `ABORTED`, with the
        error as its reason.
    """
    began = time.monotonic()
    playback = _Playback(
        robot, skill.name, skill.language(call), chunks, preempt, on_step, config or ExecutionConfig()
    )
    try:
        status, reason = playback.run(skill.timeout if timeout is None else timeout, goal_reached)
    except _EndedError as end:
        status, reason = end.args
    except Exception as error:  # whatever broke: the robot stands still and the caller hears why
        log.debug("%s was aborted", call, exc_info=True)
        status, reason = Status.ABORTED, f"{type(error).__name__}: {error}"
    except BaseException:  # Ctrl-C
        robot.stop()
        raise
    if not playback.ended:
        reason += _stop(robot)
    return Outcome(call, status, reason, playback.steps, time.monotonic() - began)


def _stop(robot: Robot) -> str:
    """Stop the robot; what to add to the reason if that failed."""
    try:
        robot.stop()
    except Exception as error:
        log.exception("The robot could not be stopped.")
        return f" And the robot could not be stopped: {type(error).__name__}: {error}"
    return ""


class _Playback:
    """A skill being played: the loop over control steps."""

    def __init__(
        self,
        robot: Robot,
        skill: str,
        text: str,
        chunks: ChunkSource,
        preempt: threading.Event | None,
        on_step: Callable[[Step], str | None] | None,
        config: ExecutionConfig,
    ) -> None:
        self._robot, self._preempt, self._on_step, self._config = robot, preempt, on_step, config
        self._player = ChunkPlayer(chunks, skill, text, config.lead)
        self.steps = 0  # that the robot has taken
        self.ended = False  # by the policy: nothing is left to stop

    def run(self, timeout: float, goal_reached: Callable[[], bool] | None) -> tuple[Status, str]:
        limit = max(1, round(timeout * self._robot.spec.control_rate))
        over = 0
        while self.steps < limit:
            end = self._play()
            over = over + 1 if end > self._config.end_threshold else 0
            if over >= self._config.end_steps:
                reached = goal_reached is None or goal_reached()
                self.ended = True
                if reached:
                    return Status.SUCCEEDED, "The policy says it is over."
                return Status.FAILED, "The policy says it is over, and the goal is not reached."
        return Status.TIMED_OUT, f"Not over after {timeout:g} s of robot time."

    def _play(self) -> float:
        """One control step; returns the probability that the skill is over."""
        self._check_preempt()
        observation, action, end = self._player.play(self._robot.observe, self._wait)
        self._check_preempt()
        action = check_action(action, self._robot.spec.action)
        self._robot.act(action)
        self.steps += 1
        if self._on_step is not None:
            seconds = self.steps / self._robot.spec.control_rate
            if broken := self._on_step(Step(self.steps - 1, seconds, observation, action, end)):
                raise _EndedError(Status.FAILED, broken)
        return end

    def _wait(self, pending: Pending) -> Chunk:
        until = time.monotonic() + self._config.patience
        while True:
            self._check_preempt()
            try:
                return pending.result(POLL)
            except TimeoutError:
                if time.monotonic() > until:
                    raise TimeoutError(f"No chunk from the policy in {self._config.patience:g} s.") from None

    def _check_preempt(self) -> None:
        if self._preempt is not None and self._preempt.is_set():
            raise _EndedError(Status.PREEMPTED, "It was asked to stop.")
