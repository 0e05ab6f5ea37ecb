import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import sim  # noqa: F401 - registers the environment
from robot_skills.errors import InputError
from robot_skills.robot import Robot
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import Scene
from sim.tabletop.tasks import SAMPLERS, sample_task
from sim.tabletop.world import TabletopWorld


def actions(count: int, seed: int = 0) -> np.ndarray:
    moves = np.random.default_rng(seed).uniform(-1, 1, (count, 7)).astype(np.float32)
    moves[:, 3:6] *= 0.1
    return moves


def trace(world: TabletopWorld, count: int) -> list[bytes]:
    rows = []
    for action in actions(count):
        world.act(action)
        seen, state = world.observe(), world.state()
        rows.append(
            b"".join(image.tobytes() for image in seen.images.values())
            + seen.state.tobytes()
            + b"".join(body.position.tobytes() + body.up.tobytes() for body in state.bodies.values())
        )
    return rows


def test_the_world_is_a_robot(world: TabletopWorld) -> None:
    assert isinstance(world, Robot)
    world.reset(Scene.sample(0))
    seen = world.observe()
    assert {name: image.shape for name, image in seen.images.items()} == {
        "front": (64, 64, 3),
        "wrist": (64, 64, 3),
    }
    assert seen.state.shape == (10,)
    assert seen.state.dtype == np.float32
    assert world.observe(()).images == {}
    with pytest.raises(ValueError, match="shape"):
        world.act(np.zeros(6, np.float32))
    with pytest.raises(ValueError, match="finite"):
        world.act(np.full(7, np.nan, np.float32))


def test_the_same_scene_and_actions_give_the_same_bits_whatever_came_before(world: TabletopWorld) -> None:
    scene = Scene.sample(2, 3)
    world.reset(scene)
    first = trace(world, 15)
    world.reset(Scene.sample(9, 9))
    trace(world, 5)
    world.reset(scene)
    assert trace(world, 15) == first
    other = TabletopWorld()
    other.reset(scene)
    assert trace(other, 15) == first
    other.close()


def test_restore_brings_back_the_state_to_the_last_bit(world: TabletopWorld) -> None:
    world.reset(Scene.sample(4, drawer=1.0))
    trace(world, 10)
    snapshot = world.save()
    first = trace(world, 20)
    world.restore(snapshot)
    assert trace(world, 20) == first
    world.forget(snapshot)
    world.reset(Scene.sample(5))
    with pytest.raises(ValueError, match="before the next reset"):
        world.restore(snapshot)


def test_an_action_of_one_moves_five_centimetres_a_step(world: TabletopWorld) -> None:
    world.reset(Scene.sample(0, gripper=(0.5, 0.0, 0.25)))
    start = world.observe(()).state[:3]
    for _ in range(3):
        world.act(np.array([0, -1, 0, 0, 0, 0, -1], np.float32))
    for _ in range(5):
        world.act(np.array([0, 0, 0, 0, 0, 0, -1], np.float32))
    np.testing.assert_allclose(world.observe(()).state[:3] - start, [0, -0.15, 0], atol=0.006)


def test_rotation_actions_turn_the_hand_about_the_base_axes(world: TabletopWorld) -> None:
    world.reset(Scene.sample(0, gripper=(0.5, 0.0, 0.25)))
    for _ in range(2):
        world.act(np.array([0, 0, 0, 0, 0, 0.4, -1], np.float32))
    for _ in range(6):
        world.act(np.array([0, 0, 0, 0, 0, 0, -1], np.float32))
    x_axis = world.observe(()).state[3:6]
    np.testing.assert_allclose(x_axis, [np.cos(0.4), np.sin(0.4), 0], atol=0.03)


def test_an_arm_that_is_held_up_does_not_wind_up(world: TabletopWorld) -> None:
    world.reset(Scene.sample(0, gripper=(0.5, 0.0, 0.25)))
    for _ in range(30):
        world.act(np.array([0, 0, -1, 0, 0, 0, 1], np.float32))
    for _ in range(3):
        world.act(np.array([0, 0, 1, 0, 0, 0, 1], np.float32))
    assert world.observe(()).state[2] > 0.08


def test_the_button_lights_its_lamp_and_stays_lit(world: TabletopWorld) -> None:
    world.reset(Scene.sample(1, pressed=False, button=(0.5, 0.0), gripper=(0.5, -0.024, 0.2), closed=True))
    dark = world.render("front", 64, 64).astype(int)
    for _ in range(6):
        world.act(np.array([0, 0, -0.8, 0, 0, 0, 1], np.float32))
    assert world.state().pressed
    for _ in range(6):
        world.act(np.array([0, 0, 0.8, 0, 0, 0, 1], np.float32))
    assert world.state().pressed
    assert "pressed(button)" in {str(fact) for fact in scene_graph(world.state()).facts}
    assert np.abs(world.render("front", 64, 64).astype(int) - dark).max() > 80


def test_cameras_see_colours(world: TabletopWorld) -> None:
    scene = Scene.sample(6)
    world.reset(scene)
    picture = world.render("front", 128, 128).reshape(-1, 3).astype(int)
    for item in scene.objects:
        if item.colour == "red":
            assert ((picture[:, 0] > 120) & (picture[:, 1] < 60) & (picture[:, 2] < 60)).any()
    with pytest.raises(InputError, match="Unknown camera 'back'; valid: film, front, wrist"):
        world.render("back", 64, 64)


@pytest.mark.parametrize("task", [None, "pick"])
def test_the_environment_passes_gymnasiums_checker(task: str | None) -> None:
    env = gymnasium.make("robot_skills/Tabletop-v0", task=task, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()


def test_a_task_and_a_scene_exclude_each_other() -> None:
    with pytest.raises(InputError, match="not both"):
        gymnasium.make("robot_skills/Tabletop-v0", task="pick", scene=Scene.sample(0))


@pytest.mark.parametrize("skill", sorted(SAMPLERS))
def test_a_task_is_fixed_by_its_seed_and_begins_unsolved(skill: str, world: TabletopWorld) -> None:
    from robot_skills.library import SkillLibrary

    card = SkillLibrary.open().skills[skill]
    for seed in range(8):
        task = sample_task(skill, seed)
        assert task == sample_task(skill, seed)
        task.start(world)
        graph = scene_graph(world.state())
        card.check(task.call, graph)
        assert card.unmet(task.call, graph) == ()
        assert not graph.holds(card.goal(task.call))
