"""Both branches of a condition, told in many ways: should it be, with it so, in which case, failing that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from planners.compact import Answer, Goal, Literal, literal
from planners.forms import HELD, resolve
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.placing import WAYS
from planners.phrasing.meaning import feasible, sample_literal, step_about
from planners.phrasing.mirror import Branch, contrary
from planners.phrasing.nouns import standard
from planners.phrasing.scenes import COLOURS, LOOSE
from planners.phrasing.templates import fill
from robot_skills.logic import Atom


@dataclass(frozen=True)
class State:
    """A subject and what is said of it.

    Attributes:
        subject: in words; `so` and `not_so` are what is said of it, in words without a verb.
        text: that it is so, in the reader's language; `denied`: that it is not.
        true: whether it is so in the scene.
        likely: steps that people make depend on it.
        thing: what "it" is in what follows; empty where that is nothing that could be moved.
    """

    subject: str
    so: str
    not_so: str
    text: str
    denied: str
    true: bool
    likely: tuple[Literal, ...] = ()
    thing: str = ""


def either(author: Author) -> tuple[str, Answer] | None:
    """Should the hand be empty, A; should it be full, B."""
    return _branched(author, "either")


def only_so(author: Author) -> tuple[str, Answer] | None:
    """With the drawer open, A; or else leave it all be."""
    return _branched(author, "only")


def unless_case(author: Author) -> tuple[str, Answer] | None:
    """A, unless the drawer is open, in which case B."""
    return _branched(author, "unless")


def unless_already(author: Author) -> tuple[str, Answer] | None:
    """A, unless the door is open already."""
    return _branched(author, "unless_only")


def if_unless(author: Author) -> tuple[str, Answer] | None:
    """If the door is closed, open it, unless the button has been pressed already."""
    state, other = _state(author), _state(author)
    then = _step(author, state) if state else None
    if state is None or other is None or then is None or state.subject == other.subject:
        return None
    if {state.text, state.denied} & {other.text, other.denied}:
        return None
    words = _said(author, then)
    if words is None:
        return None
    unlike = contrary(other.text)
    branch = Branch(f"{state.text} and {unlike}", state.true and not other.true, (then,))
    author.form = author.mirror.clauses([[branch]])
    filled = {"U": state.subject, "V": state.so, "U2": other.subject, "V2": other.so, "A": words}
    return fill(author.phrase("branches", "if_unless"), filled), Goal((then,) if branch.applies else ())


def _branched(author: Author, section: str) -> tuple[str, Answer] | None:
    state = _state(author)
    then, other = (_step(author, state), _step(author, state)) if state else (None, None)
    if state is None or then is None or other is None or then == other:
        return None
    shown, otherwise = _said(author, then, state), _said(author, other)
    if shown is None or otherwise is None:
        return None
    words = {"U": state.subject, "V": state.so, "W": state.not_so, "A": shown, "B": otherwise}
    unless, alone = section.startswith("unless"), section in ("only", "unless_only")
    applies = state.true != unless
    # what "it" is was said before it only where the condition comes first
    template = author.phrase("branches", section)
    if speaks_back(shown) and ("U" not in template or template.find("A") < template.find("U")):
        return None
    branches = [Branch(contrary(state.text) if unless else state.text, applies, (then,))]
    branches += [] if alone else [Branch("", not applies, (other,))]
    author.form = author.mirror.clauses([branches])
    return fill(template, words), Goal((then,) if applies else () if alone else (other,))


def _said(author: Author, item: Literal, state: State | None = None) -> str | None:
    """A step in words that speak of nothing before them, but for "it" of a condition."""
    if state and state.thing and item.groups[0].names == (state.thing,):
        return author.say(item, shown={"X": author.rng.choice(("it", "it", "that"))})
    said = author.say(item)
    return None if said is None or speaks_back(said) else said


def _step(author: Author, state: State) -> Literal | None:
    """What people do when something is so: to it, in some cases."""
    if state.likely and author.rng.random() < 0.6:
        return author.rng.choice(state.likely)
    if state.thing and author.rng.random() < 0.5:
        return step_about(author.rng, author.scene, state.thing, ("in", "on", "holding", "moved"))
    return sample_literal(author.rng, author.scene)


def _state(author: Author) -> State | None:
    author.forget()
    ways: tuple[Callable[[Author], State | None], ...] = (_hand, _hand, _fixture, _fixture, _fixture)
    ways += (_container, _container, _placed, _placed, _carrying, _about, _in_hand)
    found = author.rng.choice(ways)(author)
    author.speaker.said.clear()
    return found


def _of(author: Author, subject: str, kind: str, text: str, true: bool, **more: str) -> State:
    """A state or its opposite, with words for both."""
    so, not_so = (fill(author.phrase("branches", f"{side}_{kind}"), more) for side in ("is", "is_not"))
    denied = contrary(text)
    if author.rng.random() < 0.5:
        return State(subject, so, not_so, text, denied, true)
    return State(subject, not_so, so, denied, text, not true)


def _hand(author: Author) -> State:
    held = any(fact.predicate == "holding" for fact in author.scene.facts)
    subject = author.phrase("branches", "hand")
    return _of(author, subject, "empty", f"not there({HELD})", not held)


def _fixture(author: Author) -> State | None:
    names = [e.name for e in author.scene.entities if e.kind in ("drawer", "door", "button")]
    if not names or Atom("ajar", (name := author.rng.choice(names),)) in author.scene.facts:
        return None
    if name == "button":
        lit = Atom("pressed", ("button",)) in author.scene.facts
        lamp = author.rng.random() < 0.4
        subject = author.speaker.word("lamp") if lamp else author.speaker.fixture(name)
        if lamp and not subject.startswith("the "):
            return None
        state = _of(author, subject, "lit" if lamp else "pressed", "pressed(button)", lit)
        return State(**{**vars(state), "likely": (literal("pressed", "button"),)})
    is_open = Atom("open", (name,)) in author.scene.facts
    likely = (literal("open", name), literal("closed", name))
    subject = author.speaker.fixture(name)
    so, not_so = author.phrase("branches", "is_open"), author.phrase("branches", "is_closed")
    if author.rng.random() < 0.5:
        return State(subject, so, not_so, f"open({name})", f"closed({name})", is_open, likely)
    return State(subject, not_so, so, f"closed({name})", f"open({name})", not is_open, likely)


def _container(author: Author) -> State | None:
    return _empty(author, [each.name for each in author.scene.tagged("container")], "in", "bare")


def _carrying(author: Author) -> State | None:
    places = [each.name for each in author.scene.tagged("graspable") if "support" in each.tags]
    return _empty(author, places, "on", "clear")


def _empty(author: Author, places: list[str], relation: str, section: str) -> State | None:
    """Whether nothing is in, or on, one of some places."""
    if not places:
        return None
    place = author.rng.choice(places)
    full = any(f.predicate == relation and f.args[1] == place for f in author.scene.facts)
    shown = author.plainly(place)
    return _of(author, shown, section, f"not there(thing {relation} {author.speaker.text(place)})", not full)


def _placed(author: Author) -> State | None:
    relation = author.rng.choice(("in", "on"))
    so = sorted(f.args for f in author.scene.facts if f.predicate == relation and f.args[1] != "table")
    fits = sorted(f.args[::2] for f in author.scene.facts if f.predicate == "fits" and f.args[1] == relation)
    pairs = so if so and author.rng.random() < 0.6 else [pair for pair in fits if pair[1] != "table"]
    if not pairs:
        return None
    thing, place = author.rng.choice(pairs)
    shown, there = author.plainly(thing), author.plainly(place)
    text = f"{relation}({author.speaker.text(thing)}, {author.speaker.text(place)})"
    state = _of(author, shown, relation, text, Atom(relation, (thing, place)) in author.scene.facts, Y=there)
    return State(**{**vars(state), "thing": thing})


def _about(author: Author) -> State:
    kind, colour = author.rng.choice(LOOSE), author.rng.choice((*COLOURS, None))
    noun = author.speaker.described(kind, colour, None)
    article = author.rng.choice(("an" if noun[0] in "aeiou" else "a", "any"))
    true = bool(author.speaker.fitting(kind, colour))
    return _of(author, f"{article} {noun}", "there", f"there({standard(kind, colour)})", true)


def _in_hand(author: Author) -> State:
    movable = [each.name for each in author.scene.tagged("graspable")]
    held = [name for name in movable if Atom("holding", (name,)) in author.scene.facts]
    name = held[0] if held and author.rng.random() < 0.5 else author.rng.choice(movable)
    shown = author.plainly(name)
    state = _of(author, shown, "held", f"holding({author.speaker.text(name)})", name in held)
    return State(**{**vars(state), "thing": name})


# Conditions and steps about the same things ---------------------------------------------------------


def taken_down(author: Author) -> tuple[str, Answer] | None:
    """If anything stands on it, take that down; otherwise something may go on it."""
    bases = [each.name for each in author.scene.tagged("graspable") if "support" in each.tags]
    if not bases:
        return None
    base = author.rng.choice(bases)
    fits = sorted(
        f.args[0] for f in author.scene.facts if f.predicate == "fits" and f.args[1:] == ("on", base)
    )
    above = [f.args[0] for f in author.scene.facts if f.predicate == "on" and f.args[1] == base]
    if not fits:
        return None
    put = literal("on", author.rng.choice(fits), base)
    words = {"Y": author.plainly(base), "X": author.plainly(put.groups[0].names[0])}
    text, thing = author.speaker.text(base), author.speaker.text(put.groups[0].names[0])
    form = f"if there(thing on {text}): on(thing on {text}, table)"
    template = author.phrase("branches", "taken_down")
    if "X" in template:
        form += f" else: on({thing}, {text})"
    elif not above:
        return None
    return _formed(author, fill(template, words), form)


def room_or(author: Author) -> tuple[str, Answer] | None:
    """If the bowl's empty put it in there, but if something's in it, elsewhere."""
    movable = [each.name for each in author.scene.tagged("graspable")]
    places = [each.name for each in author.scene.tagged("container")]
    if not places:
        return None
    thing, place = author.rng.choice(movable), author.rng.choice(places)
    full = [p for p in places if any(f.predicate == "in" and f.args[1] == p for f in author.scene.facts)]
    place = author.rng.choice(full) if full and author.rng.random() < 0.5 else place
    other = step_about(author.rng, author.scene, thing, ("in", "in", "on"))
    if other is None or other.groups[1].names == (place,):
        return None
    if not feasible((literal("in", thing, place),), author.scene):
        return None
    words = {"X": author.plainly(thing), "Y": author.plainly(place), "P": _at(author, other)}
    x, y, z = (author.speaker.text(name) for name in (thing, place, other.groups[1].names[0]))
    words["S"] = author.speaker.word(author.scene.entity(thing).kind)
    form = f"if not there(thing in {y}): in({x}, {y}) else: {other.predicate}({x}, {z})"
    return _formed(author, fill(author.phrase("branches", "room_or"), words), form)


def hand_or(author: Author) -> tuple[str, Answer] | None:
    """With an empty hand take something; with a full one put down what is in it."""
    movable = [each.name for each in author.scene.tagged("graspable")]
    held = [f.args[0] for f in author.scene.facts if f.predicate == "holding"]
    thing = author.rng.choice(movable)
    away = step_about(author.rng, author.scene, (held or movable)[0], ("in", "in", "on"))
    take = literal("holding", thing)
    if away is None or thing in held or not feasible((take,), author.scene):
        return None
    if not held and author.rng.random() < 0.6:
        return None
    words = {"X": author.plainly(thing), "P": _at(author, away)}
    x, y = author.speaker.text(thing), author.speaker.text(away.groups[1].names[0])
    full_first = author.rng.random() < 0.4
    first = f"if there({HELD}): {away.predicate}({HELD}, {y}) else: holding({x})"
    second = f"if not there({HELD}): holding({x}) else: {away.predicate}({HELD}, {y})"
    section = "hand_full_first" if full_first else "hand_empty_first"
    return _formed(author, fill(author.phrase("branches", section), words), first if full_first else second)


def failing_that(author: Author) -> tuple[str, Answer] | None:
    """A red ball into the bowl if there is one, the white one failing that."""
    kind, colour = author.rng.choice(LOOSE[:3]), author.rng.choice(COLOURS)
    found = author.speaker.fitting(kind, colour)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "on", "table")))
    others = [name for name in author.speaker.fitting(kind) if name not in found]
    if len(found) > 1 or step is None or not others or any(g.pick for g in step.groups[1:]):
        return None
    other = author.rng.choice(others)
    place = step.groups[1].names[0]
    second = literal(step.predicate, other, place)
    first = literal(step.predicate, *found, place) if found else second
    if place in (*found, other) or not all(feasible((each,), author.scene) for each in (first, second)):
        return None
    if step.predicate == "on" and kind == "ball" and place != "table":
        return None
    text = standard(kind, colour)
    words = {"S": author.speaker.described(kind, colour, None), "P": _at(author, step)}
    words["Z"] = short(author, other, kind)
    to, z = author.speaker.text(place), author.speaker.text(other)
    form = f"if there({text}): {step.predicate}({text}, {to}) else: {step.predicate}({z}, {to})"
    return _formed(author, fill(author.phrase("branches", "failing_that"), words), form)


def onto_it_if(author: Author) -> tuple[str, Answer] | None:
    """Only if there is a green cylinder about: something onto it."""
    movable = [each.name for each in author.scene.tagged("graspable")]
    thing = author.rng.choice(movable)
    kind = author.rng.choice(("block", "cylinder", "bowl"))
    colour = author.rng.choice(COLOURS)
    predicate = "in" if kind == "bowl" else "on"
    found = author.speaker.fitting(kind, colour)
    there = sorted(f.args[2] for f in author.scene.facts if f.predicate == "fits" and f.args[0] == thing)
    there = [name for name in there if author.scene.entity(name).kind == kind]
    if there and not found and author.rng.random() < 0.8:
        found = (author.rng.choice(there),)
        colour = str(author.scene.entity(found[0]).attributes.get("colour"))
        found = author.speaker.fitting(kind, colour)
    if len(found) > 1 or thing in found or (found and found[0] not in there):
        return None
    if author.scene.entity(thing).kind == "ball" and kind != "bowl":
        return None
    words = {"X": author.plainly(thing), "S": author.speaker.described(kind, colour, None)}
    text, x = standard(kind, colour), author.speaker.text(thing)
    form = f"if there({text}): {predicate}({x}, {text})"
    words["R"] = author.rng.choice(WAYS[predicate][:2])
    template = author.phrase("branches", "onto_it_if")
    if "B" in template:
        other = sample_literal(author.rng, author.scene)
        said = _said(author, other) if other else None
        if other is None or said is None:
            return None
        words["B"] = said
        form += f" else: {author.mirror.goal((other,))}"
    return _formed(author, fill(template, words), form)


def _at(author: Author, step: Literal) -> str:
    name = step.groups[1].names[0]
    return f"{author.rng.choice(WAYS[step.predicate])} {author.plainly(name)}"


def _formed(author: Author, text: str, form: str) -> tuple[str, Answer] | None:
    """A command whose answer is what its form comes to; None where that cannot be."""
    answer = resolve(form, author.scene)
    if not isinstance(answer, Goal) or not feasible(answer.literals, author.scene):
        return None
    for vowel in "aeiou":
        text = text.replace(f" a {vowel}", f" an {vowel}")
    author.form = form
    return text, answer


BRANCHES: dict[str, tuple[float, Callable[[Author], tuple[str, Answer] | None]]] = {
    "either branch": (12, either),
    "so or nothing": (5, only_so),
    "unless, and then": (7, unless_case),
    "unless already": (4, unless_already),
    "if, unless": (4, if_unless),
    "taken down or used": (6, taken_down),
    "room or elsewhere": (6, room_or),
    "hand empty or full": (7, hand_or),
    "failing that": (7, failing_that),
    "onto it if there": (6, onto_it_if),
}
