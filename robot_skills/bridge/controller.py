"""The tick: from what has come in and what is wanted to what is sent. No thread, no clock, no ROS.

What was sent is a plan over time: the way to the next set-point, and from there the way to rest. At a tick
the arm is where the plan has it by now, however late the tick is. A new plan begins there. If no rule of the
safety chain objects, it takes over; if one does, the old plan goes on, which ends at rest and to which no
rule objected. So position, velocity and acceleration are continuous in either case.
"""

from __future__ import annotations

from dataclasses import dataclass

from robot_skills.bridge.inputs import Inputs
from robot_skills.bridge.motion import JointMotion, Planner, PlanningError, Profile
from robot_skills.bridge.player import Player, Way
from robot_skills.bridge.safety.chain import SafetyChain
from robot_skills.bridge.safety.first_motion import FirstMotion
from robot_skills.bridge.safety.rule import Moment, Objection
from robot_skills.errors import JobError

#: How far a profile may be left unread past its end before it counts as over, s.
OVER = 1e-3


@dataclass(frozen=True)
class Plan:
    """A motion from a moment on.

    Attributes:
        began: our monotonic clock, s.
        period: the first part's length, s.
        first: the way towards the target, of which this part is used.
        tail: the way to rest from there.
    """

    began: float
    period: float
    first: Profile | Way
    tail: Profile

    def at(self, now: float) -> JointMotion:
        """Where the joints are."""
        elapsed = max(0.0, now - self.began)
        if elapsed <= self.period:
            return self.first.at(elapsed)
        elapsed -= self.period
        if elapsed >= self.tail.duration:
            return JointMotion.rest(self.tail.at(self.tail.duration).position)
        return self.tail.at(elapsed)

    @property
    def ends(self) -> float:
        """When it is at rest, our monotonic clock, s."""
        return self.began + self.period + self.tail.duration


@dataclass(frozen=True)
class Command:
    """What is sent at a tick.

    Attributes:
        now: of the tick, our monotonic clock, s.
        plan: what the arm is to do from now on.
        objections: of the safety chain, which kept the plan before.
    """

    now: float
    plan: Plan
    objections: tuple[Objection, ...]


class Controller:
    """The state between ticks.

    Args:
        player: has the reference.
        planner: the same that the player uses.
        chain: the rules.
        period: of a tick, s.
        horizon: ticks that a plan covers before its way to rest begins.
        dry: nothing is sent.
    """

    def __init__(
        self,
        player: Player,
        planner: Planner,
        chain: SafetyChain,
        period: float,
        *,
        horizon: int = 1,
        dry: bool = False,
    ) -> None:
        self.player, self.chain = player, chain
        self._planner, self._period, self._dry = planner, period, dry
        self._marks = tuple(period * (tick + 1) for tick in range(horizon))
        self._plan: Plan | None = None
        self._started = 0.0
        self.needed: frozenset[str] = frozenset()

    @property
    def moving(self) -> bool:
        """Whether it may move."""
        return self.chain.stopped is None

    def expected(self, now: float) -> JointMotion | None:
        """Where the arm is by what was sent; None before the first resume."""
        return None if self._plan is None else self._plan.at(now)

    def resume(self, now: float, inputs: Inputs) -> None:
        """Begin at rest, where the arm is.

        Raises:
            JobError: a rule objects, as to joint states that nobody sends.
        """
        if inputs.state is None:
            raise JobError("The arm cannot start: no joint states have come.")
        if self.moving:
            return
        still = JointMotion.rest(inputs.state.position)
        rest = self._planner.to_rest(still)
        moment = Moment(now, self._period, still, (still,), rest, inputs, self.needed, 0.0, self._dry)
        objection = self.chain.resume(moment)
        if objection is not None:
            raise JobError(f"The arm cannot start. {objection.rule}: {objection.reason}")
        self._plan, self._started = Plan(now, 0.0, rest, rest), now
        self.player.hold(still.position)

    def stop(self, reason: str) -> None:
        """Come to rest, and stay until resumed."""
        self.chain.stop(reason)

    def tick(self, now: float, inputs: Inputs) -> Command | None:
        """What to send now; None where nothing is: before the start, and at rest after a stop."""
        if self._plan is None:
            return None
        if not self.moving:
            return Command(now, self._plan, ()) if now < self._plan.ends + OVER else None
        proposed = self._propose(now)
        if proposed is None:
            return Command(now, self._plan, ())
        objections = self.chain.judge(self._moment(now, proposed, inputs))
        if not objections:
            self._plan = proposed
        return Command(now, self._plan, objections)

    def _propose(self, now: float) -> Plan | None:
        """The plan that follows the reference; None where ruckig finds none, and the old one goes on."""
        assert self._plan is not None
        current = self._plan.at(now)
        try:
            first = self.player.follow(current, now, self._speed(now))
            committed = self._marks[-1]
            return Plan(now, committed, first, self._planner.to_rest(first.at(committed)))
        except PlanningError:
            return None

    def _moment(self, now: float, plan: Plan, inputs: Inputs) -> Moment:
        since = now - self._started
        current, path = plan.first.at(0.0), tuple(plan.first.at(mark) for mark in self._marks)
        return Moment(now, self._period, current, path, plan.tail, inputs, self.needed, since, self._dry)

    def _speed(self, now: float) -> float:
        shares = [
            rule.speed(now - self._started) for rule in self.chain.rules if isinstance(rule, FirstMotion)
        ]
        return min(shares, default=1.0)
