import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_skills.policies.star.fsq import FiniteScalarQuantizer

SIZES = st.lists(st.integers(3, 16), min_size=1, max_size=4)


def quantizer(sizes, size: int | None = None) -> FiniteScalarQuantizer:
    torch.manual_seed(0)
    return FiniteScalarQuantizer(sizes, size or len(sizes), project=size is not None)


@given(sizes=SIZES, seed=st.integers(0, 2**16), scale=st.sampled_from([0.0, 0.3, 1.0, 30.0]))
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_vector_quantize_pytorch(sizes, seed, scale) -> None:
    library = pytest.importorskip("vector_quantize_pytorch")
    ours, theirs = quantizer(sizes), library.FSQ(sizes)
    x = scale * torch.randn(16, len(sizes), generator=torch.Generator().manual_seed(seed))
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    got, (expected, packed) = ours(mine), theirs(other[:, None])
    assert torch.allclose(got.vectors, expected[:, 0], atol=1e-6)
    assert torch.equal(ours.pack(got.indices), packed[:, 0].long())
    weight = torch.randn(16, len(sizes))
    (got.vectors * weight).sum().backward()
    (expected[:, 0] * weight).sum().backward()
    assert torch.allclose(mine.grad, other.grad, atol=1e-5)


@given(sizes=SIZES)
@settings(max_examples=30, deadline=None)
def test_indices_go_to_vectors_and_back(sizes) -> None:
    it = quantizer(sizes)
    every = torch.tensor(list(itertools.islice(itertools.product(*map(range, sizes)), 500)))
    assert torch.equal(it.unpack(it.pack(every)), every)
    # The bound's inverse, so that the value itself is what gets rounded.
    half = it.grid // 2
    reach, offset = (it.grid - 1) * 1.001 / 2, (it.grid % 2 == 0) * 0.5
    numbers = ((every - half + offset) / reach).atanh() - (offset / reach).atanh()
    out = it(numbers)
    assert torch.equal(out.indices, every)
    assert torch.allclose(it.look_up(every), out.vectors)


def test_every_value_of_every_level_can_be_reached() -> None:
    it = quantizer((3, 8, 16))
    indices = it(torch.linspace(-10, 10, 5001)[:, None].expand(-1, 3)).indices
    for level, size in enumerate(it.sizes):
        assert indices[:, level].unique().tolist() == list(range(size))


def test_projected_numbers_add_up_level_by_level() -> None:
    it = quantizer((5, 4), size=7)
    x = torch.randn(9, 7).requires_grad_()
    out = it(x)
    assert out.vectors.shape == (9, 7)
    assert torch.allclose(out.vectors, it.look_up(out.indices), atol=1e-6)
    assert torch.allclose(out.parts.sum(1), out.vectors, atol=1e-6)
    assert torch.allclose(it.look_up(out.indices, 1), out.parts[:, 0])
    assert out.commitment == out.codebook == 0
    out.vectors.sum().backward()
    assert (x.grad != 0).any()


def test_a_batch_of_one_in_half_precision() -> None:
    it = quantizer((5, 4), size=7)
    x = torch.randn(1, 7).half()
    with torch.autocast("cpu", torch.bfloat16):
        out = it(x)
    assert out.vectors.dtype == torch.float32
    assert torch.equal(out.indices, it(x.float()).indices)


@pytest.mark.parametrize(("sizes", "size", "project"), [((2, 8), 2, False), ((5, 5), 3, False)])
def test_levels_that_cannot_be_are_refused(sizes, size, project) -> None:
    with pytest.raises(ValueError, match=r"at least 3 values|has 2 numbers"):
        FiniteScalarQuantizer(sizes, size, project)
