"""`robot-skills eval SUITE FOLDER`: a trained folder on a benchmark of another simulator."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_skills.cli.console import make_console, silence, write_json
from robot_skills.errors import InputError, require
from robot_skills.robot import Float, Image, Observation, RobotSpec
from robot_skills.skill import SkillCall, Status
from robot_skills.training.evaluation import EpisodeResult, EvalReport
from robot_skills.training.statistics import wilson_interval

if TYPE_CHECKING:
    from rich.console import Console

    from robot_skills.cli.film import Film
    from robot_skills.policies.policy import Policy
    from sim.suites import Bench, SuiteTask, Trained


@dataclass(frozen=True)
class SuiteResult(EpisodeResult):
    """How one episode went.

    Attributes:
        score: what the benchmark reports beside success, in [0, 1]; None: nothing.
    """

    score: float | None = None


@dataclass(frozen=True)
class SuiteReport(EvalReport):
    """Success on a suite.

    Attributes:
        max_steps: control steps that an episode may take.
    """

    max_steps: int = 0

    def to_json(self) -> dict[str, Any]:
        """The result for machines: that of every evaluation, and each task's."""
        more = {"max_steps": self.max_steps, "score": self.score, "tasks": self.tasks()}
        return {**super().to_json(), **more}

    @property
    def score(self) -> float | None:
        """Mean score; None where the suite has none."""
        scores = [r.score for r in self.results if isinstance(r, SuiteResult) and r.score is not None]
        return round(float(np.mean(scores)), 4) if len(scores) == len(self.results) else None

    def tasks(self) -> list[dict[str, Any]]:
        """Successes of each task with their 95 % Wilson interval."""
        rows = []
        for _, task, successes, episodes in self.by_argument():
            interval = [round(bound, 4) for bound in wilson_interval(successes, episodes)]
            rows.append({"task": task, "episodes": episodes, "successes": successes, "interval": interval})
        return rows

    def headline(self) -> str:
        """The rate in one line, with the time limit and the score."""
        score = "" if self.score is None else f", mean score {self.score:.3f}"
        return f"{super().headline()} within {self.max_steps} steps{score}"

    def ending(self, result: EpisodeResult) -> str:
        """How an episode ended: these stop when the task is done, whatever the policy says."""
        if result.status == Status.ABORTED.value:
            return result.reason
        return f"done after {result.steps} steps" if result.success else f"not done in {result.steps} steps"


def handle(args: argparse.Namespace) -> int:
    """Evaluate a folder on a suite and report."""
    from sim.suites import first_seed, tasks_of

    folder = Path(args.folder)
    if args.library is not None or args.called is not None:
        raise InputError("--library and --as name a skill of the tabletop; a suite takes neither.")
    trained(folder)  # that it is one, before a simulator is loaded
    with silence():
        tasks = tasks_of(args.skill)
    if args.videos is not None:
        require("av", "video")
        args.videos.mkdir(parents=True, exist_ok=True)
    first = first_seed(tasks[0].suite) if args.first_seed is None else args.first_seed
    videos = None if args.videos is None else str(args.videos)
    runner = SuiteRunner(str(folder), tasks, args.episodes, first, videos, args.execute)
    console = make_console()
    name = f"{args.skill}, {folder.resolve().name}"
    report = evaluate_suite(name, runner, args.workers, args.local, console)
    report.show(console)
    if args.videos is not None and report.successes < len(report.results):
        console.print(f"The failures are filmed in {args.videos}.")
    if args.card:
        from robot_skills.training.export import write_success

        given = f"--episodes {args.episodes} --first-seed {first}"
        given += "" if args.execute is None else f" --execute {args.execute}"
        write_success(folder, report, f"robot-skills eval {args.skill} {shlex.quote(args.folder)} {given}")
    write_json(args.json, report.to_json())
    return 0


def trained(folder: Path, cameras: Sequence[str] = ()) -> Trained:
    """What a trained folder's policy, which sees these cameras, expects of a world.

    Raises:
        InputError: it is no trained folder.
    """
    from robot_skills.policies.registry import read_config
    from robot_skills.training.export import SUMMARY
    from sim.suites import Trained

    config: dict[str, Any] = dict(read_config(folder))
    recipe: dict[str, Any] = {}
    if (folder / SUMMARY).is_file():
        recipe = json.loads((folder / SUMMARY).read_text()).get("recipe", {})
    side = int(config.get("image_size", 64))
    return Trained(
        cameras={name: (side, side) for name in cameras},
        state_size=int(config.get("state_size", 10)),
        action_size=int(config.get("action_size", 7)),
        state=None if recipe.get("state") is None else tuple(recipe["state"]),
    )


def evaluate_suite(
    name: str, runner: SuiteRunner, workers: int, local: bool, console: Console
) -> SuiteReport:
    """Run every task's episodes, task after task; the same table whatever the number of workers."""
    from robot_skills.training.parallel import map_in_order
    from robot_skills.training.progress import JobProgress

    began, items = time.monotonic(), range(len(runner.tasks) * runner.episodes)
    results: list[EpisodeResult] = []
    with JobProgress(console, f"{name}: episodes", len(items), "episodes") as progress:
        for result in map_in_order(runner, items, min(workers, len(items)), local, runner.lost):
            results.append(result)
            progress.advance(1, f"{sum(each.success for each in results)} of {len(results)} succeeded")
    return SuiteReport(name, tuple(results), time.monotonic() - began, runner.tasks[0].steps)


@dataclass(frozen=True)
class SuiteRunner:
    """Makes, in its process, the policy and the function that runs an episode.

    Attributes:
        folder: of the trained policy.
        tasks: of one suite.
        episodes: of each task; episode n is the (n % episodes)-th of task n // episodes.
        first: seed of each task's first episode.
        videos: where failures are filmed, or None.
        execute: actions played of a chunk; None: as the folder says.
    """

    folder: str
    tasks: tuple[SuiteTask, ...]
    episodes: int
    first: int
    videos: str | None = None
    execute: int | None = None

    def __call__(self) -> Callable[[int], EpisodeResult]:
        """Load the policy; worlds are made when their task's turn comes."""
        import torch

        from robot_skills.policies.registry import load_policy

        # One thread everywhere: sums in another order would be other numbers in another process.
        torch.set_num_threads(1)
        return _Runner(self, load_policy(Path(self.folder), self.execute)).run

    def episode(self, number: int) -> tuple[SuiteTask, int]:
        """The task and the seed of an episode."""
        task, count = divmod(number, self.episodes)
        return self.tasks[task], self.first + count

    def lost(self, number: int, reason: str) -> EpisodeResult:
        """The result of an episode whose process died again and again."""
        task, seed = self.episode(number)
        return SuiteResult(seed, False, Status.ABORTED.value, reason, 0, 0.0, _call(task), 0.0)


class _Runner:
    """Runs episodes; a failed one is run again, the same, for its film."""

    def __init__(self, made_by: SuiteRunner, policy: Policy) -> None:
        self._made_by, self._policy = made_by, policy
        self._trained = trained(Path(made_by.folder), policy.cameras)
        self._open: tuple[SuiteTask, Bench] | None = None

    def run(self, number: int) -> EpisodeResult:
        task, seed = self._made_by.episode(number)
        bench = self._bench(task)
        result = play(self._policy, task, bench, seed)
        if self._made_by.videos is not None and not result.success:
            self._film(task, bench, seed, result)
        return result

    def _bench(self, task: SuiteTask) -> Bench:
        """The world of a task; one is open at a time, since their pictures take memory."""
        from sim.suites import make_bench

        if self._open is None or self._open[0] != task:
            if self._open is not None:
                self._open[1].world.close()
            self._open = None
            with silence():
                self._open = task, make_bench(task, self._trained)
        return self._open[1]

    def _film(self, task: SuiteTask, bench: Bench, seed: int, result: EpisodeResult) -> None:
        from robot_skills.cli.film import RED, Film

        path = Path(self._made_by.videos or ".") / f"{task.suite}_{task.name}_{seed}.mp4"

        def camera() -> Image:
            return _fitted(bench.world.film())

        with Film(path, camera, bench.text or task.name, bench.world.spec.control_rate) as film:
            film.caption(f"seed {seed}")
            play(self._policy, task, bench, seed, film)
            film.caption(result.reason, RED)
            film.shoot(1.0)


def play(
    policy: Policy,
    task: SuiteTask,
    bench: Bench,
    seed: int,
    film: Film | None = None,
    steps: int | None = None,
) -> SuiteResult:
    """One episode of a policy in the world of a task; None: of as many steps as the suite allows."""
    from robot_skills.training.rollout import rollout

    bench.begin(seed)
    played = _Played(bench, film)
    rollout(policy, [played], lambda _: played.over, steps or task.steps, bench.text, skill=bench.skill)
    return SuiteResult(
        seed=seed,
        success=played.success,
        status=(Status.SUCCEEDED if played.success else Status.TIMED_OUT).value,
        reason="The task is done." if played.success else f"Not done after {played.steps} steps.",
        steps=played.steps,
        seconds=played.steps / bench.world.spec.control_rate,
        call=_call(task),
        score=None if bench.score is None else bench.score(),
    )


class _Played:
    """A world in which an episode's end is noticed, and which is filmed."""

    def __init__(self, bench: Bench, film: Film | None) -> None:
        self._bench, self._film = bench, film
        self.steps, self.success, self.over = 0, False, bench.done()

    @property
    def spec(self) -> RobotSpec:
        return self._bench.world.spec

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        seen = self._bench.world.observe(cameras)
        if self._film is not None:
            self._film.see(seen.images)
        return seen

    def act(self, action: Float) -> None:
        self._bench.world.act(action)
        self.steps += 1
        self.success = self.success or self._bench.world.success()
        self.over = self.success or self._bench.done()
        if self._film is not None:
            self._film.shoot()

    def stop(self) -> None:
        self._bench.world.stop()


def _call(task: SuiteTask) -> str:
    """The task as reports name it."""
    return str(SkillCall(task.suite, {"task": task.name} if task.name != task.suite else {}))


def _fitted(picture: Image) -> Image:
    """A picture of any shape in the middle of one that a film takes, (480, 640, 3)."""
    from robot_skills.cli.film import HEIGHT, WIDTH

    images = require("PIL.Image", "video")
    scaled = images.fromarray(picture)
    scaled.thumbnail((WIDTH, HEIGHT))
    whole = images.new("RGB", (WIDTH, HEIGHT))
    whole.paste(scaled, ((WIDTH - scaled.width) // 2, (HEIGHT - scaled.height) // 2))
    return np.asarray(whole)
