"""Every policy on common ground: same encoders, data, trainer and seeds; one thing differs at a time.

    python benchmarks/policies.py recipes tabletop pusht metaworld -o out/recipes   the trainings, as YAML
    python benchmarks/policies.py train tabletop                                    run them here
    python benchmarks/policies.py score tabletop pusht metaworld                    resumable
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
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pusht import bootstrap
from report import write_report
from rich.console import Console

from robot_skills.policies.registry import load_policy
from robot_skills.training.configuration import from_mapping, to_mapping
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.rollout import rollout
from robot_skills.training.statistics import wilson_interval

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
        "cameras": ["img"],
        "shift": [4],
        "state_noise": 0.0,
        "chunk": 16,
        "execute": 8,
        "history": 2,
        "vision": {"channels": [16, 32, 64, 64], "strides": [2, 2, 2, 1], "kernels": [5, 3, 3, 3]},
    },
}
#: Of the recipe itself.
DATA: Mapping[str, Mapping[str, Any]] = {
    # pick, place and push are the hard ones.
    "tabletop": {"data": [{"name": skill, "weight": 2 - i // 3} for i, skill in enumerate(SKILLS)]},
    "metaworld": {"data": ["metaworld"]},
    "pusht": {"data": ["pusht"], "state": ["agent.*"], "target": "keypoint", "validation_fraction": 0.02},
}
#: Numbers of actions that are tried on validation seeds.
EXECUTE: Mapping[str, tuple[int, ...]] = {"tabletop": (1, 4), "metaworld": (4, 8), "pusht": (4, 8)}
#: Control steps that an episode may take: MetaWorld's own limit.
METAWORLD_STEPS = 500
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
    settings: dict[str, Any] = {**DATA[bench], "ema_decay": 0.9995 if bench == "pusht" else 0.999, **more}
    return from_mapping(
        TrainRecipe,
        {
            "name": f"{bench}_{name}" + (f"_{seed}" if seed else ""),
            "policy": {"name": registered, "config": {**COMMON[bench], **own}},
            "stages": {"policy": {"steps": steps, "batch_size": batch}},
            "seed": seed,
            "checkpoint_every": steps,
            "validate_every": max(steps // 4, 1),
            **settings,
        },
        f"benchmark {bench}",
    )


# Scores ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Tabletop:
    """Makes the function that plays (skill, seed) and says whether it succeeded."""

    folder: str
    execute: int

    def __call__(self) -> Callable[[tuple[str, int]], bool]:
        """Load the policy and build the world, in the process that plays."""
        torch.set_num_threads(1)
        from robot_skills.execution import LocalChunks, execute
        from robot_skills.library import SkillLibrary
        from sim.tabletop.oracle import scene_graph
        from sim.tabletop.tasks import sample_task
        from sim.tabletop.world import TabletopWorld

        policy = playing(self.folder, self.execute)
        side = policy.config.image_size
        world = TabletopWorld(cameras={camera: (side, side) for camera in policy.cameras})
        skills, chunks = SkillLibrary.open().skills, LocalChunks(policy)

        def play(item: tuple[str, int]) -> bool:
            task = sample_task(*item)
            task.start(world)
            skill = skills[item[0]]
            goal = skill.goal(task.call)
            execute(world, skill, task.call, chunks)
            return bool(scene_graph(world.state()).holds(goal))

        return play


@dataclasses.dataclass(frozen=True)
class Metaworld:
    """The same for (task, seed): success is MetaWorld's, at any step."""

    folder: str
    execute: int

    def __call__(self) -> Callable[[tuple[str, int]], bool]:
        """Load the policy, in the process that plays; a task's world is kept until another is asked for."""
        torch.set_num_threads(1)
        from sim.experts.metaworld import task_text
        from sim.metaworld import MetaWorld

        policy = playing(self.folder, self.execute)
        side = policy.config.image_size

        @functools.lru_cache(maxsize=1)
        def build(task: str) -> MetaWorld:
            return MetaWorld(task, {camera: (side, side) for camera in policy.cameras})

        def play(item: tuple[str, int]) -> bool:
            task, seed = item
            world = build(task)
            world.reset(seed)
            won = [False]

            def done(_: int) -> bool:
                won[0] = won[0] or world.success()
                return won[0]

            rollout(policy, [world], done, METAWORLD_STEPS, task_text(task), skill=task)
            return won[0]

        return play


@dataclasses.dataclass(frozen=True)
class Pusht:
    """The same for ("pusht", seed); the answer is the score."""

    folder: str
    execute: int

    def __call__(self) -> Callable[[tuple[str, int]], float]:
        """Load the policy and make the world, in the process that plays."""
        torch.set_num_threads(1)
        from sim.pusht import MAX_STEPS, PushT

        policy = playing(self.folder, self.execute)
        side = policy.config.image_size
        world = PushT("agent", {camera: (side, side) for camera in policy.cameras})

        def play(item: tuple[str, int]) -> float:
            world.reset(item[1])
            rollout(policy, [world], lambda _: world.done, MAX_STEPS)
            return float(world.score)

        return play


PLAYERS = {"tabletop": Tabletop, "metaworld": Metaworld, "pusht": Pusht}
GROUPS = {"tabletop": SKILLS, "metaworld": TASKS, "pusht": ("pusht",)}


def playing(folder: str, execute: int) -> Any:
    """The policy in a folder, playing so many actions of a chunk."""
    policy: Any = load_policy(Path(folder))
    policy.config = dataclasses.replace(policy.config, execute=execute)
    return policy


def latency(folder: Path, calls: int = 30) -> float:
    """Median milliseconds of processor time of a chunk, one input, one core."""
    from robot_skills.policies.policy import PolicyInput
    from robot_skills.robot import Observation

    torch.set_num_threads(1)
    policy: Any = load_policy(folder)
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


def score(bench: str, folder: Path, execute: int, first: int, episodes: int, workers: int) -> dict[str, list]:
    """Results by skill or task, in the order of the seeds."""
    items = [(group, first + i) for group in GROUPS[bench] for i in range(episodes)]
    player, results = PLAYERS[bench](str(folder), execute), {group: [] for group in GROUPS[bench]}
    with JobProgress(Console(), f"{folder.name} ({execute})", len(items), "episodes") as progress:
        for item, result in zip(items, map_in_order(player, items, workers, workers == 1), strict=True):
            results[item[0]].append(result)
            progress.advance(1, "")
    return results


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
            parts = [f"{sum(part)}/{len(part)}" for part in values]
        lines.append(
            [
                row["policy"],
                total,
                *parts,
                row["execute"],
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['train_seconds'] / 60:.1f}",
                f"{row['latency_ms']:.1f}",
            ]
        )
    names = [group.removesuffix("-v3") for group in groups] if bench != "pusht" else ["covered"]
    first, data = rows[0], rows[0]["data"]
    episodes, frames = sum(part[1] for part in data), sum(part[2] for part in data)
    what = {
        "tabletop": "Six tabletop skills, one network for all of them",
        "metaworld": "MetaWorld from images, one network for six tasks",
        "pusht": "Push-T from 96 px images, 206 human demonstrations",
    }[bench]
    write_report(
        f"policies_{bench}",
        f"{what}: every policy with the same encoders, data and trainer",
        ["policy", "score" if bench == "pusht" else "success", *names, "actions played", "parameters",
         "minutes trained", "ms a chunk"],
        lines,
        f"{episodes:,} demonstrations, {frames:,} steps; {first['steps']:,} batches of {first['batch']} "
        "(and before, what codes a policy has): one training seed, and far from the end of what they could "
        f"learn. One {first['hardware']} shared by four trainings at a time. "
        f"Test seeds {first['first_seed']} and on; how many actions of a chunk are played was chosen on "
        f"{first['validation_episodes']} validation seeds each. Intervals: 95 %, "
        + ("bootstrap over starts" if bench == "pusht" else "Wilson")
        + ". Milliseconds: processor time of one core, one input.",
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
        ("recipes", recipes),
        ("train", train_all),
        ("score", score_all),
        ("report", report),
    ):
        one = verbs.add_parser(verb)
        one.set_defaults(function=function)
        one.add_argument("--folder", type=Path, default=Path("out/policies"))
        one.add_argument("--scores", type=Path, default=Path("out/policies/scores.jsonl"))
        if verb != "report":
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
