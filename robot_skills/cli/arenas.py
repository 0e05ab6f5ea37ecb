"""Simulators in which a skill practises, episodes played as `robot-skills eval` plays them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robot_skills.cli.console import silence
from robot_skills.errors import InputError
from robot_skills.policies.policy import Policy
from robot_skills.residual.arena import Arena, ArenaFactory
from robot_skills.robot import Float, Observation, RobotSpec
from robot_skills.skill import SkillCall
from robot_skills.training.evaluation import EpisodeResult

if TYPE_CHECKING:
    from robot_skills.cli.eval import TabletopRunner
    from robot_skills.skill import Skill
    from sim.suites import Bench, SuiteTask, Trained

#: What `--env` calls the simulator of the library's skills.
TABLETOP = "tabletop"


@dataclass(frozen=True)
class SuiteArena:
    """Makes the world of another simulator's task.

    Attributes:
        task: of a suite.
        trained: what the policy expects of the world.
        steps: control steps an episode may take; None: as many as the suite allows.
    """

    task: SuiteTask
    trained: Trained
    steps: int | None = None

    def __call__(self) -> Arena:
        """Build the world."""
        from sim.suites import make_bench

        with silence():
            return _Suite(self, make_bench(self.task, self.trained))


class _Suite:
    lead = 0  # as `robot_skills.training.rollout` plays

    def __init__(self, made_by: SuiteArena, bench: Bench) -> None:
        self._made_by, self._bench = made_by, bench

    @property
    def spec(self) -> RobotSpec:
        return self._bench.world.spec

    def observe(self, cameras: Sequence[str]) -> Observation:
        return self._bench.world.observe(cameras)

    def language(self, result: EpisodeResult) -> str:
        return self._bench.text

    def play(self, policy: Policy, seed: int) -> EpisodeResult:
        from robot_skills.cli.suites import play

        return play(policy, self._made_by.task, self._bench, seed, steps=self._made_by.steps)

    def expert(self) -> Float:
        if self._bench.expert is None:
            raise InputError(f"There is no expert for {self._made_by.task.suite}.")
        return self._bench.expert()


@dataclass(frozen=True)
class TabletopArena:
    """Makes a tabletop for a skill of the library.

    Attributes:
        folder: of the trained base.
        skill: its card.
    """

    folder: str
    skill: Skill

    def __call__(self) -> Arena:
        """Build the world."""
        from robot_skills.cli.eval import TabletopRunner

        return _Tabletop(TabletopRunner(self.folder, self.skill, None))


class _Tabletop:
    def __init__(self, runner: TabletopRunner) -> None:
        from robot_skills.execution import ExecutionConfig
        from robot_skills.policies.registry import load_policy

        self._runner, self.lead = runner, ExecutionConfig().lead
        self._world = runner.world(load_policy(Path(runner.folder)).cameras)

    @property
    def spec(self) -> RobotSpec:
        return self._world.spec

    def observe(self, cameras: Sequence[str]) -> Observation:
        return self._world.observe(cameras)

    def language(self, result: EpisodeResult) -> str:
        return self._runner.skill.language(SkillCall.parse(result.call))

    def play(self, policy: Policy, seed: int) -> EpisodeResult:
        return self._runner.play(policy, self._world, seed)

    def expert(self) -> Float:
        raise InputError("The tabletop's experts plan whole episodes: none says what to do from here.")


def arena(env: str, folder: Path, skill: Skill | None, steps: int | None = None) -> ArenaFactory:
    """The simulator that `--env` names, for a trained folder.

    Args:
        env: "tabletop", or a suite's task as in "metaworld:assembly-v3".
        folder: of the trained base.
        skill: the card, which the tabletop needs.
        steps: control steps an episode may take.

    Raises:
        InputError: there is no such simulator or task, or it does not fit the policy.
    """
    from robot_skills.policies.registry import load_policy

    if env == TABLETOP:
        if skill is None:
            raise InputError("The tabletop needs a skill of the library: it says what counts as success.")
        if steps is not None:
            raise InputError("On the tabletop the skill's card says how long an episode may take.")
        return TabletopArena(str(folder), skill)
    from robot_skills.cli.suites import trained

    with silence():
        from sim.suites import tasks_of

        tasks = tasks_of(env)
    if len(tasks) != 1:
        raise InputError(f"{env} has {len(tasks)} tasks; a skill practises one: --env {env}:TASK.")
    return SuiteArena(tasks[0], trained(folder, load_policy(folder).cameras), steps)
