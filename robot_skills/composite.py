"""Composite skills: a card like any other, and the steps that it stands for, in `steps.yaml` beside it.

    steps:
    - open(target="target")
    - pick(object="object")
    - place(object="object", relation="in", target="target")

A value that is a parameter of the card is replaced by the call's argument; anything else is a word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from robot_skills.data.files import write_text
from robot_skills.errors import InputError
from robot_skills.skill import Outcome, Skill, SkillCall, Status
from robot_skills.training.configuration import read_yaml

STEPS = "steps.yaml"


def read_steps(path: Path, card: Skill, skills: Mapping[str, Skill]) -> tuple[SkillCall, ...]:
    """Read the steps of a composite.

    Args:
        path: of `steps.yaml`.
        card: of the composite.
        skills: those that steps may call: primitives.

    Raises:
        InputError: it cannot be read, a step calls no skill here, or asks for other things than the card.
    """
    from robot_skills.symbolic.composition import kinds

    lines = read_yaml(path, "list of a skill's steps").get("steps")
    if not isinstance(lines, list) or len(lines) < 2 or not all(isinstance(line, str) for line in lines):
        raise InputError(f"{path} holds no list `steps:` of two skill calls or more.")
    try:
        steps = tuple(SkillCall.parse(line) for line in lines)
        asked = kinds(steps, skills)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if set(asked) != set(card.parameters):
        raise InputError(
            f"{path}: the steps are about {', '.join(asked)}, the card about {', '.join(card.parameters)}."
        )
    return steps


def write_steps(path: Path, steps: Sequence[SkillCall]) -> None:
    """The inverse of `read_steps`."""
    write_text(path, yaml.safe_dump({"steps": [str(step) for step in steps]}, sort_keys=False, width=1000))


def carry_out(
    call: SkillCall,
    steps: Sequence[SkillCall],
    play: Callable[[SkillCall], Outcome],
    done: Callable[[SkillCall], bool],
) -> Outcome:
    """Carry out a call step by step; the first step that the scene does not show ends it.

    Args:
        call: what was asked for.
        steps: what it stands for: itself, when it is no composite.
        play: carries out one step.
        done: whether the scene shows what a step is to bring about.
    """
    if len(steps) == 1:
        return play(steps[0])
    spent, seconds = 0, 0.0
    for number, step in enumerate(steps, start=1):
        outcome = play(step)
        spent, seconds = spent + outcome.steps, seconds + outcome.seconds
        stopped = outcome.status in (Status.PREEMPTED, Status.ABORTED)
        if stopped or not done(step):
            status = Status.FAILED if outcome.status is Status.SUCCEEDED else outcome.status
            return Outcome(call, status, f"Step {number}, {step}: {outcome.reason}", spent, seconds)
    return Outcome(call, Status.SUCCEEDED, f"All {len(steps)} steps worked.", spent, seconds)
