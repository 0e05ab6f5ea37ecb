"""LIBERO-Object: the planned expert's success, and that of policies trained on its demonstrations.

python benchmarks/libero_object.py expert --episodes 20                           without pictures
python benchmarks/libero_object.py policy out/train/libero_object --episodes 10   from recorded starts
python benchmarks/libero_object.py report                                         the table once more
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import write_report
from rich.console import Console

from robot_skills.cli.suites import SuiteRunner, evaluate_suite
from robot_skills.policies.policy import PolicyInput
from robot_skills.training.evaluation import EpisodeResult
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


@dataclass(frozen=True)
class Misled(SuiteRunner):
    """The same, of a policy that is shown black pictures, or told of another task.

    Attributes:
        control: "pictures" or "words".
    """

    control: str = "pictures"

    def __call__(self) -> Callable[[int], EpisodeResult]:
        """Load the policy, and come between it and the world."""
        run = super().__call__()
        policy: Any = run.__self__._policy  # type: ignore[attr-defined]
        predict = policy.predict
        policy.predict = lambda inputs: predict([self.misled(given) for given in inputs])
        return run

    def misled(self, given: PolicyInput) -> PolicyInput:
        """What the policy gets in its place."""
        if self.control == "words":
            texts = [task.name.replace("_", " ") for task in self.tasks]
            return replace(given, text=texts[(texts.index(given.text) + 1) % len(texts)])
        black = {name: np.zeros_like(image) for name, image in given.observation.images.items()}
        return replace(given, observation=replace(given.observation, images=black))


def policy(folder: Path, episodes: int, workers: int, control: str | None) -> dict[str, Any]:
    """Successes of a trained folder from the first recorded starts of each task."""
    if control is None:
        runner = SuiteRunner(str(folder), tasks_of(SUITE), episodes, 0)
    else:
        runner = Misled(str(folder), tasks_of(SUITE), episodes, 0, control=control)
    report = evaluate_suite(folder.name, runner, workers, workers == 1, Console())
    summary = json.loads((folder / SUMMARY).read_text())
    config = json.loads((folder / "config.json").read_text())
    return {
        "folder": str(folder),
        "control": control,
        "config": config,
        "training": summary,
        **report.to_json(),
    }


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


def title(result: dict[str, Any]) -> str:
    """Of a column."""
    name = Path(result["folder"]).name
    controls = {"pictures": f"{name}, shown black pictures", "words": f"{name}, told the next task"}
    return controls.get(result["control"], name)


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
        "published for LIBERO-Object, from 50 of them a task, are not comparable. Controls: the same policy "
        "shown black pictures, or told the words of the next task, judged by the task of the scene; LIBERO "
        "draws a task's object within 5 cm of the same place, so that much can be done by heart."
    )
    note = " ".join([told, *(described(result) for result in tried if result["control"] is None)])
    write_report(
        "libero_object",
        "LIBERO-Object: a planned expert, and policies trained on its demonstrations",
        ["task", "expert", "its steps", *map(title, tried)],
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
    two.add_argument(
        "--control", choices=("pictures", "words"), help="black pictures, or the words of the next task"
    )
    parts.add_parser("report")
    args = parser.parse_args()
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    if args.part == "expert":
        (OUT / "expert.json").write_text(json.dumps(expert(args.episodes), indent=1))
    elif args.part == "policy":
        found = policy(args.folder, args.episodes, args.workers, args.control)
        name = args.folder.name if args.control is None else f"{args.folder.name}.{args.control}"
        (OUT / f"policy_{name}.json").write_text(json.dumps(found, indent=1))
    if (OUT / "expert.json").is_file():
        report()


if __name__ == "__main__":
    main()
