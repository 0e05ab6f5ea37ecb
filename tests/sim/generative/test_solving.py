"""Solvers on skill calls, the portfolio, rewards as data, and attempts as a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.robot import Float
from robot_skills.skill import SkillCall
from sim.generative.demonstrations import Demonstrator, demonstrate_all
from sim.generative.goal import Clause, Goal
from sim.generative.grammar import Proposal
from sim.generative.recipe import Furniture, SceneRecipe, Thing
from sim.generative.rewards import REWARDS, TERMS, Term, cost, terms_for
from sim.generative.solvers import Controller, Portfolio, Sampling, Scripted
from sim.generative.task import Provenance, Task, make_task
from sim.generative.trial import attempt
from sim.tabletop.oracle import scene_graph
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import TabletopWorld

SKILLS = SkillLibrary.open().skills


def ring_and_put() -> Task:
    clauses = (Clause("press", ("red bell",)), Clause("put", ("blue ball",), ("white tray",), "in"))
    furnishings = (Furniture("bell", "red"), Furniture("tray", "white"))
    recipe = SceneRecipe((Thing("ball", "blue"),), furnishings, ("drawer", "door", "button"))
    return make_task(Proposal(Goal("chained", clauses), recipe), 5, Provenance("test", 0, 0))


class Lazy:
    """A solver that does nothing, and says that it is done."""

    def controller(self, call: SkillCall, failures: int = 0) -> tuple[str, Controller]:
        return "lazy", self

    def act(self, world: TabletopWorld) -> tuple[Float, bool]:
        return np.array([0, 0, 0, 0, 0, 0, -1], np.float32), True


def test_sampling_reaches_the_goal_of_a_skill_by_its_reward_alone(world: TabletopWorld) -> None:
    task = sample_task("press", 0)
    task.start(world)
    name, controller = Sampling().controller(task.call)
    assert name == "predictive sampling"
    for _ in range(60):
        action, over = controller.act(world)
        world.act(action)
        if over:
            break
    assert over
    assert scene_graph(world.state()).holds(SKILLS["press"].goal(task.call))


def test_a_portfolio_gives_a_call_that_failed_to_the_next_and_says_who_did_it(world: TabletopWorld) -> None:
    trial = attempt(world, ring_and_put(), 1_000, SKILLS, Portfolio((Lazy(), Scripted())))
    assert not trial.success  # more calls fail with the lazy one than new plans are allowed
    trial = attempt(world, ring_and_put(), 1_000, SKILLS, Scripted())
    assert trial.success
    assert trial.solved_by == ("scripted",) * 3
    assert [call.skill for call, _, _ in trial.segments] == [call.skill for call in trial.calls]
    assert trial.segments[0][1] == 0
    assert all(
        before[2] == after[1] for before, after in zip(trial.segments, trial.segments[1:], strict=False)
    )
    portfolio = Portfolio((Lazy(), Scripted()))
    call = SkillCall("press", {"target": "red bell"})
    assert [portfolio.controller(call, failures)[0] for failures in range(4)] == ["lazy", *["scripted"] * 3]


def test_rewards_fall_as_the_expert_goes_about_it(world: TabletopWorld) -> None:
    for skill in REWARDS:
        task = sample_task(skill, 1)
        task.start(world)
        terms = terms_for(task.call)
        before = cost(world.state(), terms)
        _, controller = Scripted().controller(task.call)
        for _ in range(60):
            action, over = controller.act(world)
            world.act(action)
            if over:
                break
        assert cost(world.state(), terms) < 0.6 * before, skill


def test_a_reward_is_chosen_among_the_terms_there_are() -> None:
    with pytest.raises(InputError, match=r"Unknown reward term 'aproach'.*Did you mean 'approach'"):
        Term("aproach")
    with pytest.raises(InputError, match="above 0"):
        Term("lift", {}, -1.0)
    assert {name for terms in REWARDS.values() for name, _ in terms} == set(TERMS)


def test_attempts_become_a_data_set_with_instruction_goal_and_segments(tmp_path: Path) -> None:
    quiet, task = Console(quiet=True), ring_and_put()
    demonstrate_all([task], tmp_path / "data", quiet, Demonstrator(2, (16, 16)), local=True)
    store = EpisodeStore.open(tmp_path / "data")
    assert len(store.episodes) == 2
    for record in store.episodes:
        assert record.text in task.instructions
        assert record.attributes["goal"] == task.formula
        segments = record.attributes["segments"]
        assert [segment["call"]["skill"] for segment in segments] == ["press", "pick", "place"]
        assert segments[-1]["after"] == record.length - 5
        end = store.end[record.rows]
        assert end[:-5].sum() == 0
        assert end[-5:].all()
        assert store.images("front")[record.rows].std() > 0
    again = demonstrate_all([task], tmp_path / "data", quiet, Demonstrator(2, (16, 16)), local=True)
    assert len(again.episodes) == 2
    with pytest.raises(InputError, match="demonstrations of another kind"):
        demonstrate_all([task], tmp_path / "data", quiet, Demonstrator(3, (16, 16)), local=True)
