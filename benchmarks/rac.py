"""Recovery and correction against correction alone and whole demonstrations, at equal labelled steps.

    python benchmarks/rac.py run --task peg-insert-side-v3 --rounds 4
    python benchmarks/rac.py report

A base of 10 demonstrations (`benchmarks/residual.py base`) plays; MetaWorld's scripted expert takes over
where the hand has stood still or the episode takes long: at once ("correction"), or after going back on the
hand's own way ("recovery and correction"). The episode ends with it. After each round the policy is trained
anew on all that was shown so far. "demonstrations" adds whole ones of the expert instead. Each arm gets the
same number of labelled steps a round, and is run from the same 100 starts (validation seeds: this compares
settings).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import write_report
from residual_bases import FOLDER, HORIZON, arena, base_recipe
from rich.console import Console

from robot_skills.data.episode import Episode
from robot_skills.data.store import EpisodeStore
from robot_skills.policies.registry import load_policy
from robot_skills.residual.arena import Player, follow_base
from robot_skills.residual.config import ResidualConfig
from robot_skills.residual.interventions import Intervene, Rules, Stuck, parts, ratio
from robot_skills.residual.log import to_episode
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.replay import Trajectory
from robot_skills.training.run import train
from robot_skills.training.statistics import wilson_interval
from sim.experts.metaworld import demonstrate

RESULTS = FOLDER / "rac.jsonl"
ARMS: Mapping[str, Rules | None] = {
    "recovery and correction": Rules(),
    "correction": Rules(back=0),
    "demonstrations": None,
}
#: Metres that an action of 1 goes in a control step of MetaWorld.
SCALE = 0.01
#: First seeds: of what is shown, and of the comparison.
SHOWN, VALIDATION = 300_000, 900_000


def player(folder: Path, task: str) -> Player:
    place = arena(task)()
    policy = ResidualPolicy(ResidualConfig(), load_policy(folder))
    policy.take_space(place.spec.action)
    return Player(policy.eval(), place)


def interventions(
    folder: Path, task: str, rules: Rules, first: int, steps: int
) -> tuple[list[Episode], float]:
    """Takeovers from some seed on, until there are so many labelled steps; and recovery to correction."""
    one, found, watched = player(folder, task), list[Episode](), list[Trajectory]()
    seed, labelled = first, 0
    while labelled < steps:
        eyes = Intervene(
            follow_base, Stuck(), one.arena.expert, one.policy.reach(), SCALE, one.policy.gripper, rules,
            np.random.default_rng(seed),
        )  # fmt: skip
        trajectory = one.keep(eyes, seed)
        seed += 1
        shown = parts(trajectory)[-1]
        # What the policy did alone is learned from where it succeeded, as in the paper.
        if trajectory.success:
            found.append(dataclasses.replace(to_episode(shown, one.policy), extras={}, outcome="succeeded"))
            labelled += len(shown) if shown is not trajectory else 0
            watched += [trajectory] if shown is not trajectory else []
    return found, ratio(watched)


def demonstrations(task: str, first: int, steps: int) -> list[Episode]:
    """The expert's own episodes, until there are so many steps."""
    from sim.metaworld import MetaWorld

    world, found, seed = MetaWorld(task, {}, "oracle"), list[Episode](), first
    while sum(map(len, found)) < steps:
        episode = demonstrate(world, seed, 0.2, HORIZON)
        found += [] if episode is None else [dataclasses.replace(episode, extras={})]
        seed += 1
    return found


def run_arm(task: str, arm: str, rounds: int, steps: int, updates: int) -> None:
    """Rounds of showing and training; a row each."""
    known = {(row["task"], row["arm"], row["round"]) for row in read()}
    home, folder = FOLDER / task / "rac" / arm.replace(" ", "_"), FOLDER / task / "base"
    source = EpisodeStore.open(FOLDER / task / "demonstrations")
    stores = [str(FOLDER / task / "demonstrations")]
    for number in range(rounds):
        store, trained = home / f"shown_{number}", home / f"trained_{number}"
        first, rules, share = SHOWN + 10_000 * number, ARMS[arm], 0.0
        if not store.exists():
            if rules is None:
                shown = demonstrations(task, first, steps)
            else:
                shown, share = interventions(folder, task, rules, first, steps)
            meta = dataclasses.replace(source.meta, extras={})
            with EpisodeStore.create_from(store, meta) as written:
                for episode in shown:
                    written.append(episode)
        stores.append(str(store))
        recipe = dataclasses.replace(base_recipe(task, updates), name=f"{arm}_{number}", data=tuple(stores))
        train(recipe, trained, True, "python benchmarks/rac.py run", Console())
        folder = trained
        if (task, arm, number) not in known:
            one = player(folder, task)
            won = sum(one.evaluate(follow_base, VALIDATION + i).success for i in range(100))
            row = {"task": task, "arm": arm, "round": number, "won": won, "steps": steps * (number + 1)}
            keep(row | {"recovery_to_correction": round(share, 2)})


def read() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def keep(row: Mapping[str, Any]) -> None:
    with RESULTS.open("a") as file:
        file.write(json.dumps(row) + "\n")


def run(args: argparse.Namespace) -> None:
    for arm in args.arms:
        run_arm(args.task, arm, args.rounds, args.labelled, args.updates)


def report(args: argparse.Namespace) -> None:
    lines = []
    for row in sorted(read(), key=lambda row: (row["task"], row["arm"], row["round"])):
        low, high = (100 * bound for bound in wilson_interval(row["won"], 100))
        lines.append(
            [row["task"], row["arm"], row["round"] + 1, f"{row['steps']:,}",
             row["recovery_to_correction"] or "", f"{row['won']} of 100 ({low:.0f} to {high:.0f} %)"]
        )  # fmt: skip
    write_report(
        "rac",
        "Takeovers that recover first, against correcting at once and whole demonstrations",
        ["task", "what is shown", "rounds", "labelled steps", "recovery : correction", "success"],
        lines,
        "100 validation starts, the same for all; one training seed. The expert reads the simulator's state, "
        "and so does the policy.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run")
    one.set_defaults(function=run)
    one.add_argument("--task", default="peg-insert-side-v3")
    one.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=tuple(ARMS))
    one.add_argument("--rounds", type=int, default=4)
    one.add_argument("--labelled", type=int, default=600, help="labelled steps a round")
    one.add_argument("--updates", type=int, default=2000, help="of a training")
    verbs.add_parser("report").set_defaults(function=report)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.function(args)


if __name__ == "__main__":
    main()
