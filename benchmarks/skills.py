"""Success of the shipped skills over fixed evaluation seeds, as `robot-skills eval` counts it.

python benchmarks/skills.py [--episodes 200] [--first-seed 1000000]

Evaluations are kept in out/skills and not run again as long as the weights are the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from report import write_report

from robot_skills.library import SkillLibrary, fingerprint

KEPT = Path("out/skills")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    parser.add_argument("--library", type=Path, help="default: the shipped one")
    args = parser.parse_args()
    rows = []
    library = SkillLibrary.open(args.library)
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in library.skills:
        file = KEPT / f"{name}_{fingerprint(library.weights(name))}_{args.first_seed}_{args.episodes}.json"
        if not file.exists():
            command = ["robot-skills", "eval", name, "--episodes", str(args.episodes)]
            command += ["--first-seed", str(args.first_seed), "--json", str(file)]
            command += ["--library", str(args.library)] if args.library else []
            subprocess.run([str(Path(sys.executable).parent / command[0]), *command[1:]], check=True)
        result = json.loads(file.read_text())
        low, high = result["interval"]
        steps = [episode["steps"] for episode in result["per_episode"] if episode["success"]]
        rows.append(
            (name, f"{result['successes']}/{result['episodes']}", f"{low:.0%} to {high:.0%}",
             f"{sum(steps) / max(len(steps), 1) / 10:.1f} s")
        )  # fmt: skip
    write_report(
        "skills",
        f"Success of the shipped skills, seeds {args.first_seed} and on",
        ("skill", "successes", "95 % Wilson interval", "robot time of a success"),
        rows,
        "Success: the policy says that it is over, and the skill's success formula then holds on the "
        "simulator's state. The policy sees two 64 px images, proprioception and its language argument.",
    )


if __name__ == "__main__":
    main()
