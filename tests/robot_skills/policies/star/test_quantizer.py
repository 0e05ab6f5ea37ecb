import math

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from robot_skills.policies.star.k_means import k_means
from robot_skills.policies.star.quantizer import code_use, perplexity
from robot_skills.policies.star.residual import (
    CODEBOOKS,
    FrozenCodes,
    ResidualQuantizer,
)

LEARNING = ["ema", "gradient", "simvq"]


def quantizer(codebook: str = "ema", **settings) -> ResidualQuantizer:
    torch.manual_seed(0)
    return CODEBOOKS[codebook](**{"levels": 3, "codes": 8, "size": 5, **settings})


def gradient(it: ResidualQuantizer, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Of the weighted output with respect to the input."""
    x = x.clone().requires_grad_()
    (it(x).vectors * weight).sum().backward()
    return x.grad


# Against vector-quantize-pytorch --------------------------------------------------------------------


def theirs_like(ours: ResidualQuantizer, **settings) -> torch.nn.Module:
    library = pytest.importorskip("vector_quantize_pytorch")
    theirs = library.ResidualVQ(dim=5, num_quantizers=3, codebook_size=8, decay=0.8, **settings)
    for layer, book in zip(theirs.layers, ours.books(), strict=True):
        layer._codebook.embed.data.copy_(book.detach()[None])
    return theirs


@pytest.mark.parametrize("estimator", ["rotation", "ste"])
def test_it_agrees_with_vector_quantize_pytorch(estimator: str) -> None:
    ours = quantizer(estimator=estimator)
    theirs = theirs_like(ours, rotation_trick=estimator == "rotation")
    x, weight = torch.randn(64, 5), torch.randn(64, 5)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected, indices, _ = theirs.eval()(other[:, None])
    got = ours(mine)
    assert torch.equal(got.indices, indices[:, 0])
    assert torch.allclose(got.vectors, expected[:, 0], atol=1e-6)
    # The library puts its estimator in the graph in training mode only.
    expected, _, losses = theirs.train()(other[:, None], freeze_codebook=True)
    (got.vectors * weight).sum().backward()
    (expected[:, 0] * weight).sum().backward()
    assert torch.allclose(mine.grad, other.grad, atol=1e-4)
    assert got.commitment.item() == pytest.approx(losses.mean().item(), rel=1e-4)


def test_averaged_codes_agree_with_vector_quantize_pytorch_after_a_step() -> None:
    ours = quantizer(levels=3, decay=0.8, revive_below=0.0)
    theirs = theirs_like(ours, rotation_trick=False, threshold_ema_dead_code=0)
    x = torch.randn(64, 5)
    # The library counts vectors where we count shares of the batch.
    for layer, book in zip(theirs.layers, ours.books(), strict=True):
        layer._codebook.cluster_size.fill_(64 / 8)
        layer._codebook.embed_avg.copy_(book[None] * 64 / 8)
    ours(x, learn=True)
    theirs.train()(x[:, None])
    for layer, book in zip(theirs.layers, ours.books(), strict=True):
        assert torch.allclose(layer._codebook.embed[0], book, atol=1e-4)


def test_residual_diveq_agrees_with_vector_quantize_pytorch_codes_included(monkeypatch) -> None:
    ours = quantizer("gradient", estimator="diveq").train()
    theirs = theirs_like(ours, diveq=True).train()
    module = __import__("vector_quantize_pytorch.residual_vq", fromlist=["directional_reparam"])
    published = module.directional_reparam
    monkeypatch.setattr(module, "directional_reparam", lambda x, q: published(x, q, 1e-3))
    x, weight = torch.randn(64, 5), torch.randn(64, 5)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    torch.manual_seed(1)
    got = ours(mine)
    torch.manual_seed(1)
    expected, indices, _ = theirs(other[:, None])
    assert torch.equal(got.indices, indices[:, 0])
    assert torch.allclose(got.vectors, expected[:, 0], atol=1e-5)
    (got.vectors * weight).sum().backward()
    (expected[:, 0] * weight).sum().backward()
    assert torch.allclose(mine.grad, other.grad, atol=1e-5)
    codes = [layer._codebook.embed.grad[0] for layer in theirs.layers]
    assert torch.allclose(ours.codebooks.grad, torch.stack(codes), atol=1e-4)


@pytest.mark.parametrize("estimator", ["rotation", "ste"])
def test_mapped_codes_agree_with_vector_quantize_pytorchs_simvq(estimator: str) -> None:
    library = pytest.importorskip("vector_quantize_pytorch")
    theirs = library.ResidualSimVQ(
        dim=5, num_quantizers=3, codebook_size=8, rotation_trick=estimator == "rotation"
    )
    ours = quantizer("simvq", estimator=estimator)
    for layer, anchors, linear in zip(theirs.layers, ours.anchors, ours.maps, strict=True):
        layer.frozen_codebook.copy_(anchors)
        layer.code_transform.weight.data.copy_(linear.detach().T + 0.1 * torch.randn(5, 5))
        linear.data.copy_(layer.code_transform.weight.detach().T)
    x, weight = torch.randn(64, 5), torch.randn(64, 5)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    got, (expected, indices, losses) = ours(mine), theirs(other[:, None])
    assert torch.equal(got.indices, indices[:, 0])
    assert torch.allclose(got.vectors, expected[:, 0], atol=1e-5)
    # Their loss weighs its two sides 1 and .25; ours are means over levels.
    (3 * (got.codebook + 0.25 * got.commitment) + (got.vectors * weight).mean()).backward()
    (losses.sum() + (expected[:, 0] * weight).mean()).backward()
    assert torch.allclose(mine.grad, other.grad, atol=1e-5)
    for layer, grad in zip(theirs.layers, ours.maps.grad, strict=True):
        # A rotated vector also pulls at their map, through the code's norm in the value: not in the trick.
        if estimator == "ste":
            assert torch.allclose(layer.code_transform.weight.grad.T, grad, atol=1e-5)


# Levels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codebook", CODEBOOKS)
def test_levels_quantize_what_the_levels_before_left(codebook: str) -> None:
    it = quantizer(codebook).eval()
    x = torch.randn(20, 5)
    out = it(x)
    residual = x
    for level, book in enumerate(it.books().detach()):
        assert torch.equal(out.indices[:, level], torch.cdist(residual, book).argmin(-1))
        residual = residual - book[out.indices[:, level]]
    assert torch.allclose(it.look_up(out.indices), x - residual, atol=1e-6)
    assert torch.allclose(out.vectors, it.look_up(out.indices), atol=1e-6)
    assert torch.equal(out.parts, it.parts(out.indices))
    assert torch.allclose(it.look_up(out.indices, 1), it.books()[0][out.indices[:, 0]])
    assert it.sizes == (8, 8, 8)


def test_straight_through_levels_add_up_and_detached_rotations_too() -> None:
    x, weight = torch.randn(6, 5), torch.randn(6, 5)
    assert torch.allclose(gradient(quantizer(estimator="ste"), x, weight), 3 * weight)
    it = quantizer(estimator="rotation")
    # Level by level, by the definition: |q|/|r| R' of the weight, summed.
    expected, residual = torch.zeros_like(x), x
    for code in it(x).parts.unbind(1):
        unit_r, unit_q = residual / residual.norm(dim=1, keepdim=True), code / code.norm(dim=1, keepdim=True)
        w = (unit_r + unit_q) / (unit_r + unit_q).norm(dim=1, keepdim=True)
        turned = weight - 2 * w * (w * weight).sum(1, keepdim=True)
        turned = turned + 2 * unit_r * (unit_q * weight).sum(1, keepdim=True)
        expected = expected + turned * (code.norm(dim=1) / residual.norm(dim=1))[:, None]
        residual = residual - code
    assert torch.allclose(gradient(it, x, weight), expected, atol=1e-5)


def test_without_detached_residuals_straight_through_reaches_the_input_once() -> None:
    x, weight = torch.randn(6, 5), torch.randn(6, 5)
    it = quantizer(estimator="ste", detach_residual=False)
    assert torch.allclose(gradient(it, x, weight), weight, atol=1e-6)


def test_the_commitment_of_every_level_pulls_at_the_input_only_with_detached_residuals() -> None:
    for detach, expected in ((True, 3), (False, 1)):
        it = quantizer(estimator="ste", detach_residual=detach)
        x = torch.randn(1, 5).requires_grad_()
        out = it(x)
        out.commitment.backward()
        # Straight-through residuals carry no gradient past the first level: (x - code_1) alone then.
        residuals = [x.detach() - out.parts[:, :level].sum(1) for level in range(1, 4)]
        pull = sum(residuals[:expected]) * 2 / 5 / 3
        assert torch.allclose(x.grad, pull, atol=1e-6)


@pytest.mark.parametrize("estimator", ["ste", "rotation", "diveq"])
def test_a_matched_gradient_keeps_the_direction_and_the_length_that_came_in(estimator: str) -> None:
    x, weight = torch.randn(16, 5), torch.randn(16, 5)
    torch.manual_seed(1)
    plain = gradient(quantizer(estimator=estimator).eval(), x, weight)
    matched = gradient(quantizer(estimator=estimator, matched=True).eval(), x, weight)
    assert matched.norm() == pytest.approx(weight.norm().item(), rel=1e-5)
    assert torch.allclose(matched / matched.norm(), plain / plain.norm(), atol=1e-6)


def test_matching_leaves_values_commitment_and_codes_alone() -> None:
    x = torch.randn(16, 5)
    answers = []
    for matched in (False, True):
        it = quantizer("gradient", estimator="diveq", matched=matched).eval()
        inner = x.clone().requires_grad_()
        out = it(inner)
        out.commitment.backward(retain_graph=True)
        pulled = inner.grad.clone()
        out.vectors.square().sum().backward()
        answers.append((out.vectors.detach(), out.indices, pulled, it.codebooks.grad))
    for plain, matched in zip(*answers, strict=True):
        assert torch.equal(plain, matched)


def test_no_gradient_in_gives_none_out_when_matched() -> None:
    x = torch.randn(4, 5)
    assert torch.equal(gradient(quantizer(matched=True), x, torch.zeros(4, 5)), torch.zeros(4, 5))


# Codes that learn -----------------------------------------------------------------------------------


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


def descend(it: ResidualQuantizer, x: torch.Tensor, steps: int, rate: float = 0.05) -> None:
    """Let codes learn from x, that stays where it is."""
    parameters = list(it.parameters())
    optimizer = torch.optim.Adam(parameters, rate) if parameters else None
    for _ in range(steps):
        out = it(x, learn=True)
        if optimizer is not None:
            optimizer.zero_grad()
            (out.codebook + (out.vectors - x).square().mean() * it.estimator.moves_codes).backward()
            optimizer.step()


@pytest.mark.parametrize(
    ("codebook", "estimator"),
    [(book, "rotation") for book in LEARNING] + [("gradient", "diveq"), ("simvq", "diveq")],
)
def test_learned_codes_move_at_every_level_to_where_the_vectors_are(codebook: str, estimator: str) -> None:
    it = quantizer(codebook, estimator=estimator).train()
    before = it.books().detach().clone()
    x = torch.randn(256, 5) + 2
    error = (x - it.look_up(it(x).indices)).square().mean()
    descend(it, x, 100)
    assert ((it.books() - before).abs().amax(dim=(1, 2)) > 1e-3).all()
    assert (x - it.look_up(it(x).indices)).square().mean() < 0.7 * error


def test_frozen_codes_never_move_and_never_ask_to() -> None:
    it = quantizer("frozen", codes=16, size=512)
    assert isinstance(it, FrozenCodes)
    assert list(it.parameters()) == []
    before = it.codebooks.clone()
    x = torch.randn(64, 512)
    it.start(x)
    descend(it, x, 5)
    assert torch.equal(it.codebooks, before)
    assert it(x).codebook == 0
    # The release's codes have a norm of about .35 at 16 codes of 512 numbers.
    assert it.codebooks.norm(dim=-1).mean() == pytest.approx(0.35, abs=0.01)


def test_one_code_of_simvq_is_moved_by_the_others_vectors() -> None:
    it = quantizer("simvq", levels=1)
    x = it.books()[0, :2].detach().repeat(8, 1) + 0.01
    unused = it.books()[0, 2:].detach().clone()
    descend(it, x, 1)
    assert ((it.books()[0, 2:] - unused).abs().amax(dim=1) > 1e-3).all()


@pytest.mark.parametrize("codebook", ["ema", "gradient"])
def test_dead_codes_revive_and_are_used_until_revival_is_off(codebook: str) -> None:
    centres = torch.randn(8, 5) * 3
    x = (centres[:, None] + 0.05 * torch.randn(8, 64, 5)).flatten(0, 1)
    for revive in (torch.tensor(True), torch.tensor(False), True, False):
        it = quantizer(codebook, levels=1, decay=0.9)
        far = 100 + torch.arange(8.0)[:, None].expand(8, 5)  # one code wins everything, seven are dead
        with torch.no_grad():
            it.put(0, far, torch.full((8,), 1 / 8))
        for _ in range(200):
            it(x, learn=True, revive=revive)
        used = int((code_use(it(x).indices, 8) > 0).sum())
        assert used >= 6 if revive else used == 1


@pytest.mark.parametrize("codebook", LEARNING)
def test_codes_start_on_the_k_means_of_the_data(codebook: str) -> None:
    torch.manual_seed(0)
    centres = torch.randn(4, 5) * 5
    x = (centres[:, None] + 0.01 * torch.randn(4, 50, 5)).flatten(0, 1)
    it = quantizer(codebook, codes=4)
    assert not it.started
    it.start(x)
    assert bool(it.started)
    assert torch.cdist(centres, it.books()[0]).min(dim=1).values.max() < 0.1
    errors = [(x - it.look_up(it(x).indices, level)).square().mean().item() for level in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]


def test_k_means_finds_separate_clusters() -> None:
    torch.manual_seed(0)
    centres = torch.randn(8, 5) * 5
    x = (centres[:, None] + 0.01 * torch.randn(8, 50, 5)).flatten(0, 1)
    found, share = k_means(x, 8, 10)
    assert torch.cdist(centres, found).min(dim=1).values.max() < 0.1
    assert share.tolist() == pytest.approx([1 / 8] * 8)


def test_k_means_takes_fewer_vectors_than_codes() -> None:
    found, share = k_means(torch.ones(3, 5), 8, 5)
    assert torch.isfinite(found).all()
    assert share.sum() == pytest.approx(1)


@pytest.mark.parametrize("estimator", ["ste", "rotation", "diveq"])
@pytest.mark.parametrize("codebook", CODEBOOKS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_batch_of_one_learns_and_quantizes_at_any_precision(codebook, estimator, dtype) -> None:
    it = quantizer(codebook, estimator=estimator, matched=True).train()
    x = torch.randn(1, 5).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = it(x, learn=True)
    assert out.indices.shape == (1, 3)
    assert out.vectors.dtype == torch.float32
    (out.vectors.sum() + out.commitment + out.codebook).backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(it.books()).all()
    # What precision the caller computes in does not change the codes.
    assert torch.equal(it.eval()(x).indices, it(x.float()).indices)


def test_a_batch_gives_what_its_parts_give() -> None:
    it = quantizer().eval()
    x = torch.randn(9, 5)
    out, parts = it(x), [it(row[None]) for row in x]
    assert torch.equal(out.indices, torch.cat([part.indices for part in parts]))
    assert torch.allclose(out.vectors, torch.cat([part.vectors for part in parts]), atol=1e-6)


# Use ------------------------------------------------------------------------------------------------


def test_use_and_perplexity_are_counted_per_level_by_hand() -> None:
    indices = torch.tensor([[0, 3], [0, 2], [0, 1], [1, 0]])
    use = code_use(indices, 4)
    assert use.tolist() == [[0.75, 0.25, 0, 0], [0.25, 0.25, 0.25, 0.25]]
    by_hand = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert perplexity(use).tolist() == pytest.approx([by_hand, 4.0])


def test_levels_that_share_no_code_are_not_pooled() -> None:
    # Pooled, as in STAR's release, all four codes would count as used.
    use = code_use(torch.tensor([[0, 2], [1, 3], [0, 3], [1, 2]]), 4)
    assert (use > 0).sum(-1).tolist() == [2, 2]
    assert perplexity(use).tolist() == pytest.approx([2.0, 2.0])


def test_the_training_step_never_waits_for_the_device() -> None:
    """A fake tensor has no value: whatever asks for one, or for a shape that depends on one, raises."""
    for codebook in CODEBOOKS:
        for estimator in ("ste", "rotation", "diveq"):
            with FakeTensorMode():
                it = CODEBOOKS[codebook](2, 8, 5, estimator, matched=True).train()
                x = torch.randn(16, 5).requires_grad_()
                out = it(x, learn=True, revive=torch.tensor(True))
                (out.vectors.sum() + out.commitment + out.codebook).backward()
                use = perplexity(code_use(out.indices, 8))
                with pytest.raises(DataDependentOutputException):
                    use[0].item()
