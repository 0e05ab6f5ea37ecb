"""Orders cut short: without verbs, with "and that one too", about a tower, a burden, what is in the way."""

from __future__ import annotations

from collections.abc import Callable

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.described import means, told
from planners.phrasing.families.placing import WAYS, where
from planners.phrasing.families.ranks import formed
from planners.phrasing.meaning import composed, feasible, sample_literal, step_about
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

_BARE = 0.3


def clipped(author: Author) -> tuple[str, Answer] | None:
    """First the ball in the bowl, next the blue one, finally the button."""
    movable = [each.name for each in author.scene.tagged("graspable")]
    fixtures = [each.name for each in author.scene.entities if each.kind in ("drawer", "door", "button")]
    if len(movable) < 2 or not fixtures:
        return None
    names = author.rng.sample(movable, 2)
    together = author.rng.random() < 0.55
    first = step_about(author.rng, author.scene, names[0], ("in", "in", "on"))
    if first is None:
        return None
    if together:
        second: Literal | None = Literal(first.predicate, (Group((names[1],)), first.groups[1]))
    else:
        second = step_about(author.rng, author.scene, names[1], ("in", "in", "on"))
    last = author.rng.choice(fixtures)
    end = literal("pressed" if last == "button" else author.rng.choice(("closed", "closed", "open")), last)
    goal = composed((first, second, end)) if second else None
    if goal is None or second is None or len(goal) < 3 or not feasible(goal, author.scene):
        return None
    words = {"X": author.plainly(names[0]), "P": where(author, first) or ""}
    kind = author.scene.entity(names[0]).kind
    words["Y"] = short(author, names[1], kind).removesuffix(" one" if author.rng.random() < 0.4 else "~")
    words["P2"] = "" if together else where(author, second) or ""
    author.mirror.note(first)
    author.mirror.note(second)
    said = author.speaker.fixture(last)
    words |= {"F": said, "B": author.say(end) or ""}
    if speaks_back(" ".join(words.values())) or not words["B"]:
        return None
    section = "clipped_together" if together else "clipped_apart"
    template = author.phrase("clipped", section + ("_button" if last == "button" else ""))
    text = fill(template, words)
    if author.rng.random() < _BARE:
        text = text.replace("the ", "")
    return text, Goal(goal)


def done_too(author: Author) -> tuple[str, Answer] | None:
    """Once the door has been opened and the drawer too, A; once X is in the bowl, and Y as well, A."""
    openable = [each.name for each in author.scene.tagged("openable")]
    last = sample_literal(author.rng, author.scene)
    if last is None:
        return None
    if len(openable) == 2 and author.rng.random() < 0.5:
        first, second = author.rng.sample(openable, 2)
        way = author.rng.choice(("open", "open", "closed"))
        steps = [literal(way, first), literal(way, second), last]
        words = {"F": author.speaker.fixture(first), "G": author.speaker.fixture(second)}
        section = f"fixtures_{way}"
    else:
        movable = [each.name for each in author.scene.tagged("graspable")]
        put = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table")))
        if put is None or len(movable) < 2 or put.groups[1].pick:
            return None
        first, second = author.rng.sample(movable, 2)
        steps = [Literal(put.predicate, (Group((name,)), put.groups[1])) for name in (first, second)] + [last]
        words = {"X": author.plainly(first)}
        words["Y"] = short(author, second, author.scene.entity(first).kind)
        words["P"] = (where(author, put) or "").replace("into ", "in ").replace("onto ", "on ")
        section = "things"
    goal = composed(steps)
    if goal is None or len(goal) < 3 or not feasible(goal, author.scene):
        return None
    for step in steps[:2]:
        author.mirror.note(step)
    author.speaker.said.clear()
    words["A"] = author.say(last) or ""
    if not words["A"] or speaks_back(" ".join(words.values())):
        return None
    return fill(author.phrase("clipped", section), words), Goal(goal)


def in_beside(author: Author) -> tuple[str, Answer] | None:
    """Open the drawer, put something in beside what is in there, and shut it again."""
    inside = sorted(f.args for f in author.scene.facts if f.predicate == "in")
    if not inside:
        return None
    there, place = author.rng.choice(inside)
    movable = [each.name for each in author.scene.tagged("graspable") if each.name != there]
    if not movable:
        return None
    put = literal("in", author.rng.choice(movable), place)
    openable = place == "drawer"
    how = author.rng.choice(("shut", "shut", "left", "open_only")) if openable else "bowl"
    after = {"shut": ("closed",), "open_only": ("open",)}.get(how, ())
    goal = [put, *(literal(way, place) for way in after)]
    if not feasible(goal, author.scene) or author.scene.holds(put.formula()):
        return None
    words = {"X": author.plainly(put.groups[0].names[0]), "Z": author.plainly(there)}
    words["Y"] = author.speaker.one(place) if not openable else author.speaker.fixture(place)
    author.mirror.note(put)
    return fill(author.phrase("clipped", f"beside_{how}"), words), Goal(tuple(goal))


def upside_down(author: Author) -> tuple[str, Answer] | None:
    """A tower of two is turned over: what was on top carries what was below."""
    stands = sorted(f.args for f in author.scene.facts if f.predicate == "on" and f.args[1] != "table")
    alone = [pair for pair in stands if not any({*pair} & {*other} for other in stands if other != pair)]
    if not alone:
        return None
    above, below = author.rng.choice(alone)
    goal = (literal("on", above, "table"), literal("on", below, above))
    if not feasible(goal, author.scene):
        return None
    words = {"X": author.plainly(above), "Y": author.plainly(below)}
    x, y = author.speaker.text(above), author.speaker.text(below)
    return formed(
        author, fill(author.phrase("clipped", "upside_down"), words), f"on({x}, table) and on({y}, {x})"
    )


def apart_then(author: Author) -> tuple[str, Answer] | None:
    """A tower is taken apart, all of it onto the table or into a bowl; and then something else."""
    stands = sorted(f.args for f in author.scene.facts if f.predicate == "on" and f.args[1] != "table")
    if not stands or len({name for pair in stands for name in pair}) != len(stands) + 1:
        return None
    names = tuple(e.name for e in author.scene.entities if any(e.name in pair for pair in stands))
    put = literal("on", names[0], "table")
    if author.rng.random() < 0.3:
        put = sample_literal(author.rng, author.scene, "in") or put
    if put.groups[1].pick:
        return None
    item = Literal(put.predicate, (Group(names), put.groups[1]))
    more = sample_literal(author.rng, author.scene) if author.rng.random() < 0.65 else None
    goal = composed([item, more] if more else [item])
    if goal is None or len(goal) < 1 + bool(more) or not feasible(goal, author.scene):
        return None
    author.mean(item.groups[0], "all thing in tower")
    words = {"P": where(author, item) or "", "N": {2: "both", 3: "all three"}.get(len(names), "all of them")}
    words["M"] = {2: "two", 3: "three"}.get(len(names), "four")
    author.mirror.note(item)
    author.speaker.said.clear()
    section = "apart"
    if more:
        said = author.say(more)
        if said is None or speaks_back(said):
            return None
        words["B"], section = said, "apart_then"
    if speaks_back(words["P"]):
        return None
    return fill(author.phrase("clipped", section), words), Goal(goal)


def burden(author: Author) -> tuple[str, Answer] | None:
    """A thing is relieved of its burden, which goes to the table or somewhere else."""
    stands = sorted(f.args for f in author.scene.facts if f.predicate == "on" and f.args[1] != "table")
    if not stands:
        return None
    above, below = author.rng.choice(stands)
    shown = told(author, below)
    text = author.speaker.text(below)
    if (
        not means(author, f"thing on {text}", above)
        or " than " in text
        or " on " in text
        or " under " in text
    ):
        return None
    step = step_about(author.rng, author.scene, above, ("in", "in", "on", "holding"))
    section = (
        {"in": "burden_put", "on": "burden_put", "holding": "burden_held"}[step.predicate] if step else ""
    )
    if step is None or author.rng.random() < 0.4:
        step, section = literal("on", above, "table"), "burden"
    if not feasible((step,), author.scene) or below in step.groups[-1].names:
        return None
    words = {"Y": shown, "P": ""}
    author.speaker.mean(above, f"thing on {text}")
    if section == "burden_put":
        name = step.groups[1].names[0]
        place = author.plainly(name)
        words["P"] = f"{author.rng.choice(WAYS[step.predicate])} {place}"
        words["Q"] = place
    author.mirror.note(step)
    return fill(author.phrase("clipped", section), words), Goal((step,))


def in_the_way(author: Author) -> tuple[str, Answer] | None:
    """They are in the way, and a place is right there."""
    step = sample_literal(author.rng, author.scene, "in")
    if step is None or step.groups[0].pick or step.groups[1].pick or step.predicate != "in":
        return None
    place = step.groups[1].names[0]
    shown = author.speaker.group(step.groups[0])
    if shown is None or speaks_back(shown):
        return None
    words = {"X": shown}
    noun = author.plainly(place)
    words["Y"] = noun.removeprefix("the ") if author.rng.random() < 0.4 else noun
    author.mirror.note(step)
    several = len(step.groups[0].names) > 1
    text = fill(author.phrase("clipped", "in_the_way"), words)
    if several:
        text = text.replace("X's", "X are")
        if f"{shown} is" in text or f"{shown}'s" in text or f"{shown} has" in text or " it " in f"{text} ":
            return None
    elif "them" in text:
        return None
    return text, Goal((step,))


def entrusted(author: Author) -> tuple[str, Answer] | None:
    """In elevated words: entrusted to the care of a bowl, consigned to the table."""
    openable = [each.name for each in author.scene.tagged("openable")]
    if openable and author.rng.random() < 0.2:
        end = literal(author.rng.choice(("open", "open", "closed")), author.rng.choice(openable))
        words = {"F": author.speaker.fixture(end.groups[0].names[0])}
        return fill(author.phrase("clipped", f"elevated_{end.predicate}"), words), Goal((end,))
    kind = author.rng.choice(("in", "in", "in", "on", "holding"))
    thing = author.rng.choice([each.name for each in author.scene.tagged("graspable")])
    step = step_about(author.rng, author.scene, thing, (kind,))
    if step is None:
        return None
    words = {"X": author.speaker.one(thing)}
    if kind != "holding":
        place = step.groups[1].names[0]
        words["Y"] = author.speaker.one(place) if author.scene.entity(place).kind in LOOSE else ""
        words["Y"] = words["Y"] or author.speaker.fixture(place)
    if speaks_back(" ".join(words.values())) or (kind == "on" and step.groups[1].names == ("table",)):
        return None
    author.mirror.note(step)
    return fill(author.phrase("clipped", f"entrusted_{kind}"), words), Goal((step,))


CLIPPED: dict[str, tuple[float, Callable[[Author], tuple[str, Answer] | None]]] = {
    "cut short": (10, clipped),
    "once done too": (6, done_too),
    "in beside": (8, in_beside),
    "upside down": (28, upside_down),
    "apart, then": (22, apart_then),
    "burden": (12, burden),
    "in the way": (3.5, in_the_way),
    "entrusted": (5, entrusted),
}
