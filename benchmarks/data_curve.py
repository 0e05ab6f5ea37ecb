"""Success by the number of demonstrations: STAR and its rivals on one skill of the tabletop.

    python benchmarks/data_curve.py collect     the demonstrations: 10, 30, 100 and 300, from seed 0 on
    python benchmarks/data_curve.py train       every policy on each of them; passes over what is trained
    python benchmarks/data_curve.py score       on test seeds; resumable
    python benchmarks/data_curve.py report      the table and the picture

Same encoders, trainer, batches and number of updates; only the policy and the data differ. Nothing is chosen
by success: the last weights are scored, with one action of a chunk played before the next chunk.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policies import POLICIES, play
from report import RESULTS, write_report
from rich.console import Console

from robot_skills.cli.main import main as robot_skills
from robot_skills.training.configuration import from_mapping
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.run import train
from robot_skills.training.statistics import wilson_interval

SKILL, SIZES = "pick", (10, 30, 100, 300)
NAMES: Mapping[str, str] = {
    "star": "STAR",
    "act": "ACT",
    "diffusion_unet": "Diffusion Policy, U-Net",
    "bc_mlp": "behaviour cloning, MLP",
}
OUT, FIRST_TEST = Path("out/data_curve"), 1_000_000


def recipe(name: str, size: int, steps: int, batch: int, seed: int) -> TrainRecipe:
    """A training on the first demonstrations of the skill."""
    registered, own = POLICIES[name]
    return from_mapping(
        TrainRecipe,
        {
            "name": f"{SKILL}_{size}_{name}",
            "skill": SKILL,
            "data": [f"{SKILL}_{size}"],
            "policy": {"name": registered, "config": {"chunk": 8, "execute": 1, **own}},
            "stages": {"policy": {"steps": steps, "batch_size": batch}},
            "seed": seed,
            "validation_fraction": 0.0,
            "checkpoint_every": min(steps, 1000),
            "precision": "auto",
            "threads": 1,
        },
        "benchmark of demonstrations",
    )


def collect(args: argparse.Namespace) -> None:
    for size in SIZES:
        folder = f"out/data/{SKILL}_{size}"
        given = ["--episodes", str(size), "--first-seed", "0", "--workers", str(args.workers)]
        if robot_skills(["collect", f"datasets/tabletop_{SKILL}.yaml", *given, "-o", folder]):
            raise SystemExit(f"{folder} could not be collected.")


def train_all(args: argparse.Namespace) -> None:
    for size in SIZES:
        for name in args.only:
            folder = OUT / f"{name}_{size}_{args.seed}"
            if not (folder / "config.json").exists():
                made = recipe(name, size, args.steps, args.batch, args.seed)
                train(made, folder, True, "python benchmarks/data_curve.py train", Console())


def score_all(args: argparse.Namespace) -> None:
    known = {row["folder"] for row in read() if row["episodes"] >= args.episodes}
    for folder in sorted(path.parent for path in OUT.glob("*/config.json")):
        if folder.name in known or not any(folder.name.startswith(f"{name}_") for name in args.only):
            continue
        summary = json.loads((folder / "training.json").read_text())
        won = play("tabletop", folder, SKILL, 1, FIRST_TEST, args.episodes, args.workers)
        stage = summary["recipe"]["stages"]["policy"]
        name, size, seed = folder.name.rsplit("_", 2)
        row = {
            "folder": folder.name,
            "policy": name,
            "size": int(size),
            "seed": int(seed),
            "won": int(sum(won)),
            "episodes": args.episodes,
            "parameters": summary["report"]["parameters"],
            "minutes": sum(summary["seconds"].values()) / 60,
            "steps": stage["steps"],
            "batch": stage["batch_size"],
        }
        with (OUT / "scores.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def read() -> list[dict[str, Any]]:
    """The scores so far."""
    path = OUT / "scores.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def report(_: argparse.Namespace) -> None:
    rows = read()
    found: dict[tuple[str, int], tuple[int, int]] = {}
    for row in rows:
        won, of = found.get((row["policy"], row["size"]), (0, 0))
        found[row["policy"], row["size"]] = won + row["won"], of + row["episodes"]
    table = []
    for name, title in NAMES.items():
        mine = [row for row in rows if row["policy"] == name]
        cells = []
        for size in SIZES:
            won, of = found.get((name, size), (0, 0))
            low, high = wilson_interval(won, of) if of else (0.0, 0.0)
            cells.append(f"{won}/{of} ({low:.0%} to {high:.0%})" if of else "")
        if mine:
            minutes = sum(row["minutes"] for row in mine) / len(mine)
            table.append([title, f"{mine[0]['parameters'] / 1e6:.2f} M", f"{minutes:.0f}", *cells])
    seeds = ", ".join(map(str, sorted({row["seed"] for row in rows})))
    write_report(
        "data_curve",
        f'Success of "{SKILL}" by the number of demonstrations',
        ["policy", "parameters", "minutes a training", *(f"{size} demonstrations" for size in SIZES)],
        table,
        f"Scripted expert, images only, two 64 px cameras. {rows[0]['steps']:,} batches of "
        f"{rows[0]['batch']} for every policy and size (and before, STAR's codes), training seeds "
        f"{seeds}, last weights, one action of a chunk played. Test seeds {FIRST_TEST} and on; in brackets "
        "the 95 % Wilson interval.\n\n![success by demonstrations](data_curve.png)",
    )
    draw(found, RESULTS / "data_curve.png")


def draw(found: Mapping[tuple[str, int], tuple[int, int]], path: Path) -> None:
    """A line a policy, with intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, (name, title) in enumerate(NAMES.items()):
        sizes = [size for size in SIZES if (name, size) in found]
        rates = [100 * found[name, size][0] / found[name, size][1] for size in sizes]
        bounds = [wilson_interval(*found[name, size]) for size in sizes]
        errors = [
            [rate - 100 * low for rate, (low, _) in zip(rates, bounds, strict=True)],
            [100 * high - rate for rate, (_, high) in zip(rates, bounds, strict=True)],
        ]
        shifted = [size * 1.03 ** (place - 1) for size in sizes]
        axes.errorbar(shifted, rates, errors, marker="o", capsize=3, label=title)
    axes.set_xscale("log")
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    axes.minorticks_off()
    axes.set(xlabel="demonstrations", ylabel="success, %", ylim=(0, 102), title=f'"{SKILL}", unseen scenes')
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    actions = {"collect": collect, "train": train_all, "score": score_all, "report": report}
    for verb, function in actions.items():
        one = verbs.add_parser(verb)
        one.set_defaults(do=function)
        one.add_argument("--workers", type=int, default=1)
        if verb in ("train", "score"):
            one.add_argument("--only", nargs="*", default=list(NAMES), choices=tuple(NAMES))
        if verb == "train":
            one.add_argument("--steps", type=int, default=3000)
            one.add_argument("--batch", type=int, default=64)
            one.add_argument("--seed", type=int, default=0)
        if verb == "score":
            one.add_argument("--episodes", type=int, default=100)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
