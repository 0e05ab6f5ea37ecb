"""A residual policy as it acts, is kept and is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from robot_skills.errors import InputError
from robot_skills.execution import ExecutionConfig, LocalChunks, execute
from robot_skills.logic import parse
from robot_skills.policies.registry import load_policy
from robot_skills.residual.config import Gate, Limits, ResidualConfig
from robot_skills.residual.control import Record
from robot_skills.residual.policy import ResidualPolicy
from robot_skills.robot import ActionSpace
from robot_skills.skill import Skill, SkillCall
from robot_skills.training.rollout import rollout
from tests.robot_skills.policies.toy import batch, inputs
from tests.robot_skills.residual.toy import RESIDUAL, SPACE, STEPS, World
from tests.robot_skills.small_policy import save_policy

SKILL = Skill("toy", "Go there.", {}, (), (), parse("there"), "", timeout=2.0)


def make(base: Path, **changes: object) -> ResidualPolicy:
    policy = ResidualPolicy(dataclasses.replace(RESIDUAL, **changes), load_policy(base))  # type: ignore[arg-type]
    policy.take_space(SPACE)
    return policy.eval()


def stir(policy: ResidualPolicy, seed: int = 0) -> ResidualPolicy:
    """Give the correction something to say."""
    torch.manual_seed(seed)
    torch.nn.init.normal_(policy.actor.last.weight, std=0.5)
    return policy


def played(policy, seed: int) -> np.ndarray:
    world = World()
    world.reset(seed)
    rollout(policy, [world], lambda _: world.done, STEPS)
    return np.stack(world.actions)


@pytest.mark.parametrize("kind", ["none", "advantage", "best"])
def test_before_it_has_learned_it_is_its_base_to_the_last_bit(base: Path, kind) -> None:
    alone, refined = load_policy(base), make(base, gate=Gate(kind))
    for seed in range(10):
        assert played(alone, seed).tobytes() == played(refined, seed).tobytes()


def test_it_is_its_base_in_the_executor_too(base: Path) -> None:
    def through_executor(policy, lead: int) -> bytes:
        world = World()
        execute(world, SKILL, SkillCall("toy", {}), LocalChunks(policy), config=ExecutionConfig(lead=lead))
        return np.stack(world.actions).tobytes()

    for lead in (0, 1, 2):
        assert through_executor(load_policy(base), lead) == through_executor(make(base), lead)


def test_a_correction_stays_within_its_bounds_and_reaches_them(base: Path) -> None:
    policy = stir(make(base))
    policy.actor.last.weight.data *= 50
    record = Record(policy.correct())
    policy.controller = record
    played(policy, 3)
    policy.controller = None
    _, before, after = (np.stack(column) for column in zip(*record.rows, strict=True))
    apart = np.abs(after - before)
    assert (apart <= np.array([0.3, 0.3, 0.5]) + 1e-6).all()
    assert apart.max(0) == pytest.approx([0.3, 0.3, 0.5], abs=1e-3)
    assert np.abs(after).max() <= 1
    assert not np.array_equal(played(policy, 3), played(load_policy(base), 3))


def test_what_is_recorded_is_what_was_executed(base: Path) -> None:
    policy = stir(make(base, bound=2.0, gripper_bound=2.0))
    policy.actor.last.weight.data *= 50
    record = Record(policy.correct())
    policy.controller = record
    actions = played(policy, 3)
    recorded = np.stack([action for _, _, action in record.rows])
    assert recorded.tobytes() == actions.tobytes()
    assert (np.abs(recorded) == 1).any()


def test_it_sees_the_present_state_and_the_actions_to_come(base: Path) -> None:
    policy, alone = make(base), load_policy(base)
    record = Record(policy.correct())
    policy.controller = record
    world, twin = World(), World()
    for one in (world, twin):
        one.reset(5)
    rollout(policy, [world], lambda _: world.done, 6)
    policy.controller = None
    chunks = []
    inner = alone.predict
    alone.predict = lambda given: chunks.extend(inner(given)) or chunks[-1:]  # type: ignore[method-assign]
    rollout(alone, [twin], lambda _: twin.done, 6)
    for step, (seen, taken, _) in enumerate(record.rows):
        states, coming, place = seen[:4], seen[4:10].reshape(2, 3), seen[10]
        chunk, index = chunks[step // 3], step % 3
        assert np.array_equal(taken, chunk.actions[index])
        assert np.allclose(coming, chunk.actions[index : index + 2], atol=1e-6)
        assert place == pytest.approx(index / 6)
        assert states[2:].tolist() == world.goal.astype(np.float32).tolist()
    assert len({row[0][:2].tobytes() for row in record.rows}) == 6


@pytest.mark.parametrize(("kind", "told"), [("none", True), ("best", True), ("best", False)])
def test_a_folder_acts_as_what_was_saved(base: Path, tmp_path: Path, kind, told: bool) -> None:
    policy = stir(make(base, gate=Gate(kind), base_told=told))
    policy.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "model.safetensors", "stats.safetensors",
    }  # fmt: skip
    again = load_policy(tmp_path)
    for seed in range(5):
        assert played(again, seed).tobytes() == played(policy, seed).tobytes()


def test_a_wary_gate_shuts_as_practice_falls_short_and_its_folder_remembers(
    base: Path, tmp_path: Path
) -> None:
    policy = stir(make(base, gate=Gate("advantage", doubt=0.0, wary=40.0)))
    open_ = played(policy, 3)
    policy.get_buffer("shortfall").fill_(0.75)
    assert policy.correct().gate.doubt == 30
    shut = played(policy, 3)
    assert shut.tobytes() == played(load_policy(base), 3).tobytes() != open_.tobytes()
    policy.save_pretrained(tmp_path)
    assert played(load_policy(tmp_path), 3).tobytes() == shut.tobytes()


def test_a_folder_of_before_there_was_a_shortfall_has_none(base: Path, tmp_path: Path) -> None:
    policy = stir(make(base))
    policy.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["shortfall"]
    save_file(tensors, tmp_path / "model.safetensors")
    again = load_policy(tmp_path)
    assert isinstance(again, ResidualPolicy)
    assert again.get_buffer("shortfall") == 0


def test_a_base_with_cameras_is_seen_through_its_own_eyes(tmp_path: Path) -> None:
    folder = save_policy(tmp_path / "base")
    policy = stir(
        ResidualPolicy(ResidualConfig(features=24, width=16, gate=Gate()), load_policy(folder)).eval()
    )
    data = batch(3, cameras=("front",), size=16)
    base_chunks = load_policy(folder).predict(inputs(data, 3))
    chunks = policy.predict(inputs(data, 3))
    for mine, other in zip(chunks, base_chunks, strict=True):
        assert np.array_equal(mine.actions, other.actions)
    seen = [chunk.correction.features for chunk in chunks]  # type: ignore[union-attr]
    assert all(one.shape == (24,) for one in seen)
    assert not np.allclose(seen[0], seen[1])
    other = batch(3, cameras=("front",), size=16, seed=9)
    mixed = inputs({**data, "images": other["images"]}, 1)
    (chunk,) = policy.predict(mixed)
    history = data["history"][0].numpy()
    assert not np.array_equal(chunk.at(0, history), chunks[0].at(0, history))
    policy.save_pretrained(tmp_path / "refined")
    again = load_policy(tmp_path / "refined").predict(inputs(data, 3))
    for mine, other_chunk in zip(chunks, again, strict=True):
        assert np.array_equal(mine.at(2, history), other_chunk.at(2, history))


def test_bounds_go_by_the_names_of_the_robots_actions(base: Path) -> None:
    policy = make(base, bounds={"dx": 0.05})
    assert policy.get_buffer("bound").tolist() == pytest.approx([0.05, 0.3, 0.5])
    wide = ActionSpace(("dx", "dy", "gripper"), (False,) * 3, (0.0,) * 3, (512.0,) * 3)
    policy.take_space(wide)
    assert policy.get_buffer("bound").tolist() == pytest.approx([0.05 * 256, 0.3 * 256, 0.5 * 256])
    turning = ActionSpace(("dx", "drz", "gripper"), (False,) * 3, (-1.0,) * 3, (1.0,) * 3)
    policy = make(base)
    policy.take_space(turning)
    assert policy.get_buffer("bound").tolist() == pytest.approx([0.3, 0.0, 0.5])
    for told in ({"turn_bound": 0.2}, {"bounds": {"drz": 0.2}}):
        policy = make(base)
        policy.config = dataclasses.replace(policy.config, **told)
        policy.take_space(turning)
        assert policy.get_buffer("bound").tolist() == pytest.approx([0.3, 0.2, 0.5])
    with pytest.raises(InputError, match="'dz'"):
        make(base, bounds={"dz": 0.1})
    with pytest.raises(InputError, match="3 numbers"):
        policy.take_space(ActionSpace.unlimited(("a", "b"), True))


def test_limits_hold_for_base_and_correction_alike(base: Path) -> None:
    limits = Limits(low=(-0.05, -0.05, -1.0), high=(0.05, 0.05, 1.0), speed=0.4)
    policy = stir(make(base, limits=limits))
    world = World()
    for seed in range(8):
        world.reset(seed)
        world.place = np.zeros(2)
        rollout(policy, [world], lambda _: False, STEPS)
        actions = np.stack(world.actions)
        assert np.abs(actions[:, :2]).max() <= 0.4 + 1e-6
        # No action leads further out than the one that crossed the border.
        assert np.abs(world.place).max() <= 0.05 + 0.4 * 0.05 + 1e-6


def test_what_cannot_be_is_refused_in_one_line() -> None:
    for wrong in ({"bound": 3}, {"heads": 0}, {"base": {"chunk": 8}}, {"bounds": {"dx": -1}}):
        with pytest.raises(InputError):
            ResidualConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="corners"):
        Limits(low=(0, 0, 0))
    with pytest.raises(InputError, match="low corner"):
        Limits(low=(0, 0, 0), high=(1, 1, 0))
