"""Commands that say what not: all but some, not there but here, nothing left on or outside something."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.descriptions import THING
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.placing import where
from planners.phrasing.groups import any_of
from planners.phrasing.meaning import composed, feasible, sample_literal, step_about
from planners.phrasing.nouns import colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill
from robot_skills.logic import Atom

_BY_SORT = 0.4
_OPPOSITES = {"not_open": ("closed", True), "not_closed": ("open", True)}
_LAMPS = {"not_on": ("pressed", False), "not_off": ("pressed", True)}


def but_not_sort(author: Author) -> tuple[str, Answer] | None:
    """Everything, or all of a kind, and afterwards what sort is left out: "..., apart from the balls"."""
    kind = author.rng.choice((None, None, *LOOSE[:3]))
    movable = [each for each in author.scene.tagged("graspable") if kind in (None, each.kind)]
    sort = author.rng.choice(movable) if movable else None
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "moved", "table")))
    if sort is None or step is None:
        return None
    by_kind = kind is None and author.rng.random() < 0.6
    left = [e for e in movable if (e.kind == sort.kind if by_kind else colour_of(e) == colour_of(sort))]
    every, kept = tuple(e.name for e in movable), tuple(e.name for e in movable if e not in left)
    goal = Literal(step.predicate, (Group(kept), *step.groups[1:]))
    if len(kept) < 2 or len(left) < 2 or not feasible((goal,), author.scene):
        return None
    said = author.say(Literal(step.predicate, (Group(every), *step.groups[1:])), named=True)
    if said is None:
        return None
    colour = None if by_kind else colour_of(sort)
    noun = sort.kind if by_kind else kind
    words = author.speaker.described(noun, colour, None, several=True)
    if kind and not by_kind:
        words = f"{author.speaker.word(str(colour))} ones"
    author.mean(goal.groups[0], f"all {kind or THING} but all {standard(noun, colour)}")
    return fill(author.phrase("exclusions", "but_not"), {"A": said, "X": f"the {words}"}), Goal((goal,))


def but_not(author: Author) -> tuple[str, Answer] | None:
    """All of a kind, or one of them, and afterwards what is left out: "..., but not the blue one"."""
    if author.rng.random() < _BY_SORT:
        return but_not_sort(author)
    kind = author.rng.choice(LOOSE[:3])
    every = author.speaker.fitting(kind)
    if author.rng.random() < 0.3:
        every = tuple(name for name in author.speaker.fitting() if name in author.speaker.movable)
    left = author.rng.sample(every, min(len(every), 1 if author.rng.random() < 0.75 else 2))
    kept = tuple(name for name in every if name not in left)
    of_kind = len({author.scene.entity(name).kind for name in every}) == 1
    pick = 1 if of_kind and author.rng.random() < 0.3 else 0
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "moved", "table")))
    if step is None or not kept or (len(kept) < 2 and not pick):
        return None
    if pick and author.rng.random() < 0.4:
        step = literal("holding", every[0])
    goal = Literal(step.predicate, (Group(kept, pick if len(kept) > 1 else 0), *step.groups[1:]))
    said = author.say(Literal(step.predicate, (Group(every, pick), *step.groups[1:])), named=True)
    if said is None or not feasible((goal,), author.scene):
        return None
    template = author.phrase("exclusions", "but_not_any" if pick else "but_not")
    out = " and ".join(_short(author, name, of_kind) for name in left)
    whole = author.scene.entity(every[0]).kind if of_kind else THING
    before = f"{any_of(1)} {whole}" if pick else f"all {whole}"
    author.mean(goal.groups[0], f"{before} but {' & '.join(map(author.speaker.text, left))}")
    return fill(template, {"A": said, "X": out.replace(" and ", " or ") if pick else out}), Goal((goal,))


def _short(author: Author, name: str, of_kind: bool) -> str:
    """What is left out: "the blue one" where its colour says which."""
    entity = author.scene.entity(name)
    colour = str(entity.attributes["colour"])
    if of_kind and author.speaker.fitting(entity.kind, colour) == (name,) and author.rng.random() < 0.7:
        author.speaker.mean(name, standard(entity.kind, colour))
        return f"the {author.speaker.word(colour)} one"
    return author.plainly(name)


def other_bowl(author: Author) -> tuple[str, Answer] | None:
    """A bowl, but not that one."""
    bowls = author.speaker.fitting("bowl")
    thing = author.rng.choice([each.name for each in author.scene.tagged("graspable")])
    if len(bowls) < 2:
        return None
    barred = author.rng.choice(bowls)
    kept = tuple(name for name in bowls if name != barred)
    item = Literal("in", (Group((thing,)), Group(kept, 1 if len(kept) > 1 else 0)))
    if not feasible((item,), author.scene):
        return None
    words = {
        "X": author.speaker.one(thing),
        "Y": _short(author, barred, True),
        "S": author.speaker.word("bowl"),
    }
    author.mean(item.groups[1], f"any of bowl but {author.speaker.text(barred)}")
    return fill(author.phrase("exclusions", "other_bowl"), words), Goal((item,))


def instead(author: Author) -> tuple[str, Answer] | None:
    """Not there but here."""
    item = sample_literal(author.rng, author.scene, author.rng.choice(("in", "on")))
    if item is None or any(group.pick or len(group.names) > 1 for group in item.groups):
        return None
    thing = item.groups[0].names[0]
    right = step_about(author.rng, author.scene, thing, ("in", "on"))
    if right is None or right == item:
        return None
    words = {"X": author.speaker.one(thing), "P": where(author, item), "P2": where(author, right)}
    named = {key: value for key, value in words.items() if value}
    if len(named) < len(words) or speaks_back(f"{named['P']} {named['P2']}"):
        return None
    return fill(author.phrase("exclusions", "instead"), named), Goal((right,))


def not_so(author: Author) -> tuple[str, Answer] | None:
    """What a fixture is not to be like, by itself or after a command."""
    fixtures = [each.name for each in author.scene.tagged("openable")]
    lamp = any(author.scene.tagged("pressable")) and (not fixtures or author.rng.random() < 0.25)
    if not (fixtures or lamp):
        return None
    kinds = sorted((_LAMPS if lamp else _OPPOSITES).items())
    section, (predicate, positive) = author.rng.choice(kinds)
    name = "button" if lamp else author.rng.choice(fixtures)
    wish = Literal(predicate, (Group((name,)),), positive)
    before = author.plain_command() if author.rng.random() < 0.6 else None
    shown = "it" if name in author.speaker.said[-1:] else author.speaker.word("lamp" if lamp else name)
    text = fill(author.phrase("exclusions", section), {"F": shown})
    goal = composed((*(before[1] if before else ()), wish))
    if goal is None or not feasible(goal, author.scene) or (before and len(goal) < 2):
        return None
    if before is None:
        return text, Goal(goal)
    return fill(author.phrase("exclusions", "and_not"), {"A": before[0], "B": text}), Goal(goal)


def left_so(author: Author) -> tuple[str, Answer] | None:
    """Something goes in the drawer, which is not to be shut then."""
    item = sample_literal(author.rng, author.scene, "in")
    words = author.say(item) if item and item.groups[1].names == ("drawer",) else None
    if item is None or words is None:
        return None
    text = fill(
        author.phrase("exclusions", "left_so"), {"A": words, "F": author.rng.choice(("it", "the drawer"))}
    )
    return text, Goal((item, literal("open", "drawer")))


def nothing_on(author: Author) -> tuple[str, Answer] | None:
    """Nothing is to stand on something."""
    pairs = sorted(f.args for f in author.scene.facts if f.predicate == "on" and f.args[1] != "table")
    if not pairs:
        return None
    above, below = author.rng.choice(pairs)
    text = fill(author.phrase("exclusions", "nothing_on"), {"Y": author.plainly(below)})
    author.speaker.mean(above, f"all thing on {author.speaker.text(below)}")
    return text, Goal((literal("on", above, "table"),))


def none_outside(author: Author) -> tuple[str, Answer] | None:
    """None of a kind, or of a kind and colour, is to be left outside."""
    places = [each.name for each in author.scene.tagged("container")]
    movable = [each.name for each in author.scene.tagged("graspable")]
    if not places:
        return None
    first = author.scene.entity(author.rng.choice(movable))
    colour = str(first.attributes["colour"]) if author.rng.random() < 0.4 else None
    names, place = author.speaker.fitting(first.kind, colour), author.rng.choice(places)
    item = Literal("in", (Group(names), Group((place,))))
    if len(names) < 2 or not feasible((item,), author.scene):
        return None
    words = {
        "S": author.speaker.described(first.kind, colour, None),
        "K": author.speaker.described(first.kind, colour, None, several=True), "Y": author.plainly(place),
    }  # fmt: skip
    author.mean(item.groups[0], f"all {standard(first.kind, colour)}")
    return fill(author.phrase("exclusions", "none_outside"), words), Goal((item,))


def not_yet(author: Author) -> tuple[str, Answer] | None:
    """What is not somewhere yet, or is still on the table, goes somewhere."""
    places = [each.name for each in author.scene.tagged("container")]
    movable = [each.name for each in author.scene.tagged("graspable")]
    if not places:
        return None
    there, place = author.rng.choice(places), author.rng.choice(places)
    loose = author.rng.random() < 0.35
    if loose:
        names = [name for name in movable if Atom("on", (name, "table")) in author.scene.facts]
    else:
        names = [name for name in movable if Atom("in", (name, there)) not in author.scene.facts]
    item = Literal("in", (Group(tuple(names)), Group((place,))))
    if not names or len(names) == len(movable) or not feasible((item,), author.scene):
        return None
    section = "on_table" if loose else "not_in_there" if there == place else "not_in"
    words = {"Y": author.plainly(there), "Y2": author.plainly(place), "T": author.speaker.word("table")}
    inside = f"all thing but all thing in {author.speaker.text(there)}"
    author.mean(item.groups[0], "all thing on table" if loose else inside)
    return fill(author.phrase("exclusions", section), words), Goal((item,))


def neither(author: Author) -> tuple[str, Answer] | None:
    """Neither of two, but a third."""
    item = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "on")))
    if item is None or any(group.pick or len(group.names) > 1 for group in item.groups):
        return None
    used = {group.names[0] for group in item.groups}
    others = [each.name for each in author.scene.tagged("graspable") if each.name not in used]
    if len(others) < 2:
        return None
    first, second = author.rng.sample(others, 2)
    words = {
        "X": author.plainly(first),
        "X2": author.plainly(second),
        "Z": author.plainly(item.groups[0].names[0]),
    }
    words["P"] = where(author, item) or ""
    return fill(author.phrase("exclusions", "neither"), words), Goal((item,))
