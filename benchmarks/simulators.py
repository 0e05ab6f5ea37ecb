"""The simulators of other benchmarks behind our contract: how true, how fast, how good their experts.

Fidelity: Push-T's human recordings are played again from their first states, and recorded states drawn again;
robosuite's five tasks are recorded and played again. Speed: control steps a second on one core (CPU time).
Experts: success with a 95 % Wilson interval, seeds 700000 and on.

    python benchmarks/simulators.py [--recordings ../shared/data/pusht_cchi_v7_replay.zarr]
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["LP_NUM_THREADS"] = "0"  # Mesa's rasterizer draws in the calling thread

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import zarr
from report import write_report

from robot_skills.training.statistics import wilson_interval
from sim.metaworld import MetaWorld, tasks
from sim.pusht import PushT
from sim.robosuite_lift import LiftExpert
from sim.robosuite_world import TASKS, RobosuiteWorld, load_robosuite
from sim.world import World

FIRST_SEED = 700_000
Row = tuple[str, str, str]


def rate(successes: int, trials: int) -> str:
    low, high = wilson_interval(successes, trials)
    return f"{successes}/{trials}, {low:.1%} to {high:.1%}"


def pusht_fidelity(recordings: Path) -> Iterator[Row]:
    data, world = zarr.open(str(recordings), mode="r"), PushT("pose")
    state, action = (np.asarray(data[f"data/{name}"][:]) for name in ("state", "action"))
    ends = np.asarray(data["meta/episode_ends"][:])
    errors = []
    for first, end in zip([0, *ends[:-1]], ends, strict=True):
        world.reset_to(state[first])
        error = 0.0
        for step in range(first, end - 1):
            world.act(action[step])
            error = max(error, float(np.abs(world.pose()[:4] - state[step + 1, :4]).max()))
        errors.append(error)
    found = f"median {np.median(errors):.0e}, largest {max(errors):.0e}; {sum(e > 1 for e in errors)} above 1"
    yield "Push-T", f"{len(ends)} human episodes played again, place error in px of 512", found
    differences = []
    for chunk in range(0, len(state), 161 * 10):
        images = np.asarray(data["data/img"][chunk : chunk + 161 : 23])
        for index, image in enumerate(images):
            world.reset_to(state[chunk + 23 * index])
            differences.append(float(np.abs(world.observe().images["image"] - image).mean()))
    found = f"mean {np.mean(differences):.2f}, largest {max(differences):.2f}"
    yield "Push-T", f"{len(differences)} recorded pictures drawn again, mean difference of 255", found


def replay_error(task: str) -> float:
    world = RobosuiteWorld(task, cameras={})
    rng = np.random.default_rng(0)
    world.reset(FIRST_SEED)
    model, states, actions = world.model_xml, [world.state()], []
    for _ in range(100):
        actions.append(rng.uniform(-1, 1, 7).astype(np.float32))
        world.act(actions[-1])
        states.append(world.state())
    world.reset(FIRST_SEED + 1)
    world.reset_to(states[0], model)
    error = 0.0
    for action, state in zip(actions, states[1:], strict=True):
        world.act(action)
        error = max(error, float(np.abs(world.state() - state).max()))
    world.close()
    return error


def speed(name: str, world: World, draw: Callable[[np.random.Generator], np.ndarray]) -> Row:
    rng, rates = np.random.default_rng(0), []
    world.reset(FIRST_SEED)
    for cameras in ((), None):
        world.observe(cameras)
        start, steps = time.process_time(), 100
        for _ in range(steps):
            world.act(draw(rng).astype(np.float32))
            world.observe(cameras)
        rates.append(steps / (time.process_time() - start))
    pictures = [f"{h} px" for h, _ in world.spec.cameras.values()]
    world.close()
    return (
        name,
        f"steps/s without pictures; with {len(pictures)} of {pictures[0]}",
        "; ".join(f"{value:.0f}" for value in rates),
    )


def reset_seconds() -> Row:
    ours = RobosuiteWorld("Lift", cameras={})
    stock = load_robosuite().make("Lift", robots="Panda", has_offscreen_renderer=False, use_camera_obs=False)
    found = []
    for reset in (lambda: ours.reset(FIRST_SEED), stock.reset):
        reset()
        start = time.process_time()
        reset()
        found.append(f"{time.process_time() - start:.1f}")
    ours.close()
    stock.close()
    return "robosuite Lift", "processor seconds a reset, ours; robosuite's", "; ".join(found)


def lift_expert(episodes: int) -> Row:
    world, done = RobosuiteWorld("Lift", cameras={}), 0
    for seed in range(FIRST_SEED, FIRST_SEED + episodes):
        world.reset(seed)
        expert = LiftExpert(world)
        for _ in range(100):
            world.act(expert.action())
            if world.success():
                done += 1
                break
    world.close()
    return "robosuite", f"Lift, expert, {episodes} seeds", rate(done, episodes)


def metaworld_experts(episodes: int) -> Row:
    done: dict[str, int] = {}
    for task in tasks():
        world = MetaWorld(task, cameras={})
        done[task] = 0
        for seed in range(FIRST_SEED, FIRST_SEED + episodes):
            world.reset(seed)
            for _ in range(500):
                world.act(world.expert())
                if world.success():
                    done[task] += 1
                    break
        world.close()
    worst = ", ".join(f"{task} {count}" for task, count in done.items() if count < episodes)
    found = rate(sum(done.values()), episodes * len(done)) + (f" (less than all: {worst})" if worst else "")
    return "MetaWorld", f"{len(done)} tasks, experts, {episodes} seeds each", found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=Path, default="../shared/data/pusht_cchi_v7_replay.zarr")
    parser.add_argument("--episodes", type=int, default=5)
    args = parser.parse_args()

    def unit(size: int) -> Callable[[np.random.Generator], np.ndarray]:
        return lambda rng: rng.uniform(-1, 1, size)

    rows = list(pusht_fidelity(args.recordings)) if args.recordings.exists() else []
    errors = {task: replay_error(task) for task in TASKS}
    played = ", ".join(f"{task} {error:.0e}" for task, error in errors.items())
    rows += [
        ("robosuite", "100 random steps recorded and played again, largest state error", played),
        speed("Push-T", PushT(), lambda rng: rng.uniform(100, 400, 2)),
        speed("robosuite Lift", RobosuiteWorld("Lift"), unit(7)),
        speed("MetaWorld pick-place-v3", MetaWorld("pick-place-v3"), unit(4)),
        reset_seconds(),
        lift_expert(args.episodes * 10),
        metaworld_experts(args.episodes),
    ]
    write_report("simulators", "Simulators of other benchmarks", ("simulator", "what", "found"), rows)


if __name__ == "__main__":
    main()
