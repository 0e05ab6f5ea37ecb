import json
from pathlib import Path

import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.policies.language import LanguageConfig, language_encoder
from robot_skills.policies.torchvision_shim import import_open_clip


def test_the_small_encoder_is_open_clips_own_tower_over_its_own_words() -> None:
    torch.manual_seed(0)
    encoder = language_encoder(LanguageConfig())
    encoder.learn_vocabulary(["red cube", "in the drawer", "red cube"])
    assert sorted(encoder.words()) == ["cube", "drawer", "in", "red", "the"]
    assert type(encoder.tower).__module__ == "open_clip.transformer"
    texts = ["red cube", "in the drawer", "red cube"]
    vectors = encoder(texts)
    assert vectors.shape == (3, 64)
    assert torch.equal(vectors[0], vectors[2])
    assert not torch.allclose(vectors[0], vectors[1])
    vectors.sum().backward()
    assert encoder.tower.token_embedding.weight.grad is not None


def test_words_keep_their_slots_when_more_are_learned_and_through_a_state_dict() -> None:
    encoder = language_encoder(LanguageConfig()).eval()
    encoder.learn_vocabulary(["red cube"])
    before = encoder(["red cube"])
    encoder.learn_vocabulary(["blue cube", "a bowl"])
    assert torch.equal(encoder(["red cube"]), before)
    assert encoder.words()[:2] == sorted(["red", "cube"], key=encoder.words().index)
    other = language_encoder(LanguageConfig()).eval()
    other(["red cube"])  # read with no word known
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(["red cube"]), before)


def test_unknown_words_read_alike_and_long_text_is_cut() -> None:
    encoder = language_encoder(LanguageConfig(context=6)).eval()
    encoder.learn_vocabulary(["red cube"])
    assert torch.equal(encoder(["violet"]), encoder(["zebra"]))
    assert torch.isfinite(encoder(["red " * 50])).all()
    assert torch.equal(encoder([""]), encoder([""]))


def test_too_many_words_say_how_many_slots_are_needed() -> None:
    encoder = language_encoder(LanguageConfig(vocabulary=6))
    encoder.learn_vocabulary(["red cube"])
    with pytest.raises(InputError, match="set it to 8 or more"):
        encoder.learn_vocabulary(["one two"])


def test_a_frozen_tower_from_a_local_checkpoint(tmp_path: Path) -> None:
    open_clip = import_open_clip()
    torch.manual_seed(0)
    config = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    (tmp_path / "tiny-text.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path)
    model = open_clip.create_model("tiny-text")
    checkpoint = tmp_path / "tiny.pt"
    torch.save(model.state_dict(), checkpoint)
    encoder = language_encoder(
        LanguageConfig(kind="open_clip", model="tiny-text", pretrained=str(checkpoint))
    )
    assert [name for name, _ in encoder.named_parameters()] == ["projection.weight", "projection.bias"]
    tokens = open_clip.get_tokenizer("tiny-text")(["red cube"])
    features = model.encode_text(tokens, normalize=True) * 24**0.5
    with torch.autocast("cpu", torch.bfloat16):
        encoder(["red cube"])  # what the tower says is kept, and serves every precision
    assert torch.allclose(encoder(["red cube"]), encoder.projection(features), atol=1e-5)
    with pytest.raises(InputError, match="no-such-model"):
        language_encoder(LanguageConfig(kind="open_clip", model="no-such-model"))
