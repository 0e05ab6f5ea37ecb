"""What went wrong with a step, told from its card and the scene before and after; and what is done then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from robot_skills.errors import InputError
from robot_skills.logic import Atom, Formula, bind
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, Skill, SkillCall, Status


class Failure(str, Enum):
    """Kinds of failure, each with an answer of its own (`ANSWERS`)."""

    PRECONDITION_LOST = "precondition lost"  # the world is not as the steps before left it
    SLIPPED = "slipped"  # what was held is no longer held, and is not where it should be
    WRONG_THING = "wrong thing"  # something else is in the hand
    DISTURBED = "disturbed"  # something changed meanwhile that the skill does not change
    EFFECT_MISSING = "effect missing"  # the skill ended, and what it is for is not so
    TIMED_OUT = "timed out"  # it did not end
    NOT_POSSIBLE = "not possible"  # no plan leads to the goal from here
    STOPPED = "robot stopped"  # somebody asked for a stop, or the robot or the policy broke


class Answer(str, Enum):
    """What can be done about a failure."""

    LOOK = "draw back and look again"  # let things come to rest first
    RESUME = "go on where the plan still works"  # the same step once more, or one that was done before
    DETOUR = "another skill first"  # that changes the thing's place or state and nothing the plan needs
    REPLAN = "a new plan"  # in which what failed is less likely to work
    ASK = "ask for help"
    ABORT = "give up"


#: What is tried in turn, as far as the budgets go. A skill that did not end has been trying for its whole
#: time, so that the same again is worth less than something that changes the scene.
ANSWERS: Mapping[Failure, tuple[Answer, ...]] = {
    Failure.PRECONDITION_LOST: (Answer.LOOK, Answer.RESUME, Answer.REPLAN, Answer.ASK),
    Failure.SLIPPED: (Answer.LOOK, Answer.RESUME, Answer.REPLAN, Answer.ASK),
    Failure.WRONG_THING: (Answer.REPLAN, Answer.ASK),
    Failure.DISTURBED: (Answer.LOOK, Answer.RESUME, Answer.REPLAN, Answer.ASK),
    Failure.EFFECT_MISSING: (Answer.LOOK, Answer.RESUME, Answer.DETOUR, Answer.REPLAN, Answer.ASK),
    Failure.TIMED_OUT: (Answer.LOOK, Answer.DETOUR, Answer.RESUME, Answer.REPLAN, Answer.ASK),
    Failure.NOT_POSSIBLE: (Answer.ASK,),
    Failure.STOPPED: (Answer.ABORT,),
}


@dataclass(frozen=True)
class Budgets:
    """How often each answer is given.

    Attributes:
        retries: RESUME, for one call.
        detours: DETOUR, for one call.
        replans: REPLAN, in a run.
        questions: ASK, in a run.
    """

    retries: int = 2
    detours: int = 1
    replans: int = 3
    questions: int = 3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0:
                raise InputError(f"{name} is 0 or more, not {value}.")

    def of(self, answer: Answer) -> int:
        """How often an answer is given; none to LOOK and ABORT, which bring no steps."""
        return {
            Answer.RESUME: self.retries,
            Answer.DETOUR: self.detours,
            Answer.REPLAN: self.replans,
            Answer.ASK: self.questions,
        }.get(answer, 0)


@dataclass(frozen=True)
class Diagnosis:
    """What went wrong.

    Attributes:
        failure: its kind.
        text: a sentence for the person.
        call: the step that failed, or could not begin; None where no step is to blame.
    """

    failure: Failure
    text: str
    call: SkillCall | None = None

    def to_json(self) -> dict[str, Any]:
        """The form used in results."""
        call = None if self.call is None else self.call.to_json()
        return {"failure": self.failure.value, "text": self.text, "call": call}


def diagnose(
    skill: Skill,
    call: SkillCall,
    outcome: Outcome,
    before: SceneGraph,
    after: SceneGraph,
    broken: Diagnosis | None = None,
) -> Diagnosis | None:
    """What went wrong with a step; None where its success condition holds, whatever the skill itself says.

    Args:
        skill: the card.
        call: of it.
        outcome: what the skill says.
        before: the scene when the step began.
        after: the scene now.
        broken: what a watch saw while it ran.
    """
    if outcome.status in (Status.PREEMPTED, Status.ABORTED):
        text = f"{call} was {outcome.status.value}: {outcome.reason}"
        return Diagnosis(Failure.STOPPED, text, call)
    if after.holds(skill.goal(call)):
        return None
    found = lost(skill, call, before, after)
    if found is not None:
        return found
    if broken is not None:
        return broken
    if outcome.status is Status.TIMED_OUT:
        return Diagnosis(Failure.TIMED_OUT, f"{call} did not end in time.", call)
    return Diagnosis(Failure.EFFECT_MISSING, f"{call} ended, and {skill.goal(call)} is not so.", call)


def lost(skill: Skill, call: SkillCall, before: SceneGraph, now: SceneGraph) -> Diagnosis | None:
    """Which condition of a call that holds from its beginning to its end does not hold any more.

    A condition that the skill does not change holds throughout. One that it does change, as `place` ends
    `holding(object)`, holds until the success condition does; between the two a thing may be on its way, so
    that this one is missed only when things are somewhere again.
    """
    if now.holds(skill.goal(call)):
        return None
    promised = skill.after(call, before)
    for condition in (bind(each, call.args) for each in skill.preconditions):
        if now.holds(condition):
            continue
        if promised.holds(condition):
            return Diagnosis(Failure.DISTURBED, f"Meanwhile {condition} is no longer so.", call)
        found = _let_go(condition, call, now)
        if found is not None:
            return found
    return None


def _let_go(condition: Formula, call: SkillCall, now: SceneGraph) -> Diagnosis | None:
    """What the hand should hold and does not, or holds and should not."""
    held = next((fact.args[0] for fact in now.facts if fact.predicate == "holding"), None)
    match condition:
        case Atom("holding", (thing,)) if held is None:
            where = [f for f in now.facts if f.predicate in ("on", "in") and f.args[0] == thing]
            if where:
                text = f"The {thing} slipped: it is {where[0].predicate} the {where[0].args[1]}."
                return Diagnosis(Failure.SLIPPED, text, call)
        case Atom("hand_empty", ()) if held is not None and held not in call.args.values():
            return Diagnosis(Failure.WRONG_THING, f"The {held} is in the hand.", call)
    return None
