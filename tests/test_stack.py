"""The shipped stack, end to end: the language model, the planner, the actors and the trained skills."""

import argparse
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console

from robot_skills.cli.main import main
from robot_skills.cli.plan import add_planner_options, make_planner
from robot_skills.cli.run import Run
from robot_skills.cli.tabletop import load_scene, look, tabletop
from robot_skills.execution import ChunkSource, LocalChunks, Pending, execute
from robot_skills.library import SkillLibrary
from robot_skills.policies.policy import PolicyInput
from robot_skills.serving import Cluster
from robot_skills.skill import Status
from sim.tabletop.oracle import scene_graph
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import TabletopWorld

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "datasets" / "scenes" / "demo.yaml"
WEIGHTS_LIMIT = 25_000_000


@pytest.fixture(scope="module")
def library() -> SkillLibrary:
    return SkillLibrary.open()


@pytest.fixture(scope="module")
def cluster(library: SkillLibrary) -> Iterator[Cluster]:
    with Cluster(library) as cluster:
        yield cluster


def test_the_library_holds_six_trained_skills_within_the_limit(library: SkillLibrary) -> None:
    assert set(library.skills) == {"pick", "place", "push", "open", "close", "press"}
    weights = [library.weights(name) / "model.safetensors" for name in library.skills]
    assert sum(file.stat().st_size for file in weights) < WEIGHTS_LIMIT


@pytest.mark.parametrize("name", ["close", "open", "pick", "place", "press", "push"])
def test_a_shipped_skill_does_most_of_eight_episodes(name: str, library: SkillLibrary) -> None:
    torch.set_num_threads(1)
    world, skill, done = TabletopWorld(), library.skills[name], 0
    chunks = LocalChunks(library.policy(name))
    for seed in range(900_500, 900_508):
        task = sample_task(name, seed)
        task.start(world)
        goal = skill.goal(task.call)
        outcome = execute(
            world,
            skill,
            task.call,
            chunks,
            goal_reached=lambda: scene_graph(world.state()).holds(goal),  # noqa: B023
        )
        done += outcome.status is Status.SUCCEEDED
    world.close()
    assert done >= 5  # far below what the benchmarks say, and far above an untrained policy's 0


def test_the_demo_ends_well_and_leaves_a_film(tmp_path: Path) -> None:
    film, result = tmp_path / "demo.mp4", tmp_path / "demo.json"
    command = ["run", "put the red block in the drawer and close it", "--scene", str(DEMO)]
    assert main([*command, "--local", "--video", str(film), "--json", str(result)]) == 0
    told = json.loads(result.read_text())
    assert told["success"] is True
    assert told["verified"] is True
    assert told["perception"] == "oracle"
    assert told["goal"] == "in(red block, drawer) and closed(drawer)"
    assert [call["skill"] for call in told["plan"]] == ["open", "pick", "place", "close"]
    assert film.stat().st_size > 50_000
    assert film.with_suffix(".png").exists()


class Killing:
    """A chunk source whose actor is killed when it is asked for the third time."""

    def __init__(self, source: ChunkSource, cluster: Cluster, name: str) -> None:
        self._source, self._cluster, self._name, self._asked = source, cluster, name, 0
        self.cameras, self.history, self.execute = source.cameras, source.history, source.execute

    def request(self, given: PolicyInput) -> Pending:
        self._asked += 1
        if self._asked == 3:
            os.kill(self._cluster.pid(self._name), signal.SIGKILL)
        return self._source.request(given)


def test_a_skill_killed_in_the_middle_of_a_run_does_not_end_it(
    library: SkillLibrary, cluster: Cluster
) -> None:
    parser = argparse.ArgumentParser()
    add_planner_options(parser)
    command = "pick up the red block"
    planner = make_planner(parser.parse_args([], argparse.Namespace(command=command)), library.skills)
    with tabletop(load_scene(DEMO, 0)) as world:
        plan = planner.plan(command, look(world))
        killing = Killing(cluster.chunks("pick"), cluster, "pick")
        before = cluster.pid("pick")
        result = Run(Console(quiet=True), world, library, lambda name: killing, plan).carry_out(None)
        assert result.success
        assert result.replans == 0
        assert [outcome.status for outcome in result.outcomes] == [Status.SUCCEEDED]
        assert cluster.pid("pick") != before
