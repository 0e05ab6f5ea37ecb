import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_skills.policies.star.estimators import (
    DIRECTION_VARIANCE,
    ESTIMATORS,
    LARGEST_RATIO,
    reparameterise,
    rotate_to,
    straight_through,
)

EVERY = [straight_through, rotate_to, reparameterise]


def pair(size: int = 6, batch: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    e = torch.randn(batch, size, generator=generator).requires_grad_()
    return e, torch.randn(batch, size, generator=generator)


def jacobian(estimator, e: torch.Tensor, q: torch.Tensor, training: bool = False) -> torch.Tensor:
    """Of one vector with respect to e, (m, m)."""
    return torch.autograd.functional.jacobian(lambda x: estimator(x[None], q[None], training)[0], e)  # type: ignore[no-any-return]


@pytest.mark.parametrize("estimator", EVERY)
@given(
    size=st.integers(1, 8),
    batch=st.integers(1, 4),
    seed=st.integers(0, 2**16),
    scale_e=st.sampled_from([0.0, 1e-30, 1e-12, 1e-7, 1.0, 1e6]),
    scale_q=st.sampled_from([0.0, 1e-30, 1e-7, 1.0, 1e6]),
    opposed=st.booleans(),
    half=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_in_evaluation_the_value_is_exactly_the_code_and_the_gradient_is_finite(
    estimator, size, batch, seed, scale_e, scale_q, opposed, half
) -> None:
    e, q = pair(size, batch, seed)
    q = -e.detach() if opposed else q
    e, q = (e.detach() * scale_e).to(torch.float16 if half and scale_e < 1e4 else torch.float32), q * scale_q
    e = e.requires_grad_()
    value = estimator(e, q, False)
    assert value.dtype == torch.float32
    assert torch.equal(value, q)
    value.sum().backward()
    assert torch.isfinite(e.grad).all()


def test_straight_through_gradient_is_the_identity() -> None:
    e, q = pair(batch=2)
    straight_through(e, q).sum().backward()
    assert torch.equal(e.grad, torch.ones_like(e))


# Rotation -------------------------------------------------------------------------------------------


def test_the_rotations_jacobian_is_the_norm_ratio_times_a_rotation_from_e_to_q() -> None:
    e, q = pair(batch=1)
    e, q = e.detach()[0], q[0]
    ratio = q.norm() / e.norm()
    rotation = jacobian(rotate_to, e, q) / ratio
    assert torch.allclose(rotation @ rotation.T, torch.eye(6), atol=1e-5)
    assert torch.linalg.det(rotation) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(rotation @ e * ratio, q, atol=1e-5)


def test_the_rotations_gradient_agrees_with_vector_quantize_pytorch() -> None:
    library = pytest.importorskip("vector_quantize_pytorch.vector_quantize_pytorch")
    e, q = pair(batch=64, size=32)
    q = q * e.detach().norm(dim=-1, keepdim=True) / q.norm(dim=-1, keepdim=True) * 1.3
    weight = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    theirs = e.detach().clone().requires_grad_()
    (rotate_to(e, q) * weight).sum().backward()
    (library.rotate_to(theirs, q) * weight).sum().backward()
    assert torch.allclose(e.grad, theirs.grad, atol=1e-5)


@pytest.mark.parametrize(
    ("e", "q"),
    [
        ([1.0, 0.0, 0.0], [-2.0, 0.0, 0.0]),  # opposed: the bisector vanishes
        ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        ([1.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ([1e-9, 0.0, 0.0], [0.0, 1.0, 0.0]),
    ],
)
def test_where_no_rotation_is_defined_the_gradient_passes_straight_through(e, q) -> None:
    assert torch.equal(jacobian(rotate_to, torch.tensor(e), torch.tensor(q)), torch.eye(3))


def test_a_short_vector_before_a_long_code_has_a_bounded_gradient() -> None:
    e, q = torch.tensor([1e-4, 0.0]), torch.tensor([0.0, 5.0])
    bound = torch.linalg.matrix_norm(jacobian(rotate_to, e, q), 2)
    assert bound == pytest.approx(LARGEST_RATIO)


# DiVeQ ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_diveqs_jacobians_are_the_identity_less_the_heading_and_the_heading(training: bool) -> None:
    e, q = pair(batch=1)
    e, q = e.detach()[0], q[0]
    torch.manual_seed(3)
    heading = q - e
    if training:
        heading = heading + DIRECTION_VARIANCE**0.5 * torch.randn(1, 6)[0]
    unit, along = heading / heading.norm(), (q - e) / (q - e).norm()
    torch.manual_seed(3)
    of_e = jacobian(reparameterise, e, q, training)
    assert torch.allclose(of_e, torch.eye(6) - torch.outer(unit, along), atol=1e-5)
    torch.manual_seed(3)
    of_q = torch.autograd.functional.jacobian(
        lambda code: reparameterise(e[None], code[None], training)[0], q
    )
    assert torch.allclose(of_q, torch.outer(unit, along), atol=1e-5)


def test_diveq_agrees_with_vector_quantize_pytorch_under_the_same_noise() -> None:
    library = pytest.importorskip("vector_quantize_pytorch.vector_quantize_pytorch")
    weight = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    answers = []
    for estimator in (reparameterise, library.directional_reparam):
        e, q = pair(batch=64, size=32)
        q.requires_grad_()
        torch.manual_seed(7)
        more = {"noise_variance": DIRECTION_VARIANCE} if estimator is not reparameterise else {}
        value = estimator(e, q, **more)
        (value * weight).sum().backward()
        answers.append((value.detach(), e.grad, q.grad))
    for ours, theirs in zip(*answers, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_diveqs_training_value_is_as_far_from_e_as_the_code_and_near_the_code() -> None:
    e, q = pair(batch=2000, size=8)
    e = e.detach()
    torch.manual_seed(5)  # not the stream that made e and q
    value = reparameterise(e, q)
    assert torch.allclose((value - e).norm(dim=-1), (q - e).norm(dim=-1), rtol=1e-4)
    # Noise across a heading turns the error by that noise over its length: 7 dimensions across here.
    expected = math.sqrt(7 * DIRECTION_VARIANCE)
    assert (value - q).square().sum(-1).mean().sqrt() == pytest.approx(expected, rel=0.05)


def test_diveq_at_the_code_itself_passes_the_gradient_straight_through() -> None:
    q = torch.tensor([1.0, 2.0])
    for training in (True, False):
        assert torch.equal(jacobian(reparameterise, q.clone(), q, training), torch.eye(2))
        code = q.clone().requires_grad_()
        reparameterise(q[None], code[None], training).sum().backward()
        assert torch.equal(code.grad, torch.zeros(2))


def test_only_diveq_moves_codes() -> None:
    for name, estimator in ESTIMATORS.items():
        e, q = pair()
        q.requires_grad_()
        estimator.carry(e, q, True).square().sum().backward()
        assert (q.grad is not None) == estimator.moves_codes == (name == "diveq")
