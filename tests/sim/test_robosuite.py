from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import sim  # noqa: F401 - registers the environment
from robot_skills.errors import InputError
from robot_skills.robot import Robot

pytest.importorskip("robosuite")
pytest.importorskip("fast_simplification")
from sim.robosuite_world import TASKS, RobosuiteWorld

Make = Callable[..., RobosuiteWorld]


@pytest.fixture(scope="module")
def make() -> Iterator[Make]:
    """Worlds are made once a module: making one takes a second."""
    made: dict[tuple[str, bool], RobosuiteWorld] = {}

    def world(task: str = "Lift", fast: bool = True) -> RobosuiteWorld:
        if (task, fast) not in made:
            made[task, fast] = RobosuiteWorld(task, fast=fast)
        return made[task, fast]

    yield world
    for one in made.values():
        one.close()


def actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 7)).astype(np.float32)


def play(world: RobosuiteWorld, moves: np.ndarray) -> np.ndarray:
    states = [world.state()]
    for move in moves:
        world.act(move)
        states.append(world.state())
    return np.array(states)


def test_the_world_is_a_robot(make: Make) -> None:
    world = make()
    assert isinstance(world, Robot)
    world.reset(0)
    seen = world.observe()
    assert {name: image.shape for name, image in seen.images.items()} == {
        "agentview": (84, 84, 3),
        "robot0_eye_in_hand": (84, 84, 3),
    }
    assert all(image.dtype == np.uint8 and image.std() > 10 for image in seen.images.values())
    assert seen.state.shape == (10,)
    assert seen.state.dtype == np.float32
    assert world.observe(()).images == {}
    assert world.film().shape == (480, 640, 3)
    with pytest.raises(ValueError, match="shape"):
        world.act(np.zeros(4, np.float32))
    with pytest.raises(InputError, match="Lift"):
        RobosuiteWorld("Lifting")
    with pytest.raises(InputError, match="agentview"):
        RobosuiteWorld("Lift", {"agentveiw": (84, 84)})


def test_images_are_upright(make: Make) -> None:
    world = make()
    world.reset(0)
    image = world.observe(("agentview",)).images["agentview"].astype(int)
    assert image[60:].mean() > image[:10].mean()  # the white table below, the grey wall above


def test_actions_move_as_the_contract_says(make: Make) -> None:
    world = make()
    for axis in range(3):
        world.reset(1)
        before = world.tool()[0]
        move = np.zeros(7, np.float32)
        move[axis] = 0.4
        for _ in range(5):
            world.act(move)
        world.stop()
        way = world.tool()[0] - before
        # The controller is soft: in a control step the arm covers a fourth of the way to its goal.
        assert 0.015 < way[axis] <= 5 * 0.4 * 0.05
        assert np.abs(np.delete(way, axis)).max() < 0.2 * way[axis]


def test_the_gripper_closes_on_plus_one(make: Make) -> None:
    world = make()
    world.reset(1)
    for command, check in ((-1.0, lambda width: width > 0.07), (1.0, lambda width: width < 0.01)):
        for _ in range(15):
            world.act(np.array([0, 0, 0, 0, 0, 0, command], np.float32))
        assert check(world.observe(()).state[-1])


@pytest.mark.parametrize("task", TASKS)
def test_seeds_and_recordings_give_the_same_episode_again(make: Make, task: str) -> None:
    world = make(task)
    world.reset(5)
    model, states = world.model_xml, play(world, actions(5))
    assert not world.success()
    world.reset(6)
    assert not np.array_equal(world.state(), states[0])
    world.reset_to(states[0], model)
    np.testing.assert_allclose(play(world, actions(5)), states, atol=1e-9)
    world.reset(5)
    np.testing.assert_array_equal(play(world, actions(5)), states)


def test_low_poly_meshes_look_the_same_and_do_not_touch_the_physics(make: Make) -> None:
    traces, pictures = [], []
    for fast in (True, False):
        world = make("Lift", fast)
        world.reset(2)
        traces.append(play(world, actions(10)))
        pictures.append(np.concatenate(list(world.observe().images.values())).astype(int))
    np.testing.assert_array_equal(*traces)
    assert np.abs(pictures[0] - pictures[1]).mean() < 8  # of 255
    assert make("Lift")._model.nmeshface < 0.4 * make("Lift", False)._model.nmeshface


def test_the_state_of_recordings_is_what_robosuite_senses() -> None:
    world = RobosuiteWorld("Lift", {}, state="robomimic")
    world.reset(1)
    play(world, actions(3))
    seen = world.observe(()).state
    sensors = super(type(world._env), world._env)._setup_observables()
    keys = ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos")
    np.testing.assert_allclose(seen, np.concatenate([sensors[key]._sensor({}) for key in keys]), atol=1e-6)
    assert [name.partition(".")[0] for name in world.spec.state_names[::4]] == list(keys)
    world.close()
    with pytest.raises(InputError, match="robomimic"):
        RobosuiteWorld("Lift", {}, state="robomimc")


def test_states_that_do_not_fit_are_refused(make: Make) -> None:
    world = make()
    world.reset(0)
    with pytest.raises(InputError, match="finite numbers"):
        world.reset_to(world.state()[:-1])
    with pytest.raises(InputError, match="not XML"):
        world.reset_to(world.state(), "<mujoco")


def test_models_of_other_machines_are_repaired(make: Make) -> None:
    world = make()
    world.reset(3)
    states = play(world, actions(3))
    package = str(Path(pytest.importorskip("robosuite").__file__).parent)
    elsewhere = world.model_xml.replace(package, "/home/anyone/robosuite/robosuite")
    assert elsewhere != world.model_xml
    moved = elsewhere.replace("assets/bases/", "assets/mounts/")  # where robosuite 1.4 kept them
    for model in (elsewhere, moved):
        world.reset_to(states[0], model)
        np.testing.assert_allclose(play(world, actions(3)), states, atol=1e-9)
    with pytest.raises(InputError, match=r"no nothing\.stl"):
        world.reset_to(states[0], elsewhere.replace("pedestal.stl", "nothing.stl"))
    with pytest.raises(
        InputError, match=r"gripper0_right_hand_visual exists\.$"
    ):  # as robosuite 1.4 named it
        world.reset_to(states[0], elsewhere.replace("gripper0_right_", "gripper0_"))
    world.reset(3)
    np.testing.assert_array_equal(play(world, actions(3)), states)


def test_the_gymnasium_environment(make: Make) -> None:
    env = gymnasium.make("robot_skills/Robosuite-v0", task="Lift")
    first, info = env.reset(seed=7)
    assert env.observation_space.contains(first)
    assert info == {"is_success": False}
    _, reward, terminated, truncated, _ = env.step(np.zeros(7, np.float32))
    assert (reward, terminated, truncated) == (0.0, False, False)
    env.close()
