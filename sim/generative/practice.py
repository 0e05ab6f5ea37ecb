"""Practising a chain in full physics, on scenes that nothing has seen, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from robot_skills.composite import carry_out
from robot_skills.library import SkillLibrary
from robot_skills.logic import Atom, Formula, Not, bind
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.composition import bound, lift, refuted
from sim.generative.chains import Chain, Rules
from sim.generative.decomposition import decompose
from sim.generative.placement import PlacementError
from sim.generative.solvers import Scripted
from sim.generative.task import Task
from sim.generative.trial import HOLD, Player
from sim.tabletop.oracle import scene_graph
from sim.tabletop.world import TabletopWorld

#: Episodes of a task from here on are practised on: no gate, demonstration or benchmark has looked at them.
FIRST_PRACTISED = 50_000


@dataclass(frozen=True)
class Practice:
    """What came of practising a chain: a line of `growth.jsonl`.

    Attributes:
        signature: of the chain.
        name: of the skill that it became, or would have become.
        tasks: in whose plans it was found.
        successes: scenes in which every step worked, the end lasted, and the effects were those of the card.
        trials: scenes in which it began.
        drawn: scenes that were looked at for that: in the others the plan does not hold the chain, or a step
            before it failed.
        kept: whether it is a skill now.
        reason: of the first failure, or why there was nothing to try.
        seconds: processor time.
    """

    signature: str
    name: str
    tasks: tuple[str, ...]
    successes: int
    trials: int
    drawn: int
    kept: bool
    reason: str
    seconds: float


def practise(world: TabletopWorld, chain: Chain, skills: Mapping[str, Skill], rules: Rules) -> Practice:
    """Practise a chain on unseen scenes of the tasks that lent it; each step is tried once.

    Args:
        world: any; it is reset.
        chain: what is practised.
        skills: the cards of the primitives.
        rules: how often, and how often it must work.
    """
    began = time.process_time()
    card = chain.card(chain.name, skills)
    results: list[str | None] = []
    allowed = rules.practice - _needed(rules)
    drawn = 0
    for draw in range(rules.draws * rules.practice):
        if len(results) == rules.practice or sum(each is not None for each in results) > allowed:
            break
        task = chain.tasks[draw % len(chain.tasks)]
        drawn += 1
        beginning = _begin(world, task, FIRST_PRACTISED + draw // len(chain.tasks), chain, skills)
        if beginning is not None:
            player, names = beginning
            results.append(_try(world, player, task, SkillCall(card.name, names), card, chain.steps, skills))
    successes = results.count(None)
    reason = next((each for each in results if each is not None), "")
    return Practice(
        chain.signature, card.name, tuple(task.name for task in chain.tasks), successes, len(results), drawn,
        len(results) == rules.practice and successes >= _needed(rules),
        reason or ("" if len(results) == rules.practice else "It begins in too few scenes."),
        round(time.process_time() - began, 2),
    )  # fmt: skip


@dataclass(frozen=True)
class Practiser:
    """Makes, in its process, a world and the function that practises a chain in it."""

    rules: Rules

    def __call__(self) -> Callable[[Chain], Practice]:
        """Build the world."""
        from robot_skills.cli.console import silence

        with silence():
            world = TabletopWorld({})
        skills = SkillLibrary.open().skills
        return lambda chain: practise(world, chain, skills, self.rules)


def _begin(
    world: TabletopWorld, task: Task, episode: int, chain: Chain, skills: Mapping[str, Skill]
) -> tuple[Player, dict[str, str]] | None:
    """Bring a world to where the chain begins in the plan of an episode; None when it begins nowhere."""
    try:
        world.reset(task.scene(episode))
    except PlacementError:
        return None
    graph = scene_graph(world.state(), task.tolerances)
    plan = decompose(task.goal.given(graph), graph, skills) or ()
    length = len(chain.steps)
    for first in range(len(plan) - length + 1):
        steps, names = lift(plan[first : first + length], skills)
        if steps == chain.steps and _suits(chain, names, graph):
            break
    else:
        return None
    player = Player(world, task, skills, Scripted(), lambda action: None)
    for call in plan[:first]:
        player.play(call)
        if not _done(world, task, call, skills):
            return None
    return player, names


def _suits(chain: Chain, names: Mapping[str, str], scene: SceneGraph) -> bool:
    """Whether what the chain would be called with is of its kind."""
    return chain.only is None or scene.entity(names[chain.only[0]]).kind == chain.only[1]


def _try(
    world: TabletopWorld, player: Player, task: Task, call: SkillCall, card: Skill,
    steps: Sequence[SkillCall], skills: Mapping[str, Skill],
) -> str | None:  # fmt: skip
    """Carry the chain out from where the world is; None when all of it worked, else why not."""
    before = scene_graph(world.state(), task.tolerances)
    unmet = card.unmet(call, before)
    if unmet:
        return f"Where it is to begin the card lacks {' and '.join(map(str, unmet))}."
    wrong = refuted(card, call, steps, skills, before)
    if wrong is not None:
        return wrong
    outcome = carry_out(
        call, bound(steps, call.args), player.play, lambda step: _done(world, task, step, skills)
    )
    if not scene_graph(world.state(), task.tolerances).holds(card.goal(call)):
        return f"{call}: {outcome.reason}"
    for _ in range(HOLD):
        player.still()
        after = scene_graph(world.state(), task.tolerances)
        promised = (bind(effect, call.args) for effect in card.effects)
        lacking = [each for each in promised if not _shown(each, after)]
        if lacking or not after.holds(card.goal(call)):
            return f"{call}: the end does not last, or lacks {', '.join(map(str, lacking)) or card.success}."
    return None


def _shown(effect: Formula, scene: SceneGraph) -> bool:
    """Whether a scene shows an effect; what a chain deletes for any argument, it may add for one."""
    if isinstance(effect, Not) and isinstance(effect.part, Atom) and "*" in effect.part.args:
        return True
    return scene.holds(effect)


def _done(world: TabletopWorld, task: Task, call: SkillCall, skills: Mapping[str, Skill]) -> bool:
    return scene_graph(world.state(), task.tolerances).holds(skills[call.skill].goal(call))


def _needed(rules: Rules) -> int:
    """Successes that keep a chain: the share, rounded up."""
    return -int(-rules.kept * rules.practice // 1)
