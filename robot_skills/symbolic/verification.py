"""Replay of a plan on the skill cards: the check that every plan passes before anybody sees it.

It shares nothing with the search: types, preconditions and effects are read from the cards and applied to
the scene graph step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robot_skills.errors import InputError
from robot_skills.logic import And, Formula
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall


@dataclass(frozen=True)
class Verification:
    """What a replay found.

    Attributes:
        problem: None when the plan is right, else one line that names the step and what fails there.
        step: the number of the step that fails, from 1; None when the plan is right or the goal fails.
        final: the scene graph that the plan promises; where the replay stopped, when it failed.
    """

    problem: str | None
    step: int | None
    final: SceneGraph

    @property
    def ok(self) -> bool:
        """Whether every step can be taken and the goal holds at the end."""
        return self.problem is None


def verify(
    plan: Sequence[SkillCall], goal: Formula, scene: SceneGraph, skills: Mapping[str, Skill]
) -> Verification:
    """Replay a plan: types and preconditions before each step, success after it, the goal at the end."""
    for number, call in enumerate(plan, start=1):
        problem, after = _replay(call, scene, skills)
        if problem is not None:
            return Verification(f"Step {number}, {call}: {problem}", number, scene)
        scene = after
    if not scene.holds(goal):
        lacking = [part for part in _parts(goal) if not scene.holds(part)]
        return Verification(f"At the end the goal lacks {' and '.join(map(str, lacking))}.", None, scene)
    return Verification(None, None, scene)


def _replay(call: SkillCall, scene: SceneGraph, skills: Mapping[str, Skill]) -> tuple[str | None, SceneGraph]:
    skill = skills.get(call.skill)
    if skill is None:
        return f"no skill is called {call.skill!r}.", scene
    try:
        skill.check(call, scene)
    except InputError as error:
        return str(error), scene
    unmet = skill.unmet(call, scene)
    if unmet:
        return f"needs {' and '.join(map(str, unmet))}.", scene
    after = skill.after(call, scene)
    if not after.holds(skill.goal(call)):
        return f"its effects do not bring about its own success, {skill.goal(call)}.", scene
    return None, after


def _parts(goal: Formula) -> tuple[Formula, ...]:
    return goal.parts if isinstance(goal, And) else (goal,)
