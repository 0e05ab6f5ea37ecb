"""A skill on the simulated arm in another process, behind each transport, against the same episodes direct.

python benchmarks/bridge_skills.py [--skill pick] [--episodes 20] [--transports rosbridge ...]

ROS_PYTHON names the Python of the environment that tests/peers/ros.sh makes. Success is judged from the
simulator's state, by the process of the simulated arm. It runs in real time: a busy machine is slower.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import write_report

from robot_skills.bridge.arm import ForeseenChunks, RosArm
from robot_skills.bridge.messages import String
from robot_skills.bridge.settings import ArmSettings, TransportSettings
from robot_skills.bridge.transport import STREAM, open_transport
from robot_skills.execution import LocalChunks, execute
from robot_skills.library import SkillLibrary
from robot_skills.skill import Skill, SkillCall, Status
from robot_skills.training.statistics import wilson_interval
from sim.tabletop.oracle import scene_graph
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import CONTROL_RATE, TabletopWorld
from tests.peers import ros_processes as ros

ROOT = Path(__file__).parents[1]
FIRST_SEED = 1_000_000


def direct(skill: Skill, chunks: LocalChunks, seed: int) -> tuple[bool, float, str]:
    """Whether the episode succeeds in this process; seconds of robot time."""
    world = TabletopWorld()
    task = sample_task(skill.name, seed)
    task.start(world)
    goal = skill.goal(task.call)
    outcome = execute(
        world, skill, task.call, chunks, goal_reached=lambda: scene_graph(world.state()).holds(goal)
    )
    world.close()
    return outcome.status is Status.SUCCEEDED, outcome.steps / world.spec.control_rate, outcome.reason


class Deployment:
    """The simulated arm in a process, and ours connected to it."""

    def __init__(self, settings: ArmSettings, skill: Skill, policy: Any) -> None:
        self._skill, self._chunks = skill, LocalChunks(policy, threaded=True)
        self._transport = open_transport(settings.transport)
        self._reports: list[dict[str, Any]] = []
        self._transport.subscribe(
            "/sim_arm/report", String, lambda m: self._reports.append(json.loads(m.data)), STREAM
        )
        self._task = self._transport.publisher("/sim_arm/task", String, STREAM)
        self._begin(FIRST_SEED - 1)  # so that joint states come
        self.arm = RosArm(settings, self._transport, live=True, patience=20.0)

    def episode(self, seed: int) -> tuple[bool, float, str]:
        """As `direct`."""
        self._begin(seed)
        call = SkillCall.parse(self._reports[-1]["call"])
        chunks = ForeseenChunks(self._chunks, self.arm)
        self.arm.emergency("The next episode begins.")
        time.sleep(0.3)
        self.arm.resume()
        # As many control steps as direct: the arm is run at its own pace.
        limit = self._skill.timeout * CONTROL_RATE / self.arm.spec.control_rate
        outcome = execute(self.arm, self._skill, call, chunks, timeout=limit)
        time.sleep(0.5)
        reached = bool(self._reports[-1]["reached"])
        said = outcome.status is Status.SUCCEEDED
        seconds = outcome.steps / self.arm.spec.control_rate
        return said and reached, seconds, f"{outcome.status.value}, {outcome.reason}"

    def _begin(self, seed: int) -> None:
        until = time.monotonic() + 20.0
        wanted = {"skill": self._skill.name, "seed": seed}
        while not self._reports or self._reports[-1]["task"] != wanted:
            self._task(String(json.dumps(wanted)))
            time.sleep(0.5)
            if time.monotonic() > until:
                raise RuntimeError("The simulated arm does not answer.")


@contextlib.contextmanager
def simulated_arm(transport: TransportSettings) -> Iterator[None]:
    """`robot-skills bridge sim-arm` in a process of its own."""
    command = [sys.executable, "-m", "robot_skills.cli.main", "bridge", "sim-arm"]
    command += ["--transport", transport.kind, "--url", transport.url, "--domain", str(transport.domain)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if "is up" not in line:
        raise RuntimeError(f"The simulated arm did not start: {line}")
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@contextlib.contextmanager
def reached_by(kind: str, domain: int) -> Iterator[TransportSettings]:
    """The settings of a transport, with what it needs running."""
    if kind == "rosbridge":
        with ros.rosbridge(domain) as (url, _):
            yield TransportSettings(kind, url=url, domain=domain)
    else:
        yield TransportSettings(kind, domain=domain)


def main() -> None:
    """Run the episodes and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skill", default="pick")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--transports", nargs="+", default=["rosbridge", "dds"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    library = SkillLibrary.open()
    skill, policy = library.skill(args.skill), library.policy(args.skill)
    seeds = range(FIRST_SEED, FIRST_SEED + args.episodes)
    chunks = LocalChunks(policy)
    results = {"direct, in one process": [direct(skill, chunks, seed) for seed in seeds]}
    for number, kind in enumerate(args.transports):
        with reached_by(kind, 100 + (os.getpid() + number) % 100) as transport, simulated_arm(transport):
            settings = dataclasses.replace(ArmSettings.read("tabletop"), transport=transport)
            deployment = Deployment(settings, skill, policy)
            results[kind] = []
            for seed in seeds:
                results[kind].append(deployment.episode(seed))
                print(kind, seed, results[kind][-1], flush=True)
            deployment.arm.close()
    rows = []
    for name, episodes in results.items():
        wins = sum(good for good, _, _ in episodes)
        low, high = wilson_interval(wins, len(episodes))
        rows.append([name, f"{wins} of {len(episodes)}", f"{low:.0%} to {high:.0%}",
                     f"{np.mean([seconds for _, seconds, _ in episodes]):.1f}"])  # fmt: skip
    load = os.getloadavg()[0]
    write_report(
        "bridge_skills",
        f"The skill {args.skill} through the bridge",
        ["through", "successes", "95 % interval (Wilson)", "mean seconds"],
        rows,
        f"Seeds {seeds[0]} to {seeds[-1]}; the machine's load was {load:.1f} at the end.",
    )


if __name__ == "__main__":
    main()
