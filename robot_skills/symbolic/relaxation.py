"""Relaxed plans, in which what was brought about never ceases to hold: they guide the search.

Literals are prices: what is so costs nothing, what an action brings about costs that action and the sum of
what it needs (Bonet and Geffner, "Planning as heuristic search", Artificial Intelligence 129, 2001). The
cheapest way to each literal, followed back from the goal, is the relaxed plan, and the sum of its actions'
costs is the estimate (Keyder and Geffner, "Heuristics for planning with action costs revisited", ECAI 2008).

A literal is a bit of a mask twice as wide as a state: bit i says that fluent i is true, bit n + i that it is
false.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from robot_skills.logic import And, Atom, Formula, Not, Or
from robot_skills.symbolic.model import Action, Condition, GroundModel, bits_of


@dataclass(frozen=True)
class _Test:
    """A formula over literals: all of the mask and the parts, or one of them."""

    every: bool
    mask: int
    parts: tuple[_Test, ...]

    def holds(self, reached: int) -> bool:
        """Whether literals that can be had together make the formula true."""
        if self.every:
            return not self.mask & ~reached and all(part.holds(reached) for part in self.parts)
        return bool(self.mask & reached) or any(part.holds(reached) for part in self.parts)

    @property
    def mentioned(self) -> int:
        """Every literal in it."""
        mask = self.mask
        for part in self.parts:
            mask |= part.mentioned
        return mask


@dataclass(frozen=True)
class _Operator:
    """One thing that an action may bring about, without what it takes away.

    Attributes:
        wants: literals that must all hold.
        clauses: literals of which one must hold, each.
        adds: literals that hold afterwards.
        cost: of the action.
        number: of the action.
    """

    wants: int
    clauses: frozenset[int]
    adds: int
    cost: float
    number: int

    def outdone(self, other: _Operator) -> bool:
        """Whether another brings about as much, asks for no more, and costs no more."""
        return (
            not self.adds & ~other.adds
            and not other.wants & ~self.wants
            and other.cost <= self.cost
            and other.clauses <= self.clauses
        )

    def ready(self, reached: int) -> bool:
        """Whether it can be applied where these literals can be had."""
        return not self.wants & ~reached and all(clause & reached for clause in self.clauses)


@dataclass(frozen=True)
class Estimate:
    """What a relaxed plan costs, and the numbers of its actions that can be taken at once."""

    cost: float
    first: tuple[int, ...]


class Relaxation:
    """Relaxed plans towards one goal.

    Args:
        model: the grounded scene.
        actions: those that may be taken.
        goal: a reduced formula.
    """

    def __init__(self, model: GroundModel, actions: Sequence[Action], goal: Formula) -> None:
        self.actions = tuple(actions)
        self._width = len(model.fluents)
        self._all = (1 << self._width) - 1
        self._goal = _compiled(goal, model, self._width)
        self._goal_bits = self._goal.mentioned
        everything = [
            _operator(change.condition, change.adds, change.deletes, action.cost, number, self._width)
            for number, action in enumerate(self.actions)
            for change in action.changes
        ]
        self._operators = _undominated(everything, self._goal_bits)
        self._watching = _watching(self._operators)

    def literals(self, state: int) -> int:
        """The literals that hold in a state."""
        return state | (self._all & ~state) << self._width

    def reached(self, state: int) -> bool:
        """Whether the goal holds in the state."""
        return self._goal.holds(self.literals(state))

    def estimate(self, state: int) -> Estimate | None:
        """A relaxed plan's cost and first actions; None when not even a relaxed plan exists."""
        initial = self.literals(state)
        prices = _Prices(initial, self._operators, self._watching)
        if not self._goal.holds(initial) and not prices.spread(self._goal, self._goal_bits):
            return None
        chosen: dict[int, _Operator] = {}
        prices.support(_cheapest(self._goal, prices)[1], chosen)
        actions = {operator.number: operator.cost for operator in chosen.values()}
        first = {operator.number for operator in chosen.values() if operator.ready(initial)}
        return Estimate(sum(actions.values()), tuple(sorted(first)))


class _Prices:
    """What it costs to have each literal, cheapest first, and the operator that brings it about."""

    def __init__(
        self, initial: int, operators: Sequence[_Operator], watching: dict[int, tuple[int, ...]]
    ) -> None:
        self._operators, self._watching = operators, watching
        self._reached = initial
        self._initial = initial
        self._price: dict[int, float] = {}
        self._by: dict[int, int] = {}
        self._fired: set[int] = set()
        self._queue: list[tuple[float, int, int]] = []

    def spread(self, goal: _Test, bits: int) -> bool:
        """Price literals until the goal can be had; false when it never can."""
        for number, operator in enumerate(self._operators):
            if operator.ready(self._reached):
                self._fire(number, operator)
        while self._queue:
            price, number, bit = heapq.heappop(self._queue)
            if self._reached & bit:
                continue
            self._reached |= bit
            self._price[bit], self._by[bit] = price, number
            if bit & bits and goal.holds(self._reached):
                return True
            for waiting in self._watching.get(bit, ()):
                operator = self._operators[waiting]
                if waiting not in self._fired and operator.ready(self._reached):
                    self._fire(waiting, operator)
        return False

    def price(self, bit: int) -> float:
        """What a literal costs; infinite where it cannot be had yet."""
        return 0.0 if bit & self._initial else self._price.get(bit, math.inf)

    def support(self, mask: int, chosen: dict[int, _Operator]) -> None:
        """Add the operators that bring literals about, and those that these need."""
        left = mask & ~self._initial
        while left:
            bit = left & -left
            left ^= bit
            number = self._by[bit]
            if number in chosen:
                continue
            operator = self._operators[number]
            chosen[number] = operator
            left |= operator.wants & ~self._initial
            for clause in operator.clauses:
                if not clause & self._initial:
                    left |= self._least(clause)

    def _fire(self, number: int, operator: _Operator) -> None:
        self._fired.add(number)
        new = operator.adds & ~self._reached
        if not new:
            return
        total = operator.cost + sum(self._price[bit] for bit in bits_of(operator.wants & ~self._initial))
        for clause in operator.clauses:
            if not clause & self._initial:
                total += self.price(self._least(clause))
        for bit in bits_of(new):
            heapq.heappush(self._queue, (total, number, bit))

    def _least(self, clause: int) -> int:
        """The cheapest literal of a clause."""
        return min(bits_of(clause), key=self.price)


def _cheapest(test: _Test, prices: _Prices) -> tuple[float, int]:
    """The least price of having a formula true, as a sum over a conjunction, and the literals it takes."""
    ways = [(prices.price(bit), bit) for bit in bits_of(test.mask)]
    ways += [_cheapest(part, prices) for part in test.parts]
    if not test.every:
        return min(ways, key=lambda way: way[0])
    mask = 0
    for _, more in ways:
        mask |= more
    return sum(price for price, _ in ways), mask


def _compiled(formula: Formula, model: GroundModel, width: int) -> _Test:
    match formula:
        case Atom():
            return _Test(True, 1 << model.index[formula], ())
        case Not(part) if isinstance(part, Atom):
            return _Test(True, 1 << model.index[part] + width, ())
        case And(parts) | Or(parts):
            mask, rest = 0, []
            for part in parts:
                test = _compiled(part, model, width)
                if isinstance(part, Atom | Not):
                    mask |= test.mask
                else:
                    rest.append(test)
            return _Test(isinstance(formula, And), mask, tuple(rest))
    raise AssertionError(f"not reduced: {formula}")


def _operator(
    condition: Condition, adds: int, deletes: int, cost: float, number: int, width: int
) -> _Operator:
    return _Operator(
        wants=condition.needs | condition.forbids << width,
        clauses=frozenset(yes | no << width for yes, no in condition.clauses),
        adds=adds | deletes << width,
        cost=cost,
        number=number,
    )


def _undominated(operators: Sequence[_Operator], goal: int) -> tuple[_Operator, ...]:
    """Those that some relaxed plan needs: they add what is asked for, and none outdoes them."""
    while True:
        asked = goal
        for operator in operators:
            asked |= operator.wants
            for clause in operator.clauses:
                asked |= clause
        useful = [replace(each, adds=each.adds & asked) for each in operators if each.adds & asked]
        kept: list[_Operator] = []
        for operator in useful:
            if not any(operator.outdone(other) for other in kept):
                kept = [other for other in kept if not other.outdone(operator)]
                kept.append(operator)
        if len(kept) == len(operators):
            return tuple(kept)
        operators = kept


def _watching(operators: Sequence[_Operator]) -> dict[int, tuple[int, ...]]:
    """Literal -> numbers of the operators that ask for it."""
    found: dict[int, list[int]] = {}
    for number, operator in enumerate(operators):
        asked = operator.wants
        for clause in operator.clauses:
            asked |= clause
        for bit in bits_of(asked):
            found.setdefault(bit, []).append(number)
    return {bit: tuple(numbers) for bit, numbers in found.items()}
