"""A finished run as a folder a person can read: weights, config, statistics, card, numbers."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from robot_skills import __version__
from robot_skills.data.files import write_text
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.library import CARD, PRETRAINED
from robot_skills.policies.policy import Policy
from robot_skills.training.configuration import to_mapping
from robot_skills.training.evaluation import EvalReport
from robot_skills.training.loop import TrainResult
from robot_skills.training.progress import duration
from robot_skills.training.recipe import TrainRecipe

SUMMARY = "training.json"
#: The card's section on success, which `robot-skills eval --card` writes anew.
SUCCESS_HEADING = "## Success rate"


@dataclass(frozen=True)
class DataUsed:
    """A data set that was learned from, as the card names it.

    Attributes:
        seeds: lowest and highest seed of its episodes, if they had seeds.
        experts: who demonstrated.
    """

    folder: str
    episodes: int
    frames: int
    seeds: tuple[int, int] | None
    experts: tuple[str, ...]

    @classmethod
    def of(cls, store: EpisodeStore) -> DataUsed:
        """Describe a store."""
        seeds = [episode.seed for episode in store.episodes if episode.seed is not None]
        return cls(
            folder=str(store.folder),
            episodes=len(store.episodes),
            frames=store.frames,
            seeds=(min(seeds), max(seeds)) if seeds else None,
            experts=tuple(sorted({episode.expert for episode in store.episodes})),
        )


def hardware() -> dict[str, Any]:
    """The machine, in the words that a table of results needs."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def export(
    folder: Path,
    policy: Policy,
    recipe: TrainRecipe,
    result: TrainResult,
    data: Sequence[DataUsed],
    held_out: int,
    command: str,
) -> None:
    """Write the trained policy into the run's folder; `config.json`, which makes it one, comes last.

    Args:
        folder: the run's.
        policy: with the weights to keep.
        recipe: what it was trained by.
        result: what `Trainer.run` returned.
        data: what it learned from.
        held_out: episodes among those that were held out.
        command: what was typed.
    """
    summary = {
        "name": recipe.name,
        "robot_skills": __version__,
        "command": command,
        "recipe": to_mapping(recipe),
        "data": [to_mapping(used) for used in data],
        "held_out_episodes": held_out,
        "steps": result.steps,
        "samples": result.samples,
        "samples_per_second": round(result.samples_per_second, 1),
        "seconds": {name: round(value, 1) for name, value in result.seconds.items()},
        "metrics": result.metrics,
        "hardware": hardware(),
        "chosen": None if result.chosen is None else asdict(result.chosen),
        "report": policy.report(),
    }
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export.") as scratch:
        new = Path(scratch)
        policy.save_pretrained(new)
        write_text(new / SUMMARY, json.dumps(summary, indent=2, default=float) + "\n")
        write_text(new / "README.md", card(summary))
        if recipe.skill is not None:
            shutil.copyfile(PRETRAINED / recipe.skill / CARD, new / CARD)
        for path in sorted(new.iterdir(), key=lambda path: path.name == "config.json"):
            path.replace(folder / path.name)


def card(summary: Mapping[str, Any]) -> str:
    """The README of a trained folder, from what `training.json` holds."""
    machine, seconds = summary["hardware"], sum(summary["seconds"].values())
    where = machine["gpu"] or f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads"
    lines = [
        f"# {summary['name']}",
        "",
        f"A `{summary['recipe']['policy']['name']}` policy, trained by robot-skills "
        f"{summary['robot_skills']} with",
        "",
        f"    {summary['command']}",
        "",
        SUCCESS_HEADING,
        "",
        "Not evaluated yet: `robot-skills eval FOLDER --card` writes it here.",
        "",
        "## Data",
        "",
        "| data set | episodes | steps | seeds | demonstrated by |",
        "|---|---|---|---|---|",
        *(_data_row(used) for used in summary["data"]),
        "",
        f"{summary['held_out_episodes']} of the episodes were held out, to see over-fitting.",
        "",
        "## Training",
        "",
        f"{summary['steps']} steps, {summary['samples']:,} samples, seed {summary['recipe']['seed']}, "
        f"{duration(seconds)} on {where} ({summary['samples_per_second']:g} samples/s in the last phase).",
        *_chosen_lines(summary.get("chosen")),
        "",
        "| phase | metric | value |",
        "|---|---|---|",
        *(
            f"| {stage} | {name} | {value:.4g} |"
            for stage, values in summary["metrics"].items()
            for name, value in sorted(values.items())
        ),
        "",
        *_report_lines(summary["report"]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _chosen_lines(chosen: Mapping[str, Any] | None) -> list[str]:
    """Which weights these are, where success was measured while training."""
    if chosen is None:
        return []
    which = "the best" if chosen["keep"] == "best" else "the last"
    return [
        "",
        f"The weights are those of step {chosen['step']} of the last phase, {which} on validation: "
        f"{chosen['successes']} of {chosen['episodes']} episodes succeeded (from seed "
        f"{chosen['first_seed']}). A rate that was chosen by flatters: the one to report is on seeds from "
        "1,000,000 on.",
    ]


def _data_row(used: Mapping[str, Any]) -> str:
    seeds = f"{used['seeds'][0]} to {used['seeds'][1]}" if used["seeds"] else "none"
    return (
        f"| {used['folder']} | {used['episodes']} | {used['frames']:,} | {seeds} | "
        f"{', '.join(used['experts'])} |"
    )


def _report_lines(report: Mapping[str, Any]) -> list[str]:
    """What the policy says of itself, a row for each entry; lists of numbers, one per level, on one row."""
    if not report:
        return []
    rows = [f"| {name} | {_figures(value)} |" for name, value in report.items()]
    return ["## The policy's own report", "", "| what | value |", "|---|---|", *rows]


def _figures(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_figures(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_figures(item) for item in value)
    return str(value)


def write_success(folder: Path, report: EvalReport, command: str, skill: str = "") -> None:
    """Write an evaluation into the card of a trained folder, in place of the one before.

    Args:
        folder: the trained folder.
        report: the evaluation.
        command: what repeats it.
        skill: which of the policy's skills was called, where it has several: each keeps a part of its own.

    Raises:
        InputError: the folder has no card.
    """
    path = folder / "README.md"
    if not path.is_file():
        raise InputError(f"{folder} holds no README.md to write the success rate into.")
    before, heading, after = path.read_text().partition(f"{SUCCESS_HEADING}\n")
    section, following, rest = after.partition("\n## ")
    parts = {}
    if skill:
        _, *known = f"\n{section}".split("\n### ")
        parts = {name: text for name, _, text in (part.partition("\n") for part in known)}
    parts[skill] = _success_part(report, command)
    shown = "".join(f"\n### {name}\n{text}" if name else text for name, text in sorted(parts.items()))
    write_text(path, before + (heading or f"\n{SUCCESS_HEADING}\n") + shown + following + rest)


def _success_part(report: EvalReport, command: str) -> str:
    machine = hardware()
    lines = [
        "",
        f"{report.headline()}, seeds {report.results[0].seed} to {report.results[-1].seed}, judged from the "
        "simulator's state:",
        "",
        f"    {command}",
        "",
        "| argument | value | successes |",
        "|---|---|---|",
        *(f"| {name} | {value} | {count} of {total} |" for name, value, count, total in report.by_argument()),
        "",
        f"Run on {machine['cpu']}, {machine['cores']} cores.",
        "",
    ]
    return "\n".join(lines)
