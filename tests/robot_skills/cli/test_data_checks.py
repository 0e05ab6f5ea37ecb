"""`data inspect`, `data validate` and `data view` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robot_skills.cli.main import main
from tests.robot_skills.training.tiny import make_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "data", episodes=3)


def spoil(store: Path) -> None:
    """Flip a bit in episode 1 of 3."""
    path = store / "action.bin"
    content = bytearray(path.read_bytes())
    content[len(content) * 15 // 33] ^= 1
    path.write_bytes(content)


def test_validate_passes_what_has_warnings_only(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    # Random numbers are no rotation; all else in these is in order.
    assert main(["data", "validate", str(store), "--skip", "rotation", "--json", str(report)]) == 0
    found = json.loads(report.read_text())
    assert (found["episodes"], found["frames"], found["errors"], found["not_carried"]) == (3, 33, [], [])
    assert "3 episodes, 33 steps" in capsys.readouterr().out


def test_validate_names_what_is_damaged_and_exits_with_1(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(store)
    report = tmp_path / "report.json"
    options = ["--skip", "rotation", "--episodes", "--json", str(report)]
    assert main(["data", "validate", str(store), *options]) == 1
    (error,) = json.loads(report.read_text())["errors"]
    assert (error["kind"], error["episode"], error["severity"]) == ("checksum", 1, "error")
    output = capsys.readouterr().out
    assert "checksum" in output
    assert "episode 1" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["validate", "nowhere"], "no data set at nowhere"),
        (["validate", "data", "--skip", "nann"], "Did you mean 'nan'?"),
        (["validate", "data", "--from", "natve"], "Did you mean 'native'?"),
        (["inspect", "data", "--episode", "3"], "episodes 0 to 2"),
        (["inspect", "data/state.bin"], "none of the formats"),
        (["view", "data"], "-o PAGE.html"),
        (["view", "data", "-o", "page.html", "--episodes", "7"], "0 to 2"),
        (["view", "data", "--sheet", "sheet.jpg"], ".png"),
    ],
)
def test_bad_input(
    arguments: list[str],
    said: str,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(store.parent)
    before = sorted(store.parent.rglob("*"))
    assert main(["data", *arguments]) == 2
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.count("\n") == 1
    assert sorted(store.parent.rglob("*")) == before


def test_inspect_shows_what_there_is(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    assert main(["data", "inspect", str(store), "--json", str(report)]) == 0
    output = capsys.readouterr().out
    for text in (
        "robot-skills episode store",
        "33 at 20 Hz",
        "front 8 x 8",
        "ee.x",
        "gripper",
        "block 2 x 1",
    ):
        assert text in output
    found = json.loads(report.read_text())
    assert (found["episodes"], found["frames"], found["format"]) == (3, 33, "native")
    assert found["lengths"] == {"min": 10, "median": 11.0, "max": 12}
    state = np.fromfile(store / "state.bin", "<f4").reshape(-1, 10)
    for index, spread in enumerate(found["state"]):
        column = state[:, index].astype(np.float64)
        values = [spread[name] for name in ("low", "mean", "high", "std")]
        assert values == pytest.approx([column.min(), column.mean(), column.max(), column.std()])
        assert sum(spread["histogram"]) == len(column)
    assert found["texts"] == {"block 0": 1, "block 1": 1, "block 2": 1}
    assert main(["data", "inspect", str(store), "--episode", "1"]) == 0
    assert "number 1 of 3" in capsys.readouterr().out


def test_view_writes_a_page_and_a_sheet(store: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    command = ["data", "view", str(store), "-o", str(tmp_path / "page"), "--sheet", str(sheet)]
    assert main([*command, "--episodes", "1-2"]) == 0
    html = (tmp_path / "page" / "index.html").read_text()
    assert '"episode": 1' in html
    assert '"episode": 0' not in html
    with Image.open(sheet) as picture:
        assert picture.height == 4 * (8 + 18 + 6) + 6


def test_view_leaves_a_damaged_episode_out(store: Path, tmp_path: Path) -> None:
    spoil(store)
    assert main(["data", "view", str(store), "-o", str(tmp_path / "page.html")]) == 0
    html = (tmp_path / "page.html").read_text()
    assert '"episode": 0' in html
    assert '"episode": 1' not in html
