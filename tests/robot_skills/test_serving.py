"""Skills in real Ray actors: calls, health, and an actor that is killed while the robot moves."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError, JobError
from robot_skills.execution import ExecutionConfig, LocalChunks, Step, execute
from robot_skills.library import SkillLibrary
from robot_skills.policies.policy import PolicyInput
from robot_skills.policies.star.policy import StarPolicy
from robot_skills.residual.config import Gate, ResidualConfig
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.serving import ActorChunks, Cluster, actor_name
from robot_skills.skill import Outcome, SkillCall, Status
from tests.robot_skills.point import Point
from tests.robot_skills.small_policy import CONFIG, make_library

CALL = SkillCall("push", {"object": "red block", "direction": "left"})
#: A policy that was never trained says anything about the end: believe it once 20 steps were played.
PLAYING = ExecutionConfig(end_threshold=1e-9, end_steps=20)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> SkillLibrary:
    torch.set_num_threads(1)
    return SkillLibrary.open(make_library(tmp_path_factory.mktemp("skills") / "lib", ("push", "press")))


@pytest.fixture(scope="module")
def cluster(library: SkillLibrary) -> Iterator[Cluster]:
    with Cluster(library) as cluster:
        cluster.start(["push"])
        yield cluster


def make_robot() -> Point:
    return Point(cameras={"front": CONFIG.image_size})


def given() -> PolicyInput:
    observation = make_robot().observe()
    return PolicyInput(observation, np.stack([observation.state] * CONFIG.history), "red block left")


def play(library: SkillLibrary, source: Any, robot: Point, **options: Any) -> Outcome:
    return execute(robot, library.skill("push"), CALL, source, config=PLAYING, **options)


def test_an_actor_answers_what_the_policy_in_this_process_answers(
    library: SkillLibrary, cluster: Cluster
) -> None:
    here, there = LocalChunks(library.policy("push")), cluster.chunks("push")
    assert (there.cameras, there.history, there.execute) == (here.cameras, here.history, here.execute)
    robots = make_robot(), make_robot()
    for robot, source in zip(robots, (here, there), strict=True):
        outcome = play(library, source, robot)
        assert (outcome.status, outcome.steps) == (Status.SUCCEEDED, 20), outcome.reason
    np.testing.assert_array_equal(robots[0].actions, robots[1].actions)


def test_a_refined_skill_looks_at_every_step_in_an_actor_too(
    library: SkillLibrary, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("refined")
    policy = ResidualPolicy(ResidualConfig(features=8, width=16, gate=Gate()), library.policy("push"))
    torch.nn.init.normal_(policy.actor.last.weight)
    policy.save_pretrained(make_library(folder / "lib") / "open")
    refined = SkillLibrary.open(folder / "lib")
    robots = [make_robot() for _ in range(3)]
    with Cluster(refined) as cluster:
        cluster.start(["open"])
        sources = [LocalChunks(refined.policy("open")), cluster.chunks("open")]
        for robot, source in zip(robots, (*sources, LocalChunks(library.policy("push"))), strict=True):
            play(library, source, robot)
    np.testing.assert_array_equal(robots[0].actions, robots[1].actions)
    assert not np.array_equal(robots[0].actions, robots[2].actions)


def test_health_answers_while_calls_are_waiting(cluster: Cluster) -> None:
    source = cluster.chunks("push")
    source.request(given()).result(60.0)  # whatever was asked for before is answered by now
    before = source.health()
    waiting = [source.request(given()) for _ in range(300)]
    report = source.health()
    calls = report["calls"] - before["calls"]
    assert calls < 300, "health came only when every inference was done"
    assert report["pid"] == before["pid"] == cluster.pid("push") != os.getpid()
    assert report["skill"] == "push"
    for pending in waiting:
        pending.result(60.0)
    assert source.health()["calls"] - before["calls"] == 300


def test_a_killed_actor_comes_back_and_no_motion_is_repeated(library: SkillLibrary, cluster: Cluster) -> None:
    undisturbed, robot, source = make_robot(), make_robot(), cluster.chunks("push")
    play(library, source, undisturbed)
    pid = cluster.pid("push")

    def kill(step: Step) -> None:
        if step.number == 2:  # so that the chunk asked for at step 3 is being computed when its actor dies
            os.kill(pid, signal.SIGSTOP)
        if step.number == 3:
            os.kill(pid, signal.SIGKILL)

    outcome = play(library, source, robot, on_step=kill)
    assert (outcome.status, outcome.steps) == (Status.SUCCEEDED, 20), outcome.reason
    assert robot.stops == 0
    np.testing.assert_array_equal(robot.actions, undisturbed.actions)
    assert cluster.pid("push") != pid


def test_what_the_policy_refuses_is_the_reason(library: SkillLibrary, cluster: Cluster) -> None:
    robot = Point(cameras={"front": 8})
    outcome = play(library, cluster.chunks("push"), robot)
    assert (outcome.status, robot.stops, robot.actions) == (Status.ABORTED, 1, [])
    assert "The policy of 'push' failed: InputError" in outcome.reason
    assert "\n" not in outcome.reason


def test_untrained_and_unknown_skills_start_nothing(cluster: Cluster) -> None:
    for name, message in (("pick", "not trained"), ("psuh", "Did you mean 'push'")):
        with pytest.raises(InputError, match=message):
            cluster.start([name])
        with pytest.raises(ValueError, match=name):
            cluster._runtime.ray.get_actor(actor_name(name))


def test_an_actor_with_other_weights_is_not_taken_for_ours(tmp_path: Path, cluster: Cluster) -> None:
    other = SkillLibrary.open(make_library(tmp_path / "lib", ("push",), seed=1))
    with Cluster(other) as second, pytest.raises(InputError, match="serves other weights"):
        second.start(["push"])
    assert cluster.chunks("push").health()["skill"] == "push", "closing the second one left the first alone"


def test_an_actor_that_is_gone_for_good_is_an_error(library: SkillLibrary, cluster: Cluster) -> None:
    with Cluster(library) as guest:
        source = guest.chunks("press")
        assert isinstance(source, ActorChunks)
        assert guest.stop(["press", "pick"]) == ["press"]
        with pytest.raises(JobError, match="press"):
            source.request(given()).result(60.0)


def test_an_address_where_nobody_listens_is_bad_input(library: SkillLibrary, cluster: Cluster) -> None:
    from robot_skills.serving import _knock

    began = time.monotonic()
    for address in ("127.0.0.1:1", "127.0.0.1:port"):
        with pytest.raises(InputError, match="No Ray cluster answers"):
            _knock(address)
    assert time.monotonic() - began < 10.0


#: Ray is loaded before anybody speaks of a cluster elsewhere; then this process has one of its own.
LOADED_FIRST = """
import ray
from robot_skills.errors import InputError
from robot_skills.serving import start_ray
from robot_skills.training.parallel import map_in_order
from tests.robot_skills.test_serving import Twice

try:
    start_ray("127.0.0.1:1")
except InputError as error:
    print(error)
print(list(map_in_order(Twice(), [1, 2], 2, False)))
"""


class Twice:
    """Makes the function that doubles."""

    def __call__(self) -> Callable[[int], int]:
        return lambda number: 2 * number


def test_a_cluster_of_ones_own_after_one_elsewhere_that_asks_for_a_token(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("1" * 64)
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("RAY_AUTH_MODE", None)
    command = [sys.executable, "-c", LOADED_FIRST]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert "No Ray cluster answers at 127.0.0.1:1" in told.stdout, told.stderr
    assert told.stdout.splitlines()[-1] == "[2, 4]", told.stderr


def test_skills_of_one_policy_share_an_actor(tmp_path: Path, cluster: Cluster) -> None:
    torch.manual_seed(0)
    StarPolicy(dataclasses.replace(CONFIG, skills=("pick", "open"))).save_pretrained(tmp_path / "both")
    library = SkillLibrary.open(make_library(tmp_path / "lib"))
    library.add_shared(tmp_path / "both", ["pick", "open"])
    library = SkillLibrary.open(library.folder)
    with Cluster(library) as second:
        second.start(["pick", "open"])
        assert second.pid("pick") == second.pid("open")
        chunks = {}
        for name in ("pick", "open"):
            asked = dataclasses.replace(given(), skill=name)
            chunks[name] = second.chunks(name).request(asked).result(60.0).actions
            here = library.policy(name).predict([asked])[0].actions
            np.testing.assert_array_equal(chunks[name], here)
        assert not np.array_equal(chunks["pick"], chunks["open"])
        assert sorted(second.stop(["pick", "open", "close"])) == ["open", "pick"]
