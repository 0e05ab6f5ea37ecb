import pytest
import torch

from robot_skills.policies.vision import VisionConfig, normalise, random_shift
from robot_skills.policies.vision.cnn import ConvEncoder


def test_a_shift_moves_the_image_and_repeats_its_border() -> None:
    torch.manual_seed(0)
    images = torch.arange(8 * 8).reshape(1, 1, 8, 8).expand(200, 3, 8, 8).to(torch.uint8)
    padded = torch.nn.functional.pad(images[:1].float(), (2, 2, 2, 2), mode="replicate")[0]
    windows = {(y, x): padded[:, y : y + 8, x : x + 8].to(torch.uint8) for y in range(5) for x in range(5)}
    found = set()
    for image in random_shift(images, 2):
        match = [place for place, window in windows.items() if torch.equal(window, image)]
        assert match
        found.add(match[0])
    assert len(found) == 25  # every shift, each sample its own
    assert random_shift(images, 0) is images


def test_pixels_are_centred_and_jitter_is_per_image() -> None:
    torch.manual_seed(0)
    images = torch.full((16, 3, 4, 4), 128, dtype=torch.uint8)
    assert torch.equal(normalise(images), torch.zeros(16, 3, 4, 4))
    jittered = normalise(images, 0.1)
    assert jittered.flatten(1).std(dim=1).max() == 0
    assert 0.01 < jittered[:, 0, 0, 0].std() < 0.3
    full = normalise(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2))
    assert full.flatten().tolist() == pytest.approx([-2, 2], abs=0.02)


def test_fused_modulation_equals_normalising_then_scaling() -> None:
    torch.manual_seed(0)
    encoder = ConvEncoder(VisionConfig(channels=(8,), strides=(2,), kernels=(3,)), 5, 7, 16)
    pixels, text = torch.randn(3, 3, 16, 16), torch.randn(3, 5)
    scale, shift = encoder.films(text).chunk(2, dim=1)
    maps = torch.nn.functional.group_norm(encoder.convolutions[0](pixels), 4)
    maps = (maps * (1 + scale)[..., None, None] + shift[..., None, None]).relu()
    shares = (maps.flatten(2) * encoder.sharpness).softmax(-1).view(maps.shape)
    line = torch.linspace(-1, 1, 8)
    where = torch.stack([(shares.sum(2) * line).sum(-1), (shares.sum(3) * line).sum(-1)], dim=-1)
    expected = encoder.project(torch.cat([where.flatten(1), maps.amax((2, 3))], dim=1))
    assert torch.allclose(encoder(pixels, text), expected[:, None], atol=1e-5)


def test_samples_do_not_leak_into_each_other() -> None:
    torch.manual_seed(0)
    encoder = ConvEncoder(VisionConfig(), 5, 7, 64)
    pixels, text = torch.randn(3, 3, 64, 64), torch.randn(3, 5)
    alone = torch.cat([encoder(pixels[i : i + 1], text[i : i + 1]) for i in range(3)])
    assert torch.allclose(encoder(pixels, text), alone, atol=1e-4)
