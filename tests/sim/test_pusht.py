from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import sim  # noqa: F401 - registers the environment
from robot_skills.errors import InputError
from robot_skills.robot import Robot

pytest.importorskip("gym_pusht")
from sim.pusht import STATES, PushT, keypoints, start

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "pusht_cchi_v7_replay.zarr"


@pytest.fixture(scope="module")
def world() -> Iterator[PushT]:
    world = PushT()
    yield world
    world.close()


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    zarr = pytest.importorskip("zarr")
    if not RECORDED.exists():
        pytest.skip("the human recordings are not here")
    data = zarr.open(str(RECORDED), mode="r")
    arrays = {name: np.asarray(data[f"data/{name}"][:]) for name in ("state", "keypoint", "action")}
    first = data["data/img"].chunks[0]
    return {
        **arrays,
        "img": np.asarray(data["data/img"][:first]),
        "episode_ends": np.asarray(data["meta/episode_ends"][:]),
    }


def test_the_world_is_a_robot(world: PushT) -> None:
    assert isinstance(world, Robot)
    world.reset(3)
    seen = world.observe()
    assert seen.images["image"].shape == (96, 96, 3)
    assert seen.images["image"].dtype == np.uint8
    assert seen.state.shape == (20,)
    assert seen.state.dtype == np.float32
    assert world.observe(()).images == {}
    with pytest.raises(ValueError, match="shape"):
        world.act(np.zeros(7, np.float32))
    with pytest.raises(ValueError, match="finite"):
        world.act(np.array([np.nan, 0], np.float32))


def test_the_states_hold_what_their_names_say() -> None:
    seen = {name: PushT(name, {}).observe().state for name in STATES}
    assert {name: len(value) for name, value in seen.items()} == {"keypoints": 20, "agent": 2, "pose": 5}
    np.testing.assert_array_equal(seen["keypoints"][18:], seen["agent"])
    np.testing.assert_array_equal(seen["pose"][:2], seen["agent"])
    np.testing.assert_allclose(seen["keypoints"][:18].reshape(9, 2), keypoints(seen["pose"][2:]), atol=1e-3)
    with pytest.raises(InputError, match="keypoints"):
        PushT("keypoint")


def test_starts_are_those_of_the_published_tests() -> None:
    # From numpy's legacy generator, drawn in the order of diffusion_policy's pusht_env.py.
    random = np.random.RandomState(100000)
    x, y = random.randint(50, 450), random.randint(50, 450)
    block = [random.randint(100, 400), random.randint(100, 400)]
    np.testing.assert_array_equal(start(100000), [x, y, *block, random.randn() * 2 * np.pi - np.pi])
    with pytest.raises(InputError, match="seed"):
        start(-1)


def test_a_seed_fixes_the_episode_whatever_came_before(world: PushT) -> None:
    def episode(seed: int) -> np.ndarray:
        world.reset(seed)
        targets = np.random.default_rng(seed).uniform(100, 400, (25, 2)).astype(np.float32)
        rows = []
        for target in targets:
            world.act(target)
            rows.append(world.observe(()).state)
        return np.array(rows)

    first = episode(100000)
    assert not np.array_equal(first, episode(100001))
    np.testing.assert_array_equal(first, episode(100000))


def test_score_is_the_best_coverage_so_far(world: PushT) -> None:
    world.reset_to([50, 50, 256, 256, np.pi / 4])  # the T on its outline, the agent far away
    assert world.coverage == pytest.approx(1.0)
    assert world.score == 0.0  # only steps are scored
    world.act(np.array([50, 50], np.float32))
    assert (world.score, world.steps, world.success(), world.done) == (1.0, 1, True, True)
    world.reset_to([50, 50, 256, 200, np.pi / 4])
    world.act(np.array([50, 50], np.float32))
    assert 0.1 < world.score < 0.9
    assert world.score == pytest.approx(world.coverage / 0.95)
    best = world.score
    for _ in range(10):
        world.act(np.array([256, 150], np.float32))
    for _ in range(10):
        world.act(np.array([256, 400], np.float32))
    assert world.score >= max(best, world.coverage / 0.95)
    assert not world.done
    with pytest.raises(InputError, match="five finite numbers"):
        world.reset_to([0, 0, 0])


def test_stop_holds_the_agent(world: PushT) -> None:
    world.reset(1)
    world.act(np.array([500, 500], np.float32))
    world.stop()
    place = world.pose()[:2]
    world.act(place.astype(np.float32))
    np.testing.assert_allclose(world.pose()[:2], place, atol=1e-3)


def test_keypoints_are_those_recorded(recorded: dict[str, np.ndarray]) -> None:
    error = np.abs(keypoints(recorded["state"][:, 2:]) - recorded["keypoint"]).max(axis=(1, 2))
    assert np.median(error) < 1e-3
    assert (error < 0.05).mean() > 0.99
    assert error.max() < 3.0  # at the start of a few episodes the two arrays do not show the same moment


def test_images_are_those_recorded(world: PushT, recorded: dict[str, np.ndarray]) -> None:
    for step in range(0, len(recorded["img"]), 20):
        world.reset_to(recorded["state"][step])
        difference = np.abs(world.observe().images["image"] - recorded["img"][step])
        assert difference.mean() < 0.5  # of 255


def test_recorded_actions_reproduce_the_recorded_states(
    world: PushT, recorded: dict[str, np.ndarray]
) -> None:
    end = recorded["episode_ends"][0]
    world.reset_to(recorded["state"][0])
    for step in range(end - 1):
        world.act(recorded["action"][step])
        np.testing.assert_allclose(world.pose(), recorded["state"][step + 1], atol=0.01)


def test_the_gymnasium_environment() -> None:
    env = gymnasium.make("robot_skills/PushT-v0", cameras={"image": (96, 96)})
    check_env(env.unwrapped, skip_render_check=True)
    first, info = env.reset(seed=100000)
    again, _ = env.reset(seed=100000)
    np.testing.assert_array_equal(first["observation.state"], again["observation.state"])
    assert info == {"is_success": False}
    _, reward, terminated, truncated, _ = env.step(np.array([256, 256], np.float32))
    assert 0.0 <= reward <= 1.0
    assert not terminated
    assert not truncated
    env.close()
