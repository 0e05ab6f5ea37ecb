"""Things named after their pronoun, and by the colour that they have in common with something else."""

from __future__ import annotations

from planners.compact import Answer, Goal
from planners.phrasing.author import Author
from planners.phrasing.families.asides import apart, movable_of, places_of
from planners.phrasing.families.described import told
from planners.phrasing.meaning import step_about
from planners.phrasing.nouns import colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill
from robot_skills.scene_graph import Entity

_Written = tuple[str, Answer] | None
_WAYS = {"in": ("in", "in", "into", "inside"), "on": ("on", "on", "onto", "on top of")}


def named_last(author: Author) -> _Written:
    """It, and then what it is: "put it in the bowl, the red ball i mean"."""
    thing = author.rng.choice(movable_of(author))
    goal = apart(author, [thing])
    words = places_of(author, goal) if goal else None
    if goal is None or words is None:
        return None
    words["X"] = told(author, thing)
    author.mirror.note(goal[0])
    return fill(author.phrase("likeness", "named_last"), words), Goal(goal)


def _pairs(author: Author) -> list[tuple[Entity, Entity]]:
    """Two things of one colour and two kinds, of which the second is the only one of its colour and kind."""
    loose = [each for each in author.scene.entities if each.kind in LOOSE]
    return [
        (one, two)
        for one in loose
        for two in loose
        if one.kind != two.kind
        and colour_of(one) == colour_of(two) != ""
        and author.speaker.fitting(two.kind, colour_of(two)) == (two.name,)
    ]


def own_colour(author: Author) -> _Written:
    """Something goes to what has its colour: "the blue ball goes in the bowl of the same colour"."""
    pairs = [(one, two) for one, two in _pairs(author) if "graspable" in one.tags]
    author.rng.shuffle(pairs)
    for thing, place in pairs:
        goal = apart(author, [thing.name], ("in",) if place.kind == "bowl" else ("on",))
        for _ in range(6):
            if goal and goal[0].groups[1].names == (place.name,):
                break
            goal = apart(author, [thing.name], ("in",) if place.kind == "bowl" else ("on",))
        if goal is None or goal[0].groups[1].names != (place.name,):
            continue
        words = {"X": author.plainly(thing.name), "S": author.speaker.word(place.kind)}
        words["W"] = author.rng.choice(_WAYS[goal[0].predicate])
        author.speaker.mean(place.name, standard(place.kind, colour_of(place)))
        author.mirror.note(goal[0])
        return fill(author.phrase("likeness", "own_colour_place"), words), Goal(goal)
    return None


def coloured_like(author: Author) -> _Written:
    """A thing is told by the colour of another: "the block of the same colour as the ball"."""
    pairs = [(one, two) for one, two in _pairs(author) if "graspable" in two.tags]
    if not pairs:
        return None
    like, thing = author.rng.choice(pairs)
    step = step_about(author.rng, author.scene, thing.name)
    if step is None or like.name in step.groups[-1].names:
        return None
    kind = author.speaker.fitting(like.kind) == (like.name,) and author.rng.random() < 0.7
    shown = f"the {author.speaker.word(like.kind)}" if kind else author.plainly(like.name)
    words = {"X": shown, "S": author.speaker.word(thing.kind), "C": author.speaker.word(colour_of(thing))}
    said = fill(author.phrase("likeness", "coloured_like"), words)
    author.speaker.mean(thing.name, standard(thing.kind, colour_of(thing)))
    text = author.say(step, author.rng.choice(("imp", "imp", "told")), shown={"X": said})
    return (author.wrapped(text), Goal((step,))) if text else None
