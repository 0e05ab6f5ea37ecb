"""Denoisers behind one interface: shapes, rows apart, every part used, what attends to what."""

from __future__ import annotations

import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.denoisers.denoiser import Denoiser
from robot_skills.policies.denoisers.mlp import MlpDenoiser
from robot_skills.policies.denoisers.transformer import TransformerConfig, TransformerDenoiser
from robot_skills.policies.denoisers.unet import UNetConfig, UNetDenoiser
from robot_skills.policies.diffusion import DiffusionConfig, DiffusionPolicy
from robot_skills.training.configuration import from_mapping

torch.set_num_threads(1)
SIZE, TOKENS, WIDTH = 3, 2, 16
MAKERS = {
    "mlp": lambda chunk: MlpDenoiser(chunk, SIZE, TOKENS, WIDTH, 32, 2),
    "unet": lambda chunk: UNetDenoiser(SIZE, TOKENS, WIDTH, UNetConfig((16, 32, 64), level=16, context=0)),
    "unet, shortened": lambda chunk: UNetDenoiser(SIZE, TOKENS, WIDTH, UNetConfig((16,), context=8)),
    "transformer": lambda chunk: TransformerDenoiser(
        chunk, SIZE, TOKENS, WIDTH, TransformerConfig(width=32, layers=2)
    ),
}


@pytest.fixture(params=sorted(MAKERS))
def name(request) -> str:
    return request.param


def given(count: int, chunk: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(count, chunk, SIZE), torch.rand(count) * 100, torch.randn(count, TOKENS, WIDTH)


def make(name: str, chunk: int) -> Denoiser:
    torch.manual_seed(0)
    made: Denoiser = MAKERS[name](chunk)
    with torch.no_grad():  # what is nothing at first would hide what it does later
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return made.eval()


@pytest.mark.parametrize("chunk", [1, 5, 8, 16])
def test_a_chunk_of_any_length_comes_back(name: str, chunk: int) -> None:
    noised, levels, context = given(3, chunk)
    denoiser = make(name, chunk)
    assert denoiser(noised, levels, denoiser.condition(context)).shape == noised.shape


def test_rows_do_not_look_at_each_other(name: str) -> None:
    noised, levels, context = given(4, 6)
    denoiser = make(name, 6)
    together = denoiser(noised, levels, denoiser.condition(context))
    for row in range(4):
        one = slice(row, row + 1)
        alone = denoiser(noised[one], levels[one], denoiser.condition(context[one]))
        assert torch.allclose(alone, together[one], atol=1e-5)


def test_chunk_level_and_each_token_of_the_context_matter(name: str) -> None:
    noised, levels, context = given(2, 6)
    denoiser = make(name, 6)
    before = denoiser(noised, levels, denoiser.condition(context))
    assert not torch.allclose(denoiser(noised + 1, levels, denoiser.condition(context)), before, atol=1e-4)
    assert not torch.allclose(denoiser(noised, levels + 9, denoiser.condition(context)), before, atol=1e-4)
    for token in range(TOKENS):
        other = context.clone()
        other[:, token] += torch.randn(WIDTH)
        assert not torch.allclose(denoiser(noised, levels, denoiser.condition(other)), before, atol=1e-4)


def test_one_level_for_all_is_that_level_for_each(name: str) -> None:
    noised, _, context = given(3, 6)
    denoiser = make(name, 6)
    conditions = denoiser.condition(context)
    each = denoiser(noised, torch.full((3,), 7.0), conditions)
    assert torch.allclose(denoiser(noised, torch.tensor([7.0]), conditions), each, atol=1e-5)


def test_every_parameter_learns(name: str) -> None:
    noised, levels, context = given(3, 6)
    denoiser = make(name, 6).train()
    denoiser(noised, levels, denoiser.condition(context)).square().mean().backward()
    for parameter, value in denoiser.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.any(), parameter


@pytest.mark.parametrize("causal", [True, False])
def test_a_causal_transformer_does_not_look_ahead(causal: bool) -> None:
    torch.manual_seed(0)
    denoiser = TransformerDenoiser(6, SIZE, TOKENS, WIDTH, TransformerConfig(32, 2, causal=causal))
    noised, levels, context = given(2, 6)
    conditions = denoiser.condition(context)
    changed = noised.clone()
    changed[:, 4] += 1
    before, after = denoiser(noised, levels, conditions), denoiser(changed, levels, conditions)
    assert torch.allclose(before[:, :4], after[:, :4], atol=1e-6) == causal
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-4)


@pytest.mark.parametrize("denoiser", ["mlp", "unet", "transformer"])
def test_with_the_usual_encoders_each_is_about_the_size_of_star(denoiser: str) -> None:
    parameters = DiffusionPolicy(DiffusionConfig(denoiser=denoiser)).report()["parameters"]
    assert 1.0e6 < parameters < 1.75e6


def test_the_paper_s_sizes_can_be_had() -> None:
    """The widths of its authors' code, and the flattened context as it is."""
    unet = UNetDenoiser(7, 1, 132, UNetConfig((256, 512, 1024), level=128, context=0))
    assert 60e6 < sum(p.numel() for p in unet.parameters()) < 70e6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"unet": {"channels": [20]}}, "20 U-Net channels do not split into 8 groups"),
        ({"unet": {"channels": []}}, "at least one"),
        ({"unet": {"kernel": 4}}, "odd"),
        ({"transformer": {"width": 30}}, "30 is not divisible by 4 heads"),
        ({"transformer": {"dropout": 1.0}}, "dropout is between"),
    ],
)
def test_a_wrong_setting_is_named(data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_mapping(DiffusionConfig, data, "config")
