"""Refiners: each learns what it can of a residual; the flow keeps modes apart."""

import dataclasses

import pytest
import torch

from robot_skills.policies.star.config import CodesConfig, StarConfig
from robot_skills.policies.star.refiner import REFINERS, Refiner

torch.set_num_threads(1)
CONFIG = StarConfig(
    chunk=4, execute=2, action_size=2, feature=8, offset_width=64, flow_steps=10, codes=CodesConfig(codes=4)
)
ROUGH = torch.zeros(256, 4, 2)


def learn(
    name: str, actions: torch.Tensor, codes: torch.Tensor, steps: int = 600, rough: torch.Tensor = ROUGH,
    config: StarConfig = CONFIG,
) -> Refiner:  # fmt: skip
    torch.manual_seed(0)
    refiner = REFINERS[name](config)
    optimizer = torch.optim.AdamW(refiner.parameters(), 3e-3)
    for _ in range(steps):
        loss, _ = refiner.loss(torch.zeros(256, 8), codes, rough, actions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return refiner.eval()


@torch.no_grad()
def chunks(refiner: Refiner, codes: torch.Tensor, seed: int = 0, rough: torch.Tensor = ROUGH) -> torch.Tensor:
    noise = torch.randn(256, refiner.noises, generator=torch.Generator().manual_seed(seed))
    return refiner(torch.zeros(256, 8), codes, rough, noise)[0]


@pytest.mark.parametrize("name", ["offset", "flow"])
def test_a_residual_that_the_codes_tell_is_learned(name: str) -> None:
    codes = torch.randint(4, (256, 2), generator=torch.Generator().manual_seed(1))
    actions = 0.3 * codes.sum(1)[:, None, None].expand(-1, 4, 2)
    error = (chunks(learn(name, actions, codes), codes) - actions).abs().mean()
    assert error < 0.06


@pytest.mark.parametrize("name", ["offset", "flow"])
def test_what_the_codes_decode_to_can_be_undone_where_it_is_shown(name: str) -> None:
    codes = torch.zeros(256, 2, dtype=torch.int64)  # tell nothing of it
    rough = torch.randn(256, 4, 2, generator=torch.Generator().manual_seed(4))
    for shown in (False, True):
        config = dataclasses.replace(CONFIG, sees_chunk=shown)
        refiner = learn(name, torch.zeros(256, 4, 2), codes, 300, rough, config)
        error = chunks(refiner, codes, rough=rough).abs().mean()
        assert error < 0.25 if shown else error > 0.6  # 0.8: the decoded chunk as it is


def test_the_flow_keeps_two_ways_apart_where_an_offset_takes_one() -> None:
    codes = torch.zeros(256, 2, dtype=torch.int64)  # one code for both ways
    side = torch.where(torch.arange(256) % 2 == 0, -1.0, 1.0)
    actions = 0.6 * side[:, None, None].expand(-1, 4, 2)
    flowing = chunks(learn("flow", actions, codes, 800), codes)
    ways = flowing.mean(dim=(1, 2))
    assert 0.3 < (ways > 0).float().mean() < 0.7
    assert (ways.abs() - 0.6).abs().mean() < 0.15
    regressed = chunks(learn("offset", actions, codes), codes)
    assert regressed.std(0).max() < 1e-4  # the same for everybody


def test_noise_alone_moves_a_flow_and_nothing_else() -> None:
    codes = torch.zeros(256, 2, dtype=torch.int64)
    for name, cls in REFINERS.items():
        torch.manual_seed(0)
        refiner = cls(CONFIG)
        same = torch.equal(chunks(refiner, codes, 0), chunks(refiner, codes, 1))
        assert same == (name != "flow")
        assert torch.equal(chunks(refiner, codes, 0), chunks(refiner, codes, 0))


def test_codes_alone_are_passed_on_and_the_end_is_learned() -> None:
    refiner = REFINERS["none"](CONFIG)
    features, codes = torch.randn(3, 8), torch.zeros(3, 2, dtype=torch.int64)
    rough = torch.randn(3, 4, 2)
    chunk, end = refiner(features, codes, rough, torch.empty(3, 0))
    assert torch.equal(chunk, rough)
    assert end.shape == (3, 4)
    end.sum().backward()
    assert all(parameter.grad is not None for parameter in refiner.parameters())


def test_the_default_heads_are_of_one_size() -> None:
    config = dataclasses.replace(StarConfig())
    sizes = {name: sum(p.numel() for p in cls(config).parameters()) for name, cls in REFINERS.items()}
    assert 200_000 < sizes["offset"] < 300_000
    assert 200_000 < sizes["flow"] < 320_000
