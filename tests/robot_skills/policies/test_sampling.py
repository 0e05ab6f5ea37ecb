"""Sampling of codes: the sets and frequencies that a brute-force account says, by chance that is keyed."""

import math

import pytest
import torch

from robot_skills.policies.sampling import keyed_uniform, pick

DRAWS = 40_000


def allowed(logits: list[float], temperature: float, top: int | None, nucleus: float) -> dict[int, float]:
    """Probabilities of the codes that may be drawn, by the definitions."""
    weights = {code: math.exp(logit / temperature) for code, logit in enumerate(logits)}
    ranked = sorted(weights, key=lambda code: -weights[code])[:top]
    total, kept, reached = sum(weights[code] for code in ranked), [], 0.0
    for code in ranked:
        if reached >= nucleus:
            break
        kept.append(code)
        reached += weights[code] / total
    mass = sum(weights[code] for code in kept)
    return {code: weights[code] / mass for code in kept}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    ("top", "nucleus"), [(None, 1.0), (1, 1.0), (3, 1.0), (None, 0.5), (None, 0.9), (4, 0.8), (9, 0.01)]
)
def test_codes_come_as_often_as_the_definitions_say(temperature: float, top, nucleus: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(8, generator=generator) * 1.5
    expected = allowed(logits.tolist(), temperature, top, nucleus)
    history = torch.randn(DRAWS, 1, 10, generator=generator)
    drawn = pick(logits.expand(DRAWS, 8), keyed_uniform(history, 0, 1)[:, 0], temperature, top, nucleus)
    share = torch.bincount(drawn, minlength=8) / DRAWS
    assert set(drawn.tolist()) <= set(expected)
    for code in range(8):
        p = expected.get(code, 0.0)
        assert abs(share[code].item() - p) < 5 * math.sqrt(p * (1 - p) / DRAWS) + 1e-4


def test_temperature_zero_is_the_likeliest_code() -> None:
    logits = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pick(logits, torch.full((50,), 0.99), 0.0), logits.argmax(-1))


def test_the_ends_of_chance_stay_among_the_codes() -> None:
    logits = torch.tensor([[0.0, -200.0, 3.0, 1.0]])
    for chance in (2.0**-24, 1 - 2.0**-24):
        for top, nucleus in ((None, 1.0), (2, 1.0), (None, 0.9), (3, 0.99)):
            assert pick(logits, torch.tensor([chance]), 1.0, top, nucleus).item() in (0, 2, 3)


def test_chance_is_even_and_keyed_on_the_states() -> None:
    history = torch.randn(4096, 2, 10, generator=torch.Generator().manual_seed(0))
    chance = keyed_uniform(history, 0, 6)
    assert ((chance > 0) & (chance < 1)).all()
    counts = torch.stack([torch.histc(column, 16, 0, 1) for column in chance.T])
    assert ((counts - 256).abs() < 6 * 16).all()  # standard deviation 15.5
    assert torch.corrcoef(chance.T).fill_diagonal_(0).abs().max() < 0.08
    assert torch.equal(keyed_uniform(history[7:8], 0, 6), chance[7:8])
    assert torch.equal(keyed_uniform(history, 0, 2), chance[:, :2])
    moved = history.clone()
    moved[:, 1, 3] += 1e-6
    for other in (keyed_uniform(moved, 0, 6), keyed_uniform(history, 1, 6)):
        assert (other == chance).float().mean() < 0.01
        assert abs(torch.corrcoef(torch.stack([other[:, 0], chance[:, 0]]))[0, 1]) < 0.08
