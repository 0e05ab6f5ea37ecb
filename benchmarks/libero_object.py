"""LIBERO-Object: the planned expert's success, and that of policies trained on its demonstrations.

python benchmarks/libero_object.py expert --episodes 20                           without pictures
python benchmarks/libero_object.py policy out/train/libero_object --episodes 10   from recorded starts
python benchmarks/libero_object.py report                                         the table once more
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from report import write_report
from rich.console import Console

from robot_skills.cli.suites import SuiteRunner, evaluate_suite
from robot_skills.training.export import SUMMARY, hardware
from robot_skills.training.statistics import wilson_interval
from sim.experts.libero import PickPlaceExpert
from sim.libero import LiberoWorld
from sim.suites import STEPS, tasks_of

SUITE = "libero_object"
OUT = Path("out/benchmarks/libero")
#: The expert's scenes are neither those of the demonstrations nor the recorded starts.
EXPERT_SEED = 1_000_000


def expert(episodes: int) -> dict[str, Any]:
    """Successes of the expert, without noise, in scenes drawn at random."""
    found: dict[str, list[int]] = {}
    began = time.process_time()
    for task in tasks_of(SUITE):
        world = LiberoWorld(SUITE, task.name, {})
        found[task.name] = [steps(world, seed) for seed in range(EXPERT_SEED, EXPERT_SEED + episodes)]
        world.close()
        done = [count for count in found[task.name] if count]
        print(f"{task.name}: {len(done)} of {episodes}", flush=True)
    return {"steps": found, "cpu_seconds": time.process_time() - began, "hardware": hardware()}


def steps(world: LiberoWorld, seed: int) -> int:
    """Control steps until the task was done, within the suite's limit; 0: it never was."""
    world.reset(seed)
    planner = PickPlaceExpert(world)
    for count in range(1, STEPS[SUITE] + 1):
        world.act(planner.act()[0])
        if world.success():
            return count
    return 0


def policy(folder: Path, episodes: int, workers: int) -> dict[str, Any]:
    """Successes of a trained folder from the first recorded starts of each task."""
    runner = SuiteRunner(str(folder), tasks_of(SUITE), episodes, 0)
    report = evaluate_suite(folder.name, runner, workers, workers == 1, Console())
    summary = json.loads((folder / SUMMARY).read_text())
    config = json.loads((folder / "config.json").read_text())
    return {"folder": str(folder), "config": config, "training": summary, **report.to_json()}


def rate(successes: int, episodes: int) -> str:
    """Successes with their 95 % Wilson interval."""
    low, high = (100 * bound for bound in wilson_interval(successes, episodes))
    return f"{successes}/{episodes} ({low:.0f} to {high:.0f} %)"


def rows(shown: dict[str, list[int]], tried: Sequence[dict[str, Any]]) -> list[list[object]]:
    """A row a task, and the sum."""
    table: list[list[object]] = []
    for task in tasks_of(SUITE):
        done = [count for count in shown[task.name] if count]
        row: list[object] = [task.name.replace("_", " "), f"{len(done)}/{len(shown[task.name])}"]
        row.append(f"{sum(done) / max(len(done), 1):.0f}")
        for result in tried:
            (found,) = (each for each in result["tasks"] if each["task"] == task.name)
            row.append(f"{found['successes']}/{found['episodes']}")
        table.append(row)
    every = [count for counts in shown.values() for count in counts]
    done = [count for count in every if count]
    total: list[object] = ["**all**", rate(len(done), len(every)), f"{sum(done) / max(len(done), 1):.0f}"]
    total += [f"**{rate(result['successes'], result['episodes'])}**" for result in tried]
    return [*table, total]


def described(result: dict[str, Any]) -> str:
    """A trained folder in a sentence: data, size, time."""
    training, config = result["training"], result["config"]
    data = training["data"][0]
    hours = sum(training["seconds"].values()) / 3600
    machine = training["hardware"]["gpu"] or training["hardware"]["cpu"]
    return (
        f"{Path(result['folder']).name}: {training['recipe']['policy']['name']}, "
        f"{training['report']['parameters'] / 1e6:.1f} M parameters, {data['episodes']} demonstrations "
        f"({data['frames']:,} steps), {' and '.join(config['cameras'])} at {config['image_size']} px, "
        f"{training['steps']} steps in {hours:.2f} hours on {machine} ({training['hardware']['threads']} "
        f"threads), chunk {config['chunk']}, {config['execute']} executed."
    )


def report() -> None:
    """Write the table."""
    shown = json.loads((OUT / "expert.json").read_text())
    tried = [json.loads(path.read_text()) for path in sorted(OUT.glob("policy_*.json"))]
    told = (
        "Expert: planned, reads the simulator's state, without noise, in scenes drawn at random (seeds from "
        f"{EXPERT_SEED}). Policies see cameras, proprioception and the task's language; one network for "
        "all ten tasks, from the first recorded starts of each. Judged by LIBERO's own predicate within "
        f"{STEPS[SUITE]} steps; intervals are 95 % Wilson. No human demonstrations were used: figures "
        "published for LIBERO-Object, from 50 of them a task, are not comparable."
    )
    note = " ".join([told, *(described(result) for result in tried)])
    write_report(
        "libero_object",
        "LIBERO-Object: a planned expert, and policies trained on its demonstrations",
        ["task", "expert", "its steps", *(Path(result["folder"]).name for result in tried)],
        rows(shown["steps"], tried),
        note,
    )


def main() -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("expert")
    one.add_argument("--episodes", type=int, default=20)
    two = parts.add_parser("policy")
    two.add_argument("folder", type=Path)
    two.add_argument("--episodes", type=int, default=10)
    two.add_argument("--workers", type=int, default=1)
    parts.add_parser("report")
    args = parser.parse_args()
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    if args.part == "expert":
        (OUT / "expert.json").write_text(json.dumps(expert(args.episodes), indent=1))
    elif args.part == "policy":
        found = policy(args.folder, args.episodes, args.workers)
        (OUT / f"policy_{args.folder.name}.json").write_text(json.dumps(found, indent=1))
    if (OUT / "expert.json").is_file():
        report()


if __name__ == "__main__":
    main()
