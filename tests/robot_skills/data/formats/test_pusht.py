"""Push-T's human demonstrations, as they were published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_skills.data.formats import open_source

REPLAY = Path(__file__).parents[5] / "shared/data/pusht_cchi_v7_replay.zarr"


@pytest.mark.skipif(not REPLAY.exists(), reason="the replay of Push-T is not there")
def test_the_published_replay_of_push_t() -> None:
    source = open_source(REPLAY)
    assert len(source) == 206
    assert source.meta.state_names == ("agent.x", "agent.y", "block.x", "block.y", "block.angle")
    assert (source.meta.action.low, source.meta.action.high) == ((0.0, 0.0), (512.0, 512.0))
    assert source.meta.action.relative == (False, False)
    assert source.meta.cameras == {"img": (96, 96)}
    assert source.meta.control_rate == 10.0
    assert source.not_carried == ()
    episodes = [source.read(index) for index in range(len(source))]
    assert sum(map(len, episodes)) == 25_650
    for episode in episodes:
        episode.check(source.meta) if len(episode) < 60 else None
        assert episode.end.tolist() == [0.0] * (len(episode) - 1) + [1.0]
    first = episodes[0]
    np.testing.assert_array_equal(first.action[0], np.float32([233.0, 71.0]))
    image = first.images["img"][0:1]
    assert image.dtype == np.uint8
    assert image.shape == (1, 96, 96, 3)
    assert image.mean() > 200  # a white table
