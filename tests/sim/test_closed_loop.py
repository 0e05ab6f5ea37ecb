"""The closed loop on the tabletop's physics, with the scripted experts as skills and mishaps under way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robot_skills.execution import Step, execute
from robot_skills.library import SkillLibrary
from robot_skills.logic import Formula, parse
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, SkillCall
from robot_skills.symbolic.closed_loop import RunResult, plan_to, run_command
from robot_skills.symbolic.diagnosis import Answer, Failure
from robot_skills.symbolic.watch import Watch
from sim.tabletop.chains import long_command
from sim.tabletop.faults import FaultyTabletop
from sim.tabletop.oracle import scene_graph
from sim.tabletop.retreat import retreat
from sim.tabletop.scene import Scene
from sim.tabletop.world import TabletopWorld
from tests.robot_skills.cli.experts import ExpertChunks

SKILLS = SkillLibrary.open().skills
DRAWER = parse("in(red block, drawer) and closed(drawer)")


class BlindExperts(ExpertChunks):
    """Experts that have nothing rendered."""

    cameras = ()


class Table:
    """A world with experts for skills."""

    def __init__(self, world: TabletopWorld, rate: float = 0.0, seed: int = 0) -> None:
        self.world, self.faults = world, FaultyTabletop(world, rate, seed)
        self.watch = Watch(SKILLS, self.look)

    def look(self) -> SceneGraph:
        return scene_graph(self.world.state())

    def play(
        self, call: SkillCall, meddle: Callable[[Step], None] = lambda step: None, timeout: float = 6.0
    ) -> Outcome:
        guard = self.watch.guard(call)

        def on_step(step: Step) -> str | None:
            meddle(step)
            return guard(step) or self.faults.on_step(step)

        self.faults.begin(call)
        skill = SKILLS[call.skill]
        chunks = BlindExperts(self.world, skill)
        reached: Callable[[], bool] = lambda: self.look().holds(skill.goal(call))  # noqa: E731
        outcome = execute(
            self.faults, skill, call, chunks, goal_reached=reached, on_step=on_step, timeout=timeout
        )
        self.faults.end()
        return outcome

    def closed(
        self, goal: Formula, plan: Sequence[SkillCall], play: Callable[[SkillCall], Outcome] | None = None
    ) -> RunResult:
        return run_command(
            goal, plan, SKILLS, self.look, play or self.play, watch=self.watch,
            withdraw=lambda holding: retreat(self.world, holding),
        )  # fmt: skip


def demo(world: TabletopWorld) -> tuple[SkillCall, ...]:
    world.reset(Scene.load("datasets/scenes/demo.yaml"))
    plan = plan_to(DRAWER, scene_graph(world.state()), SKILLS)
    assert plan is not None
    assert [call.skill for call in plan] == ["open", "pick", "place", "close"]
    return plan


def test_nothing_is_taken_for_a_mishap_where_there_is_none(world: TabletopWorld) -> None:
    for seed in range(3):
        world.reset(Scene.sample(seed, count=6))
        table = Table(world)
        command = long_command(np.random.default_rng(seed), table.look(), SKILLS, (3, 6))
        if command is None:
            continue
        plan = plan_to(command.goal, table.look(), SKILLS)
        assert plan is not None
        result = table.closed(command.goal, plan)
        assert result.success
        assert result.diagnoses == ()
        assert len(result.outcomes) == len(plan)


def test_a_thing_that_is_knocked_out_of_the_hand_ends_the_skill_and_is_taken_again(
    world: TabletopWorld,
) -> None:
    plan, table, knocked = demo(world), Table(world), []

    def knock(step: Step) -> None:
        if not knocked and step.number == 3:
            knocked.append(world.state().tool[:2].copy())
            world.put("red block", [0.5, -0.1, 0.03])

    result = table.closed(
        DRAWER, plan, lambda call: table.play(call, knock if call.skill == "place" else lambda step: None)
    )
    assert result.success
    assert [(what.failure, answer) for what, answer in result.diagnoses] == [(Failure.SLIPPED, Answer.RESUME)]
    cut_short = result.outcomes[2]
    assert "slipped" in cut_short.reason
    assert cut_short.steps < 15  # it did not go on to the drawer with nothing
    assert [outcome.call.skill for outcome in result.outcomes] == [
        "open", "pick", "place", "pick", "place", "close",
    ]  # fmt: skip


def test_a_drawer_that_is_shut_on_the_way_to_it_ends_the_placing(world: TabletopWorld) -> None:
    plan, table, shut = demo(world), Table(world), []

    def push_shut(step: Step) -> None:
        if not shut and step.number == 1:
            shut.append(step.number)
            world.slide("drawer", 0.0)

    result = table.closed(
        DRAWER, plan, lambda call: table.play(call, push_shut if call.skill == "place" else lambda step: None)
    )
    assert result.success
    first, _ = result.diagnoses[0]
    assert first.failure is Failure.DISTURBED
    assert "free(drawer)" in result.outcomes[2].reason
    assert result.replans == 1  # the block is put down, for the hand must be empty to open the drawer


def test_with_mishaps_in_half_of_the_calls_the_closed_loop_does_more(world: TabletopWorld) -> None:
    done = {"open": 0, "closed": 0}
    for seed in range(5):
        for loop in done:
            plan, table = demo(world), Table(world, 0.5, seed)
            if loop == "closed":
                result = table.closed(DRAWER, plan)
                assert result.success == table.look().holds(DRAWER)
            else:
                for call in plan:
                    # The experts, unlike policies, cannot begin where the conditions do not hold.
                    if not SKILLS[call.skill].unmet(call, table.look()):
                        table.play(call)
            done[loop] += table.look().holds(DRAWER)
    assert done["closed"] >= 4
    assert done["closed"] > done["open"]
