"""One policy a skill, one for all, and one that a skill was added to: each skill on the same seeds.

    robot-skills train datasets/train_all.yaml -o out/train/all          and train_five, then train_add_push
    python benchmarks/multi_skill.py --episodes 200

A way is a name and a folder: of trained folders, one a skill, or a trained folder whose policy knows several.
Finished evaluations are kept in out/multi_skill and not run again; weights that changed are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import write_report

from robot_skills.errors import InputError
from robot_skills.library import fingerprint, skills_of
from robot_skills.policies.registry import load_policy, read_config
from robot_skills.training.export import SUMMARY
from robot_skills.training.statistics import wilson_interval

SKILLS = ("pick", "place", "push", "open", "close", "press")
WAYS = (
    "one a skill=out/train",
    "one for all=out/train/all",
    "five=out/train/five",
    "five, and push added=out/train/add_push",
)
SCORES = Path("out/multi_skill")


@dataclass(frozen=True)
class Way:
    """A way to have several skills.

    Attributes:
        folders: skill -> the trained folder that does it.
        shared: whether one policy does them all, and has to be told which.
    """

    name: str
    folders: dict[str, Path]
    shared: bool

    @classmethod
    def parse(cls, text: str, skills: Sequence[str]) -> Way:
        """Read NAME=FOLDER.

        Raises:
            InputError: the folder does none of the skills.
        """
        name, equals, place = text.rpartition("=")
        folder = Path(place)
        if not equals or not folder.is_dir():
            raise InputError(f"A way is NAME=FOLDER, and {text!r} names no folder that is there.")
        shared = (folder / "config.json").is_file()
        if shared:
            known = skills_of(read_config(folder))
            folders = {skill: folder for skill in skills if skill in known}
        else:
            places = {skill: folder / skill for skill in skills}
            folders = {skill: place for skill, place in places.items() if (place / "config.json").is_file()}
        if not folders:
            raise InputError(f"{folder} holds no policy of {', '.join(skills)}.")
        return cls(name, folders, shared)

    def policies(self) -> list[Path]:
        """Its trained folders, each once."""
        return list(dict.fromkeys(self.folders.values()))

    def score(self, skill: str, episodes: int, first_seed: int) -> dict[str, Any]:
        """What `robot-skills eval --json` says of a skill, now or when it was last asked."""
        folder = self.folders[skill]
        weights = fingerprint(folder)
        file = SCORES / f"{weights}_{skill}_{first_seed}_{episodes}.json"
        if not file.is_file():
            command = [str(Path(sys.executable).parent / "robot-skills"), "eval", str(folder)]
            command += ["--episodes", str(episodes), "--first-seed", str(first_seed), "--json", str(file)]
            command += ["--as", skill] if self.shared else []
            subprocess.run(command, check=True)
        result: dict[str, Any] = json.loads(file.read_text())
        return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ways", nargs="*", metavar="NAME=FOLDER", help=f"default: {', '.join(WAYS)}")
    parser.add_argument("--skills", nargs="+", default=SKILLS)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    args = parser.parse_args()
    try:
        ways = [Way.parse(text, args.skills) for text in args.ways or WAYS]
    except InputError as error:
        parser.error(str(error))
    rows = table(ways, args.skills, args.episodes, args.first_seed)
    write_report(
        "multi_skill",
        f"Skills apart and together, seeds {args.first_seed} to {args.first_seed + args.episodes - 1}",
        ("skill", *(way.name for way in ways)),
        rows,
        "Successes of each skill, with the 95 % Wilson interval; a dash: the policy was not taught it. "
        "Parameters and minutes are those of all the policies of a way; what was added counts its minutes, "
        "not its base's. Adding a skill changes no number of the skills before: their actions are the "
        "base's to the bit.",
    )


def table(ways: Sequence[Way], skills: Sequence[str], episodes: int, first_seed: int) -> list[list[str]]:
    """A row for each skill, one for those that every way has, and what each way took."""
    scores = {
        (way.name, skill): way.score(skill, episodes, first_seed) for skill in skills for way in ways
        if skill in way.folders
    }  # fmt: skip
    common = [skill for skill in skills if all(skill in way.folders for way in ways)]
    rows = []
    for skill in skills:
        found = [scores.get((way.name, skill)) for way in ways]
        rows.append([skill, *("–" if score is None else cell([score]) for score in found)])
    sums = [cell([scores[way.name, skill] for skill in common]) for way in ways]
    rows.append([f"the {len(common)} of every way", *sums])
    rows.append(["parameters", *(f"{sum(map(parameters, way.policies())):,}" for way in ways)])
    rows.append(["minutes of training", *(minutes(way.policies()) for way in ways)])
    return rows


def cell(scores: Sequence[dict[str, Any]]) -> str:
    """Successes of episodes, and the interval of their share."""
    successes, episodes = (sum(score[key] for score in scores) for key in ("successes", "episodes"))
    low, high = wilson_interval(successes, episodes)
    return f"{successes}/{episodes} ({low:.0%} to {high:.0%})"


def parameters(folder: Path) -> int:
    """Of the policy in a trained folder."""
    return int(load_policy(folder).report()["parameters"])


def minutes(folders: Sequence[Path]) -> str:
    """Wall time of trainings, and on what."""
    if not all((folder / SUMMARY).is_file() for folder in folders):
        return "?"
    told = [json.loads((folder / SUMMARY).read_text()) for folder in folders]
    machines = {run["hardware"]["gpu"] or run["hardware"]["cpu"] for run in told}
    return f"{sum(sum(run['seconds'].values()) for run in told) / 60:.0f} ({', '.join(sorted(machines))})"


if __name__ == "__main__":
    main()
