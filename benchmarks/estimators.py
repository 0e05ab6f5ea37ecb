"""Does rotation help? Gradient estimators, gradient scale matched or not, and codebooks, on robot actions.

    python benchmarks/estimators.py train                 trains tokenizers, 5 seeds each; resumable
    python benchmarks/estimators.py recipes -o FOLDER     trainings of whole policies, for the closed loop
    python benchmarks/estimators.py closed-loop FOLDER... scores such trained folders on Push-T; resumable
    python benchmarks/estimators.py report                the tables and the picture, from what there is

Needs out/data/pusht (robot-skills data convert) and out/data/codes_pick, codes_place (robot-skills collect
datasets/codes_*.yaml). Results gather in out/estimators.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatch
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pusht import TEST, VALIDATION
from pusht import score as pusht_score
from report import RESULTS, write_report
from torch import Tensor, nn

from robot_skills.data.loader import Windows
from robot_skills.data.store import EpisodeStore
from robot_skills.policies.star.config import CodesConfig
from robot_skills.policies.star.quantizer import code_use
from robot_skills.policies.star.tokenizer import ChunkTokenizer
from robot_skills.policies.visuomotor import ACTION_FLOOR
from robot_skills.training.configuration import from_mapping, to_mapping
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.schedule import one_cycle

OUT = Path("out/estimators")
#: name -> stores, and steps of a chunk.
DATA: Mapping[str, tuple[tuple[str, ...], int]] = {
    "pusht": (("pusht",), 16),
    "tabletop": (("codes_pick", "codes_place"), 8),
}
#: Sized so that the whole study is a quarter of an hour of one core.
SEEDS, STEPS, BATCH, RATE = 5, 1000, 256, 1e-3
HELD_OUT = 0.1
ESTIMATORS = ("ste", "rotation", "diveq")
CODEBOOKS = ("ema", "gradient", "simvq", "frozen")


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to quantize.

    Attributes:
        name: in file names.
        codebook, estimator, scale: in the tables.
        codes: what differs from `CodesConfig`'s defaults.
    """

    name: str
    codebook: str
    estimator: str
    scale: str
    codes: Mapping[str, Any]


def settings() -> list[Setting]:
    """The grid, and four that stand for a publication."""
    found = [
        Setting(
            f"{codebook}_{estimator}" + "_matched" * matched,
            codebook,
            estimator,
            "matched" if matched else "as it is",
            {"codebook": codebook, "estimator": estimator, "matched_gradient": matched},
        )
        for codebook in CODEBOOKS
        for estimator in ESTIMATORS
        for matched in (False, True)
    ]
    codes: Mapping[str, Any]
    for estimator in ("ste", "rotation"):
        codes = {"estimator": estimator, "detach_residual": False}
        name = f"{estimator}, residuals not detached"
        found.append(Setting(f"ema_{estimator}_through", "ema", name, "as it is", codes))
    codes = {"codebook": "gradient", "estimator": "diveq", "commitment": 0.0}  # as its authors train it
    found.append(Setting("gradient_diveq_alone", "gradient", "diveq, no commitment", "as it is", codes))
    found.append(Setting("fsq", "none: FSQ", "round", "", {"quantizer": "fsq"}))
    return found


# Tokenizers -----------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def chunks(data: str, seed: int) -> tuple[Tensor, Tensor]:
    """All chunks of a data set, in standard deviations: to learn from, and of held-out episodes."""
    names, length = DATA[data]
    stores = [EpisodeStore.open(Path("out/data") / name) for name in names]
    training, held_out = Windows(stores, (), 1, length).split(HELD_OUT, seed)
    assert held_out is not None
    known = training.statistics()
    mean = torch.from_numpy(known["action_mean"])
    deviation = torch.from_numpy(known["action_std"]).clamp_min(ACTION_FLOOR)
    parts = [part.batch(np.arange(len(part)), images=False)["actions"] for part in (training, held_out)]
    return (parts[0] - mean) / deviation, (parts[1] - mean) / deviation


def fit(tokenizer: ChunkTokenizer, data: Tensor, steps: int) -> None:
    """Train as the trainer does: AdamW, one cycle, clipped gradients."""
    parameters = list(tokenizer.parameters())
    optimizer = torch.optim.AdamW(parameters, RATE, weight_decay=1e-4, fused=True)
    tokenizer.train().start(data[torch.randperm(len(data))[:8192]])
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = one_cycle(step, steps, RATE, 0.1)
        loss, _ = tokenizer.loss(data[torch.randint(len(data), (BATCH,))])
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    tokenizer.eval()


def run(job: tuple[str, Setting, int, int]) -> dict[str, Any]:
    """Train one tokenizer and measure it; a line of the results."""
    data, setting, seed, steps = job
    torch.set_num_threads(1)
    training, held_out = chunks(data, seed)
    torch.manual_seed(seed)
    # Dead codes are revived in the first two thirds, as in the recipes of the shipped skills.
    config = from_mapping(CodesConfig, {"revive_steps": steps * 2 // 3, **setting.codes}, setting.name)
    tokenizer = ChunkTokenizer(config, training.shape[1], training.shape[2])
    began = time.process_time()
    fit(tokenizer, training, steps)
    spent = time.process_time() - began
    report, use = tokenizer.report(held_out), code_use(tokenizer.encode(training), config.codes)
    return {
        "data": data,
        "name": setting.name,
        "seed": seed,
        "steps": steps,
        "reconstruction": report.reconstruction,
        "perplexity": report.perplexity,
        "dead": (use == 0).sum(-1).tolist(),
        "joint": report.joint,
        "training_reconstruction": tokenizer.report(training).reconstruction[-1],
        "held_out_chunks": len(held_out),
        "seconds": round(spent, 2),
    }


def read(file: str) -> list[dict[str, Any]]:
    """The lines of a results file."""
    path = OUT / file
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(file: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Add lines to a results file, each as soon as it is known."""
    OUT.mkdir(parents=True, exist_ok=True)
    for line in lines:
        with (OUT / file).open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        print({key: line[key] for key in ("data", "name", "seed") if key in line}, flush=True)


def train(args: argparse.Namespace) -> None:
    done = {(line["data"], line["name"], line["seed"], line["steps"]) for line in read("tokenizers.jsonl")}
    jobs = [
        (data, setting, seed, args.steps)
        for seed in range(args.seeds)
        for data in DATA
        for setting in settings()
        if any(fnmatch(f"{data}/{setting.name}", only) for only in args.only)
    ]
    jobs = [job for job in jobs if (job[0], job[1].name, job[2], job[3]) not in done]
    if args.workers == 1:
        append("tokenizers.jsonl", map(run, jobs))
        return
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        append("tokenizers.jsonl", pool.map(run, jobs))


# Closed loop ----------------------------------------------------------------------------------------


def closed_loop_recipes(
    seeds: int = SEEDS, steps: int = 10_000, batch: int = 256, only: Sequence[str] = ("*",)
) -> list[TrainRecipe]:
    """STAR on Push-T from the block's keypoints, one training for each setting and seed.

    Args:
        seeds: how many.
        steps: of the phase "policy".
        batch: of that phase.
        only: patterns of settings' names.
    """
    return [
        from_mapping(
            TrainRecipe,
            {
                "name": f"estimators_{setting.name}_{seed}",
                "data": ["pusht"],
                "state": ["keypoint", "agent.*"],
                "seed": seed,
                "validation_fraction": 0.02,
                "ema_decay": 0.999,
                "checkpoint_every": steps,
                "step": "graph",
                "precision": "auto",
                "threads": 1,
                "validate_every": max(steps // 4, 1),
                "policy": {
                    "name": "star",
                    "config": {
                        "cameras": [],
                        "shift": [],
                        "history": 2,
                        "chunk": 16,
                        "execute": 8,
                        "target_weight": 0.0,
                        "codes": dict(setting.codes),
                    },
                },
                "stages": {
                    "codes": {"steps": 1500, "batch_size": 512},
                    "policy": {"steps": steps, "batch_size": batch},
                },
            },
            f"closed loop of {setting.name}",
        )
        for seed in range(seeds)
        for setting in settings()
        if any(fnmatch(setting.name, pattern) for pattern in only)
    ]


def score(folder: Path, episodes: int, validation: bool = False) -> dict[str, Any]:
    """Push-T scores of a trained folder of `closed_loop_recipes`, one a start; a line of the results."""
    summary = json.loads((folder / "training.json").read_text())
    name, _, seed = summary["recipe"]["name"].removeprefix("estimators_").rpartition("_")
    first = VALIDATION if validation else TEST
    scores, _ = pusht_score(folder, "state", first, episodes)
    return {
        "name": name,
        "seed": int(seed),
        "first": first,
        "scores": [round(float(value), 4) for value in scores],
        "steps": summary["recipe"]["stages"]["policy"]["steps"],
    }


def closed_loop(args: argparse.Namespace) -> None:
    first = VALIDATION if args.validation else TEST
    done = {
        (line["name"], line["seed"], line["first"])
        for line in read("closed_loop.jsonl")
        if len(line["scores"]) >= args.episodes
    }
    known = {f"estimators_{name}_{seed}" for name, seed, start in done if start == first}
    folders = [folder for folder in args.folders if folder.name not in known]
    torch.set_num_threads(1)
    append("closed_loop.jsonl", (score(folder, args.episodes, args.validation) for folder in folders))


def write_recipes(args: argparse.Namespace) -> None:
    args.output.mkdir(parents=True, exist_ok=True)
    for recipe in closed_loop_recipes(args.seeds, args.steps, args.batch, args.only):
        (args.output / f"{recipe.name}.yaml").write_text(yaml.safe_dump(to_mapping(recipe), sort_keys=False))


# Tables ---------------------------------------------------------------------------------------------


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Mean and standard error over seeds."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.{digits}f}"


def levels(lines: Sequence[Mapping[str, Any]], key: str, digits: int) -> str:
    """Mean over seeds, level by level."""
    return " / ".join(f"{value:.{digits}f}" for value in np.mean([line[key] for line in lines], axis=0))


def paired(
    groups: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], data: str, one: str, other: str
) -> str:
    """How much more error one setting has than another, seed by seed; and in how many seeds less."""
    errors = [
        {line["seed"]: line["reconstruction"][-1] for line in groups.get((data, name), ())}
        for name in (one, other)
    ]
    both = sorted(errors[0].keys() & errors[1].keys())
    if not both:
        return ""
    differences = [100 * (errors[0][seed] / errors[1][seed] - 1) for seed in both]
    better = sum(difference < 0 for difference in differences)
    return f"{spread(differences, 1)} % ({better}/{len(both)})"


def comparisons(groups: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]) -> list[str]:
    """A table of every estimator against straight-through estimation, all else alike."""
    rows = [
        "| codebook | gradient | against ste | " + " | ".join(DATA) + " |",
        "|---" * (3 + len(DATA)) + "|",
    ]
    for codebook in CODEBOOKS:
        for matched in ("", "_matched"):
            for estimator in ESTIMATORS[1:]:
                names = f"{codebook}_{estimator}{matched}", f"{codebook}_ste{matched}"
                cells = [paired(groups, data, *names) for data in DATA]
                scale = "matched" if matched else "as it is"
                rows.append(f"| {codebook} | {scale} | {estimator} | " + " | ".join(cells) + " |")
    return rows


def report(args: argparse.Namespace) -> None:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in read("tokenizers.jsonl"):
        if line["steps"] == args.steps:
            groups[line["data"], line["name"]].append(line)
    success: dict[str, list[float]] = defaultdict(list)
    episodes = set()
    for line in read("closed_loop.jsonl"):
        if line["first"] == TEST:
            success[line["name"]].append(float(np.mean(line["scores"])))
            episodes.add(len(line["scores"]))
    rows = []
    for setting in settings():
        row: list[object] = [setting.codebook, setting.estimator, setting.scale]
        for data in DATA:
            lines = groups[data, setting.name]
            row += (
                [
                    spread([line["reconstruction"][-1] for line in lines]),
                    levels(lines, "perplexity", 1),
                    levels(lines, "dead", 1),
                ]
                if lines
                else ["", "", ""]
            )
        scores = success[setting.name]
        rows.append([*row, f"{spread(scores, 3)} ({len(scores)})" if scores else ""])
    names = [f"{data}: {what}" for data in DATA for what in ("error", "perplexity", "dead")]
    write_report(
        "estimators",
        "Quantizers of action chunks: estimators, gradient scale, codebooks",
        ["codebook", "estimator", "gradient", *names, "Push-T score (seeds)"],
        rows,
        note(groups, args.steps, sorted(episodes)),
    )
    draw(groups, RESULTS / "estimators.png")


def note(
    groups: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], steps: int, episodes: Sequence[int]
) -> str:
    counts = sorted({len(lines) for lines in groups.values() if lines})
    seeds = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    sizes = {data: f"{DATA[data][1]} steps" for data in DATA}
    played = (
        f" Push-T score: STAR from keypoints, mean over {'/'.join(map(str, episodes))} starts from {TEST} on "
        "and over the trainings counted in brackets, ± the standard error over these."
        if episodes
        else " The closed loop has not been measured yet."
    )
    lines = [
        "Error: mean absolute error of decoded chunks of held-out episodes (a tenth of all), in standard "
        f"deviations of the actions; mean ± standard error over {seeds} seeds of split, weights and "
        f"batches. Chunks: Push-T (human) {sizes['pusht']} x 2, tabletop pick and place (scripted expert, "
        f"noise .25) {sizes['tabletop']} x 7. Two levels of 16 codes everywhere (FSQ: two numbers of 16 "
        "values), level by level, never pooled: perplexity on held-out chunks, and dead codes, of 16, that "
        f"no training chunk is given. {steps} steps of {BATCH} chunks, AdamW {RATE:g}, commitment .25, 10 % "
        "level dropout. `ema` and `gradient` codebooks have a k-means start and revival, `simvq` the start, "
        "`frozen` neither. Matched: the encoder's gradient through the quantizer has the norm of the "
        "gradient on the quantizer's output. (Under Adam the scale matters against the commitment's "
        "gradient, and where gradients are clipped.)" + played,
        "",
        "Error against straight-through estimation with the same codebook and scale, seed by seed: mean ± "
        "standard error, and in how many seeds it is lower.",
        "",
        *comparisons(groups),
        "",
        "![error by setting](estimators.png)",
    ]
    return "\n".join(lines)


def draw(groups: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], path: Path) -> None:
    """A panel for each data set: every seed's error, setting by setting."""
    from matplotlib.figure import Figure

    shown = settings()
    figure = Figure(figsize=(11, 0.26 * len(shown) + 1), layout="constrained")
    colours = dict(zip(("ste", "rotation", "diveq", "round"), ("C0", "C1", "C2", "C3"), strict=True))
    for axes, data in zip(figure.subplots(1, len(DATA), sharey=True), DATA, strict=True):
        for place, setting in enumerate(shown):
            errors = [line["reconstruction"][-1] for line in groups.get((data, setting.name), ())]
            colour = colours[setting.estimator.split(",")[0]]
            filled = colour if setting.scale == "matched" else "none"
            axes.plot(errors, [place] * len(errors), "o", color=colour, mfc=filled, ms=5)
        axes.set_yticks(range(len(shown)), [setting.name.replace("_", " ") for setting in shown], fontsize=8)
        axes.set(title=data, xlabel="held-out error, standard deviations")
        axes.grid(alpha=0.3)
        axes.set_ylim(len(shown) - 0.5, -0.5)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("train")
    one.add_argument("--only", nargs="*", default=["*"], help="patterns of DATA/SETTING")
    one.add_argument("--workers", type=int, default=1)
    one.set_defaults(do=train)
    two = verbs.add_parser("recipes")
    two.add_argument("-o", "--output", type=Path, required=True)
    two.add_argument("--only", nargs="*", default=["*"], help="patterns of SETTING")
    two.add_argument("--batch", type=int, default=256)
    two.set_defaults(do=write_recipes)
    three = verbs.add_parser("closed-loop")
    three.add_argument("folders", type=Path, nargs="+", help="named as the recipes are")
    three.add_argument("--episodes", type=int, default=100)
    three.add_argument("--validation", action="store_true", help="other starts, to choose a setting on")
    three.set_defaults(do=closed_loop)
    four = verbs.add_parser("report")
    four.set_defaults(do=report)
    for verb in (one, two):
        verb.add_argument("--seeds", type=int, default=SEEDS)
    for verb, steps in ((one, STEPS), (two, 10_000), (four, STEPS)):
        verb.add_argument("--steps", type=int, default=steps)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
