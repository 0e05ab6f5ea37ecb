import pytest
import torch

from robot_skills.policies.star.transformer import Trunk

LENGTH, CODES = 4, 6


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    torch.manual_seed(0)
    return Trunk(context=3, length=LENGTH, codes=CODES, width=16, layers=2, heads=2).eval()


@pytest.fixture
def context() -> torch.Tensor:
    return torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("changed", range(LENGTH))
def test_a_code_changes_only_the_logits_after_it(trunk: Trunk, context: torch.Tensor, changed: int) -> None:
    codes = torch.zeros(2, LENGTH, dtype=torch.int64)
    other = codes.clone()
    other[:, changed] = 3
    summary, before, _ = trunk.read(context, codes)
    summary_other, after, _ = trunk.read(context, other)
    assert torch.equal(summary, summary_other)
    for place in range(LENGTH):
        same = torch.allclose(before[place], after[place], atol=1e-6)
        assert same == (place <= changed)


def test_every_context_token_reaches_every_logit(trunk: Trunk, context: torch.Tensor) -> None:
    codes = torch.zeros(2, LENGTH, dtype=torch.int64)
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
    for place in range(LENGTH - 1):
        following, seen = trunk.follow(codes[:, place], place, seen)
        got.append(following)
    for ours, theirs in zip(got, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_cache_serves_a_long_sequence_with_a_batch_of_one(context: torch.Tensor) -> None:
    torch.manual_seed(3)
    trunk = Trunk(context=3, length=12, codes=CODES, width=16, layers=3, heads=4).eval()
    codes = torch.randint(CODES, (1, 12))
    _, expected, _ = trunk.read(context[:1], codes)
    _, logits, seen = trunk.read(context[:1], codes[:, :5])  # five known, the rest one after another
    assert len(logits) == 6
    got = list(logits)
    for place in range(5, 11):
        following, seen = trunk.follow(codes[:, place], place, seen)
        got.append(following)
    assert seen[0][0].shape[2] == 3 + 1 + 11
    for ours, theirs in zip(got, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_independent_codes_are_told_nothing_of_each_other(context: torch.Tensor) -> None:
    trunk = Trunk(3, LENGTH, CODES, width=16, layers=2, heads=2, autoregressive=False).eval()
    summary, logits, _ = trunk.read(context, torch.zeros(2, LENGTH, dtype=torch.int64))
    other_summary, other, _ = trunk.read(context, torch.empty(2, 0, dtype=torch.int64))
    assert len(logits) == len(other) == LENGTH
    assert torch.equal(summary, other_summary)
    assert all(torch.equal(one, two) for one, two in zip(logits, other, strict=True))
    assert not any("embeddings" in name for name, _ in trunk.named_parameters())
