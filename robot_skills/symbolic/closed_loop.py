"""Carrying out a plan: conditions checked before, during and after every step, each failure answered.

It knows no simulator and no robot: a caller gives a way to look at the scene and a way to run one skill.

What is done next is the shortest rest of the plan that still leads from the scene as it is to the goal, so
that steps that became needless are left out, and steps that came undone are done again (the triangle tables
of Fikes, Hart and Nilsson, "Learning and executing generalized robot plans", Artificial Intelligence 3:4,
1972). Where no rest does, or it was tried often enough, another skill is put in between or a new plan made.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robot_skills.logic import And, Formula
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, Skill, SkillCall, Status
from robot_skills.symbolic.diagnosis import ANSWERS, Answer, Budgets, Diagnosis, Failure, diagnose
from robot_skills.symbolic.model import ground, same_for_all
from robot_skills.symbolic.question import Ask, Choice, Question
from robot_skills.symbolic.search import NODE_BUDGET, Verdict, search_in_order
from robot_skills.symbolic.verification import verify
from robot_skills.symbolic.watch import Watch

MAX_REPLANS = 3
#: What a call that failed in this run costs more for each time, in nats: it is half as likely to work.
FAILED = math.log(2.0)

#: What a call costs in a scene.
Costs = Callable[[SceneGraph], Callable[[SkillCall], float]]


@dataclass(frozen=True)
class Event:
    """Something worth telling the person who watches.

    Attributes:
        kind: "step" before a skill runs, "outcome" after it, "diagnosis" when something went wrong and how it
            is answered, "replan" when a new plan is made, "end".
        text: a sentence about it.
        call: the skill call of a step or an outcome.
        outcome: what came of it.
        plan: the new plan, of a replan.
        diagnosis: of a "diagnosis".
    """

    kind: str
    text: str
    call: SkillCall | None = None
    outcome: Outcome | None = None
    plan: tuple[SkillCall, ...] = ()
    diagnosis: Diagnosis | None = None


@dataclass(frozen=True)
class RunResult:
    """What came of a command.

    Attributes:
        outcomes: of every skill that was run, in order.
        replans: how many times a new plan was made.
        success: whether the goal holds on the last scene graph.
        reason: why it ended.
        diagnoses: what went wrong on the way, and the answer to each, in order.
    """

    outcomes: tuple[Outcome, ...]
    replans: int
    success: bool
    reason: str
    diagnoses: tuple[tuple[Diagnosis, Answer], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The keys that the `run` verb reports."""
        return {
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
            "replans": self.replans,
            "success": self.success,
            "diagnoses": [{**what.to_json(), "answer": answer.value} for what, answer in self.diagnoses],
        }


def plan_to(
    goal: Formula,
    scene: SceneGraph,
    skills: Mapping[str, Skill],
    budget: int = NODE_BUDGET,
    cost: Callable[[SkillCall], float] = same_for_all,
) -> tuple[SkillCall, ...] | None:
    """A verified plan from a scene to a goal; None when there is none, or none within the budget."""
    result = search_in_order(ground(skills, scene, cost), goal, budget)
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
    budgets: Budgets | None = None,
    costs: Costs = lambda scene: same_for_all,
    watch: Watch | None = None,
    withdraw: Callable[[bool], None] = lambda holding: None,
    ask: Ask | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> RunResult:
    """Carry out a plan, and answer what goes wrong on the way.

    Before each step the rest of the plan is replayed from the scene as it is now seen: the step's own
    conditions, and those of the steps after it, must still work out. After each step its success condition
    is looked up in the scene, whatever the skill itself reports. A failure is diagnosed and answered as
    `diagnosis.ANSWERS` says, within the budgets. The run ends when the goal holds, when no answer is left, or
    when a skill was preempted (somebody asked for a stop) or aborted (the robot could not go on). Where
    nobody answers the question that it comes to, this question is the reason.

    Args:
        goal: what must hold at the end.
        plan: a plan towards it, as `Planner.plan` gives it.
        skills: the cards.
        observe_scene: looks at the scene, each time anew.
        execute: runs one skill call to its end.
        budgets: how often each answer is given.
        costs: what calls cost in a scene, for new plans.
        watch: what `execute` has the skills watched with, if it does.
        withdraw: after a failure, draws the arm back and lets things come to rest, before the scene is looked
            at again; told whether something is in the hand.
        ask: puts a question to the person, when all else has failed; None: nobody is asked.
        on_event: told of every step, outcome, diagnosis and new plan.
    """
    run = _Run(goal, skills, observe_scene, execute, on_event)
    run.use(budgets or Budgets(replans=MAX_REPLANS), costs, watch, withdraw, ask)
    return run.finish(run.follow(tuple(plan)))


class _Run:
    def __init__(
        self,
        goal: Formula,
        skills: Mapping[str, Skill],
        observe: Callable[[], SceneGraph],
        execute: Callable[[SkillCall], Outcome],
        tell: Callable[[Event], None],
    ) -> None:
        self._wanted, self._goal, self._skills = goal, goal, skills  # the goal may become a part of it
        self._observe, self._execute, self._tell = observe, execute, tell
        self._scene = observe()
        self._plan: tuple[SkillCall, ...] = ()
        self._left: tuple[SkillCall, ...] = ()  # what is to come, if all goes well: an end of the plan
        self._outcomes: list[Outcome] = []
        self._diagnoses: list[tuple[Diagnosis, Answer]] = []
        self._failures: Counter[SkillCall] = Counter()
        self._given: Counter[tuple[Answer, SkillCall | None]] = Counter()
        self._replans = self._questions = 0

    def use(
        self,
        budgets: Budgets,
        costs: Costs,
        watch: Watch | None,
        withdraw: Callable[[bool], None],
        ask: Ask | None,
    ) -> None:
        """What is not part of the task itself."""
        self._budgets, self._costs, self._watch = budgets, costs, watch
        self._withdraw, self._ask = withdraw, ask

    def follow(self, plan: tuple[SkillCall, ...]) -> str:
        """Carry out a plan and its successors; why it ended."""
        self._plan, self._left, problem = plan, plan, None
        while not self._scene.holds(self._goal):
            if problem is None:
                rest = self._rest()
                if rest is not None and len(rest) <= len(self._left):
                    self._left = rest
                else:
                    problem = self._unready()
            if problem is not None:
                if self._passed(problem):
                    problem = None
                    continue
                steps = self._repair(problem)
                if isinstance(steps, str):
                    return steps
                self._left = steps
                if self._scene.holds(self._goal):
                    break
            call, self._left = self._left[0], self._left[1:]
            problem = self._step(call)
        if self._goal is self._wanted:
            return "The goal holds."
        return f"The rest is done. {self._lacking()}"

    def finish(self, reason: str) -> RunResult:
        """Judge by the scene graph, not by what the skills said."""
        success = self._scene.holds(self._wanted)
        self._tell(Event("end", reason))
        return RunResult(tuple(self._outcomes), self._replans, success, reason, tuple(self._diagnoses))

    # Steps -----------------------------------------------------------------------------------------

    def _rest(self) -> tuple[SkillCall, ...] | None:
        """The shortest end of the plan that leads from the scene to the goal."""
        for first in range(len(self._plan), -1, -1):
            if verify(self._plan[first:], self._goal, self._scene, self._skills).ok:
                return self._plan[first:]
        return None

    def _unready(self) -> Diagnosis:
        """Why what was to come next cannot."""
        problem = verify(self._left, self._goal, self._scene, self._skills).problem
        assert problem is not None, "a rest of the plan that works was passed over"
        return Diagnosis(Failure.PRECONDITION_LOST, problem, self._left[0] if self._left else None)

    def _step(self, call: SkillCall) -> Diagnosis | None:
        """Run a skill; what went wrong with it."""
        self._tell(Event("step", f"{call}", call))
        before, skill = self._scene, self._skills[call.skill]
        outcome = self._execute(call)
        self._scene = self._observe()
        broken = self._watch.broken if self._watch is not None else None
        problem = diagnose(skill, call, outcome, before, self._scene, broken)
        done = self._scene.holds(skill.goal(call))
        text = f"{call} {outcome.status.value}"
        if done != (outcome.status is Status.SUCCEEDED):
            text += ", and the scene shows that it worked" if done else ", yet the scene does not show it"
        self._outcomes.append(outcome)
        self._tell(Event("outcome", f"{text}: {outcome.reason}", call, outcome))
        return problem

    # Repairs ---------------------------------------------------------------------------------------

    def _passed(self, problem: Diagnosis) -> bool:
        """Draw back and look again, where that may help: whether all is well now that things are at rest."""
        if Answer.LOOK not in ANSWERS[problem.failure]:
            return False
        self._withdraw(any(fact.predicate == "holding" for fact in self._scene.facts))
        self._scene = self._observe()
        if problem.failure is Failure.PRECONDITION_LOST:
            well = verify(self._left, self._goal, self._scene, self._skills).ok
        else:
            assert problem.call is not None
            well = self._scene.holds(self._skills[problem.call.skill].goal(problem.call))
        if well:
            self._note(problem, Answer.LOOK)
        return well

    def _repair(self, problem: Diagnosis) -> tuple[SkillCall, ...] | str:
        """The steps that answer a failure; why there are none."""
        if problem.call is not None:
            self._failures[problem.call] += 1
        for answer in ANSWERS[problem.failure]:
            steps = self._answer(answer, problem)
            if steps is not None:
                return steps
        if problem.failure is Failure.STOPPED:
            self._note(problem, Answer.ABORT)
            return problem.text
        return self._asked(problem)

    def _asked(self, problem: Diagnosis) -> tuple[SkillCall, ...] | str:
        """The steps that come of what a person answers; why there are none."""
        while True:
            stuck, question = self._question(problem)
            if self._ask is None or self._questions >= self._budgets.questions:
                self._note(stuck, Answer.ABORT)
                return question.text
            self._questions += 1
            self._note(stuck, Answer.ASK)
            choice = self._ask(question)
            if choice is None or choice is Choice.LEAVE:
                self._note(stuck, Answer.ABORT)
                return str(question) if choice is None else question.text
            steps = self._after(choice, problem)
            if steps is not None:
                return steps

    def _question(self, problem: Diagnosis) -> tuple[Diagnosis, Question]:
        """What is wrong, and what is asked about it."""
        if plan_to(self._goal, self._scene, self._skills) is None:
            text = f"No plan leads to {self._goal} from here. {problem.text}"
            problem = Diagnosis(Failure.NOT_POSSIBLE, text, problem.call)
        else:
            text = f"Gave up after {self._replans} new plans. {problem.text} {self._lacking()}"
        rest = (Choice.REST,) if self._ask and self._without(problem.call) is not None else ()
        return problem, Question(text, (Choice.AGAIN, *rest, Choice.LEAVE))

    def _after(self, choice: Choice, problem: Diagnosis) -> tuple[SkillCall, ...] | None:
        """A plan from the scene as it is after the person's answer; all may be tried anew."""
        self._scene = self._observe()
        goal = self._without(problem.call) if choice is Choice.REST else self._goal
        steps = None if goal is None else plan_to(goal, self._scene, self._skills, cost=self._cost())
        if goal is None or steps is None:
            return None
        self._goal, self._plan = goal, steps
        self._given.clear()
        self._tell(Event("replan", f"The answer was: {choice.value}.", plan=steps))
        return steps

    def _without(self, call: SkillCall | None) -> Formula | None:
        """The parts of the goal that plans without a call lead to; None where they hold, or are all."""
        parts = self._goal.parts if isinstance(self._goal, And) else ()
        kept: tuple[Formula, ...] = ()
        for part in parts:
            plan = plan_to(And((*kept, part)), self._scene, self._skills, cost=self._cost())
            if plan is not None and call not in plan:
                kept = (*kept, part)
        if len(kept) == len(parts) or self._scene.holds(And(kept)):
            return None
        return And(kept)

    def _lacking(self) -> str:
        problem = verify((), self._wanted, self._scene, self._skills).problem
        return "" if problem is None else problem

    def _answer(self, answer: Answer, problem: Diagnosis) -> tuple[SkillCall, ...] | None:
        """Steps of one kind, when the budget allows them and they can be had; giving them is noted."""
        key = (answer, None if answer is Answer.REPLAN else problem.call)
        if self._given[key] >= self._budgets.of(answer):
            return None
        steps = self._steps(answer, problem)
        if steps is None:
            return None
        self._given[key] += 1
        self._note(problem, answer)
        if answer is Answer.DETOUR:
            self._plan = steps[1:]
        elif answer is Answer.REPLAN:
            self._plan, self._replans = steps, self._replans + 1
            self._tell(Event("replan", problem.text, plan=steps))
        return steps

    def _steps(self, answer: Answer, problem: Diagnosis) -> tuple[SkillCall, ...] | None:
        match answer:
            case Answer.RESUME:
                return self._rest()
            case Answer.DETOUR:
                return None if problem.call is None else self._detour(problem.call)
            case Answer.REPLAN:
                return plan_to(self._goal, self._scene, self._skills, cost=self._cost())
            case _:
                return None

    def _detour(self, call: SkillCall) -> tuple[SkillCall, ...] | None:
        """The cheapest call about the same things from which a plan by way of that step leads to the goal."""
        tables = {each.name for each in self._scene.entities if each.kind == "table"}
        things = {each.name for each in self._scene.entities}.intersection(call.args.values()) - tables
        others = [
            other
            for skill in self._skills.values()
            for other in skill.groundings(self._scene)
            if other != call and not things.isdisjoint(other.args.values())
            if not self._pointless(skill, other)
        ]
        # As in a search: among equals, what goes to the table comes first.
        others.sort(key=lambda other: tables.isdisjoint(other.args.values()))
        cost = self._cost()
        for rest_from in (self._rest_from, self._plan_from):
            found = []
            for number, other in enumerate(others):
                rest = rest_from(self._skills[other.skill].after(other, self._scene), call)
                if rest is not None:
                    found.append((cost(other) + sum(map(cost, rest)), number, (other, *rest)))
            if found:
                return min(found)[2]
        return None

    def _pointless(self, skill: Skill, call: SkillCall) -> bool:
        return bool(skill.unmet(call, self._scene)) or self._scene.holds(skill.goal(call))

    def _rest_from(self, scene: SceneGraph, call: SkillCall) -> tuple[SkillCall, ...] | None:
        for first in range(len(self._plan) - 1, -1, -1):
            rest = self._plan[first:]
            if call in rest and verify(rest, self._goal, scene, self._skills).ok:
                return rest
        return None

    def _plan_from(self, scene: SceneGraph, call: SkillCall) -> tuple[SkillCall, ...] | None:
        plan = plan_to(self._goal, scene, self._skills)
        return plan if plan is not None and call in plan else None

    def _cost(self) -> Callable[[SkillCall], float]:
        """Costs here and now: what failed in this run is less likely to work."""
        cost, failures = self._costs(self._scene), self._failures
        return lambda call: cost(call) + FAILED * failures[call]

    def _note(self, problem: Diagnosis, answer: Answer) -> None:
        self._diagnoses.append((problem, answer))
        text = f"{problem.text} ({problem.failure.value}; next: {answer.value})"
        self._tell(Event("diagnosis", text, problem.call, diagnosis=problem))
