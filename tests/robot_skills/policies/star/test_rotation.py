import pytest
import torch

from robot_skills.policies.star.rotation import LARGEST_RATIO, rotate_to, straight_through


def pair(size: int = 6, batch: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    e = torch.randn(batch, size, generator=generator).requires_grad_()
    return e, torch.randn(batch, size, generator=generator)


def jacobian(e: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Of one vector, (m, m)."""
    return torch.autograd.functional.jacobian(lambda x: rotate_to(x[None], q[None])[0], e)  # type: ignore[no-any-return]


@pytest.mark.parametrize("estimator", [straight_through, rotate_to])
def test_the_forward_value_is_exactly_the_code(estimator) -> None:
    e, q = pair(batch=100)
    assert torch.allclose(estimator(e, q), q, atol=1e-6)


def test_rotated_value_needs_no_tolerance_even_for_extreme_scales() -> None:
    for scale in (1e-12, 1e-7, 1.0, 1e6):
        e, q = pair()
        assert torch.equal(rotate_to(e.detach() * scale, q), q)


def test_the_jacobian_is_the_norm_ratio_times_a_rotation_from_e_to_q() -> None:
    e, q = pair(batch=1)
    e, q = e.detach()[0], q[0]
    ratio = q.norm() / e.norm()
    rotation = jacobian(e, q) / ratio
    assert torch.allclose(rotation @ rotation.T, torch.eye(6), atol=1e-5)
    assert torch.linalg.det(rotation) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(rotation @ e * ratio, q, atol=1e-5)


def test_gradient_agrees_with_vector_quantize_pytorch() -> None:
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
    assert torch.equal(jacobian(torch.tensor(e), torch.tensor(q)), torch.eye(3))


def test_a_short_vector_before_a_long_code_has_a_bounded_gradient() -> None:
    bound = torch.linalg.matrix_norm(jacobian(torch.tensor([1e-4, 0.0]), torch.tensor([0.0, 5.0])), 2)
    assert bound == pytest.approx(LARGEST_RATIO)


def test_half_precision_input_gives_the_code_in_float32() -> None:
    e, q = pair()
    value = rotate_to(e.half(), q)
    assert value.dtype == torch.float32
    assert torch.equal(value, q)


def test_straight_through_gradient_is_the_identity() -> None:
    e, q = pair(batch=2)
    straight_through(e, q).sum().backward()
    assert torch.equal(e.grad, torch.ones_like(e))
