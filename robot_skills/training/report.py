"""How a training went, as a page with one picture: losses, code use, success, and what failed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robot_skills.data.files import write_text
from robot_skills.training.curves import draw
from robot_skills.training.export import SUMMARY
from robot_skills.training.metrics import read_metrics
from robot_skills.training.statistics import wilson_interval

log = logging.getLogger(__name__)

PAGE, PICTURE = "report.md", "report.png"
#: Failures that the page lists; the rest is counted. All are in `metrics.jsonl`.
LISTED = 50


def write_report(folder: Path) -> None:
    """Write `report.md` and, with matplotlib installed, `report.png` into a trained folder.

    Args:
        folder: of a finished run: `metrics.jsonl` and `training.json` are read.
    """
    rows, summary = read_metrics(folder), json.loads((folder / SUMMARY).read_text())
    codes = code_use(summary["report"])
    drawn = draw(rows, codes, folder / PICTURE)
    if not drawn:
        log.warning(
            "matplotlib is not installed: no picture in the report. pip install 'robot-skills[train]'"
        )
    lines = [
        f"# {summary['name']}: how the training went",
        "",
        *([f"![Losses, code use and success over the training]({PICTURE})", ""] if drawn else []),
        *_losses(rows),
        *_codes(codes),
        *_shares(rows),
        *_success(rows, summary.get("chosen")),
    ]
    write_text(folder / PAGE, "\n".join(lines).rstrip() + "\n")


def code_use(report: Mapping[str, Any]) -> dict[str, list[float]]:
    """What a policy reports of its codes, level by level: entries that name codes or perplexity."""
    found = {}
    for name, value in report.items():
        levels = list(value.values()) if isinstance(value, Mapping) else value
        named = "code" in name or "perplexity" in name
        if named and isinstance(levels, list) and all(isinstance(item, (int, float)) for item in levels):
            found[name] = [float(level) for level in levels]
    return found


def _losses(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of each phase the first and the last loss, in training and held out."""
    lines = ["## Losses", "", "| phase | steps | loss | held out |", "|---|---|---|---|"]
    for group in dict.fromkeys(str(row["group"]) for row in rows):
        if not group.startswith("train_"):
            continue
        phase = group.removeprefix("train_")
        losses = [(int(row["step"]), row["loss"]) for row in rows if row["group"] == group]
        held_out = [row["loss"] for row in rows if row["group"] == f"held_out_{phase}"]
        lines.append(
            f"| {phase} | {losses[0][0]} to {losses[-1][0]} | {losses[0][1]:.4g} to {losses[-1][1]:.4g} | "
            + (f"{held_out[0]:.4g} to {held_out[-1]:.4g} |" if held_out else "none |")
        )
    return [*lines, ""]


def _codes(codes: Mapping[str, Sequence[float]]) -> list[str]:
    """A row for each number that the policy gives of its codes, a column for each level."""
    if not codes:
        return []
    levels = max(len(values) for values in codes.values())
    lines = ["## Codes", "", "| | " + " | ".join(f"level {i + 1}" for i in range(levels)) + " |"]
    lines.append("|---" * (levels + 1) + "|")
    for name, values in codes.items():
        cells = [f"{value:.4g}" for value in values] + [""] * (levels - len(values))
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return [*lines, ""]


def _shares(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How often each skill was learned from, where that changed while training."""
    found = [row for row in rows if row["group"] == "share_of"]
    if not found:
        return []
    names = [name for name in found[-1] if name not in ("step", "group")]
    lines = ["## Shares of the skills", "", "| from step | " + " | ".join(names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    lines += [f"| {row['step']} | " + " | ".join(f"{row[n]:.2f}" for n in names) + " |" for row in found]
    return [*lines, ""]


def _success(rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any] | None) -> list[str]:
    """Success over the training, and the episodes that the kept weights failed."""
    evaluations = [row for row in rows if row["group"] == "evaluation"]
    if not evaluations:
        return ["## Success", "", "Not measured while training.", ""]
    lines = ["## Success on validation seeds", "", "| step | success rate | 95 % interval |", "|---|---|---|"]
    kept = evaluations[-1]
    for row in evaluations:
        episodes = round(row["episodes"])
        successes = round(row["success_rate"] * episodes)
        low, high = (100 * bound for bound in wilson_interval(successes, episodes))
        mark = ""
        if chosen is not None and row["phase_step"] == chosen["step"]:
            kept, mark = row, ", kept"
        lines.append(f"| {row['phase_step']}{mark} | {successes} of {episodes} | {low:.0f} to {high:.0f} % |")
    failures = kept["failures"]
    lines += ["", f"## Failures of step {kept['phase_step']}", ""]
    if not failures:
        return [*lines, "None.", ""]
    lines += ["| seed | call | how it ended |", "|---|---|---|"]
    lines += [
        f"| {failure['seed']} | {failure['call']} | {failure['reason'] or failure['status']} |"
        for failure in failures[:LISTED]
    ]
    more = len(failures) - LISTED
    return [*lines, "", *([f"And {more} more, in `metrics.jsonl`.", ""] if more > 0 else [])]
