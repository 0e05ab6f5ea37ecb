"""What is kept out, left as it is, or taken back: none but this, leave the stack, stop, not there."""

from __future__ import annotations

from collections.abc import Sequence

from planners.compact import Answer, Goal, Group, Literal
from planners.descriptions import THING, tier
from planners.forms import HELD
from planners.phrasing.author import Author
from planners.phrasing.families.asides import apart, held_of, movable_of, places_of
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.described import told
from planners.phrasing.meaning import feasible, sample_literal, step_about
from planners.phrasing.nouns import standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

_Written = tuple[str, Answer] | None
_HELD_LEFT, _TWO_LEFT = 0.7, 0.25


def _place(author: Author, *kinds: str) -> Literal | None:
    """A step whose place alone counts."""
    step = sample_literal(author.rng, author.scene, author.rng.choice(kinds or ("in", "in", "in", "table")))
    return None if step is None or step.groups[1].pick else step


def _written(author: Author, section: str, words: dict[str, str], goal: Sequence[Literal]) -> _Written:
    if not feasible(goal, author.scene):
        return None
    for item in goal:
        author.mirror.note(item)
    return fill(author.phrase("refrained", section), words), Goal(tuple(goal))


def none_bar(author: Author) -> _Written:
    """None of a kind in there bar one; or none out of it bar one."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    if len(names) < 2:
        return None
    one = author.rng.choice(names)
    every = author.rng.random() < 0.35
    step = _place(author, "in") if every else step_about(author.rng, author.scene, one, ("in", "in", "on"))
    words = places_of(author, [step]) if step else None
    if step is None or words is None or {*step.groups[1].names} & {*names}:
        return None
    words |= {"X": short(author, one, kind), "K": author.speaker.word(f"{kind}s")}
    words["S"] = author.speaker.word(kind)
    if not every:
        return _written(author, "none_bar", words, (step,))
    rest = Group(tuple(name for name in names if name != one))
    author.mean(rest, f"all {kind} but {author.speaker.text(one)}")
    return _written(author, "all_in_bar", words, (Literal("in", (rest, step.groups[1])),))


def save_for(author: Author) -> _Written:
    """The exception first: "save for the thing you hold, everything goes there"."""
    kind = author.rng.choice((None, None, None, *LOOSE[:3]))
    movable = [each for each in movable_of(author) if kind in (None, author.scene.entity(each).kind)]
    step = _place(author, "in", "in", "in", "table", "moved")
    if len(movable) < 3 or step is None:
        return None
    held = held_of(author)
    out = held if held in movable and author.rng.random() < _HELD_LEFT else author.rng.choice(movable)
    words = {} if step.predicate == "moved" else places_of(author, [step])
    if out is None or words is None or step.predicate == "moved":
        return None
    words["X"] = short(author, out, kind) if kind else told(author, out)
    if out == held and author.rng.random() < _HELD_LEFT:
        noun = author.speaker.word(author.scene.entity(out).kind)
        words["X"] = author.rng.choice(
            ("what you're holding", "what you hold", "what you've got", "the thing you're holding",
             f"the {noun} you're holding", f"the {noun} in your hand", f"your {noun}",
             "what's in your hand", "the one you've got", "the one in your grip")
        )  # fmt: skip
        author.speaker.mean(out, HELD)
    left, more = [out], [name for name in movable if name != out]
    if len(more) > 1 and author.rng.random() < _TWO_LEFT:
        left.append(author.rng.choice(more))
        words["X"] += f" and {short(author, left[1], kind) if kind else author.plainly(left[1])}"
    rest = Group(tuple(name for name in movable if name not in left))
    author.mean(rest, f"all {kind or THING} but {' & '.join(map(author.speaker.text, left))}")
    item = Literal(step.predicate, (rest, step.groups[1]))
    template = author.phrase("refrained", "save_for")
    one = kind is None and author.rng.random() < 0.8
    noun = author.speaker.word(f"{kind or THING}s")
    one_of: tuple[str, ...] = ("everything", "everything", "the whole lot", "the lot", "all of it")
    if "V else" in template or "everything" in template:
        one, one_of = True, ("everything",)
        if kind:
            return None
    words["V"] = author.rng.choice(one_of if one else (f"all the {noun}", f"the {noun}", f"all {noun}"))
    words["G"] = "goes" if one else "go"
    author.mirror.note(item)
    return (fill(template, words), Goal((item,))) if feasible((item,), author.scene) else None


def stack_left(author: Author) -> _Written:
    """What is stacked is left so, and all else goes somewhere."""
    stacked = [name for name in movable_of(author) if tier(name, author.scene)]
    rest = tuple(name for name in movable_of(author) if name not in stacked)
    step = _place(author, "in", "in", "in", "table")
    words = places_of(author, [step]) if step else None
    if not stacked or not rest or step is None or words is None or {*step.groups[1].names} & {*stacked}:
        return None
    tops = sum(tier(name, author.scene) == "top" for name in stacked)
    kinds = sorted({author.scene.entity(name).kind for name in stacked})
    pair = len(stacked) == 2 and len(kinds) == 1 and author.rng.random() < 0.5
    if not pair and tops > 1:
        return None
    item = Literal(step.predicate, (Group(rest), step.groups[1]))
    author.mean(item.groups[0], "all thing but all thing in tower")
    words["K"] = author.speaker.word(f"{kinds[0]}s")
    return _written(author, "pair_left" if pair else "stack_left", words, (item,))


def outside_of(author: Author) -> _Written:
    """All that does not lie in something yet: "whatever isn't in the bowl goes in the drawer"."""
    inside: dict[str, list[str]] = {}
    for fact in author.scene.facts:
        if fact.predicate == "in":
            inside.setdefault(fact.args[1], []).append(fact.args[0])
    step = _place(author, "in", "in", "table")
    if not inside or step is None:
        return None
    there = author.rng.choice(sorted(inside))
    names = tuple(name for name in movable_of(author) if name not in inside[there])
    place = step.groups[1].names
    words = places_of(author, [step])
    if place == (there,) or not names or words is None:
        return None
    item = Literal(step.predicate, (Group(names), step.groups[1]))
    words["Y"] = author.plainly(there)
    author.mean(item.groups[0], f"all thing but all thing in {author.speaker.text(there)}")
    return _written(author, "outside_of", words, (item,))


def no_account(author: Author) -> _Written:
    """This one there, and on no account that one as well, which goes elsewhere."""
    movable = movable_of(author)
    if len(movable) < 2:
        return None
    things = author.rng.sample(movable, 2)
    goal = apart(author, things)
    words = places_of(author, goal) if goal else None
    if goal is None or words is None:
        return None
    words["X"] = told(author, things[0])
    words["Z"] = short(author, things[1], author.scene.entity(things[0]).kind)
    return _written(author, "no_account", words, goal)


def stop_place(author: Author) -> _Written:
    """Stop, not there: that is where it goes."""
    thing = author.rng.choice(movable_of(author))
    steps: list[Literal] = []
    for _ in range(8):
        step = step_about(author.rng, author.scene, thing, ("in", "on"))
        if step and step.groups[1] not in [each.groups[1] for each in steps]:
            steps.append(step)
    words = places_of(author, steps[:2]) if len(steps) > 1 else None
    if words is None:
        return None
    entity = author.scene.entity(thing)
    words["X"] = told(author, thing)
    if author.speaker.fitting(entity.kind) == (thing,) and author.rng.random() < 0.4:
        words["X"] = f"that {author.speaker.word(entity.kind)}"
        author.speaker.mean(thing, standard(entity.kind))
    return _written(author, "stop_place", words, steps[1:2])
