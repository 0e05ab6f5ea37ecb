"""From a command to a verified plan, a refusal, or a question."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from planners.proposer import GoalProposer, LanguageModelProposer, Proposal
from planners.response_cache import Usage
from planners.vocabulary import visible
from robot_skills.affordance import Affordances
from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, Not
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.closed_loop import plan_to
from robot_skills.symbolic.model import GroundModel, ground, same_for_all
from robot_skills.symbolic.search import NODE_BUDGET, SearchResult, Verdict, search, search_in_order
from robot_skills.symbolic.verification import verify

#: Finds a plan to a goal from a scene, with these skills at what their calls cost.
Solver: TypeAlias = Callable[
    [Formula, SceneGraph, Mapping[str, Skill], Callable[[SkillCall], float]], SearchResult
]
LONGEST_COMMAND = 2_000
_EXPLAIN_BUDGET = 2_000


@dataclass(frozen=True)
class PlanResult:
    """What came of planning a command: a verified plan, or a refusal, or a question.

    Attributes:
        command: as it was given.
        goal: what must hold at the end; None when the command was not understood.
        plan: skill calls that bring it about; empty when it holds already, or without a plan.
        verified: whether the plan was replayed on the cards from this scene and reaches the goal.
        refused: why there is no plan; None when there is one.
        question: what has to be answered first; None when nothing has.
        seconds: wall time of it all.
        note: a word to the person, such as that nothing is to be done.
        proposal: where the goal came from.
        expected_success: probability that every step works at its first try, where tries of all of them are
            known (`robot_skills.affordance`).
    """

    command: str
    goal: Formula | None
    plan: tuple[SkillCall, ...]
    verified: bool
    refused: str | None
    question: str | None
    seconds: float
    note: str | None = None
    proposal: Proposal | None = None
    expected_success: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The keys that the `plan` verb reports."""
        return {
            "command": self.command,
            "goal": None if self.goal is None else str(self.goal),
            "plan": [call.to_json() for call in self.plan],
            "verified": self.verified,
            "refused": self.refused,
            "question": self.question,
            "seconds": round(self.seconds, 3),
            "expected_success": None if self.expected_success is None else round(self.expected_success, 4),
        }


class Planner:
    """Proposes a goal, searches for a plan, and replays it before anybody sees it.

    Args:
        skills: the cards.
        proposer: turns commands into goals.
        budget: how many states the search may expand.
        solver: who looks for the plan in the search's stead, as Fast Downward can
            (`robot_skills.symbolic.pddl.fast_downward`).
        affordances: what the skills can do: the search prefers the sure way, and says how sure it is.
    """

    def __init__(
        self,
        skills: Mapping[str, Skill],
        proposer: GoalProposer,
        budget: int = NODE_BUDGET,
        solver: Solver | None = None,
        affordances: Affordances | None = None,
    ) -> None:
        self._skills, self._proposer, self._budget, self._solver = skills, proposer, budget, solver
        self._affordances = affordances

    def knowing(self, affordances: Affordances) -> Planner:
        """The same planner, with what the skills can do."""
        return Planner(self._skills, self._proposer, self._budget, self._solver, affordances)

    @property
    def usage(self) -> Usage | None:
        """What a model server was asked so far; None where there is none."""
        return self._proposer.usage if isinstance(self._proposer, LanguageModelProposer) else None

    def plan(self, command: str, scene: SceneGraph) -> PlanResult:
        """Plan a command for a scene.

        Raises:
            InputError: the command is empty or too long, or the language model cannot be reached.
        """
        started = time.perf_counter()
        check_command(command)
        proposal = self._proposer.propose(visible(command), scene)
        if proposal.goal is None:
            spent = time.perf_counter() - started
            return PlanResult(
                command, None, (), False, proposal.refused, proposal.question, spent, None, proposal
            )
        return self._planned(command, proposal.goal, scene, proposal, started)

    def plan_goal(self, goal: Formula, scene: SceneGraph, command: str) -> PlanResult:
        """Plan for a goal that needs no reading; `command` is what it came from, for the report."""
        return self._planned(command, goal, scene, None, time.perf_counter())

    def _planned(
        self, command: str, goal: Formula, scene: SceneGraph, proposal: Proposal | None, started: float
    ) -> PlanResult:
        plan, refused, note = self._search(goal, scene)
        known = self._affordances if refused is None else None
        return PlanResult(
            command=command,
            goal=goal,
            plan=plan,
            verified=refused is None,
            refused=refused,
            question=None,
            seconds=time.perf_counter() - started,
            note=note,
            proposal=proposal,
            expected_success=known.expected_success(plan, scene) if known else None,
        )

    def _search(
        self, goal: Formula, scene: SceneGraph
    ) -> tuple[tuple[SkillCall, ...], str | None, str | None]:
        """A plan, or a refusal; and a note."""
        cost = self._affordances.cost(scene) if self._affordances else same_for_all
        model = ground(self._skills, scene, cost)
        if self._solver is None:
            result = search_in_order(model, goal, self._budget)
        else:
            result = self._solver(goal, scene, self._skills, cost)
        if result.verdict is not Verdict.FOUND:
            return (), self._refusal(goal, model, result), None
        verification = verify(result.plan, goal, scene, self._skills)
        if not verification.ok:  # a defect of the model: say so rather than move
            return (), f"The plan that was found fails its check. {verification.problem}", None
        return result.plan, None, None if result.plan else "That is so already: nothing to do."

    def _refusal(self, goal: Formula, model: GroundModel, result: SearchResult) -> str:
        if result.verdict is Verdict.BUDGET:
            return f"I found no plan among {result.expanded} states; one may exist. The goal was {goal}."
        culprits = unreachable(goal, model)
        reasons = [reason for part in culprits if (reason := self._why(part, model.scene)) is not None]
        if len(culprits) > 1 and not reasons:
            return f"These cannot all be so at once: {'; '.join(map(str, culprits))}."
        because = f": {'; '.join(dict.fromkeys(reasons))}" if reasons else ""
        return f"No sequence of my skills brings about {' and '.join(map(str, culprits))}{because}."

    def _why(self, part: Formula, scene: SceneGraph) -> str | None:
        """A reason a person can follow, where a static fact or a one-way skill is it."""
        atom = part.part if isinstance(part, Not) else part
        if not isinstance(atom, Atom):
            return None
        facts = scene.facts
        if isinstance(part, Atom) and atom.predicate in ("in", "on"):
            thing, place = atom.args
            if Atom("fits", (thing, atom.predicate, place)) not in facts:
                return f"the {thing} does not fit {atom.predicate} the {place}"
        inside = [fact.args[1] for fact in facts if fact.predicate == "in" and fact.args[0] == atom.args[0]]
        if inside and "pick" in self._skills:
            return f"I cannot take the {atom.args[0]} out of the {inside[0]}"
        return None


def unreachable(goal: Formula, model: GroundModel) -> tuple[Formula, ...]:
    """The parts of an impossible conjunction to blame: single ones, else a pair, else all of them."""
    parts = goal.parts if isinstance(goal, And) else (goal,)
    single = tuple(part for part in parts if _impossible(part, model))
    if single:
        return single
    for pair in itertools.combinations(parts, 2):
        if _impossible(And(pair), model):
            return pair
    return parts


def _impossible(goal: Formula, model: GroundModel) -> bool:
    return search(model, goal, budget=_EXPLAIN_BUDGET).verdict is Verdict.IMPOSSIBLE


def check_command(command: str) -> None:
    """Check that a command has a length to be planned.

    Raises:
        InputError: it is empty, or longer than 2,000 characters.
    """
    if not command.strip():
        raise InputError('The command is empty; say for example "put the red block in the drawer".')
    if len(command) > LONGEST_COMMAND:
        raise InputError(f"The command has {len(command)} characters; at most {LONGEST_COMMAND} are read.")


__all__: Sequence[str] = ["PlanResult", "Planner", "check_command", "plan_to", "unreachable"]
