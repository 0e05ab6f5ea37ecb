import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from robot_skills.errors import InputError
from robot_skills.policies.star.config import CodesConfig
from robot_skills.policies.star.tokenizer import ChunkTokenizer

KINDS = [
    {"estimator": "ste"},
    {"estimator": "rotation"},
    {"estimator": "rotation", "matched_gradient": True},
    {"estimator": "diveq", "codebook": "gradient", "commitment": 0.0},
    {"estimator": "ste", "codebook": "gradient"},
    {"estimator": "ste", "codebook": "simvq"},
    {"quantizer": "fsq"},
]


def chunks(count: int = 512, seed: int = 0) -> torch.Tensor:
    """Twelve prototypes and a little noise, (count, 8, 7)."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(12, 8, 7, generator=torch.Generator().manual_seed(9))
    which = torch.randint(12, (count,), generator=generator)
    return prototypes[which] + 0.1 * torch.randn(count, 8, 7, generator=generator)


def trained(steps: int = 300, **settings) -> ChunkTokenizer:
    torch.manual_seed(0)
    tokenizer = ChunkTokenizer(CodesConfig(codes=8, latent=8, **settings), 8, 7).train()
    tokenizer.start(chunks())
    optimizer = torch.optim.AdamW(tokenizer.parameters(), 3e-3)
    for step in range(steps):
        loss, _ = tokenizer.loss(chunks(128, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return tokenizer.eval()


@pytest.mark.parametrize("settings", KINDS)
def test_the_tokenizer_learns_chunks_coarse_to_fine(settings) -> None:
    torch.set_num_threads(1)
    tokenizer = trained(**settings)
    held_out = chunks(seed=1000)
    report = tokenizer.report(held_out)
    mean_error = (held_out - chunks().mean(0)).abs().mean().item()
    # Of a chunk's two rounded numbers, the first by itself says less than the first code of a residual.
    coarse = 0.95 if settings.get("quantizer") == "fsq" else 0.8
    assert report.reconstruction[1] < report.reconstruction[0] < coarse * mean_error
    assert report.reconstruction[1] < 0.5 * mean_error
    assert min(report.used) >= 4
    assert report.reconstruction[1] == pytest.approx(
        (tokenizer.decode(tokenizer.encode(held_out)) - held_out).abs().mean().item()
    )


@pytest.mark.parametrize("settings", KINDS)
def test_training_and_evaluation_give_the_same_codes(settings) -> None:
    tokenizer = trained(steps=5, **settings)
    x = chunks(64)
    codes = tokenizer.encode(x)
    assert codes.shape == (64, 2)
    assert codes.dtype == torch.int64
    assert torch.equal(tokenizer.train().encode(x), codes)


def test_starting_twice_changes_nothing() -> None:
    tokenizer = trained(steps=1)
    before = tokenizer.quantizer.books().clone()
    tokenizer.start(chunks(seed=5))
    assert torch.equal(tokenizer.quantizer.books(), before)


def test_samples_that_lose_levels_keep_their_coarse_code_and_the_gradient() -> None:
    torch.manual_seed(0)
    tokenizer = ChunkTokenizer(CodesConfig(levels=3, codes=8, latent=8, level_dropout=1.0), 8, 7).train()
    vectors = torch.randn(64, 8).requires_grad_()
    quantized = tokenizer.quantizer(vectors)
    dropped = tokenizer._drop_levels(quantized)
    prefixes = torch.stack([quantized.parts[:, :level].sum(1) for level in (1, 2)])
    missed = (dropped - prefixes).abs().amax(-1)
    assert torch.allclose(missed.min(0).values, torch.zeros(64), atol=1e-6)
    assert missed.argmin(0).unique().tolist() == [0, 1]
    whole = torch.autograd.grad(quantized.vectors.sum(), vectors, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(dropped.sum(), vectors)[0], whole)


@pytest.mark.parametrize("settings", KINDS)
def test_a_training_step_never_waits_for_the_device(settings) -> None:
    with FakeTensorMode():
        tokenizer = ChunkTokenizer(CodesConfig(levels=3, **settings), 8, 7).train()
        loss, metrics = tokenizer.loss(torch.randn(16, 8, 7))
        loss.backward()
    assert all(isinstance(value, torch.Tensor) and not value.requires_grad for value in metrics.values())


def test_codes_of_earlier_releases_are_read() -> None:
    """The codebooks of the shipped skills: their names in the file have not changed."""
    tokenizer = ChunkTokenizer(CodesConfig(), 8, 7)
    quantizer = {name for name in tokenizer.state_dict() if name.startswith("quantizer.")}
    assert quantizer == {f"quantizer.{name}" for name in ("codebooks", "usage", "sums", "started")}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"estimator": "rotations"}, "Did you mean 'rotation'"),
        ({"codebook": "emma"}, "Did you mean 'ema'"),
        ({"quantizer": "fsv"}, "Did you mean 'fsq'"),
        ({"quantizer": "fsq", "codes": 2}, "at least 3"),
        ({"quantizer": "fsq", "matched_gradient": True}, "matched_gradient is for"),
        ({"matched_gradient": True, "detach_residual": False}, "matched_gradient is for"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message) -> None:
    with pytest.raises(InputError, match=message):
        CodesConfig(**settings)
