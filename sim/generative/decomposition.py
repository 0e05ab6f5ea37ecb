"""A goal taken apart into skill calls with exact labels, by backward chaining over the skills' cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from robot_skills.logic import Formula, bind
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.model import ground
from robot_skills.symbolic.regression import chain_in_order
from robot_skills.symbolic.search import Verdict, search
from robot_skills.symbolic.verification import verify
from sim.generative.task import Step

#: Sets of literals expanded before the forward search is asked, which can prove that there is no plan.
NODES = 3_000


def decompose(goal: Formula, scene: SceneGraph, skills: Mapping[str, Skill]) -> tuple[SkillCall, ...] | None:
    """Skill calls from a scene to a goal, in the order it is said if that costs no step; or None."""
    model = ground(skills, scene)
    plan = chain_in_order(model, goal, NODES)
    if plan is None:
        forward = search(model, goal)
        if forward.verdict is not Verdict.FOUND:
            return None
        plan = forward.plan
    return plan if verify(plan, goal, scene, skills).ok else None


def steps_of(plan: Sequence[SkillCall], skills: Mapping[str, Skill]) -> tuple[Step, ...]:
    """The labels of a plan's steps."""
    return tuple(
        Step(
            call=str(call),
            text=skills[call.skill].language(call),
            needs=tuple(str(bind(each, call.args)) for each in skills[call.skill].preconditions),
            until=str(skills[call.skill].goal(call)),
        )
        for call in plan
    )
