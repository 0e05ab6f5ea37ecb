import math

import pytest
import torch

from robot_skills.policies.star.config import CodesConfig
from robot_skills.policies.star.quantizer import ResidualQuantizer, code_use, k_means, perplexity
from robot_skills.policies.star.tokenizer import ChunkTokenizer


def quantizer(**settings) -> ResidualQuantizer:
    torch.manual_seed(0)
    return ResidualQuantizer(**{"levels": 3, "codes": 8, "size": 5, **settings})


@pytest.mark.parametrize("estimator", ["rotation", "ste"])
def test_it_agrees_with_vector_quantize_pytorch(estimator: str) -> None:
    library = pytest.importorskip("vector_quantize_pytorch")
    ours = quantizer(estimator=estimator, decay=0.8, revive_below=0.0)
    theirs = library.ResidualVQ(
        dim=5,
        num_quantizers=3,
        codebook_size=8,
        decay=0.8,
        rotation_trick=estimator == "rotation",
    )
    for level, layer in enumerate(theirs.layers):
        layer._codebook.embed.copy_(ours.codebooks[level][None])
    x = torch.randn(64, 5)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    weight = torch.randn(64, 5)
    theirs.eval()
    expected, indices, _ = theirs(other[:, None])
    got = ours(mine)
    assert torch.equal(got.indices, indices[:, 0])
    assert torch.allclose(got.vectors, expected[:, 0], atol=1e-6)
    # The library puts its estimator in the graph in training mode only.
    theirs.train()
    expected, _, _ = theirs(other[:, None], freeze_codebook=True)
    ((got.vectors) * weight).sum().backward()
    (expected[:, 0] * weight).sum().backward()
    ratios = [ours.codebooks[level][got.indices[:, level]].norm(dim=-1) for level in range(3)]
    assert all(torch.isfinite(ratio).all() for ratio in ratios)
    assert torch.allclose(mine.grad, other.grad, atol=1e-4)


def test_levels_quantize_what_the_levels_before_left() -> None:
    it = quantizer()
    x = torch.randn(20, 5)
    indices = it(x).indices
    residual = x
    for level in range(3):
        assert torch.equal(indices[:, level], torch.cdist(residual, it.codebooks[level]).argmin(-1))
        residual = residual - it.codebooks[level][indices[:, level]]
    assert torch.allclose(it.look_up(indices), x - residual, atol=1e-6)
    assert torch.allclose(it.look_up(indices, 1), it.codebooks[0][indices[:, 0]])


def test_codebooks_follow_the_mean_of_their_vectors() -> None:
    it = quantizer(levels=1, codes=2, size=1, decay=0.5, revive_below=0.0)
    it.codebooks.copy_(torch.tensor([[[-1.0], [1.0]]]))
    it.sums.copy_(it.codebooks / 2)
    x = torch.tensor([[-3.0], [-1.5], [2.0], [2.5]])
    it(x, learn=False)
    assert it.codebooks.flatten().tolist() == [-1.0, 1.0]
    it(x, learn=True)
    # Moving averages by hand: use .5, sum (-.5 + -4.5 / 4) / 2 and (.5 + 4.5 / 4) / 2.
    assert it.codebooks.flatten().tolist() == pytest.approx([-1.625, 1.625])
    for _ in range(30):
        it(x, learn=True)
    assert it.codebooks.flatten().tolist() == pytest.approx([-2.25, 2.25], abs=1e-4)


def test_every_level_of_the_codebooks_moves() -> None:
    it = quantizer()
    before = it.codebooks.clone()
    it(torch.randn(256, 5), learn=True)
    assert ((it.codebooks - before).abs().amax(dim=(1, 2)) > 1e-4).all()


def test_dead_codes_revive_and_are_used_until_revival_is_off() -> None:
    centres = torch.randn(8, 5) * 3
    x = (centres[:, None] + 0.05 * torch.randn(8, 64, 5)).flatten(0, 1)
    for reviving in (True, False):
        it = quantizer(levels=1, decay=0.9)
        it.codebooks[0] = 100 + torch.arange(8.0)[:, None]  # one code wins everything, seven are dead
        it.sums.copy_(it.codebooks / 8)
        it.reviving = reviving
        for _ in range(200):
            it(x, learn=True)
        used = int((code_use(it(x).indices, 8) > 0).sum())
        assert used >= 6 if reviving else used == 1


def test_k_means_finds_separate_clusters_and_starts_every_level() -> None:
    torch.manual_seed(0)
    centres = torch.randn(8, 5) * 5
    x = (centres[:, None] + 0.01 * torch.randn(8, 50, 5)).flatten(0, 1)
    found, share = k_means(x, 8, 10)
    assert torch.cdist(centres, found).min(dim=1).values.max() < 0.1
    assert share.tolist() == pytest.approx([1 / 8] * 8)
    it = quantizer()
    it.start(x)
    assert bool(it.started)
    errors = [(x - it.look_up(it(x).indices, level)).square().mean().item() for level in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]


def test_k_means_takes_fewer_vectors_than_codes() -> None:
    found, share = k_means(torch.ones(3, 5), 8, 5)
    assert torch.isfinite(found).all()
    assert share.sum() == pytest.approx(1)


def test_a_batch_of_one_learns_and_quantizes() -> None:
    it = quantizer()
    out = it(torch.randn(1, 5).requires_grad_(), learn=True)
    assert out.indices.shape == (1, 3)
    assert torch.isfinite(it.codebooks).all()


def test_use_and_perplexity_are_counted_per_level_by_hand() -> None:
    indices = torch.tensor([[0, 3], [0, 2], [0, 1], [1, 0]])
    use = code_use(indices, 4)
    assert use.tolist() == [[0.75, 0.25, 0, 0], [0.25, 0.25, 0.25, 0.25]]
    by_hand = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert perplexity(use).tolist() == pytest.approx([by_hand, 4.0])


def chunks(count: int = 512, seed: int = 0) -> torch.Tensor:
    """Twelve prototypes and a little noise, (count, 8, 7)."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(12, 8, 7, generator=torch.Generator().manual_seed(9))
    which = torch.randint(12, (count,), generator=generator)
    return prototypes[which] + 0.1 * torch.randn(count, 8, 7, generator=generator)


def trained(estimator: str, steps: int = 300) -> ChunkTokenizer:
    torch.manual_seed(0)
    tokenizer = ChunkTokenizer(CodesConfig(codes=8, latent=8, estimator=estimator), 8, 7).train()
    tokenizer.start(chunks())
    optimizer = torch.optim.AdamW(tokenizer.parameters(), 3e-3)
    for step in range(steps):
        loss, _ = tokenizer.loss(chunks(128, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return tokenizer.eval()


@pytest.mark.parametrize("estimator", ["rotation", "ste"])
def test_the_tokenizer_learns_chunks_coarse_to_fine(estimator: str) -> None:
    torch.set_num_threads(1)
    tokenizer = trained(estimator)
    held_out = chunks(seed=1000)
    report = tokenizer.report(held_out)
    mean_error = (held_out - chunks().mean(0)).abs().mean().item()
    assert report.reconstruction[1] < report.reconstruction[0] < 0.8 * mean_error
    assert report.reconstruction[1] < 0.5 * mean_error
    assert min(report.used) >= 6
    assert report.reconstruction[1] == pytest.approx(
        (tokenizer.decode(tokenizer.encode(held_out)) - held_out).abs().mean().item()
    )


def test_training_and_evaluation_give_the_same_codes() -> None:
    tokenizer = trained("rotation", steps=5)
    x = chunks(64)
    codes = tokenizer.encode(x)
    assert torch.equal(tokenizer.train().encode(x), codes)


def test_starting_twice_changes_nothing() -> None:
    tokenizer = trained("rotation", steps=1)
    before = tokenizer.quantizer.codebooks.clone()
    tokenizer.start(chunks(seed=5))
    assert torch.equal(tokenizer.quantizer.codebooks, before)
