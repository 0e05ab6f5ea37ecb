"""Forward search for a plan: A* over the ground model, guided by relaxed plans.

The heuristic is the length of a relaxed plan, one in which nothing true ever becomes false (Hoffmann and
Nebel, "The FF planning system", JAIR 14, 2001). It is not admissible, so a plan need not be the shortest
there is; it is exact about dead ends, so the search stays complete: it ends with a plan, with the proof
that there is none, or with the node budget spent.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from robot_skills.logic import And, Atom, Formula, Not, Or
from robot_skills.skill import SkillCall
from robot_skills.symbolic.invariants import exclusive_pair
from robot_skills.symbolic.model import Action, GroundModel

NODE_BUDGET = 50_000


class Verdict(str, Enum):
    """How a search ended."""

    FOUND = "found"
    IMPOSSIBLE = "impossible"  # every state that can be reached was looked at, or provably cannot matter
    BUDGET = "budget"  # the node budget ran out: there may be a plan


@dataclass(frozen=True)
class SearchResult:
    """The plan, when one was found, and how many states were expanded."""

    verdict: Verdict
    plan: tuple[SkillCall, ...] = ()
    expanded: int = 0


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
    estimate = relaxation.estimate(root)
    if estimate is None or (start is None and exclusive_pair(reduced, model)):
        return SearchResult(Verdict.IMPOSSIBLE)
    order = itertools.count()
    frontier: list[tuple[int, int, int, int]] = [(estimate, estimate, next(order), root)]
    came: dict[int, tuple[int, Action | None, int]] = {root: (0, None, root)}
    closed: set[int] = set()
    while frontier:
        _, _, _, state = heapq.heappop(frontier)
        if state in closed:
            continue
        if relaxation.reached(state):
            return SearchResult(Verdict.FOUND, _trace(came, state), len(closed))
        if len(closed) >= budget:
            return SearchResult(Verdict.BUDGET, expanded=len(closed))
        closed.add(state)
        steps = came[state][0] + 1
        for action in relaxation.actions:
            if not action.condition.holds(state):
                continue
            following = action.after(state)
            if following in came and came[following][0] <= steps:
                continue
            estimate = relaxation.estimate(following)
            came[following] = (steps, action, state)
            closed.discard(following)
            if estimate is not None:
                heapq.heappush(frontier, (steps + estimate, estimate, next(order), following))
    return SearchResult(Verdict.IMPOSSIBLE, expanded=len(closed))


def search_in_order(model: GroundModel, goal: Formula, budget: int = NODE_BUDGET) -> SearchResult:
    """Search, and reach the parts of a conjunction in the order they are written where that costs no step."""
    whole = search(model, goal, budget=budget)
    if whole.verdict is not Verdict.FOUND or not isinstance(goal, And) or len(goal.parts) < 2:
        return whole
    by_call = {action.call: action for action in model.actions}
    state, plan = model.initial, tuple[SkillCall, ...]()
    for count in range(1, len(goal.parts) + 1):
        stage = search(model, And(goal.parts[:count]), state, budget)
        if stage.verdict is not Verdict.FOUND:
            return whole
        plan += stage.plan
        for call in stage.plan:
            state = by_call[call].after(state)
    return SearchResult(Verdict.FOUND, plan, whole.expanded) if len(plan) <= len(whole.plan) else whole


def _trace(came: dict[int, tuple[int, Action | None, int]], state: int) -> tuple[SkillCall, ...]:
    calls: list[SkillCall] = []
    _, action, before = came[state]
    while action is not None:
        calls.append(action.call)
        _, action, before = came[before]
    return tuple(reversed(calls))


class Relaxation:
    """Relaxed plans towards one goal: they guide the search, and prove goals out of reach."""

    def __init__(self, model: GroundModel, actions: Sequence[Action], goal: Formula) -> None:
        self.actions = tuple(actions)
        self._goal = goal
        self._index = model.index
        self._all = (1 << len(model.fluents)) - 1

    def reached(self, state: int) -> bool:
        """Whether the goal holds in the state."""
        return self._true(self._goal, state)

    def estimate(self, state: int) -> int | None:
        """How many calls a relaxed plan takes; None when not even a relaxed plan exists."""
        layers = _Layers(state, self._all & ~state)
        waiting = list(self.actions)
        while self._cost(self._goal, layers) is None:
            waiting = [action for action in waiting if not layers.grow(action)]
            if not layers.advance():
                return None
        chosen: dict[SkillCall, None] = {}
        self._choose(self._goal, layers, chosen)
        return len(chosen)

    def _true(self, formula: Formula, state: int) -> bool:
        match formula:
            case Atom():
                return bool(state >> self._index[formula] & 1)
            case And(parts):
                return all(self._true(part, state) for part in parts)
            case Or(parts):
                return any(self._true(part, state) for part in parts)
            case Not(part):
                return not self._true(part, state)

    def _cost(self, formula: Formula, layers: _Layers) -> int | None:
        """Sum over a conjunction, least over a disjunction, of the layers where literals first appear."""
        match formula:
            case Atom():
                return layers.yes.get(1 << self._index[formula])
            case Not(part) if isinstance(part, Atom):
                return layers.no.get(1 << self._index[part])
            case And(parts):
                costs = [self._cost(part, layers) for part in parts]
                return None if None in costs else sum(cost for cost in costs if cost is not None)
            case Or(parts):
                found = [cost for part in parts if (cost := self._cost(part, layers)) is not None]
                return min(found) if found else None
        raise AssertionError(f"not reduced: {formula}")

    def _choose(self, formula: Formula, layers: _Layers, chosen: dict[SkillCall, None]) -> None:
        match formula:
            case Atom():
                layers.support(1 << self._index[formula], True, chosen)
            case Not(part) if isinstance(part, Atom):
                layers.support(1 << self._index[part], False, chosen)
            case And(parts):
                for part in parts:
                    self._choose(part, layers, chosen)
            case Or(parts):
                costs = [(self._cost(part, layers), part) for part in parts]
                best = min((pair for pair in costs if pair[0] is not None), key=lambda pair: pair[0] or 0)
                self._choose(best[1], layers, chosen)


class _Layers:
    """Which literals a relaxed plan can have made true, and by which action first."""

    def __init__(self, true: int, false: int) -> None:
        self.depth = 0
        self._true, self._false = true, false
        self._new: list[tuple[int, bool, Action]] = []
        self.yes = dict.fromkeys(_bits(true), 0)
        self.no = dict.fromkeys(_bits(false), 0)
        self._by: dict[tuple[int, bool], Action] = {}

    def grow(self, action: Action) -> bool:
        """Note what an action adds, when this layer allows it."""
        condition = action.condition
        if condition.needs & ~self._true or condition.forbids & ~self._false:
            return False
        if not all(yes & self._true or no & self._false for yes, no in condition.clauses):
            return False
        for bit in _bits(action.adds & ~self._true):
            self._new.append((bit, True, action))
        for bit in _bits(action.deletes & ~self._false):
            self._new.append((bit, False, action))
        return True

    def advance(self) -> bool:
        """Make the next layer of what was noted; false when nothing is new."""
        if not self._new:
            return False
        self.depth += 1
        for bit, value, action in self._new:
            first = self.yes if value else self.no
            if bit not in first:
                first[bit] = self.depth
                self._by[bit, value] = action
                if value:
                    self._true |= bit
                else:
                    self._false |= bit
        self._new.clear()
        return True

    def support(self, bit: int, value: bool, chosen: dict[SkillCall, None]) -> None:
        """Add the actions of a relaxed plan for one literal."""
        action = self._by.get((bit, value))
        if action is None or action.call in chosen:
            return
        chosen[action.call] = None
        condition = action.condition
        for need in _bits(condition.needs):
            self.support(need, True, chosen)
        for need in _bits(condition.forbids):
            self.support(need, False, chosen)
        for yes, no in condition.clauses:
            options = [(self.yes[b], b, True) for b in _bits(yes) if b in self.yes]
            options += [(self.no[b], b, False) for b in _bits(no) if b in self.no]
            _, best, sign = min(options)
            self.support(best, sign, chosen)


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low)
        mask ^= low
    return found
