"""robosuite's tasks as a suite: starts, the oracle state, the expert, the verdict."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("robosuite")
pytest.importorskip("fast_simplification")
from robot_skills.errors import InputError
from robot_skills.robot import STATE_NAMES
from sim.robosuite_world import OBJECTS, RobosuiteWorld, states_of, task_text
from sim.suites import Bench, SuiteTask, Trained, first_seed, make_bench, tasks_of

SQUARE = SuiteTask("robosuite", "NutAssemblySquare")
NAMES = states_of(SQUARE.name)["oracle"]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = make_bench(SQUARE, Trained({}, len(NAMES), 7))
    yield made
    made.world.close()


def test_names() -> None:
    assert tasks_of("robosuite:NutAssemblySquare") == (SQUARE,)
    assert [task.name for task in tasks_of("robosuite")] == list(OBJECTS)
    assert first_seed("robosuite") == 1_000_000
    assert SQUARE.steps == 300
    assert task_text("NutAssemblySquare") == "nut assembly square"
    with pytest.raises(InputError, match="NutAssemblySquare"):
        tasks_of("robosuite:NutAsemblySquare")


def test_a_seed_gives_the_same_start_whatever_was_before(bench: Bench) -> None:
    starts = []
    for seed in (1_000_000, 1_000_001, 1_000_000):
        bench.begin(seed)
        starts.append(bench.world.observe(()).state)
        bench.world.act(bench.expert())
    np.testing.assert_array_equal(starts[0], starts[2])
    assert not np.allclose(starts[0], starts[1])


def test_the_oracle_state_is_the_simulators(bench: Bench) -> None:
    bench.begin(5)
    for _ in range(20):  # until the hand is turned and over the handle
        bench.world.act(bench.expert())
    seen = dict(zip(bench.world.spec.state_names, bench.world.observe(()).state, strict=True))
    assert tuple(seen)[: len(STATE_NAMES)] == STATE_NAMES
    data = bench.world._env.sim.data._data
    site = data.site("gripper0_right_grip_site")
    hand = site.xmat.reshape(3, 3)
    for name, body in (("nut", "SquareNut_main"), ("peg", "peg1")):
        place, axes = data.body(body).xpos, data.body(body).xmat.reshape(3, 3)
        # The base is turned as the world is.
        base = [seen[f"{name}.{axis}"] for axis in "xyz"]
        np.testing.assert_allclose(base, place - data.body("robot0_base").xpos, atol=1e-6)
        near = [seen[f"{name}.hand.{axis}"] for axis in "xyz"]
        np.testing.assert_allclose(site.xpos + hand @ near, place, atol=1e-6)
        for column in (1, 2):
            turned = [seen[f"{name}.hand.r{row}{column}"] for row in (1, 2, 3)]
            np.testing.assert_allclose(hand @ turned, axes[:, column - 1], atol=1e-6)


def test_the_expert_is_judged_to_succeed_also_from_the_middle(bench: Bench) -> None:
    bench.begin(3)
    assert not bench.done()
    for step in range(SQUARE.steps):
        # For a while nobody steers: the expert begins to remember where it is first asked.
        bench.world.act(bench.expert() if step >= 10 else np.array([0, 0, 0, 0, 0, 0, -1], np.float32))
        if bench.done():
            break
    assert bench.done()
    assert bench.world.success()
    bench.begin(4)
    assert not bench.done()


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match=r"sees 11 numbers .* offers 10 \(contract\).* 46 \(oracle\)"):
        make_bench(SQUARE, Trained({}, 11, 7))
    with pytest.raises(InputError, match="takes 7"):
        make_bench(SuiteTask("robosuite", "Lift"), Trained({}, 10, 4))
    with pytest.raises(InputError, match="oracle"):
        RobosuiteWorld("Lift", {}, state="orcale")


def test_a_task_without_an_expert_is_a_bench_all_the_same() -> None:
    bench = make_bench(SuiteTask("robosuite", "Stack"), Trained({}, 46, 7))
    try:
        bench.begin(0)
        assert bench.expert is None
        assert bench.world.observe(()).state.shape == (46,)
    finally:
        bench.world.close()
