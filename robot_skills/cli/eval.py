"""`robot-skills eval`: success rate of a skill over fixed seeds, with its interval."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_skills.cli.console import check_output, make_console, silence, write_json
from robot_skills.errors import InputError, require, unknown
from robot_skills.library import CARD, SkillLibrary, read_card, skills_of

if TYPE_CHECKING:
    from robot_skills.cli.film import Film
    from robot_skills.execution import ChunkSource, Step
    from robot_skills.policies.policy import Policy
    from robot_skills.skill import Skill
    from robot_skills.training.evaluation import EpisodeResult
    from sim.tabletop.world import TabletopWorld

EXAMPLES = """\
examples:
  robot-skills eval pick --episodes 200 --workers 4
  robot-skills eval out/train/pick --first-seed 900000     while choosing a checkpoint or a setting
  robot-skills eval out/train/all --as pick                a policy of several skills
  robot-skills eval out/train/pick --videos out/failures --json out/pick.json
  robot-skills eval libero_object out/train/libero_object --episodes 10
  robot-skills eval metaworld:door-open-v3 out/train/metaworld
  robot-skills eval robosuite:NutAssemblySquare out/train/square
  robot-skills eval pusht out/train/pusht_image

Suites of other simulators come first, the trained folder second; SUITE:TASK is one task of one, by name or
number: libero_spatial, libero_object, libero_goal, libero_10, libero_90 (from LIBERO's recorded starts, the
seeds being their numbers), metaworld, robosuite, pusht. --episodes is for each task; one ends as soon as its
task is done.

Success is judged from the simulator's state; the policy sees camera images, proprioception and language
only. Seeds from 1,000,000 on are for evaluation, 900,000 to 999,999 for validation, those below for training.
"""
FILM_SIZE = (480, 640)
#: Of the first episode of an evaluation on the tabletop.
FIRST_SEED = 1_000_000


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "eval",
        help="success rate of a skill, with its interval",
        description="Run a skill's policy over fixed seeds: a row for each episode, successes by argument, "
        "and the success rate with its 95 % Wilson interval. Any number of workers gives the same result.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "skill",
        metavar="SKILL-or-FOLDER",
        help="a skill of the library, or a trained folder; or a suite, if FOLDER comes after it",
    )
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="the trained folder, after a suite")
    parser.add_argument("--episodes", metavar="N", type=int, default=50, help="how many (default 50)")
    parser.add_argument(
        "--first-seed",
        metavar="S",
        type=int,
        help="of the first episode (default: 1000000; a suite's own)",
    )
    parser.add_argument(
        "--execute", metavar="N", type=int, help="actions played of each chunk (default: the policy's own)"
    )
    parser.add_argument(
        "--workers",
        metavar="W",
        type=int,
        default=os.cpu_count() or 1,
        help="processes (default: all cores)",
    )
    parser.add_argument("--local", action="store_true", help="run in this process, without Ray")
    parser.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    parser.add_argument(
        "--as",
        metavar="SKILL",
        dest="called",
        help="the skill that a FOLDER's policy is called for, where it knows several",
    )
    parser.add_argument("--videos", metavar="DIR", type=Path, help="film the failures (MP4)")
    parser.add_argument("--card", action="store_true", help="write the rate into the README.md of the FOLDER")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Evaluate and report."""
    check_output(args.json)
    if (args.first_seed or 0) < 0 or args.episodes < 1 or args.workers < 1:
        raise InputError("--episodes and --workers are 1 or more, --first-seed is 0 or more.")
    if _is_suite(args.skill, args.folder):
        from robot_skills.cli.suites import handle as handle_suite

        _check_execute(Path(args.folder), args.execute)
        return handle_suite(args)
    if args.first_seed is None:
        args.first_seed = FIRST_SEED
    name, folder, skill = find(args.skill, args.library, args.called)
    _check_execute(folder, args.execute)
    with silence():
        require("pybullet", "sim")
    if args.videos is not None:
        require("av", "video")
        args.videos.mkdir(parents=True, exist_ok=True)
    from robot_skills.policies.registry import read_config
    from robot_skills.training.evaluation import evaluate
    from robot_skills.training.export import write_success

    console = make_console()
    _warn(args.first_seed, args.episodes, console)
    videos = None if args.videos is None else str(args.videos)
    runner = TabletopRunner(str(folder), skill, videos, args.execute)
    seeds = range(args.first_seed, args.first_seed + args.episodes)
    report = evaluate(name, runner, seeds, args.workers, args.local, console)
    report.show(console)
    if args.videos is not None and report.successes < args.episodes:
        console.print(f"The failures are filmed in {args.videos}.")
    if args.card:
        given = f"--episodes {args.episodes} --first-seed {args.first_seed}"
        given += "" if args.execute is None else f" --execute {args.execute}"
        given += "" if args.called is None else f" --as {args.called}"
        command = f"robot-skills eval {shlex.quote(args.skill)} {given}"
        several = len(skills_of(read_config(folder))) > 1
        write_success(folder, report, command, skill.name if several else "")
    write_json(args.json, report.to_json())
    return 0


def _is_suite(name: str, folder: str | None) -> bool:
    """Whether it is another simulator's suite that is asked for.

    Raises:
        InputError: a suite comes without a folder, or a folder after something else.
    """
    if folder is None and Path(name).exists():
        return False  # a trained folder that is called like a suite
    with silence():
        require("gymnasium", "sim")
        from sim.suites import STEPS, is_suite
    if is_suite(name) and folder is None:
        raise InputError(f"What is to be evaluated on {name}? robot-skills eval {name} FOLDER")
    if folder is not None and not is_suite(name):
        raise unknown("suite", name, STEPS)
    return folder is not None


def find(name: str, library: Path | None, called: str | None) -> tuple[str, Path, Skill]:
    """A name for the report, the folder with the weights, and the card."""
    folder = Path(name)
    if called is not None:
        _check_known(folder, called)
        return f"{folder.resolve().name}: {called}", folder, SkillLibrary.open(library).skill(called)
    if not (folder / "config.json").is_file():
        if folder.is_dir() or "/" in name:
            raise InputError(f"{name} is not a trained policy: there is no {folder / 'config.json'}.")
        skills = SkillLibrary.open(library)
        return name, skills.weights(name), skills.skill(name)
    if not (folder / CARD).is_file():
        raise InputError(
            f"{folder} holds no {CARD}, which says what counts as success: copy the skill's there, or name "
            "one of several with --as."
        )
    return folder.resolve().name, folder, read_card(folder / CARD)


def _check_known(folder: Path, skill: str) -> None:
    """Check that a trained folder's policy was told of a skill."""
    from robot_skills.policies.registry import read_config

    known = skills_of(read_config(folder))
    if skill not in known:
        raise unknown(f"skill of the policy in {folder}", skill, known)


def _check_execute(folder: Path, execute: int | None) -> None:
    """Check `--execute` here, before processes are started that would each fail.

    Raises:
        InputError: chunks have fewer actions, or the policy has no such setting.
    """
    if execute is not None:
        from robot_skills.policies.registry import load_policy

        load_policy(folder, execute)


def _warn(first: int, episodes: int, console: Any) -> None:
    from robot_skills.training.recipe import FIRST_EVALUATION_SEED, FIRST_VALIDATION_SEED

    if first < FIRST_EVALUATION_SEED:
        use = "training" if first < FIRST_VALIDATION_SEED else "validation"
        console.print(
            f"[yellow]Seeds {first} to {first + episodes - 1} are for {use}: do not report this rate as an "
            f"evaluation, which begins at seed {FIRST_EVALUATION_SEED}.[/]"
        )


@dataclasses.dataclass(frozen=True)
class TabletopRunner:
    """Makes, in its process, a tabletop with a policy and the function that runs a seed's episode.

    Attributes:
        folder: of the trained policy.
        videos: where failures are filmed, or None.
        execute: actions played of a chunk; None: as the folder says.
    """

    folder: str
    skill: Skill
    videos: str | None = None
    execute: int | None = None

    def __call__(self) -> Callable[[int], EpisodeResult]:
        """Load the policy and build the world."""
        import torch

        from robot_skills.policies.registry import load_policy

        # One thread everywhere: sums in another order would be other numbers in another process.
        torch.set_num_threads(1)
        policy = load_policy(Path(self.folder), self.execute)
        world = self.world(policy.cameras)
        return lambda seed: self.play(policy, world, seed)

    def world(self, cameras: Sequence[str]) -> TabletopWorld:
        """The tabletop as the folder's policy sees it."""
        from robot_skills.policies.registry import read_config

        size = read_config(Path(self.folder)).get("image_size", 64)
        side = size if isinstance(size, int) else 64
        with silence():
            from sim.tabletop.world import TabletopWorld

            return TabletopWorld(cameras={camera: (side, side) for camera in cameras})

    def play(self, policy: Policy, world: TabletopWorld, seed: int) -> EpisodeResult:
        """One episode of a policy on the tabletop."""
        from robot_skills.execution import LocalChunks

        return _Runner(self, world, LocalChunks(policy)).run(seed)


class _Runner:
    """Runs episodes; a failed one is run again, the same, for its film."""

    def __init__(self, made_by: TabletopRunner, world: TabletopWorld, chunks: ChunkSource) -> None:
        self._skill, self._world, self._chunks = made_by.skill, world, chunks
        self._videos = None if made_by.videos is None else Path(made_by.videos)

    def run(self, seed: int) -> EpisodeResult:
        result = self._play(seed)
        if self._videos is not None and not result.success:
            self._film(seed, result)
        return result

    def _play(self, seed: int, film: Film | None = None) -> EpisodeResult:
        from robot_skills.execution import execute
        from robot_skills.training.evaluation import EpisodeResult
        from sim.tabletop.oracle import scene_graph
        from sim.tabletop.tasks import sample_task

        task = sample_task(self._skill.name, seed)
        task.start(self._world)
        goal = self._skill.goal(task.call)

        def reached() -> bool:
            return scene_graph(self._world.state()).holds(goal)

        def shoot(step: Step) -> None:
            if film is not None:
                film.see(step.observation.images)
                film.shoot()

        outcome = execute(
            self._world, self._skill, task.call, self._chunks, goal_reached=reached, on_step=shoot
        )
        return EpisodeResult(
            seed=seed,
            success=reached(),
            status=outcome.status.value,
            reason=outcome.reason,
            steps=outcome.steps,
            seconds=outcome.steps / self._world.spec.control_rate,
            call=str(task.call),
        )

    def _film(self, seed: int, result: EpisodeResult) -> None:
        from robot_skills.cli.film import RED, Film

        path = (self._videos or Path()) / f"{self._skill.name}_{seed}.mp4"

        def camera() -> Any:
            return self._world.render("film", *FILM_SIZE, film=True)

        with Film(path, camera, result.call, self._world.spec.control_rate) as film:
            film.caption(f"seed {seed}")
            self._play(seed, film)
            film.caption(f"{result.status.replace('_', ' ')}: {result.reason}", RED)
            film.shoot(1.0)
