"""The executor, on a point that moves as it is told and a policy that says which of its actions played."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.execution import ChunkQueue, ExecutionConfig, LocalChunks, Pending, Step, execute
from robot_skills.logic import parse
from robot_skills.policies.policy import Chunk, Policy, PolicyInput
from robot_skills.robot import TRANSLATION_SCALE, Float, Robot
from robot_skills.skill import Skill, SkillCall, Status
from tests.robot_skills.point import Point

SKILL = Skill(
    "go", "Go there.", {"where": ("left", "right")}, (), (), parse("there"), "go {where}", timeout=3.0
)
CALL = SkillCall("go", {"where": "left"})


@dataclass
class Labelled:
    """Answers request r with actions whose first two numbers are r / 100 and the action's index / 100."""

    chunk: int = 8
    execute: int = 4
    history: int = 3
    end: Callable[[int], float] = lambda step: 0.0
    cameras: tuple[str, ...] = ("front",)
    given: list[PolicyInput] = field(default_factory=list)
    error: Exception | None = None

    def request(self, given: PolicyInput) -> Pending:
        step = round(given.observation.time * 10)
        self.given.append(given)
        actions = np.zeros((self.chunk, 7), np.float32)
        actions[:, 0] = (len(self.given) - 1) / 100
        actions[:, 1] = np.arange(self.chunk) / 100
        return Answer(
            Chunk(actions, np.array([self.end(step + i) for i in range(self.chunk)], np.float32)), self.error
        )


@dataclass
class Answer:
    chunk: Chunk
    error: Exception | None = None

    def result(self, timeout: float | None = None) -> Chunk:
        if self.error is not None:
            raise self.error
        return self.chunk


class Never:
    def result(self, timeout: float | None = None) -> Chunk:
        time.sleep(timeout or 0.0)
        raise TimeoutError


def played(robot: Point) -> list[tuple[int, int]]:
    """(request, index) of every action that was played."""
    return [(round(float(a[0]) * 100), round(float(a[1]) * 100)) for a in robot.actions]


def test_the_toy_is_a_robot() -> None:
    assert isinstance(Point(), Robot)


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        (0, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)]),
        (1, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (2, 3), (2, 4)]),
        (2, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (1, 4), (1, 5), (2, 2), (2, 3), (2, 4), (2, 5)]),
    ],
)
def test_every_action_plays_at_the_step_it_was_meant_for(lead: int, expected: list[tuple[int, int]]) -> None:
    robot, source = Point(), Labelled()
    execute(robot, SKILL, CALL, source, timeout=1.2, config=ExecutionConfig(lead=lead))
    assert played(robot) == expected
    asked = [round(given.observation.time * 10) for given in source.given]
    assert asked[:3] == [0, 4 - lead, 8 - lead]
    for step, (request, index) in enumerate(expected):
        assert asked[request] + index == step


@pytest.mark.parametrize("lead", [0, 1, 2, 5])
@pytest.mark.parametrize(("chunk", "plays"), [(1, 1), (2, 1), (4, 4), (5, 4), (8, 8)])
def test_any_chunk_and_lead_keep_actions_on_their_steps(lead: int, chunk: int, plays: int) -> None:
    robot, source = Point(), Labelled(chunk=chunk, execute=plays)
    outcome = execute(robot, SKILL, CALL, source, timeout=2.0, config=ExecutionConfig(lead=lead))
    assert (outcome.status, outcome.steps) == (Status.TIMED_OUT, 20), outcome.reason
    asked = [round(given.observation.time * 10) for given in source.given]
    for step, (request, index) in enumerate(played(robot)):
        assert asked[request] + index == step


def test_images_are_taken_only_when_a_chunk_is_asked_for() -> None:
    robot, source = Point(), Labelled()
    execute(robot, SKILL, CALL, source, timeout=0.8)
    assert robot.looks == [("front",), (), (), ("front",), (), (), (), ("front",)]
    assert [int(given.observation.images["front"][0, 0, 0]) for given in source.given] == [0, 3, 7]
    assert source.given[0].text == "go left"


def test_history_holds_the_last_states_and_repeats_the_first() -> None:
    robot, source = Point(), Labelled(chunk=8, execute=2, history=3)
    robot.position[0] = 0.5
    execute(robot, SKILL, CALL, source, timeout=0.6, config=ExecutionConfig(lead=1))
    first = source.given[0].history
    assert first.shape == (3, 10)
    assert first.dtype == np.float32
    np.testing.assert_allclose(first[:, 0], 0.5)
    track = np.cumsum([0.0, *(action[1] for action in robot.actions)]) * TRANSLATION_SCALE
    for given in source.given[1:]:
        step = round(given.observation.time * 10)
        expected = [track[max(0, step - 2)], track[max(0, step - 1)], track[step]]
        np.testing.assert_allclose(given.history[:, 1], expected, atol=1e-6)
        np.testing.assert_array_equal(given.history[-1], given.observation.state)


def test_two_steps_in_a_row_end_the_skill() -> None:
    robot = Point()
    over = {3, 6, 7}
    source = Labelled(end=lambda step: 0.9 if step in over else 0.4)
    outcome = execute(robot, SKILL, CALL, source, goal_reached=lambda: True)
    assert (outcome.status, outcome.steps) == (Status.SUCCEEDED, 8)
    assert robot.stops == 0
    assert len(robot.actions) == 8


def test_the_rule_of_the_end_is_configured() -> None:
    source = Labelled(end=lambda step: 0.3 if step == 5 else 0.0)
    config = ExecutionConfig(end_threshold=0.25, end_steps=1)
    assert execute(Point(), SKILL, CALL, source, config=config).steps == 6


def test_without_a_judge_the_signal_is_believed_and_with_one_it_is_checked() -> None:
    def source() -> Labelled:
        return Labelled(end=lambda step: 1.0)

    assert execute(Point(), SKILL, CALL, source()).status is Status.SUCCEEDED
    outcome = execute(Point(), SKILL, CALL, source(), goal_reached=lambda: False)
    assert outcome.status is Status.FAILED
    assert "goal is not reached" in outcome.reason


def test_time_runs_out_in_robot_time() -> None:
    robot = Point(rate=50.0)
    outcome = execute(robot, SKILL, CALL, Labelled(), timeout=0.5)
    assert (outcome.status, outcome.steps, robot.stops) == (Status.TIMED_OUT, 25, 1)
    assert execute(Point(), SKILL, CALL, Labelled()).steps == 30  # the card's 3 s at 10 Hz
    assert "0.5 s" in outcome.reason


def test_another_thread_preempts_within_a_step() -> None:
    robot, preempt, at_five = Point(), threading.Event(), threading.Event()

    def slow(step: Step) -> None:
        if step.number == 4:
            at_five.set()
            assert preempt.wait(5.0)

    def stop() -> None:
        assert at_five.wait(5.0)
        preempt.set()

    thread = threading.Thread(target=stop)
    thread.start()
    outcome = execute(robot, SKILL, CALL, Labelled(), preempt=preempt, on_step=slow)
    thread.join()
    assert (outcome.status, outcome.steps, robot.stops) == (Status.PREEMPTED, 5, 1)
    assert len(robot.actions) == 5


def test_preemption_does_not_wait_for_a_chunk() -> None:
    class Silent(Labelled):
        def request(self, given: PolicyInput) -> Pending:
            return Never()

    robot, preempt = Point(), threading.Event()
    threading.Timer(0.1, preempt.set).start()
    outcome = execute(robot, SKILL, CALL, Silent(), preempt=preempt)
    assert (outcome.status, outcome.steps, robot.stops) == (Status.PREEMPTED, 0, 1)
    assert outcome.seconds < 2.0
    outcome = execute(robot, SKILL, CALL, Silent(), config=ExecutionConfig(patience=0.1))
    assert outcome.status is Status.ABORTED
    assert "No chunk from the policy in 0.1 s" in outcome.reason


def test_errors_stop_the_robot_and_are_the_reason() -> None:
    class Jammed(Point):
        def act(self, action: Float) -> None:
            if len(self.actions) == 3:
                raise OSError("joint 4 is over its limit")
            super().act(action)

    robot = Jammed()
    outcome = execute(robot, SKILL, CALL, Labelled())
    assert (outcome.status, outcome.steps, robot.stops) == (Status.ABORTED, 3, 1)
    assert outcome.reason == "OSError: joint 4 is over its limit"

    point = Point()
    outcome = execute(point, SKILL, CALL, Labelled(error=RuntimeError("the network is gone")))
    assert (outcome.status, outcome.steps, point.stops) == (Status.ABORTED, 0, 1)
    assert "the network is gone" in outcome.reason


def test_a_robot_that_cannot_stop_is_reported() -> None:
    class Runaway(Point):
        def stop(self) -> None:
            raise OSError("no connection")

    outcome = execute(Runaway(), SKILL, CALL, Labelled(), timeout=0.1)
    assert outcome.status is Status.TIMED_OUT
    assert "could not be stopped: OSError: no connection" in outcome.reason


def test_control_c_stops_the_robot_first() -> None:
    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    robot = Point()
    with pytest.raises(KeyboardInterrupt):
        execute(robot, SKILL, CALL, Labelled(), on_step=interrupt)
    assert robot.stops == 1


@pytest.mark.parametrize(
    ("actions", "end", "words"),
    [
        ((0, 7), (0,), "(0, 7)"),
        ((4, 6), (4,), "not (6,)"),
        ((4, 7), (3,), "(4, 7)"),
        ((7,), (7,), "(7,)"),
        ((4, 7), (4, 1), "(4, 1)"),
    ],
)
def test_a_misshapen_chunk_aborts(actions: tuple[int, ...], end: tuple[int, ...], words: str) -> None:
    class Wrong(Labelled):
        def request(self, given: PolicyInput) -> Pending:
            return Answer(Chunk(np.zeros(actions, np.float32), np.zeros(end, np.float32)))

    robot = Point()
    outcome = execute(robot, SKILL, CALL, Wrong())
    assert (outcome.status, robot.actions, robot.stops) == (Status.ABORTED, [], 1)
    assert words in outcome.reason


def test_an_action_that_is_no_number_never_reaches_the_robot() -> None:
    class Lost(Labelled):
        def request(self, given: PolicyInput) -> Pending:
            return Answer(Chunk(np.full((8, 7), np.nan, np.float32), np.zeros(8, np.float32)))

    robot = Point()
    assert execute(robot, SKILL, CALL, Lost()).status is Status.ABORTED
    assert robot.actions == []


def test_steps_tell_what_was_played() -> None:
    steps: list[Step] = []
    robot = Point()
    execute(robot, SKILL, CALL, Labelled(end=lambda step: 0.1), timeout=0.5, on_step=steps.append)
    assert [step.number for step in steps] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([step.seconds for step in steps], [0.1, 0.2, 0.3, 0.4, 0.5])
    assert [bool(step.observation.images) for step in steps] == [True, False, False, True, False]
    for step, action in zip(steps, robot.actions, strict=True):
        np.testing.assert_array_equal(step.action, action)
        assert step.end == pytest.approx(0.1)


class Constant:
    """As much of a policy as running it takes."""

    cameras, history, chunk, execute = ("front",), 1, 4, 4

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.threads = seconds, set[str]()

    def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
        time.sleep(self.seconds)
        self.threads.add(threading.current_thread().name)
        return [Chunk(np.full((4, 7), 0.5, np.float32), np.zeros(4, np.float32)) for _ in inputs]


def as_policy(toy: Constant) -> Policy:
    return toy  # type: ignore[return-value]


def test_local_chunks_run_the_policy_here_or_beside_the_motion() -> None:
    for threaded in (False, True):
        toy, robot = Constant(0.002), Point()
        source = LocalChunks(as_policy(toy), threaded=threaded)
        assert (source.cameras, source.history, source.execute) == (("front",), 1, 4)
        outcome = execute(robot, SKILL, CALL, source, timeout=1.0)
        assert (outcome.status, outcome.steps) == (Status.TIMED_OUT, 10), outcome.reason
        here = threading.current_thread().name in toy.threads
        assert here is not threaded


def test_a_threaded_policy_that_is_slow_or_fails() -> None:
    class Failing(Constant):
        def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
            time.sleep(0.1)
            raise ArithmeticError("not a number")

    outcome = execute(Point(), SKILL, CALL, LocalChunks(as_policy(Failing()), threaded=True))
    assert outcome.reason == "ArithmeticError: not a number"


def test_the_queue_refuses_to_play_what_it_was_not_given() -> None:
    queue = ChunkQueue(Labelled(), lead=1)
    with pytest.raises(ValueError, match="No chunk"):
        queue.at(0, lambda pending: pending.result())


@pytest.mark.parametrize(
    ("setting", "value"),
    [("lead", -1), ("end_threshold", 0.0), ("end_threshold", 1.5), ("end_steps", 0), ("patience", 0.0)],
)
def test_settings_out_of_range_are_named(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=setting):
        ExecutionConfig(**{setting: value})  # type: ignore[arg-type]
