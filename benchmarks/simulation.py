"""Control steps a second with two 64 px cameras, on one core: this world against the stock one.

The stock world is the same scene, physics and cameras with `pybullet_data`'s Panda as it comes, drawn by
TinyRenderer with its defaults (shadows, segmentation mask), the table drawn. Both are stepped in turns in one
process, so that their ratio does not depend on what else the machine does.

    python benchmarks/simulation.py
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import time
from collections.abc import Callable

import numpy as np
import pybullet
import pybullet_data
from report import write_report

from sim.tabletop import arm
from sim.tabletop.scene import Scene
from sim.tabletop.world import FAR, NEAR, TabletopWorld

ROUNDS, STEPS = 10, 20


class StockWorld(TabletopWorld):
    """The same world as PyBullet's examples would draw it."""

    def render(self, camera: str, height: int, width: int, film: bool = False) -> np.ndarray:
        """As `TabletopWorld.render`, without what makes that fast."""
        view = self._camera(camera)
        projection = pybullet.computeProjectionMatrixFOV(view.fov, width / height, NEAR, FAR)
        picture = self._client.getCameraImage(width, height, self._view_matrix(view), projection)[2]
        return np.asarray(picture, np.uint8).reshape(height, width, 4)[..., :3]


def stock(scene: Scene) -> StockWorld:
    world, ours = StockWorld(), arm.URDF
    arm.URDF = type(ours)(pybullet_data.getDataPath()) / "franka_panda" / "panda.urdf"
    world.reset(scene)
    arm.URDF = ours
    return world


def steps_a_second(act: Callable[[], None]) -> float:
    start = time.process_time()
    for _ in range(STEPS):
        act()
    return STEPS / (time.process_time() - start)


def main() -> None:
    scene = Scene.sample(1, count=6, drawer=1.0)
    ours = TabletopWorld()
    ours.reset(scene)
    worlds = {"stock": stock(scene), "ours": ours}
    rng = np.random.default_rng(0)
    rates: dict[str, list[float]] = {name: [] for name in (*worlds, "physics only")}

    def act(world: TabletopWorld, look: bool) -> None:
        action = np.append(rng.uniform(-0.3, 0.3, 3), [0, 0, 0, -1]).astype(np.float32)
        world.act(action)
        world.observe(None if look else ())

    for _ in range(ROUNDS):
        for name, world in worlds.items():
            rates[name].append(steps_a_second(lambda world=world: act(world, True)))
        rates["physics only"].append(steps_a_second(lambda: act(ours, False)))
    ratios = np.array(rates["ours"]) / np.array(rates["stock"])
    rows = [
        (name, f"{np.median(values):.0f}", f"{min(values):.0f} to {max(values):.0f}")
        for name, values in rates.items()
    ]
    write_report(
        "simulation",
        "Control steps a second, two 64 px cameras, six objects, one core (CPU time)",
        ("world", "median", f"range of {ROUNDS} rounds"),
        rows,
        f"Ratio of ours to stock, paired by round: median {np.median(ratios):.1f}, "
        f"{ratios.min():.1f} to {ratios.max():.1f}.",
    )


if __name__ == "__main__":
    main()
