"""What retraining on found failures wins back: a skill before and after, plain and under what was found.

    robot-skills generate --failures push -o out/failures
    robot-skills collect datasets/push_failures.yaml -o out/data/push_failures
    robot-skills train datasets/train_push_failures.yaml -o out/train/push_failures
    robot-skills skills add out/train/push_failures --name push --library out/relearned
    python benchmarks/failures.py out/failures/push.yaml --after out/relearned --episodes 100

The episodes are for evaluation: neither the search nor a training has seen them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from report import write_report

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.training.configuration import from_mapping, read_yaml
from robot_skills.training.recipe import FIRST_EVALUATION_SEED
from robot_skills.training.statistics import wilson_interval
from sim.generative.robustness import Perturbation, SkillAttempt


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("failures", type=Path, help="as `robot-skills generate --failures` wrote it")
    parser.add_argument("--before", type=Path, help="a skill library (default: the one that comes along)")
    parser.add_argument("--after", type=Path, required=True, help="a skill library")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=FIRST_EVALUATION_SEED)
    args = parser.parse_args()
    try:
        data = read_yaml(args.failures, "file of failures")
        found = from_mapping(Perturbation, data.get("perturbation", {}), f"{args.failures}: perturbation")
        skill = str(data.get("skill"))
        attempts = {
            "before": SkillAttempt(SkillLibrary.open(args.before), skill),
            "after": SkillAttempt(SkillLibrary.open(args.after), skill),
        }
    except InputError as error:
        parser.error(str(error))
    seeds = range(args.first_seed, args.first_seed + args.episodes)
    scores = {
        (name, where): sum(attempt(change, seed) for seed in seeds)
        for name, attempt in attempts.items()
        for where, change in (("plain", Perturbation()), ("found", found))
    }
    rows = [
        (name, *(cell(scores[name, where], args.episodes) for where in ("plain", "found")))
        for name in attempts
    ]
    lost = scores["before", "plain"] - scores["before", "found"]
    won = scores["after", "found"] - scores["before", "found"]
    share = f"{won / lost:.0%} of it" if lost > 0 else "nothing was lost"
    write_report(
        f"failures_{skill}",
        f"{skill} retrained on what a search found that it fails under",
        ("", "plain scenes", "the same scenes, perturbed"),
        rows,
        f"The perturbation costs {lost} of {args.episodes} episodes; retraining wins back {won} ({share}). "
        f"Seeds {seeds.start} to {seeds.stop - 1}, 95 % Wilson intervals. The perturbation: {found}.",
    )


def cell(successes: int, episodes: int) -> str:
    """Successes of episodes, and the interval of their share."""
    low, high = wilson_interval(successes, episodes)
    return f"{successes}/{episodes} ({low:.0%} to {high:.0%})"


if __name__ == "__main__":
    main()
