"""Backward chaining: from a goal back to the scene, through what each step needs.

Where the forward search asks what can be done, this asks what must have been done last: a set of literals
that must hold is carried back over an action that brings some of them about, which leaves what that action
needs. The steps of a decomposition come from here: each is there because something after it needs it.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

from robot_skills.logic import And, Atom, Formula, Not, Or
from robot_skills.skill import SkillCall
from robot_skills.symbolic.invariants import exclusive_sets
from robot_skills.symbolic.model import Action, Change, GroundModel, bits_of

NODE_BUDGET = 20_000
#: A goal with more ways to hold than this is looked at in the first so many.
MOST_WAYS = 64
#: Costs this close are the same: sums of the same numbers in another order.
ROUNDING = 1e-9


def chain_back(model: GroundModel, goal: Formula, budget: int = NODE_BUDGET) -> tuple[SkillCall, ...] | None:
    """Skill calls that lead from the model's scene to the goal; None when none were found in the budget.

    The estimate of what is left counts literals that do not hold yet, halved, since a step brings about more
    than one, times what the cheapest step costs: plans cost little, though not provably the least.

    Args:
        model: the grounded scene.
        goal: any ground formula.
        budget: how many sets of literals may be expanded.
    """
    exclusive = exclusive_sets(model)
    order = itertools.count()
    frontier: list[tuple[float, int, int, float, int, int, tuple[SkillCall, ...]]] = []
    seen: dict[tuple[int, int], float] = {}
    cheapest = min((action.cost for action in model.actions), default=1.0)

    def push(needs: int, forbids: int, spent: float, plan: tuple[SkillCall, ...]) -> None:
        if needs & forbids or any((needs & group).bit_count() > 1 for group in exclusive):
            return
        if seen.get((needs, forbids), math.inf) <= spent:
            return
        seen[needs, forbids] = spent
        left = (needs & ~model.initial).bit_count() + (forbids & model.initial).bit_count()
        rank = spent + (left + 1) // 2 * cheapest
        heapq.heappush(frontier, (rank, left, next(order), spent, needs, forbids, plan))

    for needs, forbids in itertools.islice(_ways(model.reduce(goal), model), MOST_WAYS):
        push(needs, forbids, 0.0, ())
    for _ in range(budget):
        if not frontier:
            return None
        _, left, _, spent, needs, forbids, plan = heapq.heappop(frontier)
        if left == 0:
            return plan
        for action in model.actions:
            for earlier in _before(action, needs, forbids):
                push(*earlier, spent + action.cost, (action.call, *plan))
    return None


def chain_in_order(
    model: GroundModel, goal: Formula, budget: int = NODE_BUDGET
) -> tuple[SkillCall, ...] | None:
    """The same; parts of a conjunction are reached in the order they are written if that costs no more."""
    whole = chain_back(model, goal, budget)
    if whole is None or not isinstance(goal, And) or len(goal.parts) < 2:
        return whole
    by_call = {action.call: action for action in model.actions}
    state, plan = model.initial, tuple[SkillCall, ...]()
    left = sum(by_call[call].cost for call in whole)
    for count in range(1, len(goal.parts) + 1):
        stage = chain_back(replace(model, initial=state), And(goal.parts[:count]), budget)
        left -= sum(by_call[call].cost for call in stage or ())
        if stage is None or left < -ROUNDING:
            return whole
        plan += stage
        for call in stage:
            state = by_call[call].after(state)
    return plan


def _before(action: Action, needs: int, forbids: int) -> Iterator[tuple[int, int]]:
    """What must hold before an action for literals to hold after it; nothing when it does not help."""
    may_add, may_delete = action.touched
    if not (may_add & needs or may_delete & forbids):
        return
    for outcome in _outcomes(action, needs, forbids):
        adds, deletes, condition = outcome.adds, outcome.deletes, outcome.condition
        if not (adds & needs or deletes & forbids) or adds & forbids or deletes & needs:
            continue
        before = (needs & ~adds | condition.needs, forbids & ~deletes | condition.forbids)
        yield from _satisfying(condition.clauses, *before)


def _outcomes(action: Action, needs: int, forbids: int) -> Iterator[Change]:
    """What an action may come to, by which of its conditional effects come about: those that matter here."""
    outcomes = [Change(action.condition, action.adds, action.deletes)]
    for change in action.when:
        if (change.adds | change.deletes) & (needs | forbids):
            outcomes = [wider for each in outcomes for wider in _with_or_without(each, change)]
    yield from outcomes


def _with_or_without(outcome: Change, change: Change) -> Iterator[Change]:
    adds = outcome.adds | change.adds
    deletes = (outcome.deletes | change.deletes) & ~adds
    yield Change(outcome.condition.joined(change.condition), adds, deletes)
    for denial in change.condition.denials():
        yield Change(outcome.condition.joined(denial), outcome.adds, outcome.deletes)


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
