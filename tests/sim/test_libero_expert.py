"""The planned expert: its grasps, its law on made-up states, and LIBERO's verdict where it is installed."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_skills.cli.main import main
from robot_skills.policies import registry
from robot_skills.policies.policy import Chunk, PolicyInput
from robot_skills.robot import Float

pytest.importorskip("robosuite")
from sim.experts.libero import (
    HAND,
    LOWEST,
    REACH,
    PickPlaceExpert,
    PickPlaceState,
    act,
    plan_grasp,
)
from sim.robosuite_world import Array

needs_libero = pytest.mark.skipif(
    importlib.util.find_spec("libero") is None, reason="LIBERO is not installed"
)

#: The hand points down; its fingers close along y.
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
NOTHING = np.zeros((0, 3))


def box(middle: Sequence[float], size: Sequence[float], yaw: float = 0.0) -> Array:
    """Corners (8, 3) of a box that is turned about the vertical."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    return np.array(middle) + (signs * np.array(size) / 2) @ turn.T


def test_the_fingers_close_on_the_narrow_side() -> None:
    along_y = plan_grasp(box((0.5, 0.0, 0.01), (0.08, 0.04, 0.02)), DOWN, NOTHING)
    assert along_y.turn == pytest.approx(0.0)
    assert along_y.width == pytest.approx(0.04)
    along_x = plan_grasp(box((0.5, 0.0, 0.01), (0.04, 0.08, 0.02)), DOWN, NOTHING)
    assert abs(along_x.turn) == pytest.approx(np.pi / 2, abs=0.1)  # 8 cm are too wide
    turned = plan_grasp(box((0.5, 0.0, 0.01), (0.09, 0.04, 0.02), yaw=0.5), DOWN, NOTHING)
    assert 0.3 < turned.turn < 0.6


def test_a_quarter_turn_is_not_worth_a_centimetre() -> None:
    grasp = plan_grasp(box((0.5, 0.0, 0.05), (0.045, 0.055, 0.1)), DOWN, NOTHING)
    assert grasp.turn == pytest.approx(0.0)


@pytest.mark.parametrize(("height", "expected"), [(0.016, LOWEST), (0.07, 0.035), (0.16, 0.16 - REACH)])
def test_the_height_suits_flat_and_tall_things(height: float, expected: float) -> None:
    grasp = plan_grasp(box((0.5, 0.1, height / 2), (0.05, 0.05, height)), DOWN, NOTHING)
    np.testing.assert_allclose(grasp.point, [0.5, 0.1, expected], atol=1e-9)


def test_only_what_is_between_the_fingers_counts() -> None:
    foot = box((0.5, 0.0, 0.02), (0.12, 0.12, 0.04))
    neck = box((0.51, 0.0, 0.1), (0.03, 0.03, 0.12))
    grasp = plan_grasp(np.concatenate([foot, neck]), DOWN, NOTHING)
    assert grasp.width == pytest.approx(0.03)
    assert grasp.point[0] == pytest.approx(0.51)


def test_the_hand_turns_away_from_a_tall_neighbour() -> None:
    thing = box((0.5, 0.0, 0.01), (0.05, 0.05, 0.02))
    neighbour = box((0.5, HAND[0] - 0.02, 0.06), (0.05, 0.05, 0.12))
    assert plan_grasp(thing, DOWN, NOTHING).turn == pytest.approx(0.0)
    assert abs(plan_grasp(thing, DOWN, neighbour).turn) > 0.3
    low = box((0.5, HAND[0] - 0.02, 0.01), (0.05, 0.05, 0.02))  # the hand passes over it
    assert plan_grasp(thing, DOWN, low).turn == pytest.approx(0.0)


def scene(**changes: object) -> PickPlaceState:
    thing = np.array([0.5, -0.2, 0.04])
    state = PickPlaceState(
        tool=np.array([0.45, 0.0, 0.25]),
        rotation=DOWN,
        opening=0.08,
        place=thing,
        corners=box(thing, (0.05, 0.05, 0.08)),
        held=False,
        basket=np.array([0.6, 0.25, 0.07]),
        half=np.array([0.06, 0.06, 0.07]),
        rim=0.14,
        inside=False,
        others=NOTHING,
    )
    return dataclasses.replace(state, **changes)


def test_the_law() -> None:
    action, over = act(scene())
    assert not over
    assert action[6] == -1
    assert action[0] > 0 > action[1]  # towards it
    action, _ = act(scene(tool=np.array([0.5, -0.2, 0.041])))
    assert action[6] == 1  # there
    action, _ = act(scene(tool=np.array([0.53, -0.2, 0.041])))
    assert action[6] == -1  # beside it: up first
    assert action[2] > 0
    held = {"held": True, "opening": 0.05}
    action, _ = act(scene(tool=np.array([0.5, -0.2, 0.041]), **held))
    assert action[6] == 1  # lifted before it is carried
    assert action[2] == 1
    assert abs(action[1]) < 0.1
    over_basket = np.array([0.6, 0.25, 0.14])
    corners = box(over_basket, (0.05, 0.05, 0.08))
    action, _ = act(scene(tool=over_basket, place=over_basket, corners=corners, **held))
    assert action[6] == -1  # let go
    dropped = {"place": np.array([0.6, 0.25, 0.06]), "inside": True}
    action, over = act(scene(tool=over_basket, **dropped))
    assert (action[2] > 0, over) == (True, False)
    _, over = act(scene(tool=np.array([0.6, 0.25, 0.22]), **dropped))
    assert over


@needs_libero
def test_demonstrations_succeed_and_are_the_same_again() -> None:
    from sim.experts.libero_demonstration import BLOCK, demonstrate, task_of
    from sim.libero import LiberoWorld

    assert task_of("libero_object", BLOCK - 1).startswith("pick_up_the_alphabet_soup")
    assert task_of("libero_object", BLOCK).startswith("pick_up_the_cream_cheese")
    world = LiberoWorld("libero_object", task_of("libero_object", BLOCK), {"robot0_eye_in_hand": (32, 32)})
    one, again = (demonstrate(world, 4, 0.25, 1.0).episode for _ in range(2))
    world.close()
    assert one is not None
    assert again is not None
    assert one.text == "pick up the cream cheese and place it in the basket"
    assert one.images["robot0_eye_in_hand"].shape == (len(one), 32, 32, 3)
    assert len(one) <= 150
    assert (one.end[0], one.end[-1]) == (0, 1)
    np.testing.assert_array_equal(one.action, again.action)
    np.testing.assert_array_equal(one.images["robot0_eye_in_hand"], again.images["robot0_eye_in_hand"])
    assert one.target[-1, 1] > 0.15 > one.target[0, 1]  # where the thing is: at the end, in the basket


@needs_libero
def test_collect_knows_which_suites_have_an_expert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("{skill: libero_goal, episodes: 1, cameras: [agentview]}")
    assert main(["collect", str(recipe), "-o", str(tmp_path / "data"), "--local"]) == 2
    assert "knows libero_object, not libero_goal" in capsys.readouterr().err


class Replay:
    """Plays the actions that lie in its folder."""

    history, cameras = 1, ("agentview",)

    def __init__(self, actions: Float) -> None:
        self.actions, self.chunk, self.execute = actions, len(actions), len(actions)

    def predict(self, inputs: Sequence[PolicyInput]) -> list[Chunk]:
        assert inputs[0].text == "pick up the milk and place it in the basket"
        assert inputs[0].observation.images["agentview"].shape == (24, 24, 3)
        return [Chunk(self.actions, np.zeros(len(self.actions), np.float32)) for _ in inputs]

    @classmethod
    def from_pretrained(cls, folder: Path) -> Replay:
        return cls(np.load(folder / "actions.npy"))


@pytest.fixture
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@needs_libero
@pytest.mark.usefixtures("_threads")
def test_eval_from_recorded_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sim.libero import LiberoWorld

    monkeypatch.setattr(registry, "policy_class", lambda name: Replay)
    world, actions = LiberoWorld("libero_object", 7, {}), []
    world.reset(0)
    world.reset_to(world.starts()[2])
    for _ in range(5):
        world.act(np.zeros(7, np.float32))
    expert = PickPlaceExpert(world)
    while not world.success():
        actions.append(expert.act()[0])
        world.act(actions[-1])
    world.close()
    np.save(tmp_path / "actions.npy", np.array(actions))
    (tmp_path / "config.json").write_text(
        json.dumps({"policy": "replay", "format_version": 1, "image_size": 24})
    )
    result = tmp_path / "result.json"
    command = ["eval", "libero_object:7", str(tmp_path), "--episodes", "1", "--first-seed", "2", "--local"]
    assert main([*command, "--json", str(result)]) == 0
    (row,) = json.loads(result.read_text())["per_episode"]
    assert (row["seed"], row["success"], row["steps"]) == (2, True, len(actions))
    capsys.readouterr()
    assert main([*command[:-2], "50", "--local"]) == 2
    assert "the seeds 0 to 49" in capsys.readouterr().err
