"""Backward chaining: from a goal back to the scene, through what each step needs.

Where the forward search asks what can be done, this asks what must have been done last: a set of literals
that must hold is carried back over an action that brings some of them about, which leaves what that action
needs. The steps of a decomposition come from here: each is there because something after it needs it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import replace

from robot_skills.logic import And, Atom, Formula, Not, Or
from robot_skills.skill import SkillCall
from robot_skills.symbolic.invariants import exclusive_sets
from robot_skills.symbolic.model import Action, GroundModel
from robot_skills.symbolic.relaxation import bits_of

NODE_BUDGET = 20_000
#: A goal with more ways to hold than this is looked at in the first so many.
MOST_WAYS = 64


def chain_back(model: GroundModel, goal: Formula, budget: int = NODE_BUDGET) -> tuple[SkillCall, ...] | None:
    """Skill calls that lead from the model's scene to the goal; None when none were found in the budget.

    The estimate of what is left counts literals that do not hold yet, halved, since a step brings about more
    than one: plans are short, though not proved shortest.

    Args:
        model: the grounded scene.
        goal: any ground formula.
        budget: how many sets of literals may be expanded.
    """
    exclusive = exclusive_sets(model)
    order = itertools.count()
    frontier: list[tuple[int, int, int, int, int, tuple[SkillCall, ...]]] = []
    seen: dict[tuple[int, int], int] = {}

    def push(needs: int, forbids: int, plan: tuple[SkillCall, ...]) -> None:
        steps = len(plan)
        if needs & forbids or any((needs & group).bit_count() > 1 for group in exclusive):
            return
        if seen.get((needs, forbids), steps + 1) <= steps:
            return
        seen[needs, forbids] = steps
        left = (needs & ~model.initial).bit_count() + (forbids & model.initial).bit_count()
        heapq.heappush(frontier, (steps + (left + 1) // 2, left, next(order), needs, forbids, plan))

    for needs, forbids in itertools.islice(_ways(model.reduce(goal), model), MOST_WAYS):
        push(needs, forbids, ())
    for _ in range(budget):
        if not frontier:
            return None
        _, left, _, needs, forbids, plan = heapq.heappop(frontier)
        if left == 0:
            return plan
        for action in model.actions:
            for earlier in _before(action, needs, forbids):
                push(*earlier, (action.call, *plan))
    return None


def chain_in_order(
    model: GroundModel, goal: Formula, budget: int = NODE_BUDGET
) -> tuple[SkillCall, ...] | None:
    """The same; parts of a conjunction are reached in the order they are written if that costs no step."""
    whole = chain_back(model, goal, budget)
    if whole is None or not isinstance(goal, And) or len(goal.parts) < 2:
        return whole
    by_call = {action.call: action for action in model.actions}
    state, plan = model.initial, tuple[SkillCall, ...]()
    for count in range(1, len(goal.parts) + 1):
        stage = chain_back(replace(model, initial=state), And(goal.parts[:count]), budget)
        if stage is None or len(plan) + len(stage) > len(whole):
            return whole
        plan += stage
        for call in stage:
            state = by_call[call].after(state)
    return plan


def _before(action: Action, needs: int, forbids: int) -> Iterator[tuple[int, int]]:
    """What must hold before an action for literals to hold after it; nothing when it does not help."""
    if not (action.adds & needs or action.deletes & forbids):
        return
    if action.adds & forbids or action.deletes & needs:
        return
    condition = action.condition
    needs = needs & ~action.adds | condition.needs
    forbids = forbids & ~action.deletes | condition.forbids
    yield from _satisfying(condition.clauses, needs, forbids)


def _satisfying(clauses: tuple[tuple[int, int], ...], needs: int, forbids: int) -> Iterator[tuple[int, int]]:
    """Every way to satisfy clauses of which one literal each must hold."""
    if not clauses:
        yield needs, forbids
        return
    (yes, no), *rest = clauses
    if yes & needs or no & forbids:
        yield from _satisfying(tuple(rest), needs, forbids)
        return
    for bit in bits_of(yes):
        yield from _satisfying(tuple(rest), needs | bit, forbids)
    for bit in bits_of(no):
        yield from _satisfying(tuple(rest), needs, forbids | bit)


def _ways(formula: Formula, model: GroundModel) -> Iterator[tuple[int, int]]:
    """The conjunctions that make a reduced formula true, as (needed, forbidden) masks."""
    match formula:
        case Atom():
            yield 1 << model.index[formula], 0
        case Not(part) if isinstance(part, Atom):
            yield 0, 1 << model.index[part]
        case Or(parts):
            for part in parts:
                yield from _ways(part, model)
        case And(parts):
            for chosen in itertools.product(*(tuple(_ways(part, model)) for part in parts)):
                needs = forbids = 0
                for yes, no in chosen:
                    needs, forbids = needs | yes, forbids | no
                yield needs, forbids
