"""Steps told out of their order, or with words left out; and one that waits until something is so."""

from __future__ import annotations

import re

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import composed, feasible, sample_literal
from planners.phrasing.templates import fill, slots


def only_when(author: Author) -> tuple[str, Answer] | None:
    """Press the button, but only when every block is in the bowl."""
    put = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "on", "table")))
    kinds = ("pressed", "closed", "open", "pressed", "closed", "moved", "holding", "in")
    then = sample_literal(author.rng, author.scene, author.rng.choice(kinds))
    if put is None or then is None or any(group.pick for item in (put, then) for group in item.groups):
        return None
    goal = composed((put, then))
    if goal is None or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    template = author.phrase("orders", "only_when")
    backwards = template.find("A") < template.find("X")
    said = author.say(then) if backwards else None
    shown, place = author.speaker.group(put.groups[0]), where(author, put)
    author.mirror.note(put)
    place = re.sub("^(in|on)to ", r"\1 ", place or "")
    said = said or author.say(then)
    gerund = author.gerund(said) if said else None
    if said is None or gerund is None or shown is None or not place or speaks_back(f"{place} {said}"):
        return None
    words = {"A": said, "G": gerund, "X": shown, "P": place}
    words["V"] = "are" if len(put.groups[0].names) > 1 and _plural(shown) else "is"
    if speaks_back(shown):
        return None
    return fill(template, words), Goal(goal)


def _plural(shown: str) -> bool:
    return not shown.startswith(("every", "each", "all that", "whatever", "the lot", "any"))


def reordered(author: Author) -> tuple[str, Answer] | None:
    """Three steps, the last of them said first, or the first in the middle."""
    steps = [sample_literal(author.rng, author.scene) for _ in "abc"]
    certain = [step for step in steps if step]
    goal = composed(certain)
    if goal is None or len(goal) < 3 or not feasible(goal, author.scene):
        return None
    author.forget()
    said = []
    for step in certain:
        said.append(author.say(step) or "")
        author.speaker.said.clear()
    gerunds = [author.gerund(each) or "" for each in said]
    if not all(said) or not all(gerunds) or any(map(speaks_back, said)):
        return None
    words = dict(zip("ABC", said, strict=True)) | dict(zip("GHJ", gerunds, strict=True))
    return fill(author.phrase("orders", "reordered_3"), words), Goal(goal)


def elided_list(author: Author) -> tuple[str, Answer] | None:
    """Two or three things to one place, the place said once; and now and then one step more."""
    kind = author.rng.choice(("in", "in", "in", "table"))
    step = sample_literal(author.rng, author.scene, kind)
    movable = [each.name for each in author.scene.tagged("graspable")]
    section = author.rng.choice(("elided_3", "elided_3", "elided_list", "elided_list", "elided_pair"))
    count = 3 if section == "elided_list" else 2
    if step is None or step.groups[1].pick or len(movable) < count:
        return None
    names = author.rng.sample(movable, count)
    items = [Literal(step.predicate, (Group((name,)), step.groups[1])) for name in names]
    last = sample_literal(author.rng, author.scene) if section == "elided_3" else None
    goal = composed([*items, *([last] if last else [])])
    wanted = count + (section == "elided_3")
    if goal is None or len(goal) < wanted or not feasible(goal, author.scene):
        return None
    kinds = [author.scene.entity(name).kind for name in names]
    words = {"X": author.plainly(names[0]), "P": where(author, step) or ""}
    for slot, number in zip("YZ", range(1, count), strict=False):
        words[slot] = short(author, names[number], kinds[number - 1])
        if words[slot].endswith(" one") and author.rng.random() < 0.35:
            words[slot] = words[slot].removesuffix(" one")
    for item in items:
        author.mirror.note(item)
    if last:
        words["C"] = author.say(last) or ""
        if author.gerund(words["C"]) is None:
            return None
    if not all(words.values()) or any(map(speaks_back, words.values())):
        return None
    text = fill(author.phrase("orders", section), words)
    if author.rng.random() < 0.12:
        text = text.replace("the ", "")
    return text, Goal(goal)


def shut_too(author: Author) -> tuple[str, Answer] | None:
    """Things into the drawer, "and that shut too"; now and then with another step, said first."""
    item = sample_literal(author.rng, author.scene, "in")
    if item is None or item.groups[1].names != ("drawer",) or item.groups[0].pick:
        return None
    more = sample_literal(author.rng, author.scene) if author.rng.random() < 0.5 else None
    steps = [item, literal("closed", "drawer"), *([more] if more else [])]
    goal = composed(steps)
    if goal is None or len(goal) < len(steps) or not feasible(goal, author.scene):
        return None
    shown, place = author.speaker.group(item.groups[0]), where(author, item)
    if shown is None or place is None or speaks_back(shown):
        return None
    author.mirror.note(item)
    text = fill(
        author.phrase("orders", "shut_too"), {"X": shown, "P": place, "F": author.speaker.fixture("drawer")}
    )
    if more is None:
        return text, Goal(goal)
    said = author.say(more)
    gerund = author.gerund(said) if said else None
    if said is None or gerund is None or speaks_back(said):
        return None
    template = author.phrase("orders", "late_first")
    return fill(template, {"A": text, "B": said, "H": gerund} if slots(template) else {}), Goal(goal)
