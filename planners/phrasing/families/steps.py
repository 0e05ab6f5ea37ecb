"""Commands of one step and of several, and steps that share a verb."""

from __future__ import annotations

import re
from collections.abc import Sequence

from planners.compact import Answer, Goal, Literal, literal
from planners.forms import HELD
from planners.phrasing.author import TRIES, Author, backwards, speaks_back
from planners.phrasing.meaning import composed, feasible, sample_literal, step_kind
from planners.phrasing.scenes import LOOSE
from planners.phrasing.talk import Talker
from planners.phrasing.templates import fill
from robot_skills.logic import Atom

_OPPOSITE = {"left": "right", "right": "left", "forward": "back", "back": "forward"}


def single(author: Author) -> tuple[str, Answer] | None:
    """One step, in every style."""
    item = sample_literal(author.rng, author.scene)
    return None if item is None else _single(author, item)


def _single(author: Author, item: Literal) -> tuple[str, Answer] | None:
    style = author.rng.choices(("imp", "state", "fact", "told", "hint"), (6, 1.3, 1, 2.6, 2.4))[0]
    if style in ("state", "fact") and not item.positive:
        style = "told"
    if style == "hint":
        style = _hint(author, item)
    if style == "hint_opposite":
        return too_far(author, item), Goal((item,))
    words = author.say(item, style)
    if words is None:
        return None
    if style == "imp":
        words = author.framed(words)
    elif style in ("state", "fact"):
        words = fill(author.phrase("frames", style), {"S": words, "F": words})
    return words, Goal((item,))


def _hint(author: Author, item: Literal) -> str:
    """A section of hints, which complain of what is so or praise what might be; where none is right, "told".

    "Nobody needs the drawer or the door gaping" asks for both: hints are for no free choice.
    """
    if not item.positive or any(group.pick for group in item.groups) or author.scene.holds(item.formula()):
        return "told"
    kind, names = step_kind(item, author.scene), item.groups[0].names
    if len(names) == 1 and kind == "moved":
        return author.rng.choice(("hint", "hint", "hint", "hint_opposite"))
    if len(names) == 1 and kind == "table" and Atom("holding", names) in author.scene.facts:
        return author.rng.choice(("hint", "hint_held"))
    return "hint_off" if len(names) == 1 and kind == "table" and author.base_of(names[0]) else "hint"


def too_far(author: Author, item: Literal) -> str:
    """A push, told from where the thing is and should not be."""
    way = _OPPOSITE[item.groups[1].names[0]]
    words = {"X": author.speaker.one(item.groups[0].names[0]), "O": author.speaker.word(f"too {way}")}
    return fill(author.phrase("moved", "hint_opposite"), words)


def plain(author: Author) -> tuple[str, Answer] | None:
    """One to three steps as most people say them."""
    author.speaker.plain = True
    count = author.rng.choices((1, 2, 3), (5, 3, 1.5))[0]
    steps = [sample_literal(author.rng, author.scene)] if count == 1 else _steps(author, count)
    certain = [step for step in steps or [] if step is not None]
    goal = composed(certain)
    if not goal or not feasible(goal, author.scene):
        return None
    words = [author.say(step) for step in certain]
    said = [each for each in words if each is not None]
    if len(said) < len(certain):
        return None
    text = said[0]
    if len(said) == 2:
        template = author.phrase("plain", "two")
        gerunds = [author.gerund(each) or "" for each in said]
        if not all(gerunds) or (backwards(template) and any(map(speaks_back, said))):
            return None
        text = fill(template, {"A": said[0], "B": said[1], "G": gerunds[0], "H": gerunds[1]})
    if len(said) > 2:
        text = (
            ", ".join(said[:-1]) + author.rng.choice((" and ", ", and ", " and then ", ", then ")) + said[-1]
        )
    if author.gerund(text) is not None:
        text = fill(author.phrase("plain", "frames"), {"A": text})
    return text, Goal(goal)


def held_thing(author: Author) -> tuple[str, Answer] | None:
    """What the hand holds, and nothing said of it but "it"."""
    held = [fact.args[0] for fact in author.scene.facts if fact.predicate == "holding"]
    if not held:
        return None
    kind = author.rng.choice(("in", "on", "table", "table"))
    for _ in range(TRIES):
        item = sample_literal(author.rng, author.scene, kind)
        if item and kind == "table":
            item = literal("on", held[0], "table")
        if item and item.groups[0].names == (held[0],):
            break
    else:
        return None
    style = author.rng.choice(("imp", "imp", "imp", "held", "hint_held"))
    author.speaker.mean(held[0], HELD)
    if style == "imp" and author.rng.random() < 0.5:
        author.speaker.said.append(held[0])
    if style == "hint_held" and item.groups[-1].pick:
        return None
    words = author.say(item, style)
    if words is None:
        return None
    if style == "imp" and "it" in words.split() and author.rng.random() < 0.6:
        noun = author.speaker.word(author.scene.entity(held[0]).kind)
        return fill(author.phrase("frames", "holding"), {"S": noun, "A": words}), Goal((item,))
    return (words if style == "hint_held" else author.framed(words)), Goal((item,))


def talked(author: Author) -> tuple[str, Answer] | None:
    """A command, and something said of other things of the scene that asks for nothing."""
    written = author.rng.choice((single, plain, chain))(author)
    author.forget()
    if written is None:
        return None
    text, goal = written
    if not isinstance(goal, Goal) or speaks_back(text):
        return None
    used = {name for item in goal.literals for group in item.groups for name in group.names}
    free = [entity for entity in author.scene.entities if entity.name not in used]
    loose = [entity for entity in free if entity.kind in LOOSE]
    fixtures = [entity for entity in free if entity.kind in ("drawer", "door")]
    done = sample_literal(author.rng, author.scene)
    if len(loose) < 2 or not fixtures or done is None:
        return None
    if used & {name for group in done.groups for name in group.names}:
        return None
    gerund = author.gerund(author.say(done) or "")
    if gerund is None:
        return None
    first, second = author.rng.sample(loose, 2)
    words = {"X": author.plainly(first.name), "Y": author.plainly(second.name), "G": gerund}
    words |= {"K": author.speaker.word(f"{first.kind}s"), "F": author.plainly(fixtures[0].name)}
    said = Talker(author.rng, author.held_out).line("of_things", words)
    if author.rng.random() < 0.7:
        return f"{said} {text}", goal
    return f"{text.rstrip('.,?!')}. {said.rstrip('.?!')}", goal


def chain(author: Author) -> tuple[str, Answer] | None:
    """Two to six steps."""
    count = author.rng.choices((2, 3, 4, 5, 6), (10, 6, 2.5, 1, 1))[0]
    steps = _steps(author, count)
    goal = composed(steps) if steps else None
    if not steps or not goal or not feasible(goal, author.scene):
        return None
    said = [author.say(step) for step in steps]
    words = [each for each in said if each is not None]
    if len(words) < len(steps):
        return None
    text = _joined(author, words)
    if text is None:
        return None
    return (author.framed(text) if author.rng.random() < 0.35 else text), Goal(goal)


def _steps(author: Author, count: int) -> list[Literal] | None:
    """Steps in order: some at random, some as they go together."""
    steps: list[Literal] = []
    while len(steps) < count:
        more = _bundle(author) if author.rng.random() < 0.45 else [sample_literal(author.rng, author.scene)]
        if more is None or None in more:
            return None
        steps += [each for each in more if each is not None]
    return steps[: max(count, 2)]


def _bundle(author: Author) -> list[Literal | None] | None:
    """Steps that belong together: open it, put something in, close it."""
    item = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "on", "holding")))
    if item is None:
        return None
    place = item.groups[-1].names[0]
    if item.predicate == "in" and place == "drawer" and not item.groups[1].pick:
        return author.rng.choice(
            (
                [item, literal("closed", place)],
                [literal("open", place), item],
                [literal("open", place), item, literal("closed", place)],
                [item, literal("open", place)],
            )
        )  # type: ignore[return-value]
    if item.predicate == "holding":
        target = sample_literal(author.rng, author.scene, author.rng.choice(("in", "on")))
        if target is not None and target.groups[0].names == item.groups[0].names:
            return [item, target]
        return [item]
    again = sample_literal(author.rng, author.scene, item.predicate)
    return [item, again]


def _joined(author: Author, words: Sequence[str]) -> str | None:
    if len(words) == 2:
        for _ in range(TRIES):
            template = author.phrase("sequences", "two")
            gerunds = [author.gerund(each) for each in words]
            if None in gerunds and re.search(r"\b[GH]\b", template):
                continue
            filled = {"A": words[0], "B": words[1], "G": gerunds[0] or "", "H": gerunds[1] or ""}
            if backwards(template) and any(map(speaks_back, words)):
                continue
            return fill(template, filled)
        return None
    text = words[0]
    if author.rng.random() < 0.25:
        text = author.rng.choice(("first ", "first of all ", "first, ", "start: ", "ok first ")) + text
    for number, each in enumerate(words[1:], start=2):
        section = "last" if number == len(words) else "more"
        filled = {"A": text, "B": each, "H": author.gerund(each) or each}
        text = fill(author.phrase("sequences", section), filled)
    return text


def two_places(author: Author) -> tuple[str, Answer] | None:
    """One verb, two things and two places."""
    first, second = (sample_literal(author.rng, author.scene, author.rng.choice(("in", "on"))) for _ in "ab")
    if first is None or second is None or any(g.pick for i in (first, second) for g in i.groups):
        return None
    goal = composed((first, second))
    if not goal or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    template = author.phrase("sequences", "places")
    if template.find("X2") < template.find("X "):
        author.speaker.said.append("table")
    words = {"X": author.speaker.group(first.groups[0]), "Y": author.speaker.group(first.groups[1])}
    words |= {"X2": author.speaker.group(second.groups[0]), "Y2": author.speaker.group(second.groups[1])}
    ways = {"in": ("in", "into", "inside"), "on": ("on", "onto", "on top of")}
    filled = {key: value for key, value in words.items() if value}
    if len(filled) < 4:
        return None
    if template.find("X2") < template.find("X ") and "other" in " ".join(filled.values()):
        return None
    filled |= {"R": author.rng.choice(ways[first.predicate]), "Q": author.rng.choice(ways[second.predicate])}
    return fill(template, filled), Goal(goal)


def through(author: Author) -> tuple[str, Answer] | None:
    """A thing is picked up and put somewhere: the last counts."""
    item = sample_literal(author.rng, author.scene, author.rng.choice(("in", "on", "table")))
    if item is None or any(group.pick or len(group.names) > 1 for group in item.groups):
        return None
    thing, place = author.speaker.one(item.groups[0].names[0]), author.speaker.one(item.groups[1].names[0])
    relation = author.rng.choice(("in", "into", "inside") if item.predicate == "in" else ("on", "onto"))
    template = author.phrase("sequences", "through")
    return fill(template, {"X": thing, "P": f"{relation} {place}"}), Goal((item,))
