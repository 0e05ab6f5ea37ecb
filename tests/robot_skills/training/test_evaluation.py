"""Evaluation: the same table for any number of workers, whatever happens to them."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from robot_skills.errors import InputError
from robot_skills.training.evaluation import EpisodeResult, EvalReport, evaluate
from robot_skills.training.parallel import WorkerDiedError, map_in_order

COLOURS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One cluster for all tests here: `map_in_order` uses the one that is there."""
    import ray

    config = {"worker_niceness": 0}
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, _system_config=config)
    yield
    ray.shutdown()


@dataclasses.dataclass(frozen=True)
class Episodes:
    """Odd seeds succeed; the process dies at some seeds, each as often as there are files to take away."""

    lives: Path | None = None
    deadly: tuple[int, ...] = ()

    def __call__(self) -> Callable[[int], EpisodeResult]:
        def run(seed: int) -> EpisodeResult:
            if seed in self.deadly and self.lives is not None:
                for life in sorted(self.lives.glob(f"{seed}_*"))[:1]:
                    life.unlink()
                    os._exit(1)
            call = f'pick(object="{COLOURS[seed % 3]} block")'
            return EpisodeResult(seed, seed % 2 == 1, "succeeded", "", seed, seed / 10, call)

        return run


def quiet() -> Console:
    return Console(file=io.StringIO(), width=100)


def table(report: EvalReport) -> dict[str, object]:
    return {key: value for key, value in report.to_json().items() if key != "seconds"}


@pytest.mark.usefixtures("cluster")
def test_one_worker_gives_what_four_give_though_some_die(tmp_path: Path) -> None:
    seeds = range(100, 112)
    local = evaluate("pick", Episodes(), seeds, 1, True, quiet())
    (tmp_path / "103_a").touch()
    (tmp_path / "103_b").touch()
    (tmp_path / "110_a").touch()
    for workers in (1, 4):
        remote = evaluate("pick", Episodes(tmp_path, (103, 110)), seeds, workers, False, quiet())
        assert table(remote) == table(local)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("cluster")
def test_an_episode_that_always_kills_its_process_is_a_failure(tmp_path: Path) -> None:
    for life in "abcdef":
        (tmp_path / f"3_{life}").touch()
    report = evaluate("pick", Episodes(tmp_path, (3,)), [1, 3, 5], 2, False, quiet())
    assert [(r.seed, r.success) for r in report.results] == [(1, True), (3, False), (5, True)]
    assert report.results[1].reason == "its process died 3 times"
    with pytest.raises(WorkerDiedError, match="Item 3"):
        list(map_in_order(Episodes(tmp_path, (3,)), [1, 3, 5], 2))


@dataclasses.dataclass(frozen=True)
class Broken:
    def __call__(self) -> Callable[[int], EpisodeResult]:
        raise InputError("The weights are of another format version.")


@pytest.mark.usefixtures("cluster")
def test_an_error_of_a_worker_arrives_as_it_is() -> None:
    for local in (True, False):
        with pytest.raises(InputError, match=r"^The weights are of another format version.$"):
            evaluate("pick", Broken(), [1, 2], 2, local, quiet())


@dataclasses.dataclass(frozen=True)
class Squares:
    def __call__(self) -> Callable[[int], int]:
        return lambda value: value * value


@pytest.mark.usefixtures("cluster")
def test_an_endless_source_is_taken_only_a_little_ahead() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for value in range(10**9):
            taken.append(value)
            yield value

    results = map_in_order(Squares(), source(), 2)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    results.close()
    assert len(taken) < 30


def test_the_report_says_what_happened() -> None:
    report = evaluate("pick", Episodes(), range(1_000_000, 1_000_010), 1, True, quiet())
    data = report.to_json()
    keys = "name episodes successes success_rate interval first_seed per_episode seconds"
    assert list(data) == keys.split()
    assert (data["episodes"], data["successes"], data["success_rate"]) == (10, 5, 0.5)
    assert data["interval"] == [0.2366, 0.7634]
    assert data["first_seed"] == 1_000_000
    assert data["per_episode"][1]["call"] == 'pick(object="blue block")'
    assert report.by_argument() == [
        ("object", "blue block", 2, 3),
        ("object", "green block", 2, 4),
        ("object", "red block", 1, 3),
    ]
    console = quiet()
    report.show(console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("1000009", "green block  2 of 4", "5 of 10 (50 %, 95 % interval 24 to 76 %)"):
        assert words in text
    with pytest.raises(InputError, match="at least 1 episode"):
        evaluate("pick", Episodes(), [], 1, True, quiet())
