"""Frames a second of robosuite's Lift, Can and Door at 84 px: its own renderer against ours.

Both draw the same states of the same scene in turns in one process, in CPU time, so that their ratio does not
depend on what else the machine does. The stock picture is robosuite's as it comes: `sim.render`, full meshes,
four samples a pixel, shadows, reflections. The difference is the mean over pixels and colours, of 255.

    python benchmarks/robosuite_rendering.py
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["LP_NUM_THREADS"] = "0"  # Mesa's rasterizer draws in the calling thread
os.environ.setdefault("MUJOCO_GL", "egl")

import time
from collections.abc import Callable

import numpy as np
from report import write_report

from sim.robosuite_world import DEFAULT_CAMERAS, RobosuiteWorld

TASKS, SEED = ("Lift", "PickPlaceCan", "Door"), 700_000
ROUNDS, FRAMES, STEPS = 10, 4, 10
CAMERAS, SIZE = tuple(DEFAULT_CAMERAS), 84


def seconds(do: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        do()
    return (time.process_time() - start) / times


def stock_pictures(world: RobosuiteWorld) -> np.ndarray:
    """Draw the two cameras with robosuite's own renderer; its rows run upwards."""
    render = world._env.sim.render
    world._env.sim._render_context_offscreen.gl_ctx.make_current()  # it takes it for granted
    return np.array([render(camera_name=name, width=SIZE, height=SIZE)[::-1] for name in CAMERAS])


def stock_world(task: str) -> RobosuiteWorld:
    """The same scene with the full meshes and robosuite's own render context."""
    from robosuite.utils.binding_utils import MjRenderContextOffscreen

    world = RobosuiteWorld(task, fast=False)
    world.reset(SEED)
    context = MjRenderContextOffscreen(world._env.sim, device_id=-1)
    context.vopt.geomgroup[0], context.vopt.geomgroup[1] = 0, 1
    context.vopt.sitegroup[:] = 0  # robosuite makes its sites invisible before it hands out pictures
    return world


def measure(task: str) -> list[tuple[object, ...]]:
    ours, stock = RobosuiteWorld(task), stock_world(task)
    ours.reset(SEED)
    rng = np.random.default_rng(0)
    rates: dict[str, list[float]] = {name: [] for name in ("stock", "ours", "step", "step and pictures")}
    differences: list[float] = []

    def act(look: bool) -> None:
        ours.act(rng.uniform(-1, 1, 7).astype(np.float32))
        ours.observe(None if look else ())

    for _ in range(ROUNDS):
        act(False)
        stock.reset_to(ours.state())
        reference = stock_pictures(stock).astype(int)
        seen = ours.observe(CAMERAS).images
        differences.append(float(np.abs(np.array([seen[name] for name in CAMERAS]) - reference).mean()))
        rates["stock"].append(len(CAMERAS) / seconds(lambda: stock_pictures(stock), FRAMES))
        rates["ours"].append(len(CAMERAS) / seconds(lambda: ours.observe(CAMERAS), FRAMES * 4))
        rates["step"].append(1 / seconds(lambda: act(False), STEPS))
        rates["step and pictures"].append(1 / seconds(lambda: act(True), STEPS))
    ratios = np.array(rates["ours"]) / np.array(rates["stock"])
    middle = {name: float(np.median(values)) for name, values in rates.items()}
    row = (
        task,
        f"{middle['stock']:.0f}",
        f"{middle['ours']:.0f}",
        f"{np.median(ratios):.1f} ({ratios.min():.1f} to {ratios.max():.1f})",
        f"{np.mean(differences):.1f}",
        f"{middle['step']:.0f}",
        f"{middle['step and pictures']:.0f}",
    )
    ours.close()
    return [row]


def main() -> None:
    write_report(
        "robosuite_rendering",
        "robosuite at 84 px: frames a second, one core (CPU time)",
        (
            "task",
            "robosuite, frames/s",
            "ours, frames/s",
            f"ratio, median (range of {ROUNDS})",
            "mean difference, of 255",
            "ours, steps/s without pictures",
            "ours, steps/s with two",
        ),
        [row for task in TASKS for row in measure(task)],
        f"Cameras {CAMERAS[0]} and {CAMERAS[1]} in turn; scene of seed {SEED}, random actions.",
    )


if __name__ == "__main__":
    main()
