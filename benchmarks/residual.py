"""Practice: a frozen base, and what each method makes of it.

    python benchmarks/residual.py base                      demonstrations and bases, out/residual/TASK
    python benchmarks/residual.py run ours rlpd --seeds 5   MetaWorld's four tasks; resumable
    python benchmarks/residual.py run ours --tasks NutAssemblySquare --steps 100000 --episodes 50
    python benchmarks/residual.py run ours --tasks "tabletop weak" --episodes 50
    python benchmarks/residual.py report                    the table, and curves beside it

MetaWorld from state: 10 demonstrations by MetaWorld's scripted expert, noise 0.2 on what it executes (5 on
assembly, where a base of 10 fails nowhere); a base that clones them in chunks of 16 and plays 8 of each; an
episode has at most 200 steps. robosuite's NutAssemblySquare from state: likewise, by our scripted expert,
noise 0.1, at most 300 steps. The tabletop from two 64 px images: "open", with bases (ACT) of few and of many
demonstrations, which do not join the practice, since their stores do not tell what was executed.

An episode ends at success, which is the only reward; steps that fill the replay count as steps of practice.
Every 5,000 steps (10,000 on NutAssemblySquare) the method as it stands is run from the same validation starts
(seeds from 900,000 on), from which rollbacks are decided; what it is at the end is run from 100 test starts
(from 1,000,000 on). Settings were tuned on stick-pull with other seeds of practice; how far scenes are
moved, what critics are told and what fades by the validation starts of seed 0 on peg-insert, box-close and
stick-pull. A row is added to benchmarks/results/residual.jsonl as a run ends, and what is there is not run
again; a stopped one goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import RESULTS, write_report
from residual_bases import METAWORLD, TASKS, arena, base_folder, home, make_base
from rich.console import Console

from robot_skills.errors import InputError
from robot_skills.policies.registry import load_policy
from robot_skills.residual.arena import Player
from robot_skills.residual.checkpoint import CHECKPOINT
from robot_skills.residual.config import RefineConfig
from robot_skills.residual.demonstrations import read_demonstrations
from robot_skills.residual.learner import Learner
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.practice import Practice
from robot_skills.residual.refine import Refiner
from robot_skills.residual.rivals.filtered_bc import FilteredBC
from robot_skills.residual.rivals.fine_tuning import FineTuning
from robot_skills.residual.rivals.ibrl import Ibrl
from robot_skills.residual.rivals.ppo import Ppo
from robot_skills.residual.rivals.rlpd import Rlpd
from robot_skills.training.configuration import from_mapping, read_yaml
from robot_skills.training.metrics import read_metrics
from robot_skills.training.statistics import wilson_interval

#: A line a run. It takes hours to fill, so it is kept where the tables are.
ROWS = RESULTS / "residual.jsonl"
#: First seed of the final evaluation.
TEST = 1_000_000


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to get better.

    Attributes:
        about: what it is, in the table.
        policy, learner, refine: what differs from the settings of "ours".
        kind: of learner.
        prepare: is done to the policy before anything else.
    """

    about: str
    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    learner: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    refine: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kind: type[Learner] = Learner
    prepare: Callable[[ResidualPolicy], None] = lambda policy: None


def stir(policy: ResidualPolicy) -> None:
    """Begin with a correction as any network begins."""
    policy.actor.last.reset_parameters()


OPEN = {"gate": {"kind": "none"}}
#: Rivals are what they are at the end, and are not taken back.
LAST = {"rollback": 1.0, "keep": "last"}
#: Critics as the rivals have them: heads that share batches and targets (REDQ), and a slope as it comes.
FEW, SHARED = {"heads": 3}, {"apart": False, "batch_size": 256, "doubt": 0.0}
#: Scenes are where they were seen.
STILL = {"shift": 0.0}
#: Told what the base is about to do, the gate the same at all times.
TOLD = {"coming": 4, "base_told": True, "gate": {"kind": "advantage"}}
#: Trust and doubt the same at all times.
HELD = {"trust": 0.02, "doubt": 0.5, "fading": False}
#: Of rivals whose actor answers for the whole action.
WHOLE = {**TOLD, "bound": 1.0, "gripper_bound": 1.0, "turn_bound": 1.0, **FEW, **OPEN}
SYMMETRIC = {**HELD, "demonstrations": 0.5, "trust": 0.0, **SHARED}


def unmoved(
    about: str,
    policy: Mapping[str, Any] | None = None,
    learner: Mapping[str, Any] | None = None,
    **others: Any,
) -> Method:
    """An ablation of "told" with scenes where they were."""
    return Method(
        f"told, {about}", {**TOLD, **(policy or {})}, {**HELD, **STILL, **(learner or {})}, **others
    )


METHODS: Mapping[str, Method] = {
    "ours": Method("residual, ours"),
    "rlpd": Method("RLPD: no base", WHOLE, SYMMETRIC, {"fill": 5, **LAST}, Rlpd),
    "rlpd unmoved": Method(
        "RLPD, scenes where they were", WHOLE, {**SYMMETRIC, **STILL}, {"fill": 5, **LAST}, Rlpd
    ),
    "ibrl": Method("IBRL: base or actor, by Q", WHOLE, SYMMETRIC, LAST, Ibrl),
    "ibrl unmoved": Method("IBRL, scenes where they were", WHOLE, {**SYMMETRIC, **STILL}, LAST, Ibrl),
    "resfit": Method(
        "residual as ResFiT has it",
        {
            **{"bound": 0.1, "gripper_bound": 0.1, "turn_bound": 0.1, "whitening": 1.0},
            **{"coming": 1, "base_told": True},
            **FEW,
            **OPEN,
        },
        {
            **SHARED,
            **{"n_step": 3, "gamma": 0.99, "tau": 0.005, "trust": 0.0, "demonstrations": 0.5},
            **{"noise": 0.5, "gripper_noise": 0.5, "memory": 0.0, "smoothing": 0.5, "fading": False, **STILL},
            **{"actor_learning_rate": 1e-6, "learning_rate": 1e-4},
        },
        LAST,
    ),
    "ppo": Method("the same residual by PPO", {**TOLD, **OPEN}, {"warm_up": 0, **HELD}, LAST, Ppo),
    "filtered bc": Method(
        "cloning its own successes", {**TOLD, **OPEN}, {"warm_up": 0, **HELD}, LAST, FilteredBC
    ),
    "fine-tuning": Method(
        "the base's weights by the critics",
        {**TOLD, **FEW, **OPEN},
        {**HELD, "trust": 100.0, **STILL, **SHARED},
        LAST,
        FineTuning,
    ),
    # Ablations, with MetaWorld's settings; those below "unmoved" are of that.
    "no gate": Method("ours, the correction always played", policy=OPEN),
    "told": Method("told of the base, held at all times", TOLD, HELD),
    "unmoved": unmoved("scenes where they were"),
    "no zero start": unmoved("from a correction that is not 0", prepare=stir),
    "no base roll-outs": unmoved("without base roll-outs first", refine={"fill": 1}),
    "no layer norm": unmoved("critics without layer norm", learner={"normalise": False}),
    "shared heads": unmoved("heads that share what they learn from", FEW, SHARED),
    "no doubt": unmoved("slopes as they come", learner={"doubt": 0.0}),
    "no trust region": unmoved("leaving the base costs nothing", learner={"trust": 0.0}),
    "n-step 1": unmoved("one reward at a time", learner={"n_step": 1}),
    "no whitening": unmoved("inputs as they are", {"whitening": 1.0}),
    "white noise": unmoved("noise drawn anew each step", learner={"memory": 0.0}),
    "long noise": unmoved("noise that stays for 50 steps, not 10", learner={"memory": 0.98}),
}


def settings(
    method: Method, steps: int, episodes: int, seed: int, task: str = "stick-pull-v3"
) -> RefineConfig:
    """The practice of a method; each seed practises in scenes of its own."""
    file = TASKS[task].settings
    ours = {} if file is None else dict(read_yaml(file, "configuration of a practice"))
    own = {"steps": steps, "evaluate_episodes": episodes, "seed": seed}
    data = {**ours, **own, "first_seed": 10_000 * (seed + 1), **method.refine}
    data["policy"] = {**ours.get("policy", {}), **method.policy, "seed": seed}
    data["learner"] = {**ours.get("learner", {}), **method.learner}
    return from_mapping(RefineConfig, data, str(file or "settings"))


def practise(name: str, task: str, seed: int, steps: int, episodes: int) -> dict[str, Any]:
    """One run, and what it came to."""
    method, folder = METHODS[name], home(task) / f"{name.replace(' ', '_')}_{seed}"
    config = settings(method, steps, episodes, seed, task)
    practice = Practice(str(base_folder(task)), config.policy, arena(task))
    place = practice.arena()
    policy = practice.policy(place.spec.action)
    method.prepare(policy)
    shown = []
    if not TASKS[task].skill:
        shown = read_demonstrations(policy, home(task) / "demonstrations", place.lead)
    learner = method.kind(policy, config.learner, seed)
    whole, began = not (folder / CHECKPOINT).exists(), time.process_time()
    refiner = Refiner(learner, config, practice, shown, folder, Console())
    result = refiner.run(resume=True)
    seconds = time.process_time() - began
    player = Player(policy, place)
    controller = learner.controller(None)
    final = [player.evaluate(controller, TEST + number).success for number in range(100)]
    rows = {(row["step"], row["group"]): row for row in read_metrics(folder)}.values()
    curve = [row for row in rows if row["group"] == "evaluation"]
    return {
        "method": name,
        "task": task,
        "seed": seed,
        "asked": steps,
        "steps": [row["step"] for row in curve],
        "successes": [round(row["successes"]) for row in curve],
        "lost": [round(row["lost"]) for row in curve],
        "episodes": episodes,
        "final": sum(final),
        "rollbacks": result.position.rollbacks,
        # Of a run that went on from its checkpoint what it took before is not known.
        "cpu_seconds": round(seconds, 1) if whole else 0.0,
    }


def base_rate(task: str) -> int:
    """Successes of the base from the 100 test starts."""
    place, policy = arena(task)(), load_policy(base_folder(task))
    return sum(place.play(policy, TEST + number).success for number in range(100))


def read() -> list[dict[str, Any]]:
    """The rows so far."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def keep(row: Mapping[str, Any]) -> None:
    with ROWS.open("a") as file:
        file.write(json.dumps(row) + "\n")


def run(args: argparse.Namespace) -> None:
    """Every run that is asked for and not done yet."""
    known = {(row["method"], row["task"], row["seed"], row["asked"]) for row in read()}
    for seed in range(args.seeds):
        for task in args.tasks:
            if ("base", task, 0, 0) not in known:
                keep({"method": "base", "task": task, "seed": 0, "asked": 0, "final": base_rate(task)})
                known.add(("base", task, 0, 0))
            for name in args.methods:
                if (name, task, seed, args.steps) not in known:
                    keep(practise(name, task, seed, args.steps, args.episodes))


def reached(row: Mapping[str, Any], share: float) -> float:
    """Steps of the first of two evaluations in a row at or above a share; infinite: never."""
    good = [count >= share * row["episodes"] for count in row.get("successes", ())]
    steps = row.get("steps", ())
    found = [step for step, now, after in zip(steps, good, good[1:], strict=False) if now and after]
    return found[0] if found else float("inf")


def least_gain(row: Mapping[str, Any]) -> float:
    """The lowest success while it practised, less the base's; of a run whose curve is lost it is noted."""
    if "least" in row:
        return float(row["least"])
    return float((min(row["successes"]) - row["successes"][0]) / row["episodes"])


def report(args: argparse.Namespace) -> None:
    """The table, a row for each method and task."""
    # A run that was made longer has a row for each of its lengths: the longest counts, and what all took.
    longest = dict[tuple[str, str, int], dict[str, Any]]()
    spent = dict[tuple[str, str, int], float]()
    for row in sorted(read(), key=lambda row: row["asked"]):
        key = row["method"], row["task"], row["seed"]
        longest[key] = row
        spent[key] = spent.get(key, 0.0) + row.get("cpu_seconds", 0.0)
    rows, lines = list(longest.values()), list[list[object]]()
    for task in TASKS:
        base = [row for row in rows if row["method"] == "base" and row["task"] == task]
        for name in METHODS:
            runs = [row for row in rows if row["method"] == name and row["task"] == task]
            if not runs or not base:
                continue
            count, total = sum(row["final"] for row in runs), 100 * len(runs)
            low, high = (100 * bound for bound in wilson_interval(count, total))
            least = min(map(least_gain, runs))
            lines.append(
                [
                    task.removesuffix("-v3"),
                    TASKS[task].sees,
                    METHODS[name].about,
                    len(runs),
                    f"{min(row['asked'] for row in runs):,}",
                    f"{base[0]['final']} %",
                    f"**{100 * count / total:.0f} %** ({low:.0f} to {high:.0f})",
                    " ".join(str(row["final"]) for row in runs),
                    " ".join(_steps(reached(row, 0.9)) for row in runs),
                    f"{100 * least:+.0f}",
                    _minutes([spent[name, task, row["seed"]] for row in runs]),
                ]
            )
    write_report(
        "residual",
        "Practice: a frozen base, success the only reward",
        ["task", "sees", "method", "seeds", "steps", "base", "after practice (95 % interval)", "each seed",
         "steps to 90 %", "least during practice, against the base", "CPU minutes"],
        lines,
        NOTE.format(
            episodes=" or ".join(sorted({str(row.get("episodes", "")) for row in rows} - {""})),
            square=TASKS["NutAssemblySquare"].demonstrations,
        ),
    )  # fmt: skip
    draw(rows, ROWS.with_suffix(".png"))


NOTE = (
    "Success from 100 test starts (seeds from 1,000,000 on), the same for all; the interval is Wilson's over "
    "the episodes of all seeds, which share starts and demonstrations. Steps to 90 %: the first of two "
    "evaluations in a row, one every 5,000 steps (10,000 on NutAssemblySquare), on {episodes} validation "
    "starts; - never. State is the simulator's (MetaWorld's own observation; on NutAssemblySquare hand, nut "
    "and peg), images are two of 64 px. One base a task, for every method and seed: on MetaWorld of 10 noisy "
    "demonstrations (assembly 5), on NutAssemblySquare of {square}, on the tabletop of 12 and 100. "
    "Settings were tuned on stick-pull, with other seeds of practice; how far scenes are moved as they are "
    "learned from, what critics are told and what fades with seed 0 on three tasks. RLPD and IBRL "
    "learn from moved scenes, too, unless it says otherwise; the other rivals do not.\n\n"
    "![success over steps](residual.png)\n\n"
    "Curves: the mean of the seeds (how many, in brackets), least to most of them shaded."
)


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Success from the validation starts over steps, a panel a task: mean of the seeds, and least to most."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    rows = [row for row in rows if "steps" in row]
    named = [name for name in METHODS if name != "ours" and any(row["method"] == name for row in rows)]
    colours = {"ours": "black", **{name: colormaps["tab20"](k % 20) for k, name in enumerate(named)}}
    shown = [task for task in TASKS if any(row["task"] == task for row in rows)]
    figure = Figure(figsize=(3.2 * len(shown), 5), layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for panel, task in zip(panels, shown, strict=True):
        for name, method in METHODS.items():
            runs = [row for row in rows if row["method"] == name and row["task"] == task]
            if not runs:
                continue
            # Evaluations come at the end of an episode: the same few steps late or not, they are the k-th.
            count = min(len(row["steps"]) for row in runs)
            steps = np.mean([row["steps"][:count] for row in runs], axis=0) / 1000
            rates = 100 * np.array([np.divide(row["successes"][:count], row["episodes"]) for row in runs])
            colour, label = colours[name], f"{method.about} ({len(runs)})"
            panel.plot(
                steps, rates.mean(0), color=colour, label=label, linewidth=2.5 if name == "ours" else 1.5
            )
            panel.fill_between(steps, rates.min(0), rates.max(0), color=colour, alpha=0.15, linewidth=0)
        panel.set(title=task.removesuffix("-v3"), xlabel="1,000 control steps", ylim=(0, 102))
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.22))
    panels[0].set_ylabel("success, % (validation starts)")
    figure.savefig(path, dpi=110, bbox_inches="tight")


def _minutes(seconds: Sequence[float]) -> str:
    """Of processor time a run, over those of which it is known."""
    known = [one for one in seconds if one]
    return f"{np.mean(known) / 60:.1f}" if known else "-"


def _steps(steps: float) -> str:
    return f"{steps:,.0f}" if np.isfinite(steps) else "-"


def bases(args: argparse.Namespace) -> None:
    for task in args.tasks:
        make_base(task, args.steps)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, function in (("base", bases), ("run", run), ("report", report)):
        one = verbs.add_parser(verb)
        one.set_defaults(function=function)
        if verb == "run":
            one.add_argument("methods", nargs="+", choices=tuple(METHODS))
            one.add_argument("--seeds", type=int, default=5)
            one.add_argument("--episodes", type=int, default=100, help="of an evaluation while it practises")
        if verb != "report":
            one.add_argument(
                "--tasks",
                nargs="+",
                choices=tuple(TASKS),
                default=tuple(METAWORLD),
                help="default: MetaWorld's four",
            )
            one.add_argument("--steps", type=int, default=None if verb == "base" else 30_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    try:
        args.function(args)
    except InputError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
