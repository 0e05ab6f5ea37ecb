"""Long horizons: chains of five commands as CALVIN counts them, and commands of 6 to 12 steps under mishaps.

    python benchmarks/long_horizon.py chains [--count 200] [--read] [--perception camera]
    python benchmarks/long_horizon.py commands [--count 60] [--rates 0 0.1 0.3] [--loops closed open]
    python benchmarks/long_horizon.py report          # benchmarks/results/long_horizon.md

Goals are formulas with their plain sentence, so that execution is measured and not reading; `--read` has the
planner read the sentence instead. Skills see images, proprioception and language. Success is the goal formula
on the simulator's state. Each verb goes on where it was stopped: a line a chain or run in out/long_horizon.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import write_report

from planners.chat import chat_model
from planners.planner import Planner
from planners.proposer import LanguageModelProposer
from robot_skills.affordance import Affordances, brier, reliability
from robot_skills.cli.tabletop import PERCEPTIONS, sight
from robot_skills.execution import LocalChunks, Step, execute
from robot_skills.library import SkillLibrary
from robot_skills.logic import Formula
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, SkillCall, Status
from robot_skills.symbolic.closed_loop import plan_to, run_command
from robot_skills.symbolic.watch import Watch
from robot_skills.training.statistics import wilson_interval
from sim.tabletop.chains import Chain, Command, long_command
from sim.tabletop.faults import FaultyTabletop
from sim.tabletop.oracle import scene_graph
from sim.tabletop.retreat import retreat
from sim.tabletop.scene import Scene
from sim.tabletop.world import TabletopWorld

OUT = Path("out/long_horizon")
#: Commands of a chain; steps of a long command.
LENGTH, STEPS = 5, (6, 12)
EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


class Stack:
    """Everything that carries commands out in one world.

    Args:
        library: the skills.
        perception: one of `PERCEPTIONS`.
        planner: reads sentences; None: goals are given.
    """

    def __init__(self, library: SkillLibrary, perception: str, planner: Planner | None) -> None:
        torch.set_num_threads(1)
        self.library, self.planner = library, planner
        self.world = TabletopWorld()
        self._perception = perception
        self.affordances = Affordances.open(library)
        self._sources = {name: LocalChunks(library.policy(name)) for name in library.skills}

    def reset(self, scene: Scene) -> None:
        """Begin an episode."""
        self.world.reset(scene)
        self._eyes = sight(self.world, self._perception)
        self.observe: Callable[[], SceneGraph] = self._eyes.look

    def true(self, goal: Formula) -> bool:
        """Whether a goal holds on the simulator's state."""
        return scene_graph(self.world.state()).holds(goal)

    def run(
        self, command: Command, closed: bool = True, faults: FaultyTabletop | None = None
    ) -> dict[str, Any]:
        """Plan a command and carry it out: a record of what came of it."""
        self.world.begin_command()  # for the judge
        self._eyes.begin_command()
        goal, plan, start = self._plan(command)
        record: dict[str, Any] = {
            "sentence": command.sentence,
            "goal": str(command.goal),
            "kind": command.kind,
        }
        if goal is None or plan is None:
            return record | {"plan": None, "success": False, "skills": [], "diagnoses": []}
        done = carry_out_closed(self, goal, plan, faults) if closed else carry_out_open(self, plan, faults)
        outcomes, diagnoses, replans = done
        return record | {
            "plan": [str(call) for call in plan],
            "scene": start.to_json(),
            "success": self.true(command.goal),
            "skills": [[str(each.call), each.status.value, each.steps] for each in outcomes],
            "diagnoses": diagnoses,
            "replans": replans,
        }

    def watch(self) -> tuple[Callable[[SkillCall], Callable[[Step], str | None]], Watch | None]:
        """What guards calls: what pictures show of an arm at work is too little to end a skill for."""
        if self._perception != "oracle":
            return lambda call: lambda step: None, None
        watch = Watch(self.library.skills, self.observe)
        return watch.guard, watch

    def _plan(self, command: Command) -> tuple[Formula | None, tuple[SkillCall, ...] | None, SceneGraph]:
        scene = self.observe()
        if self.planner is not None:
            read = self.planner.plan(command.sentence, scene)
            return read.goal, read.plan if read.verified else None, scene
        cost = self.affordances.cost(scene)
        return command.goal, plan_to(command.goal, scene, self.library.skills, cost=cost), scene

    def play(
        self, call: SkillCall, faults: FaultyTabletop | None, guard: Callable[[Step], str | None]
    ) -> Outcome:
        """Run one skill, with mishaps and under a watch."""
        skill, robot = self.library.skills[call.skill], faults or self.world

        def on_step(step: Step) -> str | None:
            return guard(step) or (faults.on_step(step) if faults is not None else None)

        if faults is not None:
            faults.begin(call)
        outcome = execute(
            robot, skill, call, self._sources[call.skill], on_step=on_step,
            goal_reached=lambda: self.observe().holds(skill.goal(call)),
        )  # fmt: skip
        if faults is not None:
            faults.end()
        return outcome


Carried = tuple[Sequence[Outcome], list[tuple[str, str]], int]


def carry_out_closed(
    stack: Stack, goal: Formula, plan: Sequence[SkillCall], faults: FaultyTabletop | None
) -> Carried:
    """In closed loop: outcomes, diagnoses with their answers, new plans."""
    guard, watch = stack.watch()
    result = run_command(
        goal, plan, stack.library.skills, stack.observe,
        lambda call: stack.play(call, faults, guard(call)),
        costs=stack.affordances.cost, watch=watch,
        withdraw=lambda holding: retreat(stack.world, holding),
    )  # fmt: skip
    told = [(what.failure.value, answer.value) for what, answer in result.diagnoses]
    return result.outcomes, told, result.replans


def carry_out_open(stack: Stack, plan: Sequence[SkillCall], faults: FaultyTabletop | None) -> Carried:
    """The plan's steps one after another, whatever happens."""
    outcomes: list[Outcome] = []
    for call in plan:
        outcomes.append(stack.play(call, faults, lambda step: None))
        if outcomes[-1].status is Status.ABORTED:
            break
    return outcomes, [], 0


# Runs ------------------------------------------------------------------------------------------------


def chains(args: argparse.Namespace) -> None:
    stack = make_stack(args)
    done = {(line["seed"], line["perception"], line["read"]) for line in read("chains")}
    began = time.process_time()
    for seed in range(args.first_seed, args.first_seed + args.count):
        if (seed, args.perception, args.read) in done:
            continue
        if time.process_time() - began > 60 * args.minutes:
            break
        start = time.process_time()
        scene = Scene.sample(seed)
        stack.reset(scene)
        drawer = Chain(scene, scene_graph(stack.world.state()), stack.library.skills)
        asked = drawer.draw(np.random.default_rng([seed, 11]), LENGTH)
        records: list[dict[str, Any]] = []
        for command in asked:
            records.append(stack.run(command))
            if not records[-1]["success"]:
                break
        row = sum(record["success"] for record in records)
        line = {"seed": seed, "perception": args.perception, "read": args.read, "done": row}
        keep("chains", {**line, "commands": records, "cpu_seconds": round(time.process_time() - start, 2)})
        print(f"{seed}: {row} in a row", flush=True)


def commands(args: argparse.Namespace) -> None:
    stack = make_stack(args)
    done = {(line["seed"], line["rate"], line["loop"], line["perception"]) for line in read("commands")}
    began, seed, found = time.process_time(), args.first_seed, 0
    while found < args.count:
        scene = Scene.sample(seed, count=6)
        stack.reset(scene)
        graph = scene_graph(stack.world.state())
        command = long_command(np.random.default_rng([seed, 12]), graph, stack.library.skills, STEPS)
        seed += 1
        if command is None:
            continue
        found += 1
        for rate, loop in ((rate, loop) for rate in args.rates for loop in args.loops):
            if (seed - 1, rate, loop, args.perception) in done:
                continue
            if time.process_time() - began > 60 * args.minutes:
                return
            start = time.process_time()
            stack.reset(scene)
            faults = FaultyTabletop(stack.world, rate, seed - 1)
            record = stack.run(command, loop == "closed", faults)
            line = {"seed": seed - 1, "rate": rate, "loop": loop, "perception": args.perception, **record}
            line["injected"] = [[str(each.call), each.mishap.value] for each in faults.injected]
            keep("commands", {**line, "cpu_seconds": round(time.process_time() - start, 2)})
            print(f"{seed - 1} {rate:.0%} {loop}: {record['success']}", flush=True)


def make_stack(args: argparse.Namespace) -> Stack:
    library = SkillLibrary.open(args.library)
    planner = None
    if args.read:
        proposer = LanguageModelProposer(chat_model("embedded", None, None))
        planner = Planner(library.skills, proposer)
    return Stack(library, args.perception, planner)


def keep(name: str, line: dict[str, Any]) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def read(name: str) -> list[dict[str, Any]]:
    path = OUT / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


# Report ----------------------------------------------------------------------------------------------


def rate(good: int, of: int) -> str:
    """A share with its interval: "57/60, 95% (86 to 98)"."""
    low, high = wilson_interval(good, of)
    return f"{good}/{of}, {good / max(of, 1):.0%} ({low:.0%} to {high:.0%})"


def chain_rows(lines: Sequence[dict[str, Any]]) -> list[tuple[object, ...]]:
    """A row for each way of seeing and reading: successes of one to five commands in a row, and the mean."""
    rows: list[tuple[object, ...]] = []
    for key in sorted({(line["perception"], line["read"]) for line in lines}):
        own = [line for line in lines if (line["perception"], line["read"]) == key]
        row = [line["done"] for line in own]
        rates = [rate(sum(done >= n for done in row), len(row)) for n in range(1, LENGTH + 1)]
        cpu = sum(line["cpu_seconds"] for line in own) / len(own)
        given = "sentences" if key[1] else "formulas"
        rows.append((key[0], given, len(own), f"**{np.mean(row):.2f}**", *rates, f"{cpu:.1f}"))
    return rows


def command_rows(lines: Sequence[dict[str, Any]]) -> list[tuple[object, ...]]:
    """A row for each rate of mishaps and way of carrying out, over commands that were run in all of them."""
    rows: list[tuple[object, ...]] = []
    for mishaps in sorted({line["rate"] for line in lines}):
        for loop in ("closed", "open"):
            own = [line for line in lines if (line["rate"], line["loop"]) == (mishaps, loop)]
            if not own:
                continue
            skills, injected, steps = (
                np.mean([len(line[key] or ()) for line in own]) for key in ("skills", "injected", "plan")
            )
            replans, cpu = (np.mean([line.get(key, 0) for line in own]) for key in ("replans", "cpu_seconds"))
            good = sum(line["success"] for line in own)
            rows.append(
                (f"{mishaps:.0%}", loop, rate(good, len(own)), f"{steps:.1f}", f"{skills:.1f}",
                 f"{injected:.1f}", f"{replans:.2f}", f"{cpu:.1f}")
            )  # fmt: skip
    return rows


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """In Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def calibration(title: str, records: Sequence[dict[str, Any]], affordances: Affordances) -> str:
    """Brier score and reliability of what was expected: that every step of a plan works at its first try."""
    first: list[tuple[float, bool]] = []
    final: list[tuple[float, bool]] = []
    for record in records:
        plan = [SkillCall.parse(text) for text in record["plan"] or ()]
        expected = affordances.expected_success(plan, SceneGraph.from_json(record["scene"])) if plan else None
        if expected is not None:
            first.append((expected, record["success"] and not record["diagnoses"]))
            final.append((expected, record["success"]))
    if not first:
        return ""
    rows = [
        (f"{low:.2f} to {high:.2f}", count, f"{mean:.2f}", rate(good, count), rate(end[3], count))
        for (low, high, count, good, mean), end in zip(
            reliability(first, EDGES), reliability(final, EDGES), strict=True
        )
    ]
    share = sum(happened for _, happened in first) / len(first)
    head = (
        f"**{title}**: Brier score {brier(first):.3f} for the first try, over {len(first)} commands (always "
        f"saying the mean, {share:.2f}, which nobody knows before: {share * (1 - share):.3f}); "
        f"{brier(final):.3f} for the end."
    )
    return head + "\n\n" + table(("expected", "commands", "mean expected", "first try", "in the end"), rows)


def diagnoses(lines: Sequence[dict[str, Any]]) -> str:
    """What was diagnosed in closed loop, and how it was answered."""
    counts = Counter(tuple(each) for line in lines for each in line["diagnoses"])
    rows = [(*what, number) for what, number in counts.most_common()]
    return table(("diagnosed", "answer", "times"), rows)


def report(args: argparse.Namespace) -> None:
    in_a_row, long = read("chains"), read("commands")
    affordances = Affordances.open(SkillLibrary.open(args.library))
    ways = {(line["rate"], line["loop"], line["perception"]) for line in long}
    counted = Counter(line["seed"] for line in long)
    long = [line for line in long if counted[line["seed"]] == len(ways)]  # the same commands in every row
    singles = [record for line in in_a_row for record in line["commands"]]
    kinds = Counter(record["kind"].split()[0] for record in singles)
    good = Counter(record["kind"].split()[0] for record in singles if record["success"])
    closed = [line for line in long if line["loop"] == "closed"]
    notes = [
        "Chains of five single commands, each possible after the one before, without reset between them: how "
        "many were done in a row, the chain ending at the first failure. Success by the simulator's state. "
        f"By kind: {', '.join(f'{kind} {good[kind]}/{count}' for kind, count in sorted(kinds.items()))}.",
        f"**Commands of {STEPS[0]} to {STEPS[1]} steps, with mishaps in so many of the calls**",
        table(
            ("mishaps", "loop", "done", "steps planned", "skills run", "mishaps drawn", "new plans", "CPU s"),
            command_rows(long),
        ),
        "A mishap: the grip fails, somebody moves the thing, what stands open slides shut, or the skill "
        "stops too early; the same draws for closed and open loop as long as their calls are the same.",
        "**What the closed loop diagnosed in these, and its answers**",
        diagnoses(closed),
        calibration("Expected success of single commands, closed loop", singles, affordances),
        *(
            calibration(
                f"Of long commands without mishaps, {loop} loop",
                [x for x in long if (x["loop"], x["rate"]) == (loop, 0)],
                affordances,
            )
            for loop in ("open", "closed")
        ),
    ]  # fmt: skip
    write_report(
        "long_horizon",
        "Long horizons: commands done in a row, and long commands under mishaps",
        ("perception", "given as", "chains", "mean in a row", *(f"{n}" for n in range(1, 6)), "CPU s"),
        chain_rows(in_a_row),
        "\n\n".join(filter(None, notes)),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--first-seed", type=int, default=1_000_000)
    shared.add_argument("--minutes", type=float, default=1e9, help="of processor time, at the most")
    shared.add_argument("--perception", choices=tuple(PERCEPTIONS), default="oracle")
    shared.add_argument("--library", type=Path, help="default: the shipped one")
    shared.add_argument("--read", action="store_true", help="have the planner read the sentence")
    one = verbs.add_parser("chains", parents=[shared])
    one.add_argument("--count", type=int, default=200)
    one.set_defaults(do=chains)
    two = verbs.add_parser("commands", parents=[shared])
    two.add_argument("--count", type=int, default=60)
    two.add_argument("--rates", type=float, nargs="+", default=[0.0, 0.1, 0.3])
    two.add_argument("--loops", nargs="+", choices=("closed", "open"), default=["closed", "open"])
    two.set_defaults(do=commands)
    three = verbs.add_parser("report")
    three.add_argument("--library", type=Path, help="default: the shipped one")
    three.set_defaults(do=report)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
