"""The first gate: whether a task is well-typed, and whether its parts say the same."""

from __future__ import annotations

from collections.abc import Iterator

from robot_skills.errors import InputError, unknown
from robot_skills.logic import Atom, Formula, atoms, parse
from robot_skills.scene_graph import DIRECTIONS
from sim.generative.goal import Clause
from sim.generative.phrases import instructions
from sim.generative.recipe import SceneRecipe
from sim.generative.task import Task
from sim.tabletop.oracle import TAGS
from sim.tabletop.predicates import fits

#: predicate -> what its arguments must be: a tag, a place (None), or a direction.
_TYPES = {
    "holding": ("graspable",), "open": ("openable",), "closed": ("openable",), "pressed": ("pressable",),
    "in": ("graspable", None), "on": ("graspable", None), "moved": ("pushable", "direction"),
}  # fmt: skip
#: tolerance -> lowest and highest that can be meant at all; what is too lenient shows at the near misses.
_LIMITS = {
    "contact": (0.004, 0.05), "lift": (0.01, 0.06), "open": (0.3, 0.95), "closed": (0.02, 0.6),
    "pushed": (0.008, 0.08), "aside": (0.2, 1.0),
}  # fmt: skip


def check_schema(task: Task) -> None:
    """Check what can be checked without a scene.

    Raises:
        InputError: with what is wrong, and what would be right.
    """
    said = (str(task.goal.formula), "" if task.goal.alternative is None else str(task.goal.alternative))
    if (task.formula, task.alternative) != said:
        raise InputError(f"The formula is {task.formula!r}, and the goal means {said[0]!r}.")
    for formula in _formulas(task):
        for atom in atoms(formula):
            _check_atom(atom, task.recipe)
    expected = instructions(task.goal, task.seed)
    for given in task.instructions or ("",):
        if given not in expected:
            raise InputError(f"The instruction {given!r} does not say the goal, {task.formula}.")
    if len(task.instructions) < 2:
        raise InputError("A task says its goal in two ways or more.")
    for clause in task.goal.all_clauses():
        _check_group(clause, task.recipe)
    for relation in task.recipe.relations:
        if relation.name in ("in", "on"):
            item, target = (_kind(name) for name in relation.things)
            if not fits(item, relation.name, target):
                raise InputError(f"A {item} cannot be {relation.name} a {target}, as the recipe has it.")
    for name, (low, high) in _LIMITS.items():
        value = getattr(task.tolerances, name)
        if not low <= value <= high:
            raise InputError(f"The tolerance {name} is {value:g}; it means something from {low} to {high}.")


def _formulas(task: Task) -> Iterator[Formula]:
    yield from task.goal.branches()
    if task.goal.condition:
        yield parse(task.goal.condition)


def _check_atom(atom: Atom, recipe: SceneRecipe) -> None:
    if atom.predicate not in _TYPES:
        raise unknown("predicate", atom.predicate, _TYPES)
    types = _TYPES[atom.predicate]
    if len(types) != len(atom.args):
        raise InputError(f"{atom.predicate} takes {len(types)} arguments: {atom}.")
    names = [*recipe.names(), "table"]
    for argument, wanted in zip(atom.args, types, strict=True):
        if wanted == "direction":
            if argument not in DIRECTIONS:
                raise unknown("direction", argument, DIRECTIONS)
            continue
        if argument not in names:
            raise unknown("thing in the goal", argument, names)
        if wanted is not None and wanted not in TAGS[_kind(argument)]:
            raise InputError(f"{atom}: a {_kind(argument)} is not {wanted}.")
    if atom.predicate in ("in", "on"):
        item, target = (_kind(name) for name in atom.args)
        if not fits(item, atom.predicate, target):
            raise InputError(f"{atom}: a {item} cannot be {atom.predicate} a {target}.")


def _check_group(clause: Clause, recipe: SceneRecipe) -> None:
    """What is called "all the blocks" must be all the blocks."""
    if not clause.group:
        return
    members = {
        item.name
        for item in recipe.things
        if clause.group in (item.kind, item.colour) and "graspable" in TAGS[item.kind]
    }
    if members != set(clause.things):
        raise InputError(
            f"All that is {clause.group} is {', '.join(sorted(members))}, not {', '.join(clause.things)}."
        )


def _kind(name: str) -> str:
    return name.split()[-1]
