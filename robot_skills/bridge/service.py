"""The skills of a library as an action of ROS, for other people's planners."""

from __future__ import annotations

import hmac
import logging
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.messages import RunSkill, RunSkillFeedback, RunSkillGoal, RunSkillResult
from robot_skills.bridge.runner import SkillRunner
from robot_skills.bridge.transport import ABORTED, CANCELED, SUCCEEDED, ServedGoal, Transport
from robot_skills.errors import InputError, JobError
from robot_skills.execution import ChunkSource, Step
from robot_skills.library import SkillLibrary
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
    """Offers the action; one skill at a time.

    Args:
        arm: that the skills drive; resumed at each goal.
        library: of the skills.
        sources: name of a skill -> its policy.
        token: that a goal must hold.
    """

    def __init__(
        self, arm: RosArm, library: SkillLibrary, sources: Callable[[str], ChunkSource], token: str
    ) -> None:
        self._runner, self._token = SkillRunner(arm, library, sources), token

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
            self._runner.check(SkillCall.parse(goal.call))
        except InputError as error:
            log.warning("Refused a goal of %s: %s", ACTION, error)
            return False
        if self._runner.running is not None:
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
            outcome = self._runner.run(SkillCall.parse(served.request.call), preempt, on_step)
        except (InputError, JobError) as error:
            return ABORTED, RunSkillResult(Status.ABORTED.value, str(error))
        result = RunSkillResult(outcome.status.value, outcome.reason, outcome.steps)
        statuses = {Status.SUCCEEDED: SUCCEEDED, Status.PREEMPTED: CANCELED}
        return statuses.get(outcome.status, ABORTED), result
