"""Whether the quality score tells demonstrations that were made badly from those that were made well.

python benchmarks/demonstration_quality.py [--good 120] [--each 40]

Scripted experts demonstrate, and what is recorded as the action is what was executed, as a person's
recording would have it. Bad ones: `noisy` (four times the noise), `wandering` (led to a wrong place first),
`slips` (the fingers open now and then; `pick` only), `broken off` (half of the demonstration is missing, and
its outcome is "failed").
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from report import write_report

from robot_skills.cli.console import silence
from robot_skills.data.episode import Episode
from robot_skills.data.reuse.quality import Quality, assess
from robot_skills.data.reuse.retrieval import cut
from robot_skills.data.store import EpisodeStore

with silence():
    from sim.experts import demonstration
    from sim.tabletop.world import CONTROL_RATE, TabletopWorld

NOISE = 0.25
PARTS = ("smoothness", "length", "agreement")


@dataclass(frozen=True)
class Kind:
    """How a demonstration is made."""

    noise: float = NOISE
    misled: float = 0.0
    slip: float = 0.0
    kept: float = 1.0


GOOD = Kind()
BAD = {
    "noisy": Kind(noise=4 * NOISE),
    "wandering": Kind(misled=1.0),
    "slips": Kind(slip=0.15),
    "broken off": Kind(kept=0.5),
}


class Recorder(TabletopWorld):
    """A tabletop that remembers the actions it was given."""

    def __init__(self) -> None:
        super().__init__(cameras={})
        self.executed: list[Any] = []

    def act(self, action: Any) -> None:
        """Remember, and do it."""
        self.executed.append(np.array(action, np.float32))
        super().act(action)


def demonstrate(world: Recorder, skill: str, kind: Kind, seed: int) -> Episode | None:
    """One demonstration; None if it did not reach its goal."""
    demonstration.SLIP = kind.slip
    world.executed.clear()
    shown = demonstration.demonstrate(world, skill, seed, kind.noise, kind.misled)
    if not shown.success:
        return None
    steps = len(shown.state)
    episode = Episode(
        images={},
        state=shown.state,
        action=np.stack(world.executed[-steps:]),
        end=shown.end,
        target=shown.target,
        text=shown.text,
        call=shown.call,
        seed=seed,
        expert=shown.expert,
        outcome="succeeded" if kind.kept == 1.0 else "failed",
    )
    return cut(episode, slice(0, max(2, round(kind.kept * steps))))


def auc(good: list[float], bad: list[float]) -> float:
    """Probability that a good one scores higher than a bad one; ties count half."""
    difference = np.subtract.outer(good, bad)
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def without_outcome(quality: Quality) -> float:
    """The score if the outcome were not known."""
    return float(np.prod([getattr(quality, part) for part in PARTS]) ** (1 / len(PARTS)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--good", type=int, default=120)
    parser.add_argument("--each", type=int, default=40)
    args = parser.parse_args()
    with silence():
        world = Recorder()
    rows = []
    for skill in ("press", "open", "pick"):
        kinds = {
            "good": GOOD,
            **{name: kind for name, kind in BAD.items() if name != "slips" or skill == "pick"},
        }
        found, names = scored(world, skill, kinds, args.good, args.each)
        good = [quality for quality, name in zip(found, names, strict=True) if name == "good"]
        for kind in kinds:
            if kind == "good":
                continue
            bad = [quality for quality, name in zip(found, names, strict=True) if name == kind]
            figures = [auc([q.score for q in good], [q.score for q in bad])]
            figures += [auc([without_outcome(q) for q in good], [without_outcome(q) for q in bad])]
            figures += [auc([getattr(q, p) for q in good], [getattr(q, p) for q in bad]) for p in PARTS]
            rows.append((skill, kind, len(bad), *(f"{figure:.2f}" for figure in figures)))
    note = (
        f"One store a skill: {args.good} good demonstrations (noise {NOISE}) and {args.each} of each bad "
        "kind (noise four times that; led astray by 1.5 to 5 cm at first; fingers opened at 15 % of the "
        "steps; broken off half-way, outcome failed), seeds 800000 and on, no images; attempts that missed "
        'their goal are left out, so every bad one but "broken off" did succeed. Area under the ROC curve: '
        "the chance that a good demonstration scores higher than a bad one; 0.5 is guessing."
    )
    header = ("skill", "made badly", "of them", "score", "score without outcome", *PARTS)
    write_report("demonstration_quality", "Good and bad demonstrations told apart", header, rows, note)


def scored(
    world: Recorder, skill: str, kinds: dict[str, Kind], good: int, each: int
) -> tuple[list[Quality], list[str]]:
    """The scores of a store that holds all kinds, and of which kind each is."""
    names: list[str] = []
    seed = 800_000
    with tempfile.TemporaryDirectory() as folder:
        meta = {"cameras": {}, "control_rate": CONTROL_RATE}
        with EpisodeStore.create(Path(folder) / "store", **meta) as store:
            for name, kind in kinds.items():
                wanted = len(names) + (good if name == "good" else each)
                while len(names) < wanted:
                    episode = demonstrate(world, skill, kind, seed)
                    seed += 1
                    if episode is not None:
                        store.append(episode)
                        names.append(name)
        return assess(EpisodeStore.open(Path(folder) / "store")), names


if __name__ == "__main__":
    main()
