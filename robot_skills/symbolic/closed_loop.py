"""Carrying out a plan: conditions checked before and after every step, and planning again when they fail.

It knows no simulator and no robot: a caller gives a way to look at the scene and a way to run one skill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robot_skills.logic import Formula
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, Skill, SkillCall, Status
from robot_skills.symbolic.model import ground
from robot_skills.symbolic.search import NODE_BUDGET, Verdict, search_in_order
from robot_skills.symbolic.verification import verify

MAX_REPLANS = 3


@dataclass(frozen=True)
class Event:
    """Something worth telling the person who watches.

    Attributes:
        kind: "step" before a skill runs, "outcome" after it, "replan" when a new plan is made, "end".
        text: a sentence about it.
        call: the skill call of a step or an outcome.
        outcome: what came of it.
        plan: the new plan, of a replan.
    """

    kind: str
    text: str
    call: SkillCall | None = None
    outcome: Outcome | None = None
    plan: tuple[SkillCall, ...] = ()


@dataclass(frozen=True)
class RunResult:
    """What came of a command.

    Attributes:
        outcomes: of every skill that was run, in order.
        replans: how many times a new plan was made.
        success: whether the goal holds on the last scene graph.
        reason: why it ended.
    """

    outcomes: tuple[Outcome, ...]
    replans: int
    success: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """The keys that the `run` verb reports."""
        return {
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
            "replans": self.replans,
            "success": self.success,
        }


def plan_to(
    goal: Formula, scene: SceneGraph, skills: Mapping[str, Skill], budget: int = NODE_BUDGET
) -> tuple[SkillCall, ...] | None:
    """A verified plan from a scene to a goal; None when there is none, or none within the budget."""
    result = search_in_order(ground(skills, scene), goal, budget)
    if result.verdict is not Verdict.FOUND or not verify(result.plan, goal, scene, skills).ok:
        return None
    return result.plan


def run_command(
    goal: Formula,
    plan: Sequence[SkillCall],
    skills: Mapping[str, Skill],
    observe_scene: Callable[[], SceneGraph],
    execute: Callable[[SkillCall], Outcome],
    *,
    max_replans: int = MAX_REPLANS,
    on_event: Callable[[Event], None] = lambda event: None,
) -> RunResult:
    """Carry out a plan, and make a new one towards the same goal when the world is not as planned.

    Before each step the rest of the plan is replayed from the scene as it is now seen: the step's own
    conditions, and those of the steps after it, must still work out. After each step its success condition
    is looked up in the scene, whatever the skill itself reports. The run ends when the goal holds, when no
    plan is left to try, or when a skill was preempted (somebody asked for a stop) or aborted (the robot
    could not go on).

    Args:
        goal: what must hold at the end.
        plan: a plan towards it, as `Planner.plan` gives it.
        skills: the cards.
        observe_scene: looks at the scene, each time anew.
        execute: runs one skill call to its end.
        max_replans: how many new plans may be made.
        on_event: told of every step, outcome and new plan.
    """
    run = _Run(goal, skills, observe_scene, execute, max_replans, on_event)
    return run.finish(run.follow(tuple(plan)))


class _Run:
    def __init__(
        self,
        goal: Formula,
        skills: Mapping[str, Skill],
        observe: Callable[[], SceneGraph],
        execute: Callable[[SkillCall], Outcome],
        max_replans: int,
        on_event: Callable[[Event], None],
    ) -> None:
        self._goal, self._skills = goal, skills
        self._observe, self._execute = observe, execute
        self._left, self._tell = max_replans, on_event
        self._scene = observe()
        self._outcomes: list[Outcome] = []
        self._replans = 0

    def follow(self, plan: tuple[SkillCall, ...]) -> str:
        """Carry out a plan and its successors; why it ended."""
        while not self._scene.holds(self._goal):
            problem = verify(plan, self._goal, self._scene, self._skills).problem
            if problem is not None:
                new = self._replan(problem)
                if isinstance(new, str):
                    return new
                plan = new
                continue
            outcome = self._step(plan[0])
            if outcome.status in (Status.PREEMPTED, Status.ABORTED):
                return f"{outcome.call} was {outcome.status.value}: {outcome.reason}"
            plan = plan[1:]
        return "The goal holds."

    def finish(self, reason: str) -> RunResult:
        """Judge by the scene graph, not by what the skills said."""
        success = self._scene.holds(self._goal)
        self._tell(Event("end", reason))
        return RunResult(tuple(self._outcomes), self._replans, success, reason)

    def _step(self, call: SkillCall) -> Outcome:
        self._tell(Event("step", f"{call}", call))
        outcome = self._execute(call)
        self._scene = self._observe()
        done = self._scene.holds(self._skills[call.skill].goal(call))
        text = f"{call} {outcome.status.value}"
        if done != (outcome.status is Status.SUCCEEDED):
            text += ", and the scene shows that it worked" if done else ", yet the scene does not show it"
        self._outcomes.append(outcome)
        self._tell(Event("outcome", f"{text}: {outcome.reason}", call, outcome))
        return outcome

    def _replan(self, problem: str) -> tuple[SkillCall, ...] | str:
        if self._left == 0:
            return f"Gave up after {self._replans} new plans. {problem}"
        plan = plan_to(self._goal, self._scene, self._skills)
        if plan is None:
            return f"No plan leads to {self._goal} from here. {problem}"
        self._left -= 1
        self._replans += 1
        self._tell(Event("replan", problem, plan=plan))
        return plan
