"""The network's folder, what is read off its cells, and its losses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robot_skills.errors import InputError
from robot_skills.perception.catalogue import PLACES, Catalogue
from robot_skills.perception.close_look import SIDE, CloseLook, CloseTrainer, windows
from robot_skills.perception.detector import (
    HEIGHT_SCALE,
    STRIDE,
    Detector,
    DetectorConfig,
    DetectorNetwork,
    close_look,
    compose,
)
from robot_skills.perception.pinhole import Pinhole, View
from robot_skills.perception.training import DetectorTraining, Looks, Trainer, feature_losses, heat_loss
from robot_skills.training.configuration import from_mapping, to_mapping
from sim.tabletop.catalogue import TABLETOP
from sim.tabletop.labels import KINDS, MOST

SMALL = DetectorConfig(TABLETOP, {"front": (64, 16, 48), "wrist": (32, 0, 32)}, (8, 8, 8, 8), 8)
EYES = {"front": (1.04, -0.01, 0.98), "wrist": (0.5, 0.0, 0.4)}


def views(seed: int = 0) -> dict[str, View]:
    rng = np.random.default_rng(seed)
    shown = {}
    for name, (side, top, bottom) in SMALL.cameras.items():
        camera = Pinhole.looking(EYES[name], (0.475, -0.01, 0.0), (0.1, 0, 1), 50.0, (side, side))
        image = rng.integers(256, size=(side, side, 3), dtype=np.uint8)[top:bottom]
        shown[name] = View(image, camera.cropped(top, bottom))
    return shown


def network() -> DetectorNetwork:
    torch.manual_seed(0)
    return DetectorNetwork(SMALL).eval()


class Planted(DetectorNetwork):
    """Answers with cells that are given."""

    def __init__(self, heats: Tensor, features: Tensor) -> None:
        super().__init__(SMALL)
        self.answer = heats, features

    def forward(self, pixels: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
        assert pixels.shape[-2:] == SMALL.canvas
        return self.answer


def undecided() -> CloseLook:
    """A closer look that tells nothing."""
    close = close_look(SMALL)
    for weight in close.parameters():
        torch.nn.init.zeros_(weight)
    return close


def empty_cells() -> tuple[Tensor, Tensor]:
    height, width = (side // STRIDE for side in SMALL.canvas)
    count = sum(size for _, size in SMALL.features)
    return torch.full((1, 3, height, width), -9.0), torch.zeros(1, 3, count, height, width)


@given(
    kind=st.sampled_from(TABLETOP.graspable),
    colour=st.sampled_from(TABLETOP.colours),
    cell=st.tuples(st.integers(0, 7), st.integers(0, 23)),
    height=st.floats(0.0, 0.2),
)
@settings(max_examples=25, deadline=None)
def test_a_peak_is_read_as_what_it_says(kind: str, colour: str, cell: tuple[int, int], height: float) -> None:
    (row, column), (heats, features) = cell, empty_cells()
    heats[0, 0, row, column] = 4.0
    named = SMALL.named(features[0, 0])
    named["kind"][TABLETOP.graspable.index(kind), row, column] = 9.0
    named["colour"][TABLETOP.colours.index(colour), row, column] = 9.0
    named["place"][PLACES.index("thing"), row, column] = 9.0
    named["offset"][:, row, column] = torch.tensor([0.25, 0.75])
    named["height"][0, row, column] = height / HEIGHT_SCALE
    shown = views()
    (found,) = Detector(SMALL, Planted(heats, features), undecided()).detect(shown)
    camera, start = ("front", 0) if column < 16 else ("wrist", 16)
    assert found.camera == camera
    assert TABLETOP.graspable[int(found.kinds.argmax())] == kind
    assert TABLETOP.colours[int(found.colours.argmax())] == colour
    assert PLACES[int(found.places.argmax())] == "thing"
    u, v, _ = shown[camera].camera.project(found.at(height)[None])[0]
    assert (u, v) == pytest.approx((STRIDE * (column - start + 0.25), STRIDE * (row + 0.75)), abs=1e-6)
    assert found.height == pytest.approx(height, abs=1e-6)


def test_two_of_different_colours_side_by_side_are_two() -> None:
    heats, features = empty_cells()
    for row, colour in ((3, "red"), (4, "blue")):
        heats[0, 0, row, 5] = 3.0
        SMALL.named(features[0, 0])["colour"][TABLETOP.colours.index(colour), row, 5] = 9.0
    heats[0, 0, 3, 6] = 2.0  # the red one's heat fades
    SMALL.named(features[0, 0])["colour"][0, 3, 6] = 9.0
    found = Detector(SMALL, Planted(heats, features), undecided()).detect(views())
    assert sorted(TABLETOP.colours[int(each.colours.argmax())] for each in found) == ["blue", "red"]


def test_a_folder_holds_all_of_a_detector(tmp_path: Path) -> None:
    detector = Detector(SMALL, network(), close_look(SMALL))
    detector.save(tmp_path / "detector")
    loaded = Detector.load(tmp_path / "detector")
    assert loaded.config == SMALL
    for name, value in network().state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name].float(), value.half().float(), msg=name)


def test_a_damaged_folder_is_bad_input(tmp_path: Path) -> None:
    Detector(SMALL, network(), close_look(SMALL)).save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="damaged"):
        Detector.load(tmp_path)
    with pytest.raises(InputError):
        Detector.load(tmp_path / "nowhere")


def test_pictures_of_another_size_or_none_are_bad_input() -> None:
    shown = views()
    with pytest.raises(InputError, match="wrist"):
        compose(SMALL, {"front": shown["front"]})
    with pytest.raises(InputError, match="takes"):
        compose(SMALL, {**shown, "wrist": shown["front"]})


def test_the_catalogue_is_plain_data_and_checks_itself() -> None:
    data = to_mapping(TABLETOP)
    assert from_mapping(Catalogue, data, "catalogue") == TABLETOP
    with pytest.raises(InputError, match="not of known kinds"):
        from_mapping(Catalogue, {**data, "fits": [["block", "in", "moon"]]}, "catalogue")
    with pytest.raises(InputError, match="grip"):
        from_mapping(Catalogue, {**data, "rules": {**data["rules"], "grip": [0.1, 0.05]}}, "catalogue")


def labels() -> Tensor:
    """A sure red large block and a doubtful bowl, in one look."""
    things = torch.full((1, MOST, 12), -1.0)
    things[0, 0] = torch.tensor([0, 0, 1, 1, 10.0, 21.0, 0.5, 0.0, 0.07, -1, -1, 1])
    things[0, 1] = torch.tensor([KINDS.index("bowl"), 2, 0, 0, 40.0, 9.0, 0.5, 0.1, 0.02, -1, -1, 0])
    return things


def test_losses_vanish_where_all_is_right_and_only_there() -> None:
    things, (heats, features) = labels(), empty_cells()
    row, column = 5, 2
    right = heats.clone()
    right[0, 0, row, column] = 9.0
    assert heat_loss(SMALL, right, things) < 0.01
    assert heat_loss(SMALL, heats, things) > 5
    ghost = right.clone()
    ghost[0, 1, 2, 10] = 9.0
    assert heat_loss(SMALL, ghost, things) < 0.01, "what is not surely seen may be found"
    ghost[0, 1, 6, 20] = 9.0
    assert heat_loss(SMALL, ghost, things) > 5, "what is not there may not"
    named = SMALL.named(features[0, 0])
    for name, value in (("kind", 0), ("colour", 0), ("place", 1)):
        named[name][value, row, column] = 20.0
    named["size"][0, row, column] = 20.0
    named["offset"][:, row, column] = torch.tensor([0.5, 0.25])
    named["height"][0, row, column] = 0.07 / HEIGHT_SCALE
    assert all(float(lost) < 1e-5 for lost in feature_losses(SMALL, features, things).values())
    named["size"][0, row, column] = -20.0
    assert feature_losses(SMALL, features, things)["size"] > 5


def test_training_learns_a_look_and_is_the_same_each_time() -> None:
    composed = compose(SMALL, views())
    data = Looks(composed[0][None], composed[1][None].astype(np.float16), labels().numpy())

    def losses() -> Iterator[dict[str, float]]:
        return Trainer(SMALL, data, DetectorTraining(steps=200, batch=1)).run()

    first, later = losses()
    assert later["heat"] < 0.5 * first["heat"]
    assert later["offset"] < first["offset"]
    again = next(losses())
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    with pytest.raises(InputError, match="above 0"):
        DetectorTraining(steps=0)


def test_a_window_shows_the_same_of_a_thing_however_near_it_is() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:30, 40:50] = 255
    larger = image.repeat(2, 0).repeat(2, 1)
    (one,) = windows(image, np.array([[45.0, 25.0]]), np.array([SIDE / 0.11]))
    (other,) = windows(larger, np.array([[90.0, 50.0]]), np.array([2 * SIDE / 0.11]))
    np.testing.assert_array_equal(one[0] > 0, (np.pad(np.ones((10, 10)), 5) > 0))
    assert (one > 0).float().sub((other > 0).float()).abs().mean() < 0.02


def test_a_closer_look_learns_shapes_whatever_their_colour() -> None:
    rng = np.random.default_rng(0)
    shown = torch.zeros(60, 3, SIDE, SIDE, dtype=torch.float16)
    kinds = torch.arange(60) % 2
    for window, kind in zip(shown, kinds.tolist(), strict=True):
        half = torch.from_numpy(rng.uniform(0.5, 2, 3))[:, None, None]
        window[:, 7:13, 7:13] = half
        if kind:
            window[:, 9:11, 9:11] = 0  # it has a hole
    torch.manual_seed(0)
    close = close_look(SMALL)
    *_, last = CloseTrainer(close, shown, kinds, (kinds == 0).float()).run(100, batch=32)
    assert last["right"] > 0.7
    logits, large = close(shown.float())
    assert (logits.argmax(1) == kinds).float().mean() > 0.9
    assert ((large > 0) == (kinds == 0)).float().mean() > 0.9
