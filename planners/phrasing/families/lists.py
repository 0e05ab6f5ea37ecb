"""Several steps as lists: numbered, in telegram style, place by place, with what is repeated left out."""

from __future__ import annotations

import re
from collections.abc import Iterable

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import composed, feasible, sample_literal, step_kind
from planners.phrasing.nouns import colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

_NUMBERED = (
    ("1. ", " 2. ", " 3. ", " 4. "), ("1) ", " 2) ", " 3) ", " 4) "), ("1: ", " 2: ", " 3: ", " 4: "),
    ("(1) ", " (2) ", " (3) ", " (4) "), ("a) ", " b) ", " c) ", " d) "), ("- ", " - ", " - ", " - "),
    ("* ", " * ", " * ", " * "), ("", "; ", "; ", "; "), ("", ", ", ", ", ", "),
    ("", " then ", " then ", " then "), ("first ", ", then ", ", then ", ", and finally "),
    ("first, ", ". second, ", ". third, ", ". fourth, "), ("first ", ", second ", ", third ", ", fourth "),
    ("step 1: ", ". step 2: ", ". step 3: ", ". step 4: "), ("", " -> ", " -> ", " -> "),
    ("", " / ", " / ", " / "), ("", " + ", " + ", " + "), ("", ". ", ". ", ". "),
    ("", ". then ", ". then ", ". then "), ("", ". next ", ". next ", ". next "),
    ("", " and then ", " and then ", " and then "), ("", ", afterwards ", ", then ", ", last "),
    ("in this order: ", ", ", ", ", ", "), ("in order: ", "; ", "; ", "; "), ("todo: ", ", ", ", ", ", "),
    ("one: ", ". two: ", ". three: ", ". four: "), ("firstly ", ", secondly ", ", thirdly ", ", fourthly "),
    ("to do: ", "; then ", "; then ", "; then "), ("please: ", ", ", ", ", " and "),
    ("", ", ", ", ", " and "),
)  # fmt: skip


def numbered(author: Author) -> tuple[str, Answer] | None:
    """A list of two to four steps: short notes or whole imperatives."""
    steps = _steps(author)
    goal = composed(steps) if steps else None
    if not steps or goal is None or not feasible(goal, author.scene):
        return None
    short = author.rng.random() < 0.6
    said = [_note(author, step) if short else author.say(step) for step in steps]
    words = [each for each in said if each]
    if len(words) < len(steps):
        return None
    text = "".join(mark + each for mark, each in zip(author.rng.choice(_NUMBERED), words, strict=False))
    return (
        re.sub(r"\b(the|a|an|my|ur|our) ", "", text) if short and author.rng.random() < 0.5 else text
    ), Goal(goal)


def _steps(author: Author) -> list[Literal] | None:
    """Two to four steps of which a pair often goes with one fixture."""
    count = author.rng.choices((2, 3, 4), (4, 4, 1.5))[0]
    steps = [item for _ in range(count) if (item := sample_literal(author.rng, author.scene))]
    if len(steps) < count or any(group.pick for item in steps for group in item.groups):
        return None
    if author.rng.random() < 0.4 and (put := sample_literal(author.rng, author.scene, "in")):
        place = put.groups[1].names
        if place == ("drawer",) and not put.groups[0].pick:
            steps = [
                *steps[: count - 2],
                put,
                literal(author.rng.choice(("closed", "closed", "open")), "drawer"),
            ]
    return steps


def _note(author: Author, step: Literal) -> str | None:
    """A step in as few words as will do."""
    kind = step_kind(step, author.scene)
    words = author.words_for(step, kind)
    return None if words is None else fill(author.phrase("lists", kind), words)


def by_place(author: Author) -> tuple[str, Answer] | None:
    """Which things go to which place, for two or three places, place by place or thing by thing."""
    count = author.rng.choice((2, 2, 3))
    drawn = [
        sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "on", "table")))
        for _ in range(count)
    ]
    items = [item for item in drawn if item]
    goal = composed(items)
    if goal is None or len(goal) < count or not feasible(goal, author.scene):
        return None
    if any(group.pick for item in items for group in item.groups):
        return None
    if len({item.groups[1].names for item in items}) < count:
        return None
    pairs = [(author.speaker.group(item.groups[0]), where(author, item)) for item in items]
    said = [(thing, place) for thing, place in pairs if thing and place]
    if len(said) < count or any(speaks_back(f"{thing} {place}") for thing, place in said):
        return None
    section = author.rng.choice(("by_thing", "by_thing", "by_place"))
    line = author.phrase("lists", section)
    parts = [fill(line, {"X": thing, "P": place}) for thing, place in said]
    framing = "placing_bare" if line == "X P" else "placing" if section == "by_thing" else "placing_by_place"
    frame = author.phrase("lists", framing)
    joint = author.rng.choice((", ", "; ", ". ", ", and ", " and ", ", then ", " - "))
    last = author.rng.choice((joint, ", and ", " and ", " and finally ", ", then "))
    return fill(frame, {"A": joint.join(parts[:-1]) + last + parts[-1]}), Goal(goal)


def elided(author: Author) -> tuple[str, Answer] | None:
    """The same place, or the same kind, said once: "first the red block in the bowl, then the blue one"."""
    kind = author.rng.choice([each.kind for each in author.scene.tagged("graspable")])
    names = [name for name in author.speaker.fitting(kind) if _by_colour(author, name)]
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table", "moved")))
    if step is None or len(names) < 2 or any(group.pick for group in step.groups[1:]):
        return None
    chosen = author.rng.sample(names, 2 if len(names) == 2 or author.rng.random() < 0.7 else 3)
    goal = tuple(Literal(step.predicate, (Group((name,)), *step.groups[1:])) for name in chosen)
    if not feasible(goal, author.scene):
        return None
    first, *rest = chosen
    _mean_colours(author, chosen)
    words = {"X": f"the {_colour(author, first)} {author.speaker.word(kind)}", "D": ""}
    if step.predicate == "moved":
        words["P"] = author.speaker.word(step.groups[1].names[0])
        section = "elided_moved"
    else:
        words["P"] = where(author, step) or ""
        section = "elided"
    one = author.rng.choice(("one", "one", "one", author.speaker.word(kind)))
    words["Z"] = ", then ".join(f"the {_colour(author, name)} {one}" for name in rest)
    if speaks_back(words["P"]) or not words["P"]:
        return None
    return fill(author.phrase("lists", section), words), Goal(goal)


def _by_colour(author: Author, name: str) -> bool:
    entity = author.scene.entity(name)
    return author.speaker.fitting(entity.kind, str(entity.attributes["colour"])) == (name,)


def _mean_colours(author: Author, names: Iterable[str]) -> None:
    """Things are said by colour and kind, whether the kind is said again or not."""
    for entity in map(author.scene.entity, names):
        author.speaker.mean(entity.name, standard(entity.kind, colour_of(entity)))


def _colour(author: Author, name: str) -> str:
    return author.speaker.word(str(author.scene.entity(name).attributes["colour"]))


def elided_place(author: Author) -> tuple[str, Answer] | None:
    """Two of a kind to two places: "the red block in the bowl and the blue one in the drawer"."""
    kind = author.rng.choice([each.kind for each in author.scene.tagged("graspable")])
    names = [name for name in author.speaker.fitting(kind) if _by_colour(author, name)]
    places = [
        sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table"))) for _ in "ab"
    ]
    if len(names) < 2 or any(item is None or item.groups[1].pick for item in places):
        return None
    chosen = author.rng.sample(names, 2)
    goal = tuple(
        Literal(item.predicate, (Group((name,)), item.groups[1]))
        for name, item in zip(chosen, places, strict=True)
        if item
    )
    if goal[0].groups[1] == goal[1].groups[1] or not feasible(goal, author.scene):
        return None
    first, second = (where(author, item) for item in goal)
    if not first or not second or speaks_back(f"{first} {second}"):
        return None
    _mean_colours(author, chosen)
    words = {"X": f"the {_colour(author, chosen[0])} {author.speaker.word(kind)}", "P": first, "P2": second}
    words["Z"] = f"the {_colour(author, chosen[1])} one"
    return fill(author.phrase("lists", "elided_place"), words), Goal(goal)


def put_away_and(author: Author) -> tuple[str, Answer] | None:
    """Things into the drawer, which is shut once all of them are in it."""
    if "drawer" not in {each.name for each in author.scene.entities}:
        return None
    item = _into_drawer(author)
    shown = author.speaker.group(item.groups[0]) if item else None
    if item is None or shown is None:
        return None
    several = len(item.groups[0].names) > 1 and item.groups[0].pick != 1
    words = {"X": shown, "F": author.speaker.fixture("drawer"), "B": "are" if several else "is"}
    words |= {"T": "them" if several else "it", "G": "go" if several else "goes"}
    return fill(author.phrase("lists", "then_shut"), words), Goal((item, literal("closed", "drawer")))


def put_away_and_more(author: Author) -> tuple[str, Answer] | None:
    """The same, and then something else."""
    written, more = put_away_and(author), sample_literal(author.rng, author.scene)
    said = author.say(more) if more else None
    if written is None or more is None or said is None or speaks_back(said):
        return None
    text, goal = written
    whole = composed((*goal.literals, more)) if isinstance(goal, Goal) else None
    gerund = author.gerund(said)
    if whole is None or len(whole) < 3 or gerund is None or not feasible(whole, author.scene):
        return None
    words = {"A": text, "B": said, "H": gerund}
    return fill(author.phrase("lists", "and_last"), words), Goal(whole)


def _into_drawer(author: Author) -> Literal | None:
    item = sample_literal(author.rng, author.scene, "in")
    if item is None or any(author.scene.entity(name).kind not in LOOSE for name in item.groups[0].names):
        return None
    put = Literal("in", (item.groups[0], Group(("drawer",))))
    return put if feasible((put,), author.scene) else None
