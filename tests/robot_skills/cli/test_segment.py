from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from robot_skills.cli.main import main
from robot_skills.data.store import EpisodeStore
from tests.robot_skills.data.segmentation.moves import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segment") / "recordings"
    make_store(folder, 6)
    return folder


def test_recordings_become_a_data_set_of_skills(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.yaml").write_text("1: to the north\n")
    out, png, report = tmp_path / "out", tmp_path / "plot.png", tmp_path / "report.json"
    code = main(
        ["data", "segment", str(store), str(out), "--method", "gripper", "--skills", "3", "--plot", str(png),
         "--labels", str(tmp_path / "labels.yaml"), "--json", str(report)]
    )  # fmt: skip
    assert code == 0
    result = json.loads(report.read_text())
    written = EpisodeStore.open(out)
    assert result["episodes"] == len(written.episodes) == len(result["segments"])
    assert result["frames"] == written.frames == EpisodeStore.open(store).frames
    assert {episode.text for episode in written.episodes} == {"skill 0", "to the north", "skill 2"}
    assert 0 < result["scores"]["f1"]["value"] <= 1
    assert "gripper" in written.meta.info["command"]
    with Image.open(png) as picture:
        assert picture.width == 1000
        assert len(set(picture.convert("RGB").getdata())) > 5
    printed = capsys.readouterr().out
    assert "boundary F1" in printed
    assert "to the north" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "budz"], "Did you mean 'buds'"),
        (["--skills", "0"], "skills is at least 1"),
        (["--plot", "p.jpg"], ".png"),
        (["--labels", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "segment", str(store), str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_store_or_not_empty_is_refused(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "segment", str(tmp_path / "none"), str(tmp_path / "out")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    assert main(["data", "segment", str(store), str(tmp_path / "full")]) == 2
    assert "name a new folder" in capsys.readouterr().err
