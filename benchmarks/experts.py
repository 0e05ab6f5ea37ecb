"""Success of the scripted experts over fresh seeds, with the noise that demonstrations are collected with.

python benchmarks/experts.py [--episodes 200] [--first-seed 700000]
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections import Counter

from report import write_report

from robot_skills.training.statistics import wilson_interval
from sim.experts import demonstrate
from sim.experts.expert import LAWS
from sim.tabletop.world import TabletopWorld

NOISE = 0.25


def run(job: tuple[str, int]) -> tuple[str, bool, int, str]:
    global world
    if "world" not in globals():
        world = TabletopWorld({})
    demo = demonstrate(world, *job, noise=NOISE)
    return job[0], demo.success, len(demo.state), demo.reason


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=700_000)
    args = parser.parse_args()
    jobs = [(skill, args.first_seed + i) for skill in sorted(LAWS) for i in range(args.episodes)]
    with multiprocessing.get_context("spawn").Pool() as pool:
        results = pool.map(run, jobs, chunksize=25)
    rows = []
    for skill in sorted(LAWS):
        mine = [result for result in results if result[0] == skill]
        done = sum(result[1] for result in mine)
        low, high = wilson_interval(done, len(mine))
        steps = sum(result[2] for result in mine) / len(mine)
        reasons = Counter(result[3] for result in mine if not result[1])
        rows.append(
            (skill, f"{done}/{len(mine)}", f"{low:.1%} to {high:.1%}", f"{steps:.1f}",
             ", ".join(f"{n} {reason}" for reason, n in reasons.items()))
        )  # fmt: skip
    write_report(
        "experts",
        f"Scripted experts, action noise {NOISE}, seeds {args.first_seed} and on",
        ("skill", "successes", "95 % Wilson interval", "steps", "failures"),
        rows,
    )


if __name__ == "__main__":
    main()
