"""The skills as an action: with the token, feedback and cancel, and for nobody else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from planners.planner import PlanResult
from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.messages import RunSkill, RunSkillFeedback, RunSkillGoal
from robot_skills.bridge.orders import Orders
from robot_skills.bridge.runner import SkillRunner
from robot_skills.bridge.scenes import ToldScenes
from robot_skills.bridge.schema import fields_of
from robot_skills.bridge.service import ACTION, SkillService, read_token
from robot_skills.bridge.transport import ABORTED, CANCELED, SUCCEEDED, TransportError
from robot_skills.bridge.transports.memory import MemoryTransport
from robot_skills.errors import InputError
from robot_skills.execution import LocalChunks
from robot_skills.library import SkillLibrary
from robot_skills.logic import parse
from robot_skills.policies.policy import Chunk
from robot_skills.scene_graph import SceneGraph
from robot_skills.symbolic.closed_loop import plan_to
from tests.robot_skills.bridge.rehearsal import PerfectArm, new_domain, panda, patient, wait_for
from tests.robot_skills.kitchen import make_scene

PANDA = patient(panda(first_seconds=0.0))
TOKEN = "a" * 32
CALL = 'pick(object="red block")'


class Sideways:
    """Moves to the side, for so many chunks."""

    cameras: tuple[str, ...] = ("front",)
    history, chunk, execute = 1, 4, 2

    def __init__(self, chunks: int) -> None:
        self.left = chunks

    def predict(self, inputs: object) -> list[Chunk]:
        self.left -= 1
        moves = np.tile(np.array([0, 0.3, 0, 0, 0, 0, -1], np.float32), (4, 1))
        return [Chunk(moves, np.full(4, float(self.left < 0), np.float32))]


class Picks:
    """Understands one command."""

    def __init__(self, library: SkillLibrary) -> None:
        self._skills = library.skills

    def plan(self, command: str, scene: SceneGraph) -> PlanResult:
        if command != "take it":
            return PlanResult(command, None, (), False, "I do not know how.", None, 0.0)
        goal = parse("holding(red block)")
        plan = plan_to(goal, scene, self._skills)
        assert plan is not None
        return PlanResult(command, goal, plan, True, None, None, 0.0)


def assert_heard(heard: list[RunSkillFeedback], steps: int) -> None:
    """Feedback came of every step; what is told may come after the end."""
    wait_for(lambda: len(heard) >= steps)
    assert len(heard) == steps > 0


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[MemoryTransport]:
    scene = tmp_path / "scene.json"
    scene.write_text(json.dumps(make_scene("on(red block, table)").to_json()))
    domain = new_domain()
    peer, asker, ours = (
        PerfectArm(PANDA, MemoryTransport(domain)),
        MemoryTransport(domain),
        MemoryTransport(domain),
    )
    with RosArm(PANDA, ours, live=True) as arm:
        policy = Sideways(3)
        asker.policy = policy  # type: ignore[attr-defined]
        library = SkillLibrary.open()
        runner = SkillRunner(arm, library, lambda name: LocalChunks(policy))  # type: ignore[arg-type]
        orders = Orders(runner, library, ToldScenes(scene), Picks(library))  # type: ignore[arg-type]
        SkillService(runner, TOKEN, orders).offer(ours)
        yield asker
    peer.close()
    asker.close()


def test_a_skill_runs_with_feedback(ask: MemoryTransport) -> None:
    heard: list[RunSkillFeedback] = []
    goal = ask.send_goal(ACTION, RunSkill, RunSkillGoal(CALL, TOKEN), heard.append)
    status, result = goal.result(20.0)
    assert (status, result.status) == (SUCCEEDED, "succeeded")
    assert_heard(heard, result.steps)


def test_a_command_in_words_is_planned_and_carried_out(ask: MemoryTransport) -> None:
    heard: list[RunSkillFeedback] = []
    goal = ask.send_goal(ACTION, RunSkill, RunSkillGoal("take it", TOKEN), heard.append)
    status, result = goal.result(20.0)
    assert (status, result.status, result.reason) == (SUCCEEDED, "succeeded", "The goal holds.")
    assert_heard(heard, result.steps)
    # It is told, and holds it now: a second time there is nothing to do.
    status, result = ask.send_goal(ACTION, RunSkill, RunSkillGoal("take it", TOKEN)).result(20.0)
    assert (status, result.steps) == (SUCCEEDED, 0)


def test_a_command_that_is_refused_says_why_and_moves_nothing(ask: MemoryTransport) -> None:
    status, result = ask.send_goal(ACTION, RunSkill, RunSkillGoal("sing", TOKEN)).result(20.0)
    assert (status, result.reason, result.steps) == (ABORTED, "I do not know how.", 0)
    with pytest.raises(TransportError, match="rejected"):
        ask.send_goal(ACTION, RunSkill, RunSkillGoal("take it", "a" * 31)).result(5.0)


def test_cancelling_ends_a_command(ask: MemoryTransport) -> None:
    ask.policy.left = 10_000  # type: ignore[attr-defined]
    goal = ask.send_goal(ACTION, RunSkill, RunSkillGoal("take it", TOKEN))
    time.sleep(0.7)
    with pytest.raises(TransportError, match="rejected"):
        ask.send_goal(ACTION, RunSkill, RunSkillGoal(CALL, TOKEN)).result(5.0)
    goal.cancel()
    status, result = goal.result(5.0)
    assert (status, result.status) == (CANCELED, "preempted")


def test_cancelling_stops_it(ask: MemoryTransport) -> None:
    ask.policy.left = 10_000  # type: ignore[attr-defined]
    goal = ask.send_goal(ACTION, RunSkill, RunSkillGoal(CALL, TOKEN))
    time.sleep(0.7)
    goal.cancel()
    status, result = goal.result(5.0)
    assert (status, result.status) == (CANCELED, "preempted")


@pytest.mark.parametrize(
    "goal",
    [
        RunSkillGoal(CALL, ""),
        RunSkillGoal(CALL, TOKEN[:-1]),
        RunSkillGoal("pick()", TOKEN),
        RunSkillGoal("fly(to=moon)", TOKEN),
        RunSkillGoal("rm -rf (/)", TOKEN),
    ],
)
def test_who_has_no_token_or_no_sense_is_rejected(goal: RunSkillGoal, ask: MemoryTransport) -> None:
    with pytest.raises(TransportError, match="rejected"):
        ask.send_goal(ACTION, RunSkill, goal).result(5.0)


def test_one_at_a_time(ask: MemoryTransport) -> None:
    ask.policy.left = 10_000  # type: ignore[attr-defined]
    first = ask.send_goal(ACTION, RunSkill, RunSkillGoal(CALL, TOKEN))
    time.sleep(0.5)
    with pytest.raises(TransportError, match="rejected"):
        ask.send_goal(ACTION, RunSkill, RunSkillGoal(CALL, TOKEN)).result(5.0)
    first.cancel()
    first.result(5.0)


def test_tokens_are_secret_and_long(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(InputError, match="cannot be read"):
        read_token(file)
    file.write_text("short")
    file.chmod(0o644)
    with pytest.raises(InputError, match="Others may read"):
        read_token(file)
    file.chmod(0o600)
    with pytest.raises(InputError, match="shorter"):
        read_token(file)
    file.write_text(f"{TOKEN}\n")
    assert read_token(file) == TOKEN


def test_the_definition_for_ros_says_the_same() -> None:
    text = Path("launch/robot_skills_interfaces/action/RunSkill.action").read_text()
    parts = [
        [line for line in part.splitlines() if line and not line.startswith("#")]
        for part in text.split("---\n")
    ]
    kinds = (RunSkill.goal, RunSkill.result, RunSkill.feedback)
    assert parts == [[f"{field.ros_type} {field.name}" for field in fields_of(kind)] for kind in kinds]
