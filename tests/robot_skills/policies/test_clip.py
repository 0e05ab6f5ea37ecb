"""The small CLIP: what words mean, that it learns, and what the shipped weights know."""

import json

import numpy as np
import pytest
import torch

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.policies.clip import SHIPPED, load_clip, load_tokenizer
from robot_skills.policies.clip.evaluation import Examiner, examine, sights, worded
from robot_skills.policies.clip.training import ClipTraining, Labelled, Trainer
from robot_skills.policies.clip.words import Captions, Lexicon, colour_meanings, phrase
from robot_skills.policies.torchvision_shim import import_open_clip

COLOURS = {"red": (0.86, 0.1, 0.1), "green": (0.1, 0.62, 0.16), "blue": (0.1, 0.22, 0.88)}
#: How the XKCD survey and CSS paint some names.
SWATCHES = {"crimson": (0.55, 0.0, 0.06), "navy": (0.0, 0.0, 0.5), "lime": (0.2, 0.8, 0.2)}
CAPTIONS = Captions(("block",), ("red", "green"), (), ("table",), (("block", "blue"),))


def test_names_of_colours_go_by_their_hue() -> None:
    shares = colour_meanings(*(np.array(list(c.values()), np.float32) for c in (SWATCHES, COLOURS)))
    assert [list(COLOURS)[i] for i in shares.argmax(1)] == ["red", "blue", "green"]
    assert np.allclose(shares.sum(1), 1)


def test_captions_say_some_or_all_and_never_what_is_held_out() -> None:
    captions = Captions(("block", "ball"), ("red", "green"), ("small",), ("table",), (("ball", "red"),))
    said = [phrase(spec) for spec in captions.specs]
    assert {"small red block", "red object", "ball", "small object", "table"} <= set(said)
    assert "red ball" not in said
    assert "small red ball" not in said
    assert len(said) == len(set(said))
    assert captions.fits(("block", "", ""), ("block", "red", "small"))
    assert not captions.fits(("block", "green", ""), ("block", "red", "small"))


def squares(count: int) -> Labelled:
    """A red and a green square on grey, somewhere."""
    rng = np.random.default_rng(0)
    images = torch.full((count, 3, 32, 32), 150, dtype=torch.uint8)
    seen = torch.full((count, 32, 32), -1)
    for row in range(count):
        for place, top in enumerate(rng.permutation(2)):
            y, x = int(top) * 16 + rng.integers(8), rng.integers(24)
            seen[row, y : y + 8, x : x + 8] = place
            colour = torch.tensor([(220, 25, 25), (25, 160, 40)][place], dtype=torch.uint8)
            images[row, :, y : y + 8, x : x + 8] = colour[:, None, None]
    things = torch.tensor([[[1, 1, 0], [1, 2, 0]]]).expand(count, -1, -1)
    return Labelled(images, seen, things, ("", "block", "table"), ("", "red", "green"), ("",))


@pytest.fixture(scope="module")
def trained():
    open_clip = import_open_clip()
    torch.manual_seed(0)
    sizes = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 4}
    text = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    model = open_clip.model.CLIP(16, sizes, text, init_logit_scale=2.3, init_logit_bias=-2.0)
    tokenize = open_clip.SimpleTokenizer(context_length=8)
    one, half = np.ones((1, 1), np.float32), np.array([[0.95, 0.05]], np.float32)
    lexicon = Lexicon({0: ("cube",), 1: ("crimson",), 2: ()}, {0: one, 1: half, 2: one[:0]})
    config = ClipTraining(
        steps=100, word_steps=100, pictures=6, crops=2, cells=24, phrases=16, shift=2, learning_rate=3e-3
    )
    trainer = Trainer(model, tokenize, squares(64), CAPTIONS, lexicon, config)
    measured = list(trainer.run())
    return Examiner(model, tokenize, squares(20)), measured


def test_it_learns_to_find_and_to_understand_words_that_no_picture_had(trained) -> None:
    examiner, measured = trained
    assert [next(iter(row)) for row in measured] == ["pictures", "words"]
    seen = sights(examiner.data, CAPTIONS)
    assert len(seen) == 40
    plain = examine(examiner, seen, CAPTIONS, worded({}))
    assert plain["found"][0] >= 36
    assert plain["both"][0] >= 36
    red = [sight for sight in seen if sight.spec[1] == "red"]
    other = examine(examiner, red, CAPTIONS, worded({"red": ("crimson",), "block": ("cube",)}))
    assert other["found"][0] >= 18


def test_the_shipped_model_is_small_and_no_skill() -> None:
    folder = SHIPPED["tabletop"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8e6
    config = json.loads((folder / "open_clip_config.json").read_text())
    assert config["format_version"] == 1
    assert folder.name not in SkillLibrary.open().skills
    model, tokenize = load_clip("tabletop"), load_tokenizer("tabletop")
    vectors = model.encode_text(tokenize(["crimson cube", "red block", "blue bowl"]), normalize=True)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2


def test_a_model_that_is_unknown_is_refused() -> None:
    with pytest.raises(InputError, match="no-such"):
        load_clip("no-such")
