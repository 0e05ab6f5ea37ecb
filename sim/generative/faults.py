"""Tasks broken in known ways: what the gates are measured on (`benchmarks/verifier.py`).

Each fault takes a sound task and gives one that is certainly broken, or None where it does not apply. What
follows from the goal (formula, words) is made anew unless the fault is that it says something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from sim.generative.goal import Clause, Goal, literals
from sim.generative.phrases import instructions
from sim.generative.recipe import Relation, Thing
from sim.generative.task import Task
from sim.tabletop.furnishings import FORMS
from sim.tabletop.scene import COLOURS, GRASPABLE

Fault = Callable[[Task, np.random.Generator], "Task | None"]

#: Beyond what the arm reaches, and on the edge of it where no hand can be straight, x, y in m.
FAR_OFF = ((0.86, 0.05), (0.95, -0.20), (0.80, 0.30))


def opposite_predicate(task: Task, rng: np.random.Generator) -> Task | None:
    """The formula says closed where the words say open, or the other way round."""
    text = task.formula.replace("open(", "~(").replace("closed(", "open(").replace("~(", "closed(")
    return None if text == task.formula else replace(task, formula=text)


def other_object(task: Task, rng: np.random.Generator) -> Task | None:
    """The formula is about another thing than the words."""
    mine = [name for name in task.goal.names() if task.recipe.thing(name)]
    others = [item.name for item in task.recipe.things if item.name not in task.goal.names()]
    if not mine or not others:
        return None
    other = others[int(rng.integers(len(others)))]
    return replace(task, formula=task.formula.replace(mine[0], other))


def other_words(task: Task, rng: np.random.Generator) -> Task | None:
    """One of the instructions leaves out, or negates, what another asks for."""
    if len(task.goal.clauses) < 2:
        return None
    shorter = replace(task.goal, clauses=task.goal.clauses[:-1])
    said = instructions(shorter, task.seed)
    return replace(task, instructions=(*task.instructions[:-1], said[0]))


def one_left_out(task: Task, rng: np.random.Generator) -> Task | None:
    """The words say "all the blocks", and there is one more than the formula knows."""
    clause = next((clause for clause in task.goal.all_clauses() if clause.group in GRASPABLE), None)
    taken = {item.colour for item in task.recipe.things if clause and item.kind == clause.group}
    free = [colour for colour in COLOURS if colour not in taken]
    if clause is None or len(task.recipe.things) > 5:
        return None
    extra = Thing(clause.group, free[int(rng.integers(len(free)))])
    return replace(task, recipe=replace(task.recipe, things=(*task.recipe.things, extra)))


def solved_already(task: Task, rng: np.random.Generator) -> Task | None:
    """Whatever the goal asks for is so at the beginning."""
    return _solved(task, "solved")


def solved_at_times(task: Task, rng: np.random.Generator) -> Task | None:
    """In half of the scenes what opens and lights is as the goal asks already."""
    if any(clause.kind not in ("open", "close", "press") for clause in task.goal.all_clauses()):
        return None
    return None if len(task.goal.clauses) > 2 else _solved(task, "any")


def _solved(task: Task, how: str) -> Task | None:
    if task.goal.condition or any(c.kind not in ("open", "close", "press", "put") for c in task.goal.clauses):
        return None
    standings, relations = dict(task.recipe.standings), list(task.recipe.relations)
    for clause in task.goal.clauses:
        for thing in clause.things:
            if clause.kind == "put":
                relations = [r for r in relations if thing not in r.things]
                if clause.places[0] != "table":
                    relations.append(Relation(clause.relation, (thing, clause.places[0])))
            else:
                done = {"open": "open", "close": "closed", "press": "lit"}[clause.kind]
                standings[thing] = done if how == "solved" else "any"
    return replace(
        task, recipe=replace(task.recipe, standings=standings, relations=tuple(relations), pins={})
    )


def out_of_reach(task: Task, rng: np.random.Generator) -> Task | None:
    """Something that must be acted on stands where the arm does not reach."""
    recipe = task.recipe
    below = {relation.things[0] for relation in recipe.relations if relation.name in ("on", "in")}
    pinned = [name for name in task.goal.names() if recipe.thing(name) and name not in below]
    pinned += [
        item.name for item in recipe.furnishings if item.kind != "drawer" and item.name in task.goal.names()
    ]
    acted = [name for name in pinned if task.goal.clauses[0].kind not in ("at_least", "either", "exactly")]
    if not acted or task.goal.condition:
        return None
    spot = FAR_OFF[int(rng.integers(len(FAR_OFF)))]
    return replace(task, recipe=replace(recipe, pins={acted[int(rng.integers(len(acted)))]: spot}))


def in_each_other(task: Task, rng: np.random.Generator) -> Task | None:
    """Two things stand in the same place."""
    below = {thing for relation in task.recipe.relations for thing in relation.things}
    loose = [item.name for item in task.recipe.things if item.name not in below]
    if len(loose) < 2:
        return None
    first, second = (str(name) for name in rng.choice(loose, 2, replace=False))
    return replace(
        task, recipe=replace(task.recipe, pins={first: (0.50, -0.08), second: (0.512, -0.08)}, relations=())
    )


def toppling(task: Task, rng: np.random.Generator) -> Task | None:
    """Something stands on a thing that it must roll or fall off."""
    balls = [item.name for item in task.recipe.things if item.kind == "ball"]
    blocks = [item.name for item in task.recipe.things if item.kind == "block"]
    stacked = {thing for relation in task.recipe.relations for thing in relation.things}
    for ball in balls:
        for block in blocks:
            if ball not in stacked and block not in stacked:
                more = Relation("on", (block, ball))
                return replace(task, recipe=replace(task.recipe, relations=(*task.recipe.relations, more)))
    return None


def contradiction(task: Task, rng: np.random.Generator) -> Task | None:
    """The goal asks for the opposite of what it asks for."""
    opposites = {"open": "close", "close": "open"}
    for clause in task.goal.clauses:
        if clause.kind in opposites and not task.goal.condition:
            against = Clause(opposites[clause.kind], clause.things)
            return _with_goal(task, replace(task.goal, clauses=(*task.goal.clauses, against)))
    return None


def two_places(task: Task, rng: np.random.Generator) -> Task | None:
    """One thing is to be in two places."""
    for clause in task.goal.clauses:
        if clause.kind == "put" and clause.relation == "in" and not task.goal.condition:
            others = [item.name for item in task.recipe.furnishings if FORMS[item.kind].walls > 0]
            others = [name for name in others if name != clause.places[0]]
            if others:
                against = Clause("put", clause.things[:1], (others[0],), "in")
                return _with_goal(task, replace(task.goal, clauses=(*task.goal.clauses, against)))
    return None


def locked_in(task: Task, rng: np.random.Generator) -> Task | None:
    """What is to be moved lies in a container, out of which no skill takes anything."""
    containers = [item.name for item in task.recipe.furnishings if FORMS[item.kind].walls > 0]
    for clause in task.goal.clauses:
        if clause.kind in ("put", "hold", "tower", "push") and not task.goal.condition:
            thing = clause.things[0]
            free = [name for name in containers if name not in clause.places]
            if free:
                kept = [r for r in task.recipe.relations if thing not in r.things]
                inside = Relation("in", (thing, free[0]))
                return replace(task, recipe=replace(task.recipe, relations=(*kept, inside)))
    return None


def too_lenient(task: Task, rng: np.random.Generator) -> Task | None:
    """A predicate's parameter lets pass what a person would not: half open is open, hovering is standing."""
    predicates = {atom.predicate for formula in task.goal.branches() for atom in literals(formula)}
    loose = {
        "open": ("open", 0.35),
        "closed": ("closed", 0.55),
        "on": ("contact", 0.045),
        "moved": ("pushed", 0.01),
    }
    for predicate in sorted(predicates & set(loose)):
        name, value = loose[predicate]
        return replace(task, tolerances=replace(task.tolerances, **{name: value}))
    return None


def no_room(task: Task, rng: np.random.Generator) -> Task | None:
    """More is to stand on the table than it holds."""
    colours = [colour for colour in COLOURS if f"{colour} bowl" not in task.recipe.names()]
    many = tuple(Thing("bowl", colour) for colour in colours[: 7 - len(task.recipe.things)])
    if len(many) < 3:
        return None
    return replace(task, recipe=replace(task.recipe, things=(*task.recipe.things, *many)))


FAULTS: Mapping[str, Fault] = {
    "opposite predicate": opposite_predicate,
    "other object": other_object,
    "other words": other_words,
    "one left out": one_left_out,
    "solved already": solved_already,
    "solved at times": solved_at_times,
    "out of reach": out_of_reach,
    "in each other": in_each_other,
    "toppling": toppling,
    "contradiction": contradiction,
    "two places": two_places,
    "locked in": locked_in,
    "too lenient": too_lenient,
    "no room": no_room,
}


def _with_goal(task: Task, goal: Goal) -> Task:
    """The task with another goal, and everything that follows from it."""
    return replace(
        task, goal=goal, formula=str(goal.formula), instructions=instructions(goal, task.seed), steps=()
    )
