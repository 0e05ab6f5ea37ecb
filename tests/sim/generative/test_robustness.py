"""The search for failures finds what is there, within its bounds, and writes scenes that can be run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from sim.generative.robustness import (
    DIMENSIONS,
    Late,
    Limits,
    Perturbation,
    Search,
    export,
    perturbed_task,
    search,
)
from sim.tabletop.scene import Scene
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import TabletopWorld

LIMITS = Limits()


def slips(change: Perturbation, episode: int) -> bool:
    """A skill that loses hold of slippery things, sooner in some episodes than in others."""
    return change.friction > 0.6 + 0.05 * (episode % 4)


def always(change: Perturbation, episode: int) -> bool:
    """Somebody can do it."""
    return True


def test_what_nobody_can_do_is_not_looked_for() -> None:
    """Slippery things cannot be held by anybody: what is left is the light, which the skill alone needs."""

    def needs_light(change: Perturbation, episode: int) -> bool:
        return slips(change, episode) and change.brightness > 0.7

    found = search(needs_light, slips, LIMITS, Search(generations=6, population=24, fresh=40))
    assert found.perturbation.brightness < 0.7
    assert found.able > 30
    assert found.perturbed < 10
    assert len(found.failures) > 25


def test_the_search_finds_the_one_thing_that_matters_and_leaves_the_rest_alone() -> None:
    found = search(slips, always, LIMITS, Search(generations=6, population=24, fresh=40))
    assert found.plain == 40
    assert found.perturbed < 10
    assert len(found.failures) == found.plain - found.perturbed
    assert found.perturbation.friction < 0.72
    assert 0.65 < found.perturbation.brightness < 1.15
    assert found.history[-1][1] < found.history[0][1]
    assert found == search(slips, always, LIMITS, Search(generations=6, population=24, fresh=40))


def test_every_point_is_within_the_bounds_and_the_middle_is_the_plain_scene() -> None:
    assert LIMITS.perturbation(np.full(DIMENSIONS, 0.5)) == Perturbation()
    rng = np.random.default_rng(0)
    counts = set()
    for point in (*rng.uniform(-0.2, 1.2, (200, DIMENSIONS)), np.zeros(DIMENSIONS), np.ones(DIMENSIONS)):
        change = LIMITS.perturbation(point)
        assert 0.5 <= change.friction <= 1.3
        assert 0.5 <= change.mass <= 2.0
        assert 0.6 <= change.brightness <= 1.2
        assert max(map(abs, change.camera)) <= 0.03
        counts.add((change.latency, change.distractors, change.texture))
    assert {latency for latency, _, _ in counts} == {0, 1, 2}
    assert {number for _, number, _ in counts} == {0, 1, 2}


def test_a_perturbed_episode_is_the_same_episode_otherwise() -> None:
    task = sample_task("pick", 930_001)
    assert perturbed_task(task, Perturbation()) == task
    change = Perturbation(friction=0.7, camera=(0.01, 0.0, 0.0), texture="stripes", distractors=2)
    changed = perturbed_task(task, change)
    assert changed.call == task.call
    assert changed.scene.objects[: len(task.scene.objects)] == task.scene.objects
    assert len(changed.scene.objects) > len(task.scene.objects)
    assert changed.scene.variation is not None
    assert changed.scene.variation.friction == 0.7
    assert perturbed_task(task, change) == changed


def test_actions_come_late_by_the_steps_that_are_said(world: TabletopWorld) -> None:
    world.reset(Scene.sample(0, gripper=(0.5, 0.0, 0.25)))
    late = Late(world, 2)
    forward = np.array([0, 1, 0, 0, 0, 0, -1], np.float32)
    start = float(world.observe(()).state[1])
    for _ in range(2):
        late.act(forward)
        assert abs(float(world.observe(()).state[1]) - start) < 0.002
    for _ in range(3):
        late.act(forward)
    assert float(world.observe(()).state[1]) - start > 0.03


def test_failures_are_written_as_scenes(tmp_path: Path) -> None:
    found = search(slips, always, LIMITS, Search(generations=3, population=12, fresh=8))
    path = export(found, "pick", tmp_path / "failures")
    data = yaml.safe_load(path.read_text())
    assert data["plain"] == 8
    assert len(data["scenes"]) == len(found.failures)
    for entry in data["scenes"]:
        scene = Scene.from_json(entry["scene"])
        assert scene.variation is not None
        assert entry["call"].startswith("pick(")
