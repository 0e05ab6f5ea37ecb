"""The scene graph from camera pictures: trained, compared with the oracle, and at work in the closed loop.

    python benchmarks/perception.py train     render, train, write robot_skills/pretrained_perception
    python benchmarks/perception.py states    graphs along runs of the scripted experts
    python benchmarks/perception.py commands  commands carried out with either perception
    python benchmarks/perception.py report    the table of both, results/perception.md

Training pictures have seeds below 900,000; states and commands are judged by the simulator's state, with
seeds from 1,000,000 on unless told otherwise.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import yaml
from commands import scene_for
from perception_states import SKILLS, Look, compared
from perception_training import OUT, add_training_options, train
from report import write_report
from rich.console import Console

from robot_skills.cli.plan import add_planner_options, make_planner
from robot_skills.cli.run import Run, skill_sources
from robot_skills.cli.tabletop import PERCEPTIONS, look, sight, tabletop
from robot_skills.library import SkillLibrary
from robot_skills.perception.detector import Detector
from robot_skills.perception.perceiver import SHIPPED
from robot_skills.skill import SkillCall
from robot_skills.training.statistics import wilson_interval

PREDICATES = ("on", "in", "holding", "open", "ajar", "pressed", "moved")


def states(args: argparse.Namespace) -> None:
    """Look along runs of the experts, with and without memory, and keep what came of it."""
    torch.set_num_threads(1)
    seeds = range(args.first_seed, args.first_seed + args.runs)
    found = compared(Detector.load(args.folder), seeds, args.verbose)
    write(args.first_seed, "states", [asdict(each) for each in found])
    whole = [each.whole for each in found if not each.alone]
    print(f"{sum(whole)} of {len(whole)} whole graphs")


def commands(args: argparse.Namespace) -> None:
    """Carry out the commands of `commands.yaml` with either perception; the simulator's state judges both."""
    entries = yaml.safe_load((Path(__file__).parent / "commands.yaml").read_text())
    args.command = entries[0]["command"]
    library = SkillLibrary.open()
    planner = make_planner(args, library.skills)
    results = []
    every = [SkillCall(name) for name in library.skills]
    with skill_sources(library, every, True, None, Console(quiet=True)) as sources:
        for number, entry in enumerate(entries):
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                truth = None  # the oracle's goal judges both: the camera may call things by other names
                for perception in PERCEPTIONS:
                    with tabletop(scene_for(entry, 100 * seed + number)) as world:
                        eyes = sight(world, perception)
                        plan = planner.plan(entry["command"], eyes.look())
                        truth = plan.goal if perception == "oracle" else truth
                        text, done, thought = str(plan.refused or plan.question), False, False
                        if plan.verified:
                            run = Run(Console(quiet=True), world, library, sources, plan, eyes)
                            result = run.carry_out(None)
                            text, thought = result.reason, result.success
                            done = truth is not None and look(world).holds(truth)
                        results.append(
                            {"command": entry["command"], "seed": seed, "perception": perception,
                             "done": done, "believed": thought, "reason": text}
                        )  # fmt: skip
                        print(results[-1], flush=True)
    write(args.first_seed, "commands", results)


def write(first: int, name: str, data: object) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}_{first}.json").write_text(json.dumps(data))


def share(successes: int, trials: int) -> str:
    low, high = wilson_interval(successes, trials)
    return f"{successes}/{trials}, {successes / max(trials, 1):.1%} ({low:.1%} to {high:.1%})"


def report(args: argparse.Namespace) -> None:
    """The table."""
    every = [Look(**each) for each in json.loads((OUT / f"states_{args.first_seed}.json").read_text())]
    found, alone = ([each for each in every if each.alone is wanted] for wanted in (False, True))
    rows = [
        ("whole graph right", share(sum(each.whole for each in found), len(found))),
        ("... at the first look", share(*tally([each.whole for each in found if each.first]))),
        ("... of single looks, without memory", share(*tally([each.whole for each in alone]))),
        ("entities all there, and no others", share(*tally([each.named for each in found]))),
        ("entities found", share(sum(each.found for each in found), sum(each.there for each in found))),
    ]
    for name in PREDICATES:
        true, told, right = (
            sum(getattr(each, part).get(name, 0) for each in found) for part in ("true", "told", "right")
        )
        rows.append((f"`{name}`: precision", share(right, told)))
        rows.append((f"`{name}`: recall", share(right, true)))
    errors = np.concatenate([each.errors for each in found])
    rows.append(
        ("position error", "median {:.1f} mm, 95 % within {:.1f} mm".format(*np.percentile(errors, (50, 95))))
    )
    spent = 1000 * np.median([each.seconds for each in found])
    rows.append(("a look, without rendering", f"{spent:.0f} ms of one core (median)"))
    ran = json.loads((OUT / f"commands_{args.first_seed}.json").read_text())
    for perception in PERCEPTIONS:
        mine = [each for each in ran if each["perception"] == perception]
        rows.append((f"commands done, {perception}", share(*tally([each["done"] for each in mine]))))
    mine = [each for each in ran if each["perception"] == "camera"]
    agreed = share(*tally([each["done"] == each["believed"] for each in mine]))
    rows.append(("the camera's verdict on a command is the simulator's", agreed))
    write_report(
        "perception",
        "The scene graph from two cameras, compared with the simulator's state",
        ("what", "result"),
        rows,
        f"{len(found)} states of runs of the scripted experts, seeds {args.first_seed} and on: the start, "
        f"and after each of up to {SKILLS} skills. Commands: `commands.yaml`, the same scenes with either "
        "perception, judged by the simulator's state. 95 % Wilson intervals.",
    )


def tally(marks: list[bool]) -> tuple[int, int]:
    return sum(marks), len(marks)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    jobs = parser.add_subparsers(required=True)
    job = jobs.add_parser("train")
    add_training_options(job)
    job.set_defaults(job=train)
    job = jobs.add_parser("states")
    job.add_argument("--first-seed", type=int, default=1_000_000)
    job.add_argument("--runs", type=int, default=80)
    job.add_argument("--verbose", action="store_true", help="tell what is wrong")
    job.set_defaults(job=states)
    job = jobs.add_parser("commands")
    job.add_argument("--first-seed", type=int, default=1_000_000)
    job.add_argument("--seeds", type=int, default=1)
    add_planner_options(job)
    job.set_defaults(job=commands)
    job = jobs.add_parser("report")
    job.add_argument("--first-seed", type=int, default=1_000_000)
    job.set_defaults(job=report)
    for each in jobs.choices.values():
        each.add_argument("--folder", type=Path, default=SHIPPED, help="of the detector")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.job(args)


if __name__ == "__main__":
    main()
