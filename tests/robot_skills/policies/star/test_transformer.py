import pytest
import torch

from robot_skills.policies.star.transformer import Trunk

LEVELS, CODES = 4, 6


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    torch.manual_seed(0)
    return Trunk(context=3, levels=LEVELS, codes=CODES, width=16, layers=2, heads=2).eval()


@pytest.fixture
def context() -> torch.Tensor:
    return torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("changed", range(LEVELS))
def test_a_code_changes_only_the_logits_after_it(trunk: Trunk, context: torch.Tensor, changed: int) -> None:
    codes = torch.zeros(2, LEVELS, dtype=torch.int64)
    other = codes.clone()
    other[:, changed] = 3
    summary, before, _ = trunk.read(context, codes)
    summary_other, after, _ = trunk.read(context, other)
    assert torch.equal(summary, summary_other)
    for level in range(LEVELS):
        same = torch.allclose(before[level], after[level], atol=1e-6)
        assert same == (level <= changed)


def test_every_context_token_reaches_every_logit(trunk: Trunk, context: torch.Tensor) -> None:
    codes = torch.zeros(2, LEVELS, dtype=torch.int64)
    _, before, _ = trunk.read(context, codes)
    for token in range(3):
        other = context.clone()
        other[:, token, 0] += 3  # a single feature: a constant is lost in normalisation
        _, after, _ = trunk.read(other, codes)
        assert all((b - a).abs().max() > 1e-4 for b, a in zip(before, after, strict=True))


def test_one_code_at_a_time_gives_the_logits_of_all_at_once(trunk: Trunk, context: torch.Tensor) -> None:
    codes = torch.tensor([[1, 5, 0, 2], [4, 2, 3, 1]])
    _, expected, _ = trunk.read(context, codes)
    _, logits, seen = trunk.read(context, codes[:, :0])
    seen = trunk.context_seen(seen, 3)
    got = [logits[0]]
    for level in range(LEVELS - 1):
        following, seen = trunk.follow(codes[:, level], level, seen)
        got.append(following)
    for ours, theirs in zip(got, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
