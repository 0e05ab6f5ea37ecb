"""Forward search for a plan of little cost, guided by relaxed plans.

A* comes first: on what people ask for it mostly ends within a hundred states, with a plan as cheap as there
is or close to it (the estimate is not admissible). Where it has not ended by then, searches that follow
relaxed plans more greedily find some plan, which is then rid of steps that it does not need. Relaxed plans
are exact about dead ends, so the search is complete: it ends with a plan, with the proof that there is none,
or with the node budget spent.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from robot_skills.logic import And, Formula
from robot_skills.skill import SkillCall
from robot_skills.symbolic.invariants import exclusive_pair
from robot_skills.symbolic.model import Action, GroundModel
from robot_skills.symbolic.relaxation import Estimate, Relaxation

NODE_BUDGET = 50_000
#: The searches that are tried in turn: how much more an estimate counts than what was spent, and how many
#: states may be expanded. Of 15 things the second finds plans a few per cent cheaper than the last would.
STAGES = ((1.0, 100), (1.5, 400), (5.0, NODE_BUDGET))
_ROUNDING = 1e-9


class Verdict(str, Enum):
    """How a search ended."""

    FOUND = "found"
    IMPOSSIBLE = "impossible"  # every state that can be reached was looked at, or provably cannot matter
    BUDGET = "budget"  # the node budget ran out: there may be a plan


@dataclass(frozen=True)
class SearchResult:
    """The plan, when one was found, what it costs, and how many states were expanded."""

    verdict: Verdict
    plan: tuple[SkillCall, ...] = ()
    expanded: int = 0
    cost: float = 0.0


def search(
    model: GroundModel, goal: Formula, start: int | None = None, budget: int = NODE_BUDGET
) -> SearchResult:
    """Look for calls that lead from a state to one where the goal holds.

    Args:
        model: the grounded scene.
        goal: any ground formula.
        start: the state to begin in; the scene's own when left out.
        budget: how many states may be expanded.
    """
    reduced = model.reduce(goal)
    relaxation = Relaxation(model, model.relevant(reduced), reduced)
    root = model.initial if start is None else start
    if relaxation.estimate(root) is None or (start is None and exclusive_pair(reduced, model)):
        return SearchResult(Verdict.IMPOSSIBLE)
    expanded = 0
    for weight, patience in STAGES:
        frontier = _Frontier(relaxation, root, weight)
        verdict = frontier.expand(min(patience, budget - expanded))
        expanded += frontier.expanded
        if verdict is not Verdict.BUDGET or expanded >= budget:
            break
    return frontier.result(verdict, expanded)


def search_in_order(model: GroundModel, goal: Formula, budget: int = NODE_BUDGET) -> SearchResult:
    """Search, and reach the parts of a conjunction in the order they are written where that costs no more."""
    whole = search(model, goal, budget=budget)
    if whole.verdict is not Verdict.FOUND or not isinstance(goal, And) or len(goal.parts) < 2:
        return whole
    by_call = {action.call: action for action in model.actions}
    state, plan, cost = model.initial, tuple[SkillCall, ...](), 0.0
    for count in range(1, len(goal.parts) + 1):
        stage = search(model, And(goal.parts[:count]), state, min(STAGES[0][1], budget))
        cost += stage.cost
        if stage.verdict is not Verdict.FOUND or cost > whole.cost + _ROUNDING:
            return whole
        plan += stage.plan
        for call in stage.plan:
            state = by_call[call].after(state)
    return SearchResult(Verdict.FOUND, plan, whole.expanded, cost)


class _Frontier:
    """The states of one search: those that wait, and the cheapest way that is known to each.

    Args:
        relaxation: towards the goal.
        root: where the search begins.
        weight: how much more an estimate counts than what was spent; above 1 the search is greedy, and looks
            first where a relaxed plan leads (helpful actions: Hoffmann and Nebel, "The FF planning system",
            JAIR 14, 2001).
    """

    def __init__(self, relaxation: Relaxation, root: int, weight: float) -> None:
        self._relaxation, self._root, self._weight = relaxation, root, weight
        self._greedy = weight > 1
        self._order = itertools.count()
        self._queue: list[tuple[bool, float, float, int, int]] = [(False, 0.0, 0.0, next(self._order), root)]
        self._came: dict[int, tuple[float, Action | None, int]] = {root: (0.0, None, root)}
        self._estimates: dict[int, Estimate | None] = {}
        self._closed: set[int] = set()
        self._goal: int | None = None
        self.expanded = 0

    def expand(self, budget: int) -> Verdict:
        """Expand so many states at most."""
        while self._queue:
            *_, state = heapq.heappop(self._queue)
            if state in self._closed:
                continue
            if self._relaxation.reached(state):
                self._goal = state
                return Verdict.FOUND
            if self.expanded >= budget:
                return Verdict.BUDGET
            self.expanded += 1
            self._closed.add(state)
            here = self._estimate(state)
            for number, action in enumerate(self._relaxation.actions):
                if action.condition.holds(state):
                    aside = self._greedy and here is not None and number not in here.first
                    self._reach(action, state, aside)
        return Verdict.IMPOSSIBLE

    def _estimate(self, state: int) -> Estimate | None:
        if state not in self._estimates:
            self._estimates[state] = self._relaxation.estimate(state)
        return self._estimates[state]

    def _reach(self, action: Action, state: int, aside: bool) -> None:
        following = action.after(state)
        spent = self._came[state][0] + action.cost
        if following in self._came and self._came[following][0] <= spent + _ROUNDING:
            return
        estimate = self._estimate(following)
        self._came[following] = (spent, action, state)
        if estimate is None or (self._greedy and following in self._closed):
            return
        self._closed.discard(following)
        rank = spent + self._weight * estimate.cost
        heapq.heappush(self._queue, (aside, rank, estimate.cost, next(self._order), following))

    def result(self, verdict: Verdict, expanded: int) -> SearchResult:
        """The plan that was found, if one was; `expanded` counts states of the searches before too."""
        if self._goal is None:
            return SearchResult(verdict, expanded=expanded)
        actions = self._trace(self._goal)
        if self._greedy:
            actions = without_idle_steps(actions, self._root, self._relaxation)
        calls = tuple(action.call for action in actions)
        return SearchResult(verdict, calls, expanded, sum(each.cost for each in actions))

    def _trace(self, state: int) -> tuple[Action, ...]:
        actions: list[Action] = []
        _, action, before = self._came[state]
        while action is not None:
            actions.append(action)
            _, action, before = self._came[before]
        return tuple(reversed(actions))


def without_idle_steps(plan: Sequence[Action], start: int, relaxation: Relaxation) -> tuple[Action, ...]:
    """The plan without steps that it can do without, and without what they alone were needed for.

    Each step in turn is left out, with the later ones that then cannot be taken, where the goal still holds
    at the end (Nakhost and Müller, "Action elimination and plan neighborhood graph search", ICAPS 2010).
    """
    kept = list(plan)
    number = 0
    while number < len(kept):
        state, rest = start, list[Action]()
        for place, action in enumerate(kept):
            if place != number and action.condition.holds(state):
                rest.append(action)
                state = action.after(state)
        if relaxation.reached(state):
            kept = rest
        else:
            number += 1
    return tuple(kept)
