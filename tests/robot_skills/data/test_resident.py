"""Batches gathered on the device are those that the host gathers."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_skills.data.loader import Loader, Windows
from robot_skills.data.resident import ResidentWindows, resident_bytes
from robot_skills.data.store import EpisodeStore
from robot_skills.policies.language import LanguageConfig
from robot_skills.policies.policy import Batch
from robot_skills.policies.star.config import StarConfig
from robot_skills.policies.star.policy import StarPolicy
from tests.robot_skills.training.tiny import make_store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Windows:
    folder = tmp_path_factory.mktemp("resident")
    stores = [EpisodeStore.open(make_store(folder / name, 3, seed)) for name, seed in (("a", 0), ("b", 9))]
    return Windows(stores, ("front", "wrist"), 3, 5, weights=(3, 1))


@pytest.fixture(scope="module")
def policy(windows: Windows) -> StarPolicy:
    policy = StarPolicy(StarConfig(language=LanguageConfig(width=16), skills=("place", "pick")))
    policy.language.learn_vocabulary(windows.texts()[0])
    return policy


def assert_same(here: Batch, there: Batch) -> None:
    for name, value in here["images"].items():
        assert torch.equal(value, there["images"][name])
        assert value.is_contiguous(memory_format=torch.channels_last)
    assert here["images"].keys() == there["images"].keys()
    for name in ("history", "actions", "end", "text", "skill", "target", "to_go"):
        one, other = here[name], there[name]  # type: ignore[literal-required]
        assert one.dtype == other.dtype
        assert torch.equal(one, other), name


def test_every_window_is_the_same(windows: Windows, policy: StarPolicy) -> None:
    resident = ResidentWindows(windows, CPU)
    resident.prepare(policy.prepare)
    numbers = np.arange(len(windows))
    assert_same(resident.batch(torch.from_numpy(numbers)), policy.prepare(windows.batch(numbers)))
    assert not resident.batch(torch.from_numpy(numbers), images=False)["images"]


def test_a_part_shares_the_arrays(windows: Windows, policy: StarPolicy) -> None:
    training, held_out = windows.split(0.4, seed=1)
    assert held_out is not None
    resident = ResidentWindows(training, CPU)
    part = resident.of(held_out)
    part.prepare(policy.prepare)
    numbers = np.arange(len(held_out))
    assert_same(part.batch(torch.from_numpy(numbers)), policy.prepare(held_out.batch(numbers)))
    assert len(resident.windows) == len(training)


def test_the_order_is_that_of_the_loader(windows: Windows, policy: StarPolicy) -> None:
    resident = ResidentWindows(windows, CPU)
    resident.prepare(policy.prepare)
    numbers = resident.indices(windows.mixture, 7, seed=3, stream=1, start=5, stop=140)
    with Loader(windows, 7, seed=3, stream=1, start=5, stop=140) as loader:
        steps = 0
        for batch, chosen in zip(loader, numbers, strict=True):
            assert_same(resident.batch(chosen), policy.prepare(batch))
            steps += 1
    assert steps == 135


def test_what_it_takes_is_known_before(windows: Windows) -> None:
    resident = ResidentWindows(windows, CPU)
    tensors: list[Tensor] = [*resident._arrays.values(), *resident._places.values()]
    without = sum(tensor.nbytes for tensor in tensors)
    assert resident_bytes(windows, images=False) == without
    assert resident_bytes(windows) == without + sum(image.nbytes for image in resident._images.values())


def test_words_left_as_texts_are_refused(windows: Windows) -> None:
    with pytest.raises(TypeError, match="prepare"):
        ResidentWindows(windows, CPU).prepare(lambda batch: batch)
    assert list(islice(windows.texts()[1], 1)) == ["pick"]
