"""Segmentation of long recordings: boundaries and purity of three methods, and skills trained on it.

python benchmarks/segmentation.py score            boundary F1 and purity, with chance beside them
python benchmarks/segmentation.py train SKILL ...  a policy a skill and source of segments, and its success
python benchmarks/segmentation.py report           results/segmentation.md of both

The recordings: python -m sim.experts.recordings datasets/recordings.yaml -o out/data/recordings
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import write_report
from rich.console import Console

from robot_skills.cli.eval import TabletopRunner
from robot_skills.data.episode import EpisodeRecord
from robot_skills.data.segmentation import METHODS, Segment, SegmentationConfig, segment, traces
from robot_skills.data.segmentation.clusters import descriptions, spectral
from robot_skills.data.segmentation.features import features
from robot_skills.data.segmentation.output import write_segments
from robot_skills.data.segmentation.scores import TOLERANCE, Scores, Truth, chance, majority, score
from robot_skills.data.segmentation.segments import between, relabel
from robot_skills.data.store import EpisodeStore
from robot_skills.library import CARD, SkillLibrary
from robot_skills.training.evaluation import evaluate
from robot_skills.training.recipe import FIRST_EVALUATION_SEED, PolicyChoice, StageSettings, TrainRecipe
from robot_skills.training.run import train
from robot_skills.training.statistics import wilson_interval
from sim.experts.expert import LAWS
from sim.experts.recordings import HIDDEN_TRUTH

SKILLS = sorted(LAWS)
SOURCES = ("truth", *METHODS)
CHANCE_DRAWS = 20
#: Training of a skill: short, and the same for every source.
CODES_STEPS, POLICY_STEPS, BATCH = 1000, 1500, 64


def truth_of(record: EpisodeRecord) -> Truth:
    """What the segmentation of a recording is scored against."""
    numbers = np.zeros(record.length, np.int64)
    parts = record.attributes[HIDDEN_TRUTH]
    for part in parts:
        numbers[part["start"] : part["stop"]] = SKILLS.index(part["call"]["skill"])
    return Truth(tuple(part["start"] for part in parts if part["start"] > 0), numbers)


def true_segments(truths: Sequence[Truth]) -> list[Segment]:
    """The segments as they truly are, the skill as the cluster."""
    return [
        dataclasses.replace(part, cluster=int(truth.skills[part.start]))
        for number, truth in enumerate(truths)
        for part in between(number, len(truth.skills), truth.boundaries)
    ]


def run_scores(data: Path, out: Path, console: Console) -> None:
    store = EpisodeStore.open(data)
    recordings, truths = traces(store), [truth_of(record) for record in store.episodes]
    tolerance = round(TOLERANCE * store.meta.control_rate)
    out.mkdir(parents=True, exist_ok=True)
    seeds = [record.seed for record in store.episodes]
    results: dict[str, Any] = {
        "recordings": len(truths), "steps": store.frames, "seeds": [min(seeds), max(seeds)], "methods": {}
    }  # fmt: skip
    for method in METHODS:
        began = time.process_time()
        found = segment(recordings, SegmentationConfig(method=method))
        seconds = time.process_time() - began
        keep(out / f"{method}.json", found)
        found_score = score(found, truths, tolerance)
        results["methods"][method] = {**found_score.to_json(), "cpu_seconds": round(seconds, 1)}
        console.print(f"{method}: F1 {found_score.f1}, purity {found_score.purity}, {seconds:.0f} s CPU")
    config = SegmentationConfig()
    rows = features(recordings, config.features)

    def labelled(parts: list[Segment]) -> list[Segment]:
        return relabel(parts, spectral(descriptions(parts, rows), config.skills, config.seed))

    exact = score(labelled(true_segments(truths)), truths, tolerance)
    results["methods"]["true boundaries"] = exact.to_json()
    for even in (False, True):
        name = "chance, evenly spaced" if even else "chance, uniformly random"
        draws = [score(chance(truths, draw, even), truths, tolerance, 200) for draw in range(CHANCE_DRAWS)]
        pure = score(labelled(chance(truths, 0, even)), truths, tolerance)
        results["methods"][name] = {**_mean(draws), "purity": pure.purity.to_json()}
        console.print(f"{name}: F1 {results['methods'][name]['f1']}, purity {pure.purity}")
    (out / "scores.json").write_text(json.dumps(results, indent=2) + "\n")


def _mean(draws: Sequence[Scores]) -> dict[str, Any]:
    """The mean score of several draws, and the mean ends of their intervals."""
    names = ("f1", "precision", "recall")
    means = {
        name: {
            "value": float(np.mean([getattr(draw, name).value for draw in draws])),
            "interval": [
                float(np.mean([getattr(draw, name).low for draw in draws])),
                float(np.mean([getattr(draw, name).high for draw in draws])),
            ],
        }
        for name in names
    }
    counts = np.mean([draw.per_recording for draw in draws], axis=0)
    return {**means, "boundaries_per_recording": counts.tolist()}


def keep(path: Path, segments: Sequence[Segment]) -> None:
    path.write_text(json.dumps([dataclasses.asdict(part) for part in segments]))


def kept(path: Path) -> list[Segment]:
    return [Segment(**part) for part in json.loads(path.read_text())]


def run_training(skill: str, source: str, data: Path, out: Path, episodes: int, console: Console) -> None:
    """Train a skill on the segments of a source and evaluate it; the result is `out`/SKILL_SOURCE.json."""
    store = EpisodeStore.open(data)
    truths = [truth_of(record) for record in store.episodes]
    segments = true_segments(truths) if source == "truth" else kept(out / f"{source}.json")
    named = majority(segments, truths)
    chosen = [part for part in segments if SKILLS[named[part.cluster]] == skill]
    name = f"{skill}_{source}"
    result: dict[str, Any] = {"skill": skill, "source": source, "segments": len(chosen)}
    result["right_steps"] = _share_of(skill, chosen, truths)
    result["clusters"] = sorted({part.cluster for part in chosen})
    if chosen:
        episodes_folder, folder = out / "data" / name, out / "train" / name
        for old in (episodes_folder, folder):
            shutil.rmtree(old, ignore_errors=True)
        written = write_segments(store, chosen, episodes_folder, texts(skill, store), {"segments": source})
        result["steps"] = written.frames
        recipe = TrainRecipe(
            name=name,
            data=(str(episodes_folder),),
            policy=PolicyChoice("star", {"execute": 1}),
            skill=skill,
            stages={
                "codes": StageSettings(steps=CODES_STEPS, batch_size=256),
                "policy": StageSettings(steps=POLICY_STEPS, batch_size=BATCH),
            },
            ema_decay=0.99,
            validation_fraction=0.0,
            checkpoint_every=CODES_STEPS + POLICY_STEPS,
            threads=1,
        )
        began = time.process_time()
        train(recipe, folder, False, f"python benchmarks/segmentation.py train {skill}", console)
        result["cpu_seconds"] = round(time.process_time() - began, 1)
        card = SkillLibrary.open().skill(skill)
        assert (folder / CARD).is_file()
        seeds = range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + episodes)
        report = evaluate(name, TabletopRunner(str(folder), card, None), seeds, 1, True, console)
        result["evaluation"] = report.to_json()
        console.print(f"{name}: {report.headline()}")
    else:  # no cluster is this skill: there is nothing to train, and nothing succeeds
        result["evaluation"] = None
        console.print(f"{name}: no cluster is mostly {skill}")
    (out / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


def _share_of(skill: str, chosen: Sequence[Segment], truths: Sequence[Truth]) -> float:
    """The share of the steps of some segments that truly are of a skill."""
    right = [
        int((truths[part.recording].skills[part.start : part.stop] == SKILLS.index(skill)).sum())
        for part in chosen
    ]
    return sum(right) / max(1, sum(len(part) for part in chosen))


def texts(skill: str, store: EpisodeStore) -> Callable[[Segment], str]:
    """The language argument of a segment.

    A press has one argument, the button, and needs no label. For any other skill a person would have to say
    which thing each segment is about: the text of the true skill that has most of the segment's steps.
    """

    def text_of(part: Segment) -> str:
        if skill == "press":
            return "button"
        overlaps = [
            (min(part.stop, true["stop"]) - max(part.start, true["start"]), true["text"])
            for true in store.episodes[part.recording].attributes[HIDDEN_TRUTH]
        ]
        return str(max(overlaps, key=lambda pair: pair[0])[1])

    return text_of


def write_results(out: Path) -> None:
    results = json.loads((out / "scores.json").read_text())
    rows: list[Sequence[object]] = []
    for name, found in results["methods"].items():
        cells = [
            "{:.3f} ({:.3f} to {:.3f})".format(found[key]["value"], *found[key]["interval"])
            for key in ("f1", "purity")
        ]
        precision, recall = (f"{found[key]['value']:.3f}" for key in ("precision", "recall"))
        counts = found["boundaries_per_recording"]
        seconds = f"{found['cpu_seconds']:.0f} s" if "cpu_seconds" in found else ""
        rows.append((name, cells[0], precision, recall, f"{counts[0]:.2f}", cells[1], seconds))
    true_count = next(iter(results["methods"].values()))["boundaries_per_recording"][1]
    note = "\n".join(
        [
            f"{results['recordings']} recordings of 3 to 6 skills ({results['steps']:,} steps at 10 Hz, "
            f"seeds {results['seeds'][0]} to {results['seeds'][1]}), {true_count:.2f} boundaries each; a "
            f"boundary is found within {TOLERANCE} s, matched one to one; 95 % bootstrap intervals "
            "over recordings. Purity: share of steps whose true skill is their cluster's most frequent one, "
            f"{SegmentationConfig().skills} clusters. Settings were chosen on 60 recordings of seeds from "
            "800,000 on (`datasets/recordings_tuning.yaml`).",
            "",
            "## Success of skills trained on the segments",
            "",
            *_training_table(out),
        ]
    )
    write_report(
        "segmentation",
        "Skills out of unsegmented recordings",
        ("method", "boundary F1", "precision", "recall", "boundaries a recording", "purity", "CPU time"),
        rows,
        note,
    )


def _training_table(out: Path) -> list[str]:
    header = ("skill", "segments from", "segments", "steps truly of it", "successes", "95 % Wilson interval")
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for path in (out / f"{skill}_{source}.json" for skill in SKILLS for source in SOURCES):
        if not path.exists():
            continue
        result = json.loads(path.read_text())
        rate, interval = "not trained: no cluster is this skill", ""
        if result["evaluation"]:
            done, tried = result["evaluation"]["successes"], result["evaluation"]["episodes"]
            low, high = wilson_interval(done, tried)
            rate, interval = f"{done}/{tried}", f"{low:.0%} to {high:.0%}"
        share = f"{result['right_steps']:.0%}" if result["segments"] else ""
        cells = (result["skill"], result["source"], result["segments"], share, rate, interval)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return [
        *lines,
        "",
        f"The same policy (`star`) and the same training for every source: {CODES_STEPS} steps of codes and "
        f"{POLICY_STEPS} of the policy at {BATCH} windows each, far fewer than the shipped skills have. A "
        "cluster counts as the skill that most of its steps truly are, and all segments of such clusters are "
        "learned from. Where a skill takes more than one argument, its text (drawer or door) is that of the "
        "true skill with most of the segment's steps: a person would name it; press has one argument and "
        "needs no label. Success as in `skills.md`: the goal holds on the simulator's state; seeds "
        f"{FIRST_EVALUATION_SEED:,} and on, the same for all.",
        "",
        "Made by `python -m sim.experts.recordings datasets/recordings.yaml -o out/data/recordings`, "
        "`python benchmarks/segmentation.py score`, `... train open press`, and",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("score", "train", "report"))
    parser.add_argument("skills", nargs="*", choices=[*SKILLS, []], help="to train")
    parser.add_argument("--data", type=Path, default=Path("out/data/recordings"))
    parser.add_argument("--out", type=Path, default=Path("out/segmentation"))
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--episodes", type=int, default=50, help="of each evaluation")
    args = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    if args.what == "score":
        run_scores(args.data, args.out, console)
    for skill in args.skills if args.what == "train" else ():
        for source in args.sources:
            run_training(skill, source, args.data, args.out, args.episodes, console)
    if args.what == "report":
        write_results(args.out)


if __name__ == "__main__":
    main()
