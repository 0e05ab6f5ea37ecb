"""A finished practice as a folder a person can read: weights, config, card, numbers, curves."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_skills import __version__
from robot_skills.data.files import write_text
from robot_skills.library import CARD
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.residual.refine import RefineResult
from robot_skills.training.configuration import to_mapping
from robot_skills.training.curves import DPI, PANEL
from robot_skills.training.evaluation import EvalReport
from robot_skills.training.export import SUCCESS_HEADING, SUMMARY, hardware
from robot_skills.training.metrics import read_metrics
from robot_skills.training.progress import duration
from robot_skills.training.report import PAGE, PICTURE
from robot_skills.training.statistics import wilson_interval

log = logging.getLogger(__name__)

#: What is drawn of the learning: a panel each, names as in `docs/residual.md`.
PANELS = (("q", "target"), ("slope",), ("correction", "saturated"), ("bias", "disagreement"))


def export(
    folder: Path,
    policy: ResidualPolicy,
    base: Path,
    config: Mapping[str, Any],
    result: RefineResult,
    command: str,
) -> None:
    """Write the refined policy into a run's folder; `config.json`, which makes it one, comes last.

    Args:
        folder: the run's.
        policy: with the correction to keep.
        base: folder of the base: its card and what its policy sees are taken over.
        config: of the practice, as a mapping.
        result: what `Refiner.run` returned.
        command: what was typed.
    """
    recipe = {}
    if (base / SUMMARY).is_file():
        recipe = json.loads((base / SUMMARY).read_text()).get("recipe", {})
    summary = {
        "name": folder.resolve().name,
        "robot_skills": __version__,
        "command": command,
        "base": str(base),
        "recipe": {"state": recipe.get("state"), "refine": config},
        "steps": result.steps,
        "episodes": result.episodes,
        "position": to_mapping(result.position),
        "seconds": {name: round(value, 1) for name, value in result.position.seconds.items()},
        "hardware": hardware(),
        "report": policy.report(),
    }
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export.") as scratch:
        new = Path(scratch)
        policy.save_pretrained(new)
        write_text(new / SUMMARY, json.dumps(summary, indent=2, default=float) + "\n")
        write_text(new / "README.md", card(summary))
        if (base / CARD).is_file():
            shutil.copyfile(base / CARD, new / CARD)
        for path in sorted(new.iterdir(), key=lambda path: path.name == "config.json"):
            path.replace(folder / path.name)
    write_report(folder)


def card(
    summary: Mapping[str, Any], base: EvalReport | None = None, refined: EvalReport | None = None
) -> str:
    """The README of a refined folder.

    Args:
        summary: what `training.json` holds.
        base: evaluation of the base.
        refined: of the refined policy, from the same starts.
    """
    machine, position = summary["hardware"], summary["position"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads"
    rows = ["Not evaluated yet."]
    if base is not None and refined is not None:
        seeds = f"seeds {refined.results[0].seed} to {refined.results[-1].seed}"
        rows = [
            f"From the same starts, {seeds}, judged from the simulator's state:",
            "",
            "| policy | success |",
            "|---|---|",
            f"| base | {base.headline()} |",
            f"| refined | {refined.headline()} |",
        ]
    validated = position["base"]
    lines = [
        f"# {summary['name']}",
        "",
        f"The policy of {summary['base']} (`{summary['report']['base']}`) with a correction that it learned "
        f"by practice, by robot-skills {summary['robot_skills']}:",
        "",
        f"    {summary['command']}",
        "",
        SUCCESS_HEADING,
        "",
        *rows,
        "",
        "## Practice",
        "",
        f"{summary['steps']:,} control steps in {summary['episodes']} episodes, "
        f"{duration(sum(summary['seconds'].values()))} on {where}.",
        *(
            [
                "",
                f"The correction is that of step {position['best_steps']}, the best on validation: "
                f"{position['best']} of {len(validated)} episodes succeeded, of the base's "
                f"{sum(validated.values())}. A rate that was chosen by flatters.",
                f"It was taken back {position['rollbacks']} times, because success had dropped.",
            ]
            if validated
            else []
        ),
        f"See [{PAGE}]({PAGE}) for the curves.",
    ]
    return "\n".join(lines).rstrip() + "\n"


def write_success(folder: Path, base: EvalReport, refined: EvalReport) -> None:
    """Write the evaluations of base and refined policy into a folder's card."""
    summary = json.loads((folder / SUMMARY).read_text())
    write_text(folder / "README.md", card(summary, base, refined))


def write_report(folder: Path) -> None:
    """Write `report.md` and, with matplotlib installed, `report.png`, from a run's `metrics.jsonl`."""
    # A run that was killed in an evaluation has written it twice, and the same.
    rows = list({(row["step"], row["group"]): row for row in read_metrics(folder)}.values())
    evaluations = [row for row in rows if row["group"] == "evaluation"]
    learning = [row for row in rows if row["group"] == "learning"]
    drawn = draw(evaluations, learning, folder / PICTURE)
    if not drawn:
        log.warning(
            "matplotlib is not installed: no picture in the report. pip install 'robot-skills[train]'"
        )
    lines = [
        f"# {folder.resolve().name}: how the practice went",
        "",
        *([f"![Success and what was learned over the practice]({PICTURE})", ""] if drawn else []),
        "## Success on validation seeds, base and refined from the same starts",
        "",
        "| step | refined | 95 % interval | base | gained | lost | steps to success | |",
        "|---|---|---|---|---|---|---|---|",
        *(_evaluation(row) for row in evaluations),
        "",
        "## What was learned",
        "",
        "| step | " + " | ".join(name for panel in PANELS for name in panel) + " |",
        "|---" * (1 + sum(map(len, PANELS))) + "|",
        *(_learned(row) for row in _some(learning, 20)),
    ]
    write_text(folder / PAGE, "\n".join(lines).rstrip() + "\n")


def _evaluation(row: Mapping[str, Any]) -> str:
    count, successes = round(row["episodes"]), round(row["successes"])
    low, high = (100 * bound for bound in wilson_interval(successes, count))
    back = "taken back" if row["rolled_back"] else ""
    whole = [f"{row[name]:.0f}" for name in ("base_successes", "gained", "lost", "steps_to_success")]
    cells = [row["step"], f"{successes} of {count}", f"{low:.0f} to {high:.0f} %", *whole, back]
    return "| " + " | ".join(map(str, cells)) + " |"


def _learned(row: Mapping[str, Any]) -> str:
    cells = (f"{row[name]:.3g}" if name in row else "" for panel in PANELS for name in panel)
    return f"| {row['step']} | " + " | ".join(cells) + " |"


def _some(rows: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """So many of the rows, evenly."""
    if not rows:
        return []
    return [
        rows[place]
        for place in sorted(set(np.linspace(0, len(rows) - 1, count).round().astype(int).tolist()))
    ]


def draw(evaluations: Sequence[Mapping[str, Any]], learning: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Draw success with its interval, and the numbers of `PANELS`.

    Returns:
        Whether there was a matplotlib to draw with.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(PANEL[0] * 3, PANEL[1] * 2), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    if evaluations:
        steps = [row["step"] for row in evaluations]
        counts = [(round(row["successes"]), round(row["episodes"])) for row in evaluations]
        low, high = zip(*(wilson_interval(*count) for count in counts), strict=True)
        axes[0].fill_between(steps, low, high, alpha=0.2, linewidth=0)
        axes[0].plot(steps, [won / count for won, count in counts], "o-", markersize=3, label="refined")
        base = [row["base_successes"] / row["episodes"] for row in evaluations]
        axes[0].plot(steps, base, "--", label="base")
    axes[0].set(title="success on validation seeds", xlabel="step", ylim=(0, 1.02))
    for place, names in zip(axes[1:], (("practice",), *PANELS), strict=True):
        for name in names:
            points = [(row["step"], row[name]) for row in learning if name in row]
            if points:
                place.plot(*zip(*points, strict=True), linewidth=1, label=name)
        place.set(title=", ".join(names), xlabel="step")
    for place in axes:
        if place.get_legend_handles_labels()[0]:
            place.legend()
    figure.savefig(path, dpi=DPI)
    return True
