"""Time of one chunk on one core, in this process and through a skill actor, in turns in one run.

The observation is a real one of the tabletop with both 64 px cameras; an actor call carries it over and the
chunk back.

    python benchmarks/latency.py [--calls 200]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from report import write_report

from robot_skills.execution import LocalChunks
from robot_skills.library import SkillLibrary
from robot_skills.policies.policy import PolicyInput
from robot_skills.serving import Cluster
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import TabletopWorld


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    library, rows = SkillLibrary.open(), []
    world = TabletopWorld()
    with Cluster(library) as cluster:
        cluster.start(list(library.skills))
        for name in library.skills:
            task = sample_task(name, 900_000)
            task.start(world)
            seen = world.observe()
            policy = library.policy(name)
            history = np.repeat(seen.state[None], policy.history, axis=0)
            item = PolicyInput(seen, history, library.skills[name].language(task.call), name)
            sources = {"local": LocalChunks(policy), "actor": cluster.chunks(name)}
            times: dict[str, list[float]] = {key: [] for key in sources}
            for source in sources.values():  # the first call with a text encodes it
                source.request(item).result(60)
            for _ in range(args.calls):
                for key, source in sources.items():
                    start = time.perf_counter()
                    source.request(item).result(60)
                    times[key].append(1000 * (time.perf_counter() - start))
            local, actor = (np.array(times[key]) for key in ("local", "actor"))
            figures = (*np.percentile(local, (50, 95)), np.median(actor), np.median(actor - local))
            rows.append((name, *(f"{figure:.2f}" for figure in figures)))
    world.close()
    write_report(
        "latency",
        "Milliseconds a chunk, one core",
        ("skill", "local, median", "local, 95 %", "actor, median", "what the actor adds, median of pairs"),
        rows,
        f"{args.calls} calls each.",
    )


if __name__ == "__main__":
    main()
