"""The map of the argument: phrases, what a policy sees of it, and that it travels and is kept."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.argument_map import ArgumentMap, ArgumentMapConfig, noun_phrases
from robot_skills.policies.language import LanguageConfig
from robot_skills.policies.star.config import StarConfig
from robot_skills.policies.star.policy import StarPolicy
from robot_skills.policies.torchvision_shim import import_open_clip
from robot_skills.policies.vision import VisionConfig

SIDE = 32


TOWERS = {
    "vit": {"image_size": SIDE, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "resnet": {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
}


@pytest.fixture(scope="module", params=TOWERS)
def clip(request, tmp_path_factory) -> dict[str, str]:
    """A small CLIP with random weights, as a configuration's `model` and `pretrained`."""
    open_clip, folder = import_open_clip(), tmp_path_factory.mktemp("models")
    config = {
        "embed_dim": 32,
        "init_logit_bias": -2.0,
        "vision_cfg": TOWERS[request.param],
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    name = f"pointing-{request.param}"
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    torch.save(open_clip.create_model(name).state_dict(), folder / f"{name}.pt")
    return {"model": name, "pretrained": str(folder / f"{name}.pt")}


def patches_of(visual, pixels: torch.Tensor) -> torch.Tensor:
    """(B, patches, features), as open_clip's own forward pass makes them."""
    if not hasattr(visual, "layer1"):
        visual.output_tokens = True
        return visual(pixels)[1] @ visual.proj
    kept = []
    visual.layer1.register_forward_hook(lambda _, __, out: kept.append(out))
    visual(pixels)
    return kept[0].flatten(2).transpose(1, 2)


def test_an_argument_is_split_at_its_words_of_relation() -> None:
    relations = ArgumentMapConfig().relations
    assert noun_phrases("red block in the white bowl", relations) == ["red block", "white bowl"]
    assert noun_phrases("the red block left", relations) == ["red block"]
    assert noun_phrases("in Drawer", relations) == ["drawer"]
    assert noun_phrases("", relations) == []


def test_a_map_peaks_where_the_patch_is_most_like_the_phrase(clip) -> None:
    settings = ArgumentMapConfig(kind="clip", phrases=2, **clip)
    module = ArgumentMap(settings, ("front",), 8)
    torch.manual_seed(0)
    pixels = torch.randn(5, 3, SIDE, SIDE)
    vectors = module.words(["red block", "red block in a bowl", "", "a block left", "bowl"])
    assert torch.equal(vectors[0, 0], vectors[1, 0])
    assert torch.equal(vectors[1, 1], vectors[4, 0])
    maps, where = module.locate(pixels, vectors)
    side = 4 if "vit" in clip["model"] else 8
    assert maps.shape == (5, 2, side, side)
    said = [[1, 0], [1, 1], [0, 0], [1, 0], [1, 0]]
    assert ((maps.amax((2, 3)) > 0).int() == torch.tensor(said)).all()
    model = import_open_clip().create_model(clip["model"], pretrained=clip["pretrained"]).eval()
    features = torch.nn.functional.normalize(patches_of(model.visual, module.pixels(pixels)), dim=-1)
    cosines = features[1] @ vectors[1].T
    assert torch.equal(maps[1].flatten(1).argmax(1), cosines.argmax(0))
    assert torch.allclose(where[..., 2], maps.amax((2, 3)), atol=1e-6)


def make(clip, **more) -> StarPolicy:
    settings = {"kind": "clip", **clip, **more.pop("argument_map", {})}
    config = dataclasses.replace(
        StarConfig(),
        vision=VisionConfig(channels=(8, 16), strides=(2, 2), kernels=(5, 3)),
        argument_map=ArgumentMapConfig(**settings),
        **more,
    )
    torch.manual_seed(0)
    return StarPolicy(config).eval()


@pytest.mark.parametrize("shown", [{}, {"channel": False}, {"token": False}])
@pytest.mark.parametrize("kind", ["small", "none"])
def test_texts_and_their_tensors_read_alike(clip, shown, kind: str) -> None:
    language = LanguageConfig(kind=kind, keep=("left", "right"))
    policy = make(clip, argument_map=shown, language=language)
    policy.language.learn_vocabulary(["red block left", "blue block right"])
    images = {name: torch.randint(256, (3, 3, 64, 64), dtype=torch.uint8) for name in policy.cameras}
    history = torch.randn(3, policy.history, policy.config.state_size)
    texts = ["red block left", "azure thing right", "red block left"]
    said = policy.act(images, history, texts, ["pick"] * 3)[0]
    batch = {"text": texts, "skill": ["pick"] * 3}
    ready = policy.prepare(batch)
    assert torch.allclose(said, policy.act(images, history, ready["text"], ready["skill"])[0], atol=1e-6)
    other = policy.act(images, history, ["blue block left", *texts[1:]], ["pick"] * 3)[0]
    assert not torch.allclose(said[0], other[0])  # by the map alone: the colour is no word that is kept
    assert torch.equal(said[1:], other[1:])


def test_phrases_first_met_in_bfloat16_are_kept_in_float32(clip) -> None:
    fresh, mixed = make(clip), make(clip)
    with torch.autocast("cpu", torch.bfloat16):
        mixed.language.vectors(["red block"])
    assert torch.equal(mixed.language.vectors(["red block"]), fresh.language.vectors(["red block"]))


def test_it_is_saved_and_refuses_another_clip(clip, tmp_path: Path) -> None:
    policy = make(clip)
    policy.language.learn_vocabulary(["red block"])
    policy.save_pretrained(tmp_path, torch.float32)
    again = StarPolicy.from_pretrained(tmp_path)
    images = {name: torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8) for name in policy.cameras}
    history = torch.zeros(1, policy.history, policy.config.state_size)
    assert torch.equal(
        policy.act(images, history, ["red block"], ["pick"])[0],
        again.act(images, history, ["red block"], ["pick"])[0],
    )
    path = Path(clip["pretrained"])
    weights = torch.load(path, weights_only=True)
    other = path.with_name("other.pt")
    torch.save({**weights, "logit_scale": weights["logit_scale"] + 1}, other)
    config = json.loads((tmp_path / "config.json").read_text())
    config["argument_map"]["pretrained"] = str(other)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="other weights of the CLIP"):
        StarPolicy.from_pretrained(tmp_path)


def test_gradients_stay_out_of_the_clip_and_it_follows_the_policy(clip) -> None:
    policy = make(clip).double()
    assert next(policy.argument_map._visual[0].parameters()).dtype == torch.float64
    assert not any("visual" in name for name in policy.state_dict() if name.startswith("argument_map"))
    assert not [p for p in policy.argument_map._visual[0].parameters() if p.requires_grad]


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match="channel"):
        ArgumentMapConfig(kind="clip", channel=False, token=False)
    with pytest.raises(InputError, match="argument map"):
        ArgumentMapConfig(kind="clips")
