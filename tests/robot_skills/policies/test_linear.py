"""Linear layers and convolutions of our own against PyTorch's, forward and backward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from robot_skills.policies import linear
from robot_skills.policies.linear import Conv1d, DoublingConv1d, Linear

#: Name -> ours, PyTorch's, and the shape of an input; large enough for oneDNN, and small.
LAYERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...]]] = {
    "rows": (lambda: Linear(128, 512), lambda: nn.Linear(128, 512), (64, 128)),
    "tokens": (lambda: Linear(96, 192), lambda: nn.Linear(96, 192), (8, 9, 96)),
    "few": (lambda: Linear(5, 7), lambda: nn.Linear(5, 7), (3, 5)),
    "one vector": (lambda: Linear(2048, 1024), lambda: nn.Linear(2048, 1024), (2048,)),
    "no rows": (lambda: Linear(8, 9), lambda: nn.Linear(8, 9), (0, 8)),
    "few steps": (lambda: Conv1d(64, 96, 5, 1, 2), lambda: nn.Conv1d(64, 96, 5, 1, 2), (2, 64, 16)),
    "many steps": (lambda: Conv1d(64, 96, 5, 1, 2), lambda: nn.Conv1d(64, 96, 5, 1, 2), (16, 64, 16)),
    "halving": (lambda: Conv1d(64, 64, 3, 2, 1), lambda: nn.Conv1d(64, 64, 3, 2, 1), (4, 64, 15)),
    "kernel 1": (lambda: Conv1d(3, 4, 1), lambda: nn.Conv1d(3, 4, 1), (2, 3, 8)),
    "doubling": (lambda: DoublingConv1d(64, 80), lambda: nn.ConvTranspose1d(64, 80, 4, 2, 1), (4, 64, 9)),
    "doubling many": (
        lambda: DoublingConv1d(64, 80),
        lambda: nn.ConvTranspose1d(64, 80, 4, 2, 1),
        (64, 64, 9),
    ),
    "doubling one": (lambda: DoublingConv1d(6, 5), lambda: nn.ConvTranspose1d(6, 5, 4, 2, 1), (2, 6, 1)),
}


@pytest.fixture(params=LAYERS)
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module, Tensor]:
    """Ours and PyTorch's layer with the same weights, and an input."""
    torch.manual_seed(0)
    ours, theirs, shape = LAYERS[request.param]
    mine, reference = ours(), theirs()
    mine.load_state_dict(reference.state_dict())
    return mine, reference, torch.randn(shape)


def near(found: Tensor | None, wanted: Tensor | None) -> bool:
    assert found is not None
    assert wanted is not None
    return torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_same_results(pair: tuple[nn.Module, nn.Module, Tensor]) -> None:
    mine, reference, x = pair
    with torch.inference_mode():
        assert near(mine(x), reference(x))
        assert mine(x).shape == reference(x).shape


def test_the_same_gradients(pair: tuple[nn.Module, nn.Module, Tensor]) -> None:
    mine, reference, x = pair
    weights = torch.randn_like(reference(x))
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for layer, given in zip((mine, reference), inputs, strict=True):
        (layer(given) * weights).sum().backward()
    assert near(inputs[0].grad, inputs[1].grad)
    for ours, theirs in zip(mine.parameters(), reference.parameters(), strict=True):
        assert near(ours.grad, theirs.grad)


def test_frozen_weights_pass_gradients_on(pair: tuple[nn.Module, nn.Module, Tensor]) -> None:
    mine, _, x = pair
    mine.requires_grad_(False)
    x.requires_grad_()
    mine(x).sum().backward()
    assert x.grad is not None
    assert all(parameter.grad is None for parameter in mine.parameters())


def test_other_precisions_and_devices_are_left_to_pytorch() -> None:
    layer = Linear(256, 512).double()
    assert layer(torch.randn(64, 256, dtype=torch.float64)).dtype == torch.float64
    assert Linear(256, 512, device="meta")(torch.randn(64, 256, device="meta")).shape == (64, 512)
    with torch.autocast("cpu", torch.bfloat16):
        assert Linear(256, 512)(torch.randn(64, 256)).dtype == torch.bfloat16
        assert Conv1d(64, 96, 5, 1, 2)(torch.randn(16, 64, 16)).dtype == torch.bfloat16


@pytest.mark.skipif(linear._PRODUCT is None, reason="this processor has nothing to gain")
def test_onednn_multiplies_forward_and_backward() -> None:
    from torch.profiler import ProfilerActivity, profile

    layer, x = Linear(128, 512), torch.randn(64, 128)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        layer(x).sum().backward()
    names = {event.key for event in seen.key_averages()}
    assert "mkldnn::_linear_pointwise" in names
    assert not names & {"aten::addmm", "aten::mm"}


@pytest.mark.skipif(linear._PRODUCT is None, reason="no oneDNN")
def test_a_slice_of_tokens_is_multiplied_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN is fast with weights in rows or columns, and falls back to a loop of its own with others."""
    product, laid_out = linear._PRODUCT, []

    def noted(x: Tensor, weight: Tensor, *rest: object) -> Tensor:
        laid_out.append(weight.is_contiguous() or weight.t().is_contiguous())
        answer: Tensor = product(x, weight, *rest)
        return answer

    monkeypatch.setattr(linear, "_PRODUCT", noted)
    tokens = torch.randn(64, 5, 128, requires_grad=True)
    Linear(128, 256)(tokens[:, -1]).sum().backward()
    assert laid_out == [True] * 3
