"""Every policy on common ground: same encoders, data, trainer and seeds; one thing differs at a time.

    python benchmarks/policies.py collect                                           tabletop demonstrations
    python benchmarks/policies.py recipes tabletop pusht metaworld -o out/recipes   the trainings, as YAML
    python benchmarks/policies.py train tabletop                                    run them here
    python benchmarks/policies.py score tabletop pusht metaworld                    resumable
    python benchmarks/policies.py latency                                           anew, all in one quiet run
    python benchmarks/policies.py report                                            the tables

What is scored lies in out/policies/BENCH/POLICY (`--folder`); scores go to out/policies/scores.jsonl. How
many actions of a chunk are played before the next is chosen for each policy on validation seeds (900,000 and
on); test seeds (1,000,000 and on; Push-T: 100,000 and on, diffusion_policy's) are looked at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pusht import bootstrap
from report import write_report
from rich.console import Console

from robot_skills.cli.eval import TabletopRunner
from robot_skills.cli.suites import SuiteResult, SuiteRunner, evaluate_suite
from robot_skills.library import SkillLibrary
from robot_skills.policies.registry import load_policy
from robot_skills.training.configuration import from_mapping, to_mapping
from robot_skills.training.evaluation import evaluate
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.statistics import wilson_interval
from sim.suites import SuiteTask

SKILLS = ("pick", "place", "push", "open", "close", "press")
TASKS = (
    "button-press-topdown-v3",
    "door-open-v3",
    "drawer-open-v3",
    "hammer-v3",
    "assembly-v3",
    "pick-place-v3",
)
#: name in the tables -> registered policy, and what of its config differs from the defaults.
POLICIES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "star": ("star", {}),
    "star_gist": ("star", {"gist": True}),
    "star_flow": ("star", {"refiner": "flow"}),
    "bc_mlp": ("bc", {"trunk": "mlp"}),
    "bc_transformer": ("bc", {"trunk": "transformer"}),
    "act": ("act", {}),
    "vqbet": ("vqbet", {}),
    "quest": ("quest", {}),
    "diffusion_mlp": ("diffusion", {"denoiser": "mlp"}),
    "diffusion_unet": ("diffusion", {"denoiser": "unet"}),
    "diffusion_transformer": ("diffusion", {"denoiser": "transformer"}),
    "flow": ("flow", {}),
}
#: What a bench asks of every policy alike.
COMMON: Mapping[str, Mapping[str, Any]] = {
    "tabletop": {"skills": list(SKILLS), "chunk": 8, "execute": 1, "history": 12},
    "metaworld": {"cameras": ["corner2"], "shift": [4], "chunk": 16, "execute": 8, "history": 1},
    "pusht": {
        "cameras": [],
        "shift": [],
        "state_noise": 0.0,
        "target_weight": 0.0,
        "chunk": 16,
        "execute": 8,
        "history": 2,
    },
}
#: Demonstrations of the tabletop: skill -> first seed, episodes and misled share of parts that may be
#: collected side by side.
PARTS: Mapping[str, tuple[tuple[int, int, float], ...]] = {
    "pick": tuple((seed, 500, 0.4) for seed in (0, 100_000, 200_000, 300_000)),
    "place": tuple((seed, 750, 0.4) for seed in (0, 100_000, 200_000, 300_000)),
    "push": tuple(
        (seed, 450, misled) for seed, misled in ((0, 0), (100_000, 0.4), (200_000, 0), (300_000, 0.4))
    ),
    "open": ((0, 300, 0.0), (100_000, 300, 0.4), (200_000, 300, 0.4)),
    "close": ((0, 350, 0.4), (100_000, 350, 0.4)),
    "press": ((0, 300, 0.4), (100_000, 300, 0.4)),
}
#: Of the recipe itself.
DATA: Mapping[str, Mapping[str, Any]] = {
    "tabletop": {
        "data": [
            # pick, place and push are the hard ones.
            {"name": f"{skill}_{i}", "weight": (2 if skill in ("pick", "place", "push") else 1) / len(parts)}
            for skill, parts in PARTS.items()
            for i in range(len(parts))
        ]
    },
    "metaworld": {"data": ["metaworld"]},
    "pusht": {"data": ["pusht"], "state": ["keypoint", "agent.*"], "validation_fraction": 0.02},
}
#: Noised chunks a sample for policies that denoise, where that is not the default's four: without images to
#: encode, a draw costs as much as a sample.
DRAWS: Mapping[str, int] = {"pusht": 1}
#: Bench -> what is scored, one after the other.
GROUPS: Mapping[str, tuple[str, ...]] = {"tabletop": SKILLS, "metaworld": TASKS, "pusht": ("pusht",)}
#: Numbers of actions that are tried on validation seeds.
EXECUTE: Mapping[str, tuple[int, ...]] = {"tabletop": (1, 4), "metaworld": (4, 8), "pusht": (4, 8)}
VALIDATION, TEST = 900_000, 1_000_000


def recipe(bench: str, name: str, steps: int, batch: int, seed: int = 0, **more: Any) -> TrainRecipe:
    """One training.

    Args:
        bench: "tabletop", "metaworld" or "pusht".
        name: one of `POLICIES`.
        steps: of the phase "policy".
        batch: samples a step.
        seed: of the training.
        more: other settings of the recipe.
    """
    registered, own = POLICIES[name]
    if bench in DRAWS and registered in ("diffusion", "flow"):
        own = {**own, "noise_draws": DRAWS[bench]}
    settings: dict[str, Any] = {**DATA[bench], "ema_decay": 0.9995 if bench == "pusht" else 0.999, **more}
    return from_mapping(
        TrainRecipe,
        {
            "name": f"{bench}_{name}" + (f"_{seed}" if seed else ""),
            "policy": {"name": registered, "config": {**COMMON[bench], **own}},
            "stages": {"policy": {"steps": steps, "batch_size": batch}},
            "seed": seed,
            "checkpoint_every": min(steps, 1000),
            "validate_every": max(steps // 4, 1),
            "step": "graph",
            "precision": "auto",
            "threads": 1,
            **settings,
        },
        f"benchmark {bench}",
    )


# Scores ---------------------------------------------------------------------------------------------


def play(
    bench: str, folder: Path, group: str, execute: int, first: int, episodes: int, workers: int
) -> list[float]:
    """What a policy reaches in one skill or task, seed by seed: 1 or 0; on Push-T, the score."""
    if bench == "tabletop":
        skill = SkillLibrary.open().skill(group)
        runner = TabletopRunner(str(folder), skill, None, execute)
        seeds = range(first, first + episodes)
        results = evaluate(group, runner, seeds, workers, workers == 1, Console()).results
        return [float(result.success) for result in results]
    task = SuiteTask(bench, group)
    suite = SuiteRunner(str(folder), (task,), episodes, first, None, execute)
    report = evaluate_suite(group, suite, workers, workers == 1, Console())
    return [
        float(result.success) if result.score is None else result.score
        for result in report.results
        if isinstance(result, SuiteResult)
    ]


def latency(folder: Path, calls: int = 30, **changes: Any) -> float:
    """Median milliseconds of processor time of a chunk, one input, one core.

    Args:
        folder: what was trained.
        calls: so many, after three that are not counted.
        changes: settings of the policy that differ from those it was trained with.
    """
    from robot_skills.policies.policy import PolicyInput
    from robot_skills.robot import Observation

    torch.set_num_threads(1)
    policy: Any = load_policy(folder)
    policy.config = dataclasses.replace(policy.config, **changes)
    side, rng = policy.config.image_size, np.random.default_rng(0)
    images = {camera: rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for camera in policy.cameras}
    state = np.zeros((policy.history, policy.config.state_size), np.float32)
    skill = policy.config.skills[0] if policy.config.skills else ""
    inputs = [PolicyInput(Observation(images, state[-1], 0.0), state, "red block", skill)]
    spent = []
    for _ in range(calls + 3):
        began = time.process_time()
        policy.predict(inputs)
        spent.append(1000 * (time.process_time() - began))
    return float(np.median(spent[3:]))


def score(
    bench: str, folder: Path, execute: int, first: int, episodes: int, workers: int
) -> dict[str, list[float]]:
    """Results by skill or task, in the order of the seeds."""
    return {group: play(bench, folder, group, execute, first, episodes, workers) for group in GROUPS[bench]}


def score_all(args: argparse.Namespace) -> None:
    """Choose how many actions are played, then take the score; what is known already is passed over."""
    known = {(row["bench"], row["policy"]): row for row in read(args.scores)}
    for bench in args.benches:
        for name in args.only or POLICIES:
            folder = args.folder / bench / name
            if (bench, name) in known or not (folder / "config.json").exists():
                continue
            tried = {}
            for execute in EXECUTE[bench]:
                found = score(bench, folder, execute, VALIDATION, args.validation, args.workers)
                tried[execute] = float(np.mean([value for values in found.values() for value in values]))
            best = max(tried, key=lambda number: tried[number])
            first = 100_000 if bench == "pusht" else TEST
            began = time.monotonic()
            found = score(bench, folder, best, first, args.episodes, args.workers)
            training = json.loads((folder / "training.json").read_text())
            row = {
                "bench": bench,
                "policy": name,
                "execute": best,
                "validation": {str(number): value for number, value in tried.items()},
                "validation_episodes": args.validation,
                "first_seed": first,
                "results": found,
                "latency_ms": latency(folder),
                "parameters": training["report"]["parameters"],
                "train_seconds": sum(training["seconds"].values()),
                "train_samples": training["samples"],
                "hardware": training["hardware"]["gpu"] or training["hardware"]["cpu"],
                "data": [[used["folder"], used["episodes"], used["frames"]] for used in training["data"]],
                "score_seconds": time.monotonic() - began,
            }
            args.scores.parent.mkdir(parents=True, exist_ok=True)
            with args.scores.open("a") as file:
                file.write(json.dumps(row) + "\n")


def time_all(args: argparse.Namespace) -> None:
    """Take the latencies of all that is scored, in one run; of diffusion with DDPM's 100 steps too."""
    rows = read(args.scores)
    for row in rows:
        folder = args.folder / row["bench"] / row["policy"]
        row["latency_ms"] = latency(folder)
        if row["policy"].startswith("diffusion"):
            row["ddpm_ms"] = latency(folder, 10, sampler="ddpm", sampler_steps=100)
    temporary = args.scores.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
    temporary.replace(args.scores)


def read(path: Path) -> list[dict[str, Any]]:
    """The scores so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# Tables ---------------------------------------------------------------------------------------------


def report(args: argparse.Namespace) -> None:
    """A table for each bench that has been scored."""
    rows = read(args.scores)
    for row in rows:
        trained = json.loads((args.folder / row["bench"] / row["policy"] / "training.json").read_text())
        stage = trained["recipe"]["stages"]["policy"]
        row["steps"], row["batch"] = stage["steps"], stage["batch_size"]
    for bench, groups in GROUPS.items():
        here = [row for row in rows if row["bench"] == bench]
        if here:
            table(bench, groups, here)


def table(bench: str, groups: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    lines = []
    card = next((row["hardware"] for row in rows if "NVIDIA" in row["hardware"]), rows[0]["hardware"])
    for row in sorted(rows, key=lambda row: -mean_of(row)):
        values = [row["results"][group] for group in groups]
        flat = [value for part in values for value in part]
        if bench == "pusht":
            low, high = bootstrap(np.array(flat))
            total = f"**{np.mean(flat):.3f}** ({low:.3f} to {high:.3f})"
            parts = [f"{sum(value >= 1 for value in flat)}/{len(flat)}"]
        else:
            low, high = wilson_interval(sum(flat), len(flat))
            total = f"**{np.mean(flat):.1%}** ({low:.1%} to {high:.1%})"
            parts = [f"{int(sum(part))}/{len(part)}" for part in values]
        lines.append(
            [
                row["policy"],
                total,
                *parts,
                row["execute"],
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['train_seconds'] / 60:.1f}" + ("" if row["hardware"] == card else " (CPU)"),
                f"{row['latency_ms']:.1f}",
            ]
        )
    names = [group.removesuffix("-v3") for group in groups] if bench != "pusht" else ["covered"]
    first, data = rows[0], rows[0]["data"]
    noisy = [row for row in rows if "ddpm_ms" in row]
    episodes, frames = sum(part[1] for part in data), sum(part[2] for part in data)
    what = {
        "tabletop": "Six tabletop skills, one network for all of them",
        "metaworld": "MetaWorld from images, one network for six tasks",
        "pusht": "Push-T from the block's keypoints, 206 human demonstrations",
    }[bench]
    write_report(
        f"policies_{bench}",
        f"{what}: every policy with the same encoders, data and trainer",
        ["policy", "score" if bench == "pusht" else "success", *names, "actions played", "parameters",
         "minutes trained", "ms a chunk"],
        lines,
        f"{episodes:,} demonstrations, {frames:,} steps; {first['steps']:,} batches of {first['batch']} "
        f"(and before, what codes a policy has), one training seed. Minutes: wall time on one {card}, "
        "shared by 5 to 13 trainings at a time, so they tell orders of magnitude; marked CPU: on one core, "
        "shared with others too. "
        f"Test seeds {first['first_seed']} and on; how many actions of a chunk are played was chosen on "
        f"{first['validation_episodes']} validation seeds each. Intervals: 95 %, "
        + ("bootstrap over starts" if bench == "pusht" else "Wilson")
        + ". Milliseconds: processor time of one core, one input; diffusion with 16 steps of DDIM"
        + "".join(f"; {row['policy']} with 100 of DDPM {row['ddpm_ms']:.0f}" for row in noisy)
        + ".",
    )  # fmt: skip


def mean_of(row: Mapping[str, Any]) -> float:
    return float(np.mean([value for values in row["results"].values() for value in values]))


# Commands -------------------------------------------------------------------------------------------


def recipes(args: argparse.Namespace) -> None:
    """Write the trainings as recipes."""
    args.output.mkdir(parents=True, exist_ok=True)
    for bench in args.benches:
        for name in args.only or POLICIES:
            made = recipe(bench, name, args.steps, args.batch)
            (args.output / f"{bench}_{name}.yaml").write_text(yaml.safe_dump(to_mapping(made)))


def collect(args: argparse.Namespace) -> None:
    """Collect the tabletop's demonstrations, several parts at a time; what is there is passed over."""
    program = str(Path(sys.executable).parent / "robot-skills")
    commands = [
        [program, "collect", f"datasets/tabletop_{skill}.yaml", "--local", "-o", f"out/data/{skill}_{i}",
         "--episodes", str(episodes), "--first-seed", str(seed), "--misled", str(misled)]
        for skill, parts in PARTS.items()
        for i, (seed, episodes, misled) in enumerate(parts)
    ]  # fmt: skip
    with ThreadPoolExecutor(args.jobs) as jobs:
        list(jobs.map(functools.partial(subprocess.run, check=True), commands))


def train_all(args: argparse.Namespace) -> None:
    """Train here what is not trained yet."""
    from robot_skills.training.run import train

    for bench in args.benches:
        for name in args.only or POLICIES:
            folder = args.folder / bench / name
            if not (folder / "config.json").exists():
                made = recipe(bench, name, args.steps, args.batch)
                train(made, folder, True, f"python benchmarks/policies.py train {bench}", Console())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, function in (
        ("collect", collect),
        ("recipes", recipes),
        ("train", train_all),
        ("score", score_all),
        ("latency", time_all),
        ("report", report),
    ):
        one = verbs.add_parser(verb)
        one.set_defaults(function=function)
        one.add_argument("--folder", type=Path, default=Path("out/policies"))
        one.add_argument("--scores", type=Path, default=Path("out/policies/scores.jsonl"))
        if verb == "collect":
            one.add_argument("--jobs", type=int, default=2, help="parts at a time")
        if verb not in ("collect", "latency", "report"):
            one.add_argument("benches", nargs="+", choices=tuple(GROUPS))
            one.add_argument("--only", nargs="*", choices=tuple(POLICIES), help="these policies")
        if verb in ("recipes", "train"):
            one.add_argument("--steps", type=int, default=8000)
            one.add_argument("--batch", type=int, default=256)
        if verb == "recipes":
            one.add_argument("-o", "--output", type=Path, required=True)
        if verb == "score":
            one.add_argument("--episodes", type=int, default=100, help="of each skill or task")
            one.add_argument("--validation", type=int, default=20, help="episodes to choose settings on")
            one.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
