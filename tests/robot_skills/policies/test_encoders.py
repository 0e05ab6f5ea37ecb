"""Every encoder, as a user meets it: right shapes, samples apart, gradients, saved and loaded."""

import json

import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.torchvision_shim import import_open_clip
from robot_skills.policies.vision import VisionConfig, vision_encoder
from robot_skills.policies.vision.resnet import ResNetEncoder

TEXT, SIZE = 12, 24
#: name -> (settings, tokens of a 64 px image as a map).
KINDS = {
    "cnn": ({}, 256),
    "cnn, eight cells": ({"grid": 8}, 64),
    "cnn, deaf": ({"film": False}, 256),
    "resnet18": ({"kind": "resnet18", "width": 16}, 4),
    "resnet18, two stages": ({"kind": "resnet18", "width": 16, "stages": 2}, 64),
    "resnet18, deaf": ({"kind": "resnet18", "width": 16, "film": False}, 4),
    "vit": ({"kind": "vit", "width": 32, "layers": 2}, 64),
    "vit, deaf": ({"kind": "vit", "width": 32, "layers": 2, "film": False}, 64),
    "open_clip": ({"kind": "open_clip", "model": "tiny", "pretrained": "tiny"}, 16),
    "open_clip, tuned": ({"kind": "open_clip", "model": "tiny", "pretrained": "tiny", "tune": True}, 16),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    """A checkpoint of a small open_clip model that looks at 32 px images in 8 px patches."""
    open_clip, folder = import_open_clip(), tmp_path_factory.mktemp("models")
    config = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    (folder / "tiny.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny").state_dict(), folder / "tiny.pt")
    return str(folder / "tiny.pt")


def make(name: str, tiny: str, **more):
    settings = {**KINDS[name][0], **more}
    if settings.get("pretrained"):
        settings["pretrained"] = tiny
    torch.manual_seed(1)
    return vision_encoder(VisionConfig(**settings), TEXT, SIZE, 64)


@pytest.mark.parametrize("output", ["token", "map"])
@pytest.mark.parametrize("name", KINDS)
def test_the_tokens_are_as_many_as_the_encoder_says(name: str, output: str, tiny: str) -> None:
    encoder = make(name, tiny, output=output)
    assert encoder.tokens == (1 if output == "token" else KINDS[name][1])
    pixels, text = torch.randn(3, 3, 64, 64), torch.randn(3, TEXT)
    tokens = encoder(pixels, text)
    assert tokens.shape == (3, encoder.tokens, SIZE)
    alone = torch.cat([encoder(pixels[i : i + 1], text[i : i + 1]) for i in range(3)])
    assert torch.allclose(tokens, alone, atol=1e-4)
    tokens.square().sum().backward()
    lost = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not [name for name in lost if not name.startswith("tower.")]  # its last layers serve one output


@pytest.mark.parametrize("name", [name for name in KINDS if "open_clip" not in name])
def test_a_deaf_encoder_does_not_hear_and_the_others_do(name: str, tiny: str) -> None:
    encoder = make(name, tiny)
    pixels = torch.randn(1, 3, 64, 64)
    said = [encoder(pixels, text) for text in torch.randn(2, 1, TEXT)]
    assert torch.equal(*said) == ("deaf" in name)


def test_the_resnet_is_torchvisions_with_group_normalisation() -> None:
    import_open_clip()
    resnet18 = pytest.importorskip("torchvision.models").resnet18
    torch.manual_seed(0)
    theirs = resnet18(norm_layer=lambda channels: torch.nn.GroupNorm(channels // 16, channels))
    ours = ResNetEncoder(VisionConfig(kind="resnet18", film=False, output="map"), TEXT, SIZE, 84)
    del theirs.fc
    weights = theirs.state_dict()
    mine = [key for key in ours.state_dict() if not key.startswith(("places", "project"))]
    assert len(mine) == len(weights)
    ours.load_state_dict(dict(zip(mine, weights.values(), strict=True)), strict=False)
    pixels = torch.randn(2, 3, 84, 84)
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(pixels))))
    maps = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
    expected = ours.read_out(maps)
    assert torch.allclose(ours(pixels, torch.zeros(2, TEXT)), expected, atol=1e-4)


def test_a_frozen_tower_sees_the_colours_clip_was_trained_on_and_is_not_saved(tiny: str) -> None:
    encoder = make("open_clip", tiny, output="token")
    assert {name for name in encoder.state_dict()} == {"project.weight", "project.bias"}
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    model = import_open_clip().create_model("tiny", pretrained=tiny).eval()
    mean, deviation = (
        torch.tensor(v).view(3, 1, 1) for v in (model.visual.image_mean, model.visual.image_std)
    )
    features = model.encode_image((images / 255 - mean) / deviation, normalize=True) * 24**0.5
    seen = encoder((images.float() - 128) / 64, torch.zeros(2, TEXT))
    assert torch.allclose(seen[:, 0], encoder.project(features), atol=1e-4)
    encoder.train()
    seen.sum().backward()
    assert not any(p.requires_grad for p in encoder._frozen[0].parameters())
    tuned = make("open_clip, tuned", tiny)
    assert any(name.startswith("tower.") for name in tuned.state_dict())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "resnet"}, "Did you mean 'resnet18'"),
        ({"kind": "open_clip"}, "vision.model"),
        ({"kind": "vit", "heads": 3}, "not divisible by 3 heads"),
        ({"kind": "resnet18", "width": 20}, "multiple of 16"),
        ({"output": "tokens"}, "token"),
        ({"kind": "resnet18", "stages": 5}, "between 1 and 4"),
    ],
)
def test_bad_settings_are_refused(settings, said: str) -> None:
    with pytest.raises(InputError, match=said):
        VisionConfig(**settings)


def test_patches_must_divide_the_image() -> None:
    with pytest.raises(InputError, match=r"84 px images: .*12.*not 8"):
        vision_encoder(VisionConfig(kind="vit"), TEXT, SIZE, 84)


def test_a_model_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="no-such-model"):
        vision_encoder(VisionConfig(kind="open_clip", model="no-such-model"), TEXT, SIZE, 64)
