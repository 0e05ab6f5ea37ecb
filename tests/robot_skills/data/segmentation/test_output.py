from pathlib import Path

import numpy as np
import pytest

from robot_skills.data.loader import Windows
from robot_skills.data.segmentation import Segment
from robot_skills.data.segmentation.output import read_labels, write_segments
from robot_skills.data.segmentation.truth import read_truth, true_segments
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from tests.robot_skills.data.segmentation.moves import make_store


def test_every_segment_is_an_episode_with_its_rows(tmp_path: Path) -> None:
    source = make_store(tmp_path / "in", 3)
    truths, names = read_truth(source)
    segments = true_segments(truths)
    counted = []
    out = write_segments(
        source, segments, tmp_path / "out", lambda part: names[part.cluster], {}, lambda: counted.append(1)
    )
    assert len(counted) == len(segments) == len(out.episodes)
    for number, part in enumerate(segments):
        episode, recording = out.read(number), source.read(part.recording)
        np.testing.assert_array_equal(episode.state, recording.state[part.start : part.stop])
        np.testing.assert_array_equal(episode.action, recording.action[part.start : part.stop])
        np.testing.assert_array_equal(
            episode.images["front"], recording.images["front"][part.start : part.stop]
        )
        assert episode.end.tolist() == [0.0] * (len(part) - 2) + [1.0, 1.0]
        assert episode.text == names[part.cluster]
        assert episode.attributes == {
            "source_episode": part.recording,
            "source_rows": [part.start, part.stop],
            "cluster": part.cluster,
        }
    assert len(Windows([out], ("front",), 1, 8)) == out.frames


def test_segments_without_a_text_are_left_out_and_nothing_is_overwritten(tmp_path: Path) -> None:
    source = make_store(tmp_path / "in", 1)
    parts = [Segment(0, 0, 5, 0), Segment(0, 5, 9, 1)]
    out = write_segments(source, parts, tmp_path / "out", lambda part: "a" if part.cluster else None, {})
    assert [episode.text for episode in out.episodes] == ["a"]
    with pytest.raises(InputError, match="holds a data set already"):
        write_segments(source, parts, tmp_path / "out", lambda part: "a", {})


def test_labels_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    path.write_text("0: open the drawer\n3: press\n")
    assert read_labels(path) == {0: "open the drawer", 3: "press"}
    for content in ("first: open\n", "0: [a]\n", "{}\n"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"labels.yaml.*NUMBER: text"):
            read_labels(path)


def test_a_store_without_the_truth_says_so(tmp_path: Path) -> None:
    make_store(tmp_path / "in", 2, truth=False)
    with pytest.raises(InputError, match="does not say where its skills begin"):
        read_truth(EpisodeStore.open(tmp_path / "in"))
