"""The picture in a training's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_skills.training.statistics import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Inches of a panel, and dots per inch of the picture.
PANEL, DPI = (5.0, 3.4), 110


def draw(rows: Sequence[Mapping[str, Any]], codes: Mapping[str, Sequence[float]], path: Path) -> bool:
    """Draw what a run measured.

    Args:
        rows: as `robot_skills.training.metrics.read_metrics` gives them.
        codes: what the policy says of its codes: name -> a number a level.
        path: the PNG.

    Returns:
        Whether there was a matplotlib to draw with.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    phases = [group for group in dict.fromkeys(str(row["group"]) for row in rows) if group[:6] == "train_"]
    evaluations = [row for row in rows if row["group"] == "evaluation"]
    count = len(phases) + bool(codes) + bool(evaluations)
    figure = Figure(figsize=(PANEL[0] * max(count, 1), PANEL[1]), layout="constrained")
    panels = iter(np.atleast_1d(figure.subplots(1, max(count, 1))))
    for phase in phases:
        _draw_losses(next(panels), rows, phase.removeprefix("train_"))
    if codes:
        _draw_codes(next(panels), codes)
    if evaluations:
        _draw_success(next(panels), evaluations)
    figure.savefig(path, dpi=DPI)
    return True


def _draw_losses(axes: Axes, rows: Sequence[Mapping[str, Any]], phase: str) -> None:
    for group, label, style in ((f"train_{phase}", "training", "-"), (f"held_out_{phase}", "held out", "o-")):
        points = [(row["step"], row["loss"]) for row in rows if row["group"] == group]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label, linewidth=1, markersize=3)
    losses = [row["loss"] for row in rows if str(row["group"]).endswith(f"_{phase}")]
    if min(losses) > 0:
        axes.set_yscale("log")
    axes.set(title=f"{phase}: loss", xlabel="step")
    axes.legend()


def _draw_codes(axes: Axes, codes: Mapping[str, Sequence[float]]) -> None:
    """Bars a level: codes used, perplexity and whatever else the policy counts."""
    width = 0.8 / len(codes)
    for place, (name, values) in enumerate(codes.items()):
        at = np.arange(1, len(values) + 1) + (place - (len(codes) - 1) / 2) * width
        axes.bar(at, values, width, label=name.replace("_", " "))
    levels = max(len(values) for values in codes.values())
    axes.set(title="codes", xlabel="level", xticks=range(1, levels + 1))
    axes.legend()


def _draw_success(axes: Axes, evaluations: Sequence[Mapping[str, Any]]) -> None:
    steps = [row["phase_step"] for row in evaluations]
    counts = [(round(row["success_rate"] * row["episodes"]), round(row["episodes"])) for row in evaluations]
    low, high = zip(*(wilson_interval(*count) for count in counts), strict=True)
    axes.fill_between(steps, low, high, alpha=0.2, linewidth=0)
    axes.plot(steps, [row["success_rate"] for row in evaluations], "o-", markersize=3)
    axes.set(title="success on validation seeds", xlabel="step", ylim=(0, 1.02))
