"""Does generated data help: success on held-out generated tasks against the number of tasks learned from.

    robot-skills generate --count 220 -o out/generated
    python benchmarks/generated_data.py out/generated collect
    python benchmarks/generated_data.py out/generated train       (hours on two cores; a GPU helps)
    python benchmarks/generated_data.py out/generated score
    python benchmarks/generated_data.py out/generated report

Policies of all six skills learn from the data of `datasets/train_all.yaml` and, as half of all samples, from
lessons of the first 25, 50, 100 and 200 tasks, for the same number of steps, with three seeds. They are
tried on the last 20 tasks, which lend nothing. `--start out/policies/tabletop/star --steps 500` has weights
of `benchmarks/policies.py` go on learning instead, which takes a tenth of the time. Everything is kept in
out/generated_data, and a step that was stopped goes on where it was; `--counts` and `--seeds` name parts of
it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from report import write_report
from rich.console import Console

from robot_skills.cli.console import silence
from robot_skills.errors import InputError
from robot_skills.execution import LocalChunks
from robot_skills.library import SkillLibrary
from robot_skills.policies.registry import load_policy
from robot_skills.training.configuration import read_yaml
from robot_skills.training.export import SUMMARY
from robot_skills.training.statistics import wilson_interval
from sim.generative.demonstrations import Demonstrator, demonstrate_all
from sim.generative.generation import read_tasks
from sim.generative.learned import attempt_learned
from sim.generative.task import Task
from sim.generative.trial import attempt
from sim.tabletop.world import TabletopWorld

BASE, OUT = Path("datasets/train_all.yaml"), Path("out/generated_data")
COUNTS, SEEDS, HELD_OUT = (0, 25, 50, 100, 200), (0, 1, 2), 20
#: Demonstrations of each task that is learned from.
SHOWN = 10
#: What is said of policies that go on learning.
BEFORE = ", from the same weights, which had learned from the base's demonstrations"
#: The episodes of a held-out task that are tried begin here: no gate, search or data set has looked at them.
FIRST_SCORED = 60_000


def collect(tasks: Sequence[Task], args: argparse.Namespace) -> None:
    """Lessons of the tasks between each number and the next: a training takes those up to its own."""
    for first, after in parts(max(args.counts)):
        folder, maker = lessons_folder(first, after), Demonstrator(args.shown, lessons=True)
        demonstrate_all(
            tasks[first:after], folder, Console(), maker, workers=args.workers, local=args.workers == 1
        )


def train(args: argparse.Namespace) -> None:
    """Each number of tasks with each seed; what is finished is passed over."""
    for count in args.counts:
        for seed in args.seeds:
            folder = OUT / "train" / run_name(count, seed, args.steps)
            if (folder / SUMMARY).is_file():
                continue
            path = OUT / "recipes" / f"{folder.name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(recipe(count, seed, args.steps, args.start), sort_keys=False))
            verb = [str(Path(sys.executable).parent / "robot-skills"), "train", str(path)]
            subprocess.run([*verb, "-o", str(folder), "--resume"], check=True)


def recipe(count: int, seed: int, steps: int | None, start: Path | None) -> dict[str, Any]:
    """`datasets/train_all.yaml`, with as many samples again from the lessons of so many tasks.

    With `start`, the weights of that folder go on learning, and the codes stay as they are.
    """
    data = read_yaml(BASE, "training recipe")
    old = sum(choice["weight"] for choice in data["data"])
    new = [
        {"name": str(lessons_folder(first, after)), "weight": old * (after - first) / count}
        for first, after in parts(count)
    ]
    data |= {"name": f"generated_{count}_{seed}", "seed": seed, "data": [*data["data"], *new]}
    if steps is not None:
        data["stages"]["policy"]["steps"] = steps
    if start is not None:
        data["start_from"] = str(start)
        data["stages"]["codes"] = {"steps": 0}
    return data


def score(tasks: Sequence[Task], args: argparse.Namespace) -> None:
    """Each trained policy, and the scripted experts, on the same scenes of the held-out tasks."""
    skills = SkillLibrary.open().skills
    with silence():
        world = TabletopWorld({})
    keep("experts", tasks, args, lambda task, episode: attempt(world, task, episode, skills).success)
    world.close()
    for count in args.counts:
        for seed in args.seeds:
            folder = OUT / "train" / run_name(count, seed, args.steps)
            if not (folder / SUMMARY).is_file():
                print(f"{folder} is not trained yet.")
                continue
            policy = load_policy(folder)
            chunks = LocalChunks(policy)
            with silence():
                world = TabletopWorld({camera: (64, 64) for camera in policy.cameras})

            def learned(task: Task, episode: int) -> bool:
                return attempt_learned(world, task, episode, skills, lambda skill: chunks).success  # noqa: B023

            keep(folder.name, tasks, args, learned)
            world.close()


def keep(name: str, tasks: Sequence[Task], args: argparse.Namespace, tried: Any) -> None:
    """Try every held-out task, one line each attempt; those that are known are not tried again."""
    known = scores(name)
    path = scores_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        for episode in range(FIRST_SCORED, FIRST_SCORED + args.episodes):
            if (task.name, episode) not in known:
                line = {"task": task.name, "episode": episode, "success": bool(tried(task, episode))}
                with path.open("a") as file:
                    file.write(json.dumps(line) + "\n")


def report(tasks: Sequence[Task], args: argparse.Namespace) -> None:
    """The table: a row for each number of tasks, and one for the experts."""
    wanted = {
        (task.name, episode)
        for task in tasks
        for episode in range(FIRST_SCORED, FIRST_SCORED + args.episodes)
    }
    rows = []
    for count in args.counts:
        found = [scores(run_name(count, seed, args.steps)) for seed in args.seeds]
        each = [cell([one[key] for key in wanted if key in one]) for one in found]
        together = [one[key] for one in found for key in wanted if key in one]
        rows.append((count, *each, cell(together, interval=True)))
    experts = scores("experts")
    blank = ["–"] * len(args.seeds)
    rows.append(("experts", *blank, cell([experts[key] for key in wanted if key in experts], interval=True)))
    write_report(
        "generated_data" + (f"_{args.steps}" if args.steps else ""),
        f"Success on {len(tasks)} held-out generated tasks, by the number of tasks learned from",
        ("tasks", *(f"seed {seed}" for seed in args.seeds), "together, 95 % Wilson interval"),
        rows,
        f"{args.episodes} scenes of each held-out task, two new plans allowed. All policies train for the "
        f"same number of steps{f' ({args.steps})' if args.steps else ''}{BEFORE if args.start else ''}; "
        f"{args.shown} demonstrations of each task, cut "
        "into skill calls, make half of the samples where there are any. Plans and judgement read simulator "
        "state, the policies see images. "
        "The experts, which read simulator state, were what admitted the tasks.",
    )


def cell(results: Sequence[bool], interval: bool = False) -> str:
    """Successes of attempts; a dash where none were made."""
    if not results:
        return "–"
    low, high = wilson_interval(sum(results), len(results))
    return f"{sum(results)}/{len(results)}" + (f" ({low:.0%} to {high:.0%})" if interval else "")


def scores(name: str) -> dict[tuple[str, int], bool]:
    """What is known of a policy: (task, episode) -> success. Half a line of a stopped run is passed over."""
    path = scores_file(name)
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("}")]
    if len(records) < len(lines):
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return {(record["task"], record["episode"]): record["success"] for record in records}


def scores_file(name: str) -> Path:
    """Where the attempts of a policy are kept."""
    return OUT / "scores" / f"{name}.jsonl"


def run_name(count: int, seed: int, steps: int | None) -> str:
    """Of the policy that learned from so many tasks, and of its scores."""
    return f"{count}_{seed}" + (f"_{steps}" if steps else "")


def lessons_folder(first: int, after: int) -> Path:
    """Where the lessons of the tasks from one number to another lie."""
    return OUT / f"lessons_{first}_{after}"


def parts(count: int) -> list[tuple[int, int]]:
    """The stretches of tasks that make up the first so many."""
    steps = [step for step in COUNTS if step <= count]
    return list(itertools.pairwise(steps))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of generated tasks")
    parser.add_argument("step", choices=("collect", "train", "score", "report"))
    parser.add_argument("--counts", type=int, nargs="+", choices=COUNTS, default=COUNTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--episodes", type=int, default=5, help="of each held-out task")
    parser.add_argument("--shown", type=int, default=SHOWN, help="demonstrations of each task learned from")
    parser.add_argument("--steps", type=int, help="of training (default: those of datasets/train_all.yaml)")
    parser.add_argument("--start", type=Path, help="trained folder of all six skills that goes on learning")
    parser.add_argument("--workers", type=int, default=1, help="processes that collect")
    args = parser.parse_args()
    try:
        tasks = read_tasks(args.folder)
    except InputError as error:
        parser.error(str(error))
    needed = max(COUNTS) + HELD_OUT
    if len(tasks) < needed:
        parser.error(
            f"{len(tasks)} tasks are too few: robot-skills generate --count {needed} -o {args.folder}"
        )
    held_out = tasks[max(COUNTS) : needed]
    match args.step:
        case "collect":
            collect(tasks, args)
        case "train":
            train(args)
        case "score":
            score(held_out, args)
        case "report":
            report(held_out, args)


if __name__ == "__main__":
    main()
