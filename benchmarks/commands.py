"""Commands in plain language, carried out from the sentence to the goal: how many are done.

Twenty commands of one to four steps (`commands.yaml`), three seeds each, through the whole stack: language
model, verified plan, skills as Ray actors, closed loop. Success is the goal formula on the simulator's state.

    python benchmarks/commands.py [--first-seed 1000000] [--seeds 3] [--local]
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from report import write_report
from rich.console import Console

from planners.planner import Planner
from robot_skills.cli.plan import add_planner_options, make_planner
from robot_skills.cli.run import Run, skill_sources
from robot_skills.cli.tabletop import look, tabletop
from robot_skills.library import SkillLibrary
from robot_skills.skill import SkillCall
from robot_skills.symbolic.verification import verify
from robot_skills.training.statistics import wilson_interval
from sim.tabletop.scene import COLOURS, GRASPABLE, ObjectSpec, Scene, draw_button, draw_objects, place_objects


def scene_for(entry: dict[str, Any], seed: int) -> Scene:
    """A scene with the command's objects and as many distractors as make four to six, fixed by the seed."""
    for attempt in range(200):
        rng = np.random.default_rng([seed, attempt])
        wanted = []
        for name in entry.get("objects", ()):
            colour, kind = name.split()
            wanted.append(ObjectSpec(kind, colour, str(rng.choice(("small", "large"))), (0.0, 0.0, 0.0)))
        taken = {(item.colour, item.kind == "bowl") for item in wanted}
        others = [o for o in draw_objects(rng, 6) if (o.colour, o.kind == "bowl") not in taken]
        objects = [*wanted, *others][: int(rng.integers(max(4, len(wanted)), 7))]
        # Bowls find room while there is some.
        placed = place_objects(rng, sorted(objects, key=lambda item: item.kind != "bowl"), draw_button(rng))
        if placed is not None and any(item.kind in GRASPABLE for item in objects):
            base = Scene.sample([seed, attempt])
            fixed = {name: float(entry[name]) for name in ("drawer", "door") if name in entry}
            return dataclasses.replace(base, objects=placed[0], button=placed[1], pressed=False, **fixed)
    raise RuntimeError(f"No room for {entry} with seed {seed} among {len(COLOURS)} colours.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--library", type=Path)
    parser.add_argument("--local", action="store_true", help="without Ray")
    add_planner_options(parser)
    args = parser.parse_args()
    entries = yaml.safe_load((Path(__file__).parent / "commands.yaml").read_text())
    args.command = entries[0]["command"]  # a valid one: `make_planner` checks it before anything else
    library = SkillLibrary.open(args.library)
    planner: Planner = make_planner(args, library.skills)
    every = [SkillCall(name) for name in library.skills]
    console, rows, done, invalid, replans = Console(), [], 0, 0, 0
    began = time.monotonic()
    with skill_sources(library, every, args.local, None, console) as sources:
        for number, entry in enumerate(entries):
            marks = []
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                with tabletop(scene_for(entry, 100 * seed + number)) as world:
                    start = look(world)
                    plan = planner.plan(entry["command"], start)
                    if not plan.verified or plan.goal is None:
                        marks.append(f"no plan: {plan.refused or plan.question}")
                        continue
                    verdict = verify(plan.plan, plan.goal, start, library.skills)
                    invalid += not verdict.ok
                    result = Run(console, world, library, sources, plan).carry_out(None)
                    done += result.success
                    replans += result.replans
                    marks.append("done" if result.success else f"failed: {result.reason}")
            steps = len(plan.plan)
            rows.append(
                (entry["command"], steps, sum(m == "done" for m in marks), "; ".join(dict.fromkeys(marks)))
            )
            console.print(f"{number + 1}/{len(entries)} {rows[-1]}", markup=False)
    total = len(entries) * args.seeds
    low, high = wilson_interval(done, total)
    write_report(
        "commands",
        f"Commands done, from the sentence to the goal, {args.seeds} seeds each",
        ("command", "steps", f"done of {args.seeds}", "what happened"),
        rows,
        f"Done {done} of {total}: {done / total:.0%}, 95 % Wilson interval {low:.0%} to {high:.0%}. "
        f"Emitted plans that failed verification: {invalid}. New plans on the way: {replans}. "
        f"Seeds {args.first_seed} and on; {(time.monotonic() - began) / 60:.1f} minutes.",
    )


if __name__ == "__main__":
    main()
