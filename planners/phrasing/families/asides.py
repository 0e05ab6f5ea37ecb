"""What is said on the way, and what points back to it: take this and put that on it, so does the blue one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.forms import HELD
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.alike import adjectives, extreme_word
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.described import by_size, means, size_of, told
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import composed, feasible, sample_literal, step_about
from planners.phrasing.nouns import colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill, slots

_Written = tuple[str, Answer] | None
_COLOUR_ALONE, _OF_HELD = 0.4, 0.6
_WAY = re.compile(r"^(?:on top of|into|inside|in|onto|on) ")


def held_of(author: Author) -> str | None:
    """What is in the hand."""
    held = [fact.args[0] for fact in author.scene.facts if fact.predicate == "holding"]
    return held[0] if held else None


def movable_of(author: Author, *without: str) -> list[str]:
    """All that can be grasped but for some."""
    return [each.name for each in author.scene.tagged("graspable") if each.name not in without]


def places_of(author: Author, steps: Sequence[Literal]) -> dict[str, str] | None:
    """P and Y, P2 and Y2 of steps; None where one speaks of what was before."""
    words: dict[str, str] = {}
    for number, step in enumerate(steps, start=1):
        end, shown = str(number) if number > 1 else "", where(author, step)
        if not shown or speaks_back(shown):
            return None
        words |= {f"P{end}": shown, f"Y{end}": _WAY.sub("", shown)}
    return words


def apart(
    author: Author, names: Sequence[str], ways: tuple[str, ...] = ("in", "in", "on")
) -> tuple[Literal, ...] | None:
    """A step for each of some things to places of their own; None where that cannot be."""
    steps = [step for name in names if (step := step_about(author.rng, author.scene, name, ways))]
    goal = composed(steps)
    if goal is None or len(goal) < len(names) or not feasible(goal, author.scene):
        return None
    places = [item.groups[1].names[0] for item in goal]
    return None if {*names} & {*places} or len({*places}) < len(places) else goal


def bare(author: Author, name: str) -> str:
    """One of a kind that was just named: "the yellow" or "the yellow one"."""
    entity = author.scene.entity(name)
    if author.speaker.fitting(entity.kind, colour_of(entity)) == (name,) and (
        author.rng.random() < _COLOUR_ALONE
    ):
        author.speaker.mean(name, standard(entity.kind, colour_of(entity)))
        return f"the {author.speaker.word(colour_of(entity))}"
    return short(author, name, entity.kind)


def _written(author: Author, section: str, words: dict[str, str], goal: Sequence[Literal]) -> _Written:
    for item in goal:
        author.mirror.note(item)
    return fill(author.phrase("asides", section), words), Goal(tuple(goal))


def take_on_it(author: Author) -> _Written:
    """Take this and put that on it: nothing is left in the hand."""
    solid = [each.name for each in author.scene.tagged("graspable") if "support" in each.tags]
    if len(solid) < 2:
        return None
    base, above = author.rng.sample(solid, 2)
    goal = (literal("on", above, base),)
    if not feasible(goal, author.scene):
        return None
    words = {"X": told(author, base)}
    words["Z"] = short(author, above, author.scene.entity(base).kind)
    return _written(author, "take_on_it", words, goal)


def _put(author: Author, section: str) -> _Written:
    """A thing that goes somewhere, as a section of the lines says it."""
    thing = author.rng.choice(movable_of(author))
    goal = apart(author, [thing])
    words = places_of(author, goal) if goal else None
    if goal is None or words is None:
        return None
    return _written(author, section, words | {"X": told(author, thing)}, goal)


def take_rest(author: Author) -> _Written:
    """Take it, put it there, let it rest there."""
    return _put(author, "take_rest")


def so_does(author: Author) -> _Written:
    """One goes there and so does another; the other of three goes elsewhere."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    if len(names) < 2:
        return None
    chosen = author.rng.sample(names, len(names))
    steps = [sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table"))) for _ in "ab"]
    if not all(step and not step.groups[1].pick for step in steps):
        return None
    three = len(names) == 3 and author.rng.random() < 0.7
    ends = [steps[0], steps[0], steps[1]][: 2 + three]
    goal = [
        Literal(step.predicate, (Group((name,)), step.groups[1]))
        for name, step in zip(chosen[: 2 + three], ends, strict=True)
        if step
    ]
    if not feasible(goal, author.scene) or (three and goal[0].groups[1] == goal[2].groups[1]):
        return None
    words = places_of(author, [goal[0], *goal[2:]])
    if words is None:
        return None
    words |= {"X": author.plainly(chosen[0]), "Z": bare(author, chosen[1]), "S": author.speaker.word(kind)}
    if three:
        author.speaker.mean(chosen[2], f"other {kind}")
    return _written(author, "so_does_other" if three else "so_does", words, goal)


def same_pairs(author: Author) -> _Written:
    """One to its place, and the same with another thing and another place."""
    way = author.rng.choice(("in", "on", "on"))
    things = author.rng.sample(movable_of(author), min(2, len(movable_of(author))))
    goal = apart(author, things, (way,)) if len(things) == 2 else None
    if goal is None or "table" in {item.groups[1].names[0] for item in goal}:
        return None
    names = [group.names[0] for item in goal for group in item.groups]
    if len({*names}) < len(names):
        return None
    colours = [colour_of(author.scene.entity(name)) for name in names]
    lone = all(
        author.speaker.fitting(colour=colour) == (name,)
        for name, colour in zip(names, colours, strict=True)
        if colour
    )
    shown: list[str] = []
    for name, colour in zip(names, colours, strict=True):
        if lone and colour and len(shown) % 2 == 0 and author.rng.random() < 0.5:
            author.speaker.mean(name, standard(None, colour))
            shown.append(author.speaker.word(colour))
        else:
            shown.append(told(author, name) if colour else author.plainly(name))
    words = dict(zip(("X", "Y", "Z", "Y2"), shown, strict=True))
    words["W"] = author.rng.choice({"in": ("in", "into"), "on": ("on", "onto", "on top of")}[way])
    return _written(author, "same_pairs", words, goal)


def keep_in_hand(author: Author) -> _Written:
    """One goes somewhere, and another is to be in the hand at the end."""
    held = held_of(author)
    kept = held if held and author.rng.random() < _OF_HELD else author.rng.choice(movable_of(author))
    others = movable_of(author, kept)
    if not others:
        return None
    kind = author.scene.entity(kept).kind
    alike = [name for name in others if author.scene.entity(name).kind == kind]
    thing = author.rng.choice(alike if alike and author.rng.random() < 0.6 else others)
    first = apart(author, [thing])
    words = places_of(author, first) if first else None
    if first is None or words is None or kept in first[0].groups[1].names:
        return None
    goal = (*first, literal("holding", kept))
    if not feasible(goal, author.scene):
        return None
    words["X"] = told(author, thing)
    words["Z"] = bare(author, kept) if author.scene.entity(thing).kind == kind else told(author, kept)
    return _written(author, "keep_in_hand", words, goal)


def one_and_other(author: Author) -> _Written:
    """One of two, which is told by the way, here, and the other there."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    if len(names) != 2:
        return None
    first, second = author.rng.sample(names, 2)
    goal, ways = apart(author, [first, second]), adjectives(author, first)
    words = places_of(author, goal) if goal else None
    if goal is None or words is None or not ways:
        return None
    sized = [
        way for way in ways if not way[1].endswith(standard(kind, colour_of(author.scene.entity(first))))
    ]
    adjective, text = author.rng.choice(sized if sized and author.rng.random() < 0.6 else ways)
    author.speaker.mean(first, text)
    author.speaker.mean(second, f"other {kind}")
    words |= {"M": adjective, "S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    return _written(author, "one_and_other", words, goal)


def goes_too(author: Author) -> _Written:
    """What is held goes where something else goes."""
    held = held_of(author)
    others = movable_of(author, held or "")
    if held is None or not others:
        return None
    thing = author.rng.choice(others)
    containers = [each.name for each in author.scene.tagged("container")]
    if not containers:
        return None
    place = author.rng.choice(containers)
    item = Literal("in", (Group((held, thing)), Group((place,))))
    if not feasible((item,), author.scene):
        return None
    words = {"X": told(author, thing), "Y": author.plainly(place)}
    words["S"] = author.speaker.word(author.scene.entity(held).kind)
    author.mean(item.groups[0], f"{HELD} & {author.speaker.text(thing)}")
    return _written(author, "goes_too", words, (item,))


def lodger(author: Author) -> _Written:
    """The lower of a stack, and what it carries; or the load alone."""
    facts = sorted(f.args for f in author.scene.facts if f.predicate == "on" and f.args[1] != "table")
    facts = [pair for pair in facts if pair[1] != "table"]
    if not facts:
        return None
    above, below = author.rng.choice(facts)
    alone, single = author.rng.random() < 0.35, len(facts) == 1
    goal = apart(author, [above] if alone else [below, above])
    words = places_of(author, goal) if goal else None
    if goal is None or words is None or {above, below} & {g.names[0] for i in goal for g in i.groups[1:]}:
        return None
    if single and not alone and author.rng.random() < 0.6:
        author.speaker.mean(below, "bottom thing")
        author.speaker.mean(above, "top thing")
        return _written(author, "lodger", words, goal)
    words["X"] = author.plainly(below)
    author.speaker.mean(above, f"thing on {author.speaker.text(below)}")
    return _written(author, "load_alone" if alone else "lodger_of", words, goal)


def afterthought(author: Author) -> _Written:
    """Where it wants to be, so it is to be put there."""
    return _put(author, "afterthought")


def held_and_other(author: Author) -> _Written:
    """What is held here, and the other of its kind there."""
    held = held_of(author)
    kind = author.scene.entity(held).kind if held else None
    names = author.speaker.fitting(kind) if kind else ()
    if held is None or len(names) != 2:
        return None
    (other,) = [name for name in names if name != held]
    goal = apart(author, [held, other])
    words = places_of(author, goal) if goal else None
    if goal is None or words is None:
        return None
    author.speaker.mean(held, HELD)
    author.speaker.mean(other, f"other {kind}")
    words |= {"S": author.speaker.word(str(kind)), "K": author.speaker.word(f"{kind}s")}
    return _written(author, "held_and_other", words, goal)


def of_its_kind(author: Author) -> _Written:
    """What is held goes away, and the biggest or smallest of its kind is taken."""
    held = held_of(author)
    ordered = by_size(author, author.scene.entity(held).kind) if held else []
    if held is None or len(ordered) < 2:
        return None
    kind, end = author.scene.entity(held).kind, author.rng.choice((0, -1))
    wanted, extreme = ordered[end], ("smallest", "largest")[end]
    first = apart(author, [held])
    words = places_of(author, first) if first else None
    if wanted == held or size_of(author, wanted) == size_of(author, held) or first is None or words is None:
        return None
    goal = (*first, literal("holding", wanted))
    text = f"{extreme} {kind}"
    if not feasible(goal, author.scene) or wanted in first[0].groups[1].names:
        return None
    if not means(author, text, wanted):
        return None
    author.speaker.mean(held, HELD)
    author.speaker.mean(wanted, text)
    words |= {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    words["M"] = extreme_word(author, extreme, kind, len(ordered))
    if author.rng.random() < 0.4:
        words["M"] = author.speaker.word("large" if end else "small")
    return _written(author, "of_its_kind", words, goal)


def seat(author: Author) -> _Written:
    """A thing is given another for a seat, or for a home."""
    thing = author.rng.choice(movable_of(author))
    way = author.rng.choice(("on", "on", "in"))
    goal = apart(author, [thing], (way,))
    if goal is None:
        return None
    place, base = goal[0].groups[1].names[0], author.base_of(thing)
    if place == "table":
        return None
    loose = author.scene.entity(place).kind in LOOSE
    words = {"X": author.plainly(thing), "Y": told(author, place) if loose else author.plainly(place)}
    section = "seat_on" if way == "on" else "home_in"
    if base and base != place and way == "on":
        section, words["Z"] = "seat_instead", author.plainly(base)
    return _written(author, section, words, goal)


def wants_doing(author: Author) -> _Written:
    """It wants closing: by itself or after another step."""
    kind = author.rng.choice(("closed", "closed", "open", "open", "pressed"))
    item, first = sample_literal(author.rng, author.scene, kind), sample_literal(author.rng, author.scene)
    if item is None or len(item.groups[0].names) > 1:
        return None
    section = f"wants_{kind}"
    template = author.phrase("asides", section)
    words = {"F": author.plainly(item.groups[0].names[0])}
    steps = [item]
    if "A" in slots(template):
        said = author.say(first) if first else None
        if first is None or said is None or speaks_back(said):
            return None
        words["A"], steps = said, [first, item]
    goal = composed(steps)
    if goal is None or len(goal) < len(steps) or not feasible(goal, author.scene):
        return None
    return fill(template, words), Goal(goal)


def follow(author: Author) -> _Written:
    """One goes somewhere, and another can follow it there."""
    held = held_of(author)
    movable = movable_of(author)
    if len(movable) < 2:
        return None
    thing = held if held and author.rng.random() < _OF_HELD else author.rng.choice(movable)
    other = author.rng.choice([name for name in movable if name != thing])
    step = step_about(author.rng, author.scene, thing, ("in", "in", "in", "on"))
    if step is None or (step.predicate == "on" and step.groups[1].names != ("table",)):
        return None
    goal = (step, Literal(step.predicate, (Group((other,)), step.groups[1])))
    words = places_of(author, goal[:1])
    if words is None or not feasible(goal, author.scene) or other in step.groups[1].names:
        return None
    words["X"] = told(author, thing)
    if thing == held and author.rng.random() < _OF_HELD:
        words["X"] = f"your {author.speaker.word(author.scene.entity(thing).kind)}"
        author.speaker.mean(thing, HELD)
    words["Z"] = told(author, other)
    return _written(author, "follow", words, goal)


def held_and_shut(author: Author) -> _Written:
    """What is held goes into the drawer, which is shut."""
    held = held_of(author)
    drawers = [each.name for each in author.scene.tagged("container") if "openable" in each.tags]
    if held is None or not drawers:
        return None
    goal = (literal("in", held, drawers[0]), literal("closed", drawers[0]))
    if not feasible(goal, author.scene):
        return None
    author.speaker.mean(held, HELD)
    words = {"F": author.plainly(drawers[0]), "S": author.speaker.word(author.scene.entity(held).kind)}
    return _written(author, "held_and_shut", words, goal)
