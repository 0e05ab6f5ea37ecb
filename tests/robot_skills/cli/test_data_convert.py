"""`robot-skills data convert` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest

from robot_skills.cli.data.convert import EPILOG
from robot_skills.cli.main import main
from robot_skills.data.formats import FORMATS, open_source
from tests.robot_skills.data.formats.foreign import write_robomimic


def test_help_lists_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["data", "convert", "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert EPILOG in shown
    listed = EPILOG.split("formats:\n")[1].split("\n\n")[0].splitlines()
    assert {line.split()[0] for line in listed} == set(FORMATS)


def test_a_conversion_and_its_result_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    result = tmp_path / "result.json"
    command = ["data", "convert", str(tmp_path / "lift.hdf5"), str(tmp_path / "store")]
    assert main([*command, "--format", "native", "--filter", "train", "--json", str(result)]) == 0
    shown = capsys.readouterr().out
    assert "2 episodes, 12 frames" in shown
    assert "not carried next_obs" in shown
    found = json.loads(result.read_text())
    assert (found["episodes"], found["frames"], found["errors"]) == (2, 12, [])
    assert found["not_carried"][0].startswith("next_obs")
    assert [len(open_source(tmp_path / "store").read(index)) for index in range(2)] == [5, 7]


def test_options_reach_the_file(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    target = tmp_path / "a.hdf5"
    command = ["data", "convert", str(tmp_path / "lift.hdf5"), str(target), "--format", "robomimic"]
    assert main([*command, "--compress", "--fps", "50", "--episodes", "0,2-2"]) == 0
    source = open_source(target)
    assert source.meta.control_rate == 50.0
    assert [source.read(index).attributes["demo"] for index in range(len(source))] == ["demo_0", "demo_10"]
    with h5py.File(target) as file:
        assert file["data/demo_0/obs/agentview_image"].compression == "gzip"


def test_a_damaged_episode_fails_the_job_unless_it_may_be_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    with h5py.File(tmp_path / "lift.hdf5", "r+") as file:
        del file["data/demo_5/states"]
    result = tmp_path / "result.json"
    command = ["data", "convert", str(tmp_path / "lift.hdf5"), str(tmp_path / "store"), "--format", "native"]
    assert main([*command, "--json", str(result)]) == 1
    assert "damaged episode 1: There is no array data/demo_5/states." in capsys.readouterr().out
    errors = json.loads(result.read_text())["errors"]
    assert [(error["episode"], error["kind"]) for error in errors] == [(1, "missing")]
    assert not (tmp_path / "store").exists()
    assert main([*command, "--json", str(result), "--skip-damaged"]) == 0
    assert json.loads(result.read_text())["episodes"] == 2
    assert json.loads(result.read_text())["errors"] == errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--format", "robomimik"], "Did you mean 'robomimic'"),
        (["--format", "native", "--episodes", "5-2"], "counts down"),
        (["--format", "native", "--episodes", "a"], "is not a list of episodes"),
        (["--format", "native", "--episodes", "7"], "has the episodes 0 to 2, not 7"),
        (["--format", "native", "--filter", "best"], "Unknown filter key 'best'; valid: train, valid"),
        (["--format", "native", "--fps", "0"], "above 0 Hz"),
        (["--format", "native", "--from", "zarr"], "lift.hdf5"),
        ([], "--format"),
    ],
)
def test_bad_input_is_one_line(
    changes: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    assert main(["data", "convert", str(tmp_path / "lift.hdf5"), str(tmp_path / "store"), *changes]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["lift.hdf5"]
