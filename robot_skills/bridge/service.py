"""The skills of a library as an action of ROS, for other people's planners."""

from __future__ import annotations

import hmac
import logging
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from robot_skills.bridge.messages import RunSkill, RunSkillFeedback, RunSkillGoal, RunSkillResult
from robot_skills.bridge.orders import Orders
from robot_skills.bridge.runner import SkillRunner
from robot_skills.bridge.transport import ABORTED, CANCELED, SUCCEEDED, ServedGoal, Transport
from robot_skills.errors import InputError, JobError
from robot_skills.execution import Step
from robot_skills.skill import SkillCall, Status

log = logging.getLogger(__name__)

ACTION = "/robot_skills/run"
#: A token is at least so long.
SHORTEST = 16


def read_token(path: Path) -> str:
    """The word in a file that only its owner may read.

    Raises:
        InputError: the file is missing, readable by others, or its word is too short.
    """
    try:
        mode, token = path.stat().st_mode, path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The token file {path} cannot be read: {error}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(f"Others may read {path}: chmod 600 {path}")
    if len(token) < SHORTEST:
        raise InputError(
            f"The token in {path} is shorter than {SHORTEST} letters: openssl rand -hex 16 > {path}"
        )
    return token


class SkillService:
    """Offers the action; one goal at a time.

    Args:
        runner: carries out skill calls.
        token: that a goal must hold.
        orders: carries out commands in words; None: they are not understood.
    """

    def __init__(self, runner: SkillRunner, token: str, orders: Orders | None = None) -> None:
        self._runner, self._token, self._orders = runner, token, orders

    def offer(self, transport: Transport) -> None:
        """Offer it on a transport.

        Raises:
            TransportError: it cannot offer actions.
        """
        transport.serve_action(ACTION, RunSkill, self.run, self.accept)

    def accept(self, goal: RunSkillGoal) -> bool:
        """Whether a goal is taken on; why not is in the log, and not told to who may not know."""
        if not hmac.compare_digest(goal.token.encode(), self._token.encode()):
            log.warning("Refused a goal of %s: a wrong token.", ACTION)
            return False
        try:
            if not self._is_command(goal.call):
                self._runner.check(SkillCall.parse(goal.call))
        except InputError as error:
            log.warning("Refused a goal of %s: %s", ACTION, error)
            return False
        if self._runner.busy:
            log.warning("Refused a goal of %s: another skill is running.", ACTION)
            return False
        return True

    def run(self, served: ServedGoal) -> tuple[int, RunSkillResult]:
        """Carry a goal out."""
        preempt = threading.Event()

        def on_step(step: Step) -> None:
            served.feedback(RunSkillFeedback(step.number, step.seconds))
            if served.canceled:
                preempt.set()

        try:
            status, reason, steps = self._carry_out(served.request.call, preempt, on_step)
        except (InputError, JobError) as error:
            status, reason, steps = Status.ABORTED, str(error), 0
        statuses = {Status.SUCCEEDED: SUCCEEDED, Status.PREEMPTED: CANCELED}
        return statuses.get(status, ABORTED), RunSkillResult(status.value, reason, steps)

    def _is_command(self, text: str) -> bool:
        return self._orders is not None and "(" not in text

    def _carry_out(
        self, text: str, preempt: threading.Event, on_step: Callable[[Step], None]
    ) -> tuple[Status, str, int]:
        """How a goal ended, why, and after how many control steps."""
        if self._orders is None or not self._is_command(text):
            outcome = self._runner.run(SkillCall.parse(text), preempt, on_step)
            return outcome.status, outcome.reason, outcome.steps
        planned = self._orders.plan(text)
        if not planned.verified:
            return Status.ABORTED, planned.refused or planned.question or "There is no plan.", 0
        done = self._orders.carry_out(planned, preempt, on_step)
        last = done.outcomes[-1].status if done.outcomes else Status.FAILED
        ended = Status.FAILED if last is Status.SUCCEEDED else last
        steps = sum(outcome.steps for outcome in done.outcomes)
        return Status.SUCCEEDED if done.success else ended, done.reason, steps
