"""A skill on the simulated arm in another process, behind each transport, against the same episodes direct.

python benchmarks/bridge_skills.py [--skill pick] [--episodes 20] [--transports rosbridge dds rclpy]

The arm, what drives it, and a rosbridge server are processes of their own; a command in words is planned for
the scene that the arm's process says is there, and its plan is carried out once. ROS_PYTHON names the Python
of the environment that tests/peers/ros.sh makes. Success is judged from the simulator's state, by the process
of the simulated arm. It runs in real time: a busy machine is slower.
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

from planners.chat import chat_model
from planners.planner import Planner
from planners.proposer import LanguageModelProposer
from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.messages import String
from robot_skills.bridge.orders import Orders
from robot_skills.bridge.runner import SkillRunner
from robot_skills.bridge.scenes import PerceivedScenes
from robot_skills.bridge.settings import ArmSettings, TransportSettings
from robot_skills.bridge.transport import STREAM, open_transport
from robot_skills.execution import LocalChunks, execute
from robot_skills.library import SkillLibrary
from robot_skills.skill import Skill, SkillCall, Status
from robot_skills.training.statistics import wilson_interval
from sim.tabletop.oracle import scene_graph
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import TabletopWorld
from tests.peers import ros_processes as ros

ROOT = Path(__file__).parents[1]
FIRST_SEED = 1_000_000
#: What a person says, for each skill that this can measure.
COMMANDS = {
    "pick": "pick up the {object}", "press": "press the button", "open": "open the {target}",
    "close": "close the {target}", "push": "push the {object} {direction}",
}  # fmt: skip


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
    """What drives the simulated arm of another process."""

    def __init__(self, settings: ArmSettings, skill: str) -> None:
        self._skill, library = skill, SkillLibrary.open()
        policy = library.policy(skill)
        self._transport = open_transport(settings.transport)
        self._reports: list[dict[str, Any]] = []
        self._transport.subscribe(
            "/sim_arm/report", String, lambda m: self._reports.append(json.loads(m.data)), STREAM
        )
        self._task = self._transport.publisher("/sim_arm/task", String, STREAM)
        self._begin(FIRST_SEED - 1)  # so that joint states come
        self.arm = RosArm(settings, self._transport, live=True, patience=20.0)
        runner = SkillRunner(self.arm, library, lambda name: LocalChunks(policy, threaded=True))
        proposer = LanguageModelProposer(chat_model("embedded", None, None), reader="rules")
        scenes = PerceivedScenes(self._transport, settings.scene)
        self._orders = Orders(runner, library, scenes, Planner(library.skills, proposer), replans=0)

    def episode(self, seed: int) -> tuple[bool, float, str]:
        """As `direct`."""
        if self.arm.stopped is None:
            self.arm.emergency("The next episode begins.")  # an arm that holds would go back to where it was
            time.sleep(0.5)
        self._begin(seed)
        call = SkillCall.parse(self._reports[-1]["call"])
        planned = self._orders.plan(COMMANDS[call.skill].format(**call.args))
        if tuple(planned.plan) != (call,):
            return False, 0.0, f"planned {[str(step) for step in planned.plan]}: {planned.refused}"
        (outcome,) = self._orders.carry_out(planned).outcomes
        time.sleep(0.5)
        good = outcome.status is Status.SUCCEEDED and bool(self._reports[-1]["reached"])
        return good, outcome.steps / self.arm.spec.control_rate, f"{outcome.status.value}, {outcome.reason}"

    def _begin(self, seed: int) -> None:
        until = time.monotonic() + 20.0
        wanted = {"skill": self._skill, "seed": seed}
        while not self._reports or self._reports[-1]["task"] != wanted:
            self._task(String(json.dumps(wanted)))
            time.sleep(0.5)
            if time.monotonic() > until:
                raise RuntimeError("The simulated arm does not answer.")


def drive(transport: TransportSettings, skill: str, seeds: range) -> None:
    """Run the episodes in this process; one line of JSON for each."""
    if transport.kind == "rclpy":  # last: what ROS's environment has of ours is not what is wanted
        sys.path.append(str(ros.packages(ros.PYTHON)))
    settings = dataclasses.replace(ArmSettings.read("tabletop"), transport=transport)
    deployment = Deployment(settings, skill)
    for seed in seeds:
        print(json.dumps(deployment.episode(seed)), flush=True)
    deployment.arm.close()


def driven(transport: TransportSettings, skill: str, seeds: range) -> list[tuple[bool, float, str]]:
    """The episodes, driven by a process of its own."""
    environment = ros.variables(transport.domain) if transport.kind == "rclpy" else {**os.environ}
    command = [sys.executable, __file__, "--skill", skill, "--episodes", str(len(seeds))]
    command += ["--drive", json.dumps(dataclasses.asdict(transport))]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = []
    for line in process.stdout:
        good, seconds, said = json.loads(line)
        found.append((bool(good), float(seconds), str(said)))
        print(transport.kind, seeds[len(found) - 1], *found[-1], flush=True)
    if process.wait() or len(found) != len(seeds):
        raise RuntimeError(f"What drives the arm through {transport.kind} ended early.")
    return found


@contextlib.contextmanager
def simulated_arm(transport: TransportSettings) -> Iterator[None]:
    """`robot-skills bridge sim-arm` in a process of its own; a native one for what is native."""
    kind = "rosbridge" if transport.kind == "rosbridge" else "dds"
    command = [sys.executable, "-m", "robot_skills.cli.main", "bridge", "sim-arm"]
    command += ["--transport", kind, "--url", transport.url, "--domain", str(transport.domain)]
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
    parser.add_argument("--skill", default="pick", choices=COMMANDS)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--transports", nargs="+", default=["rosbridge", "dds", "rclpy"])
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + args.episodes)
    if args.drive:
        drive(TransportSettings(**json.loads(args.drive)), args.skill, seeds)
        return
    library = SkillLibrary.open()
    skill, chunks = library.skill(args.skill), LocalChunks(library.policy(args.skill))
    results = {"direct, in one process": [direct(skill, chunks, seed) for seed in seeds]}
    for number, kind in enumerate(args.transports):
        with reached_by(kind, 100 + (os.getpid() + number) % 100) as transport, simulated_arm(transport):
            results[kind] = driven(transport, args.skill, seeds)
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
