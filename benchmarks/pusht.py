"""Push-T from human demonstrations: score of a trained policy over fixed starts, against published numbers.

The score is the published one: the largest clip(coverage / 0.95, 0, 1) within 300 steps, mean over starts.
Starts are diffusion_policy's: its test seeds are 100000 and on; 900000 and on are for choosing settings.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from report import write_report

from robot_skills.policies.registry import load_policy
from robot_skills.training.rollout import rollout
from sim.pusht import MAX_STEPS, PushT

TEST, VALIDATION = 100_000, 900_000
#: Mean of the last 10 checkpoints, and of the best one, 3 training seeds: Chi et al. 2023, tables 1 and 2.
PUBLISHED = {
    "state": [
        ("Diffusion Policy, transformer", 0.79, 0.95),
        ("Diffusion Policy, CNN", 0.91, 0.95),
        ("BET", 0.70, 0.79),
        ("IBC", 0.84, 0.90),
        ("LSTM-GMM", 0.61, 0.67),
    ],
    "image": [
        ("Diffusion Policy, CNN", 0.84, 0.91),
        ("Diffusion Policy, transformer", 0.66, 0.78),
        ("IBC", 0.64, 0.75),
        ("LSTM-GMM", 0.54, 0.69),
    ],
}


def score(folder: Path, kind: str, first: int, episodes: int) -> tuple[np.ndarray, float]:
    """Scores of a trained folder over starts, and milliseconds of processor time a chunk of one start."""
    policy = load_policy(folder)
    cameras = {name: (96, 96) for name in policy.cameras}
    worlds = [PushT("keypoints" if kind == "state" else "agent", cameras) for _ in range(episodes)]
    for seed, world in enumerate(worlds, start=first):
        world.reset(seed)
    rollout(policy, worlds, lambda number: worlds[number].done, MAX_STEPS)
    return np.array([world.score for world in worlds]), latency(policy, worlds[0])


def latency(policy, world: PushT, calls: int = 20) -> float:
    """Median milliseconds of a call with one input, on one core."""
    from robot_skills.policies.policy import PolicyInput

    seen = world.observe(policy.cameras)
    inputs = [PolicyInput(seen, np.repeat(seen.state[None], policy.history, axis=0), "")]
    spent = []
    for _ in range(calls):
        began = time.process_time()
        policy.predict(inputs)
        spent.append(1000 * (time.process_time() - began))
    return float(np.median(spent))


def bootstrap(scores: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    """95 % interval of the mean, by resampling starts."""
    random = np.random.default_rng(0)
    means = random.choice(scores, (draws, len(scores))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def minutes(folder: Path) -> tuple[float, str]:
    """How long a folder was trained, and its policy with its size."""
    summary = json.loads((folder / "training.json").read_text())
    name, size = summary["recipe"]["policy"]["name"], summary["report"]["parameters"]
    return sum(summary["seconds"].values()) / 60, f"{name}, {size / 1e6:.1f} M"


def row(kind: str, folder: Path, first: int, episodes: int) -> list[object]:
    """One policy of ours."""
    scores, spent = score(folder, kind, first, episodes)
    low, high = bootstrap(scores)
    trained, name = minutes(folder)
    solved = int((scores >= 1).sum())
    return [
        kind,
        f"ours: {folder.name} ({name})",
        f"**{scores.mean():.3f}** ({low:.3f} to {high:.3f})",
        f"{solved}/{episodes}",
        f"{trained:.0f}",
        f"{spent:.1f}",
    ]


def main() -> None:
    """Score the folders named, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--state", type=Path, nargs="*", default=[], help="folders trained from state")
    parser.add_argument("--image", type=Path, nargs="*", default=[], help="folders trained from images")
    parser.add_argument("--episodes", type=int, default=300)
    parser.add_argument("--validation", action="store_true", help="other starts, to choose a setting on")
    args = parser.parse_args()
    torch.set_num_threads(1)
    first = VALIDATION if args.validation else TEST
    rows = []
    for kind, folders in (("state", args.state), ("image", args.image)):
        rows += [row(kind, folder, first, args.episodes) for folder in folders]
        rows += [
            [kind, name, f"{mean:.2f} (best: {best:.2f})", "", "", ""] for name, mean, best in PUBLISHED[kind]
        ]
    write_report(
        "pusht_validation" if args.validation else "pusht",
        f"Push-T from 206 human demonstrations, starts {first} to {first + args.episodes - 1}",
        ["from", "policy", "score", "covered", "minutes trained", "ms a chunk"],
        rows,
        "Score: largest share of the outline covered within 300 steps, over 0.95, at most 1; mean over "
        "starts, 95 % bootstrap interval over starts. Ours: the last weights of one training run; "
        "from images with the block's recorded keypoints as a label in training only. Published "
        "(Chi et al. 2023, tables 1 and 2; in brackets the best checkpoint): mean of the last 10 "
        "checkpoints of 3 runs, 50 starts each, trained on GPUs. Minutes are wall time on a machine shared "
        "with other work; milliseconds are processor time of one core.",
    )


if __name__ == "__main__":
    main()
