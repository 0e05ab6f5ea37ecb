"""Commands under a condition, which is looked up in the scene as it is."""

from __future__ import annotations

import re
from dataclasses import replace

from planners.compact import Answer, Goal, Literal, literal
from planners.phrasing.author import TRIES, Author, first_of, speaks_back
from planners.phrasing.conditions import Condition, Joined, draw_condition, draw_joined, draw_pair
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import composed, feasible, sample_literal, step_about
from planners.phrasing.mirror import Branch
from planners.phrasing.templates import fill, slots
from robot_skills.logic import Atom

#: Where a condition of two parts can be misread: what is negated, and what "and" joins.
_FOR_ONE = re.compile(r"\bC[,;]? (and|or|but)\b|\bN[,;]? (and|or|but)\b|not N|case that N|not .{0,12}that N")


def condition(author: Author) -> tuple[str, Answer] | None:
    """If, unless, otherwise."""
    drawn = draw_condition(author.speaker)
    then, other = sample_literal(author.rng, author.scene), sample_literal(author.rng, author.scene)
    if drawn is None or then is None or other is None:
        return None
    if drawn.likely and author.rng.random() < 0.6:
        undone = [each for each in drawn.likely if not drawn.true or not author.scene.holds(each.formula())]
        then = author.rng.choice(undone or drawn.likely)
        if author.rng.random() < 0.7:
            other = author.rng.choice(drawn.likely)
    return _branched(author, drawn, then, other)


def joined_condition(author: Author) -> tuple[str, Answer] | None:
    """If this and that, this or that."""
    drawn = draw_joined(author.speaker)
    then, other = sample_literal(author.rng, author.scene), sample_literal(author.rng, author.scene)
    if drawn is None or then is None or other is None:
        return None
    author.forget()
    return _branched(author, drawn, then, other)


def _branched(
    author: Author, drawn: Condition | Joined, then: Literal, other: Literal
) -> tuple[str, Answer] | None:
    shape = author.rng.choices(("then", "unless", "else"), (4, 2, 4))[0]
    template = _template(author, shape, isinstance(drawn, Joined))
    shown, words = drawn.clause(author.speaker), author.say(then)
    negated = drawn.denied().clause(author.speaker)
    otherwise = author.say(other) if shape == "else" else ""
    if words is None or otherwise is None or template is None:
        return None
    if speaks_back(words) and first_of(template, "A") < first_of(template, "CN"):
        return None
    turned = shape == "else" and first_of(template, "B") < first_of(template, "A")
    if turned and (speaks_back(words) or speaks_back(otherwise)):
        return None
    filled = {"C": shown, "N": negated, "A": words, "B": otherwise}
    goal = (then,) if drawn.true else (other,) if shape == "else" else ()
    otherwise_do = (other,) if shape == "else" else None
    author.form = author.mirror.clauses([_as_said(template, drawn, (then,), otherwise_do)])
    return fill(template, filled), Goal(goal)


def _as_said(
    template: str,
    drawn: Condition | Joined,
    then: tuple[Literal, ...],
    other: tuple[Literal, ...] | None,
    text: str = "",
) -> list[Branch]:
    """Branches with the condition that is said: C before its negation N, and what comes first with that.

    `text`: of `then`, where it is already written.
    """
    said = slots(template)
    first = Branch(drawn.text, drawn.true, then, text)
    if "C" not in said:
        denied = drawn.denied()
        if other is not None and first_of(template, "B") < first_of(template, "A"):
            return [Branch(denied.text, denied.true, other), Branch("", drawn.true, then, text)]
        first = replace(first, condition=denied.negated())
    return [first] if other is None else [first, Branch("", not drawn.true, other)]


def _template(author: Author, shape: str, joined: bool) -> str | None:
    for _ in range(TRIES):
        template = author.phrase("conditions", shape)
        if not joined or not _FOR_ONE.search(template):
            return template
    return None


def about_it(author: Author) -> tuple[str, Answer] | None:
    """What the condition speaks of is "it" in what follows: "if there is a red ball, put it in the bowl"."""
    drawn = draw_condition(author.speaker)
    if drawn is None or not drawn.it:
        return None
    movable = [each.name for each in author.scene.tagged("graspable")]
    thing = drawn.subject or author.rng.choice(movable)
    then = step_about(author.rng, author.scene, thing)
    other = sample_literal(author.rng, author.scene)
    if then is None or other is None or (drawn.true and not drawn.subject):
        return None
    author.forget()
    author.speaker.mean(thing, drawn.it)
    words = author.say(then, shown={"X": author.rng.choice(("it", "it", "it", "that", "that thing"))})
    with_else = author.rng.random() < 0.5
    template = _template(author, "else" if with_else else "then", joined=True)
    otherwise = author.say(other)
    if words is None or otherwise is None or template is None or speaks_back(otherwise):
        return None
    if first_of(template, "C") > first_of(template, "A") or first_of(template, "N") < first_of(template, "A"):
        return None
    filled = {"C": drawn.clause(author.speaker), "A": words, "B": otherwise}
    filled["N"] = drawn.denied().clause(author.speaker)
    goal = (then,) if drawn.true else (other,) if with_else else ()
    text = "" if drawn.true else author.mirror.unlooked(then)
    branches = _as_said(template, drawn, (then,), (other,) if with_else else None, text)
    author.form = author.mirror.clauses([branches])
    return fill(template, filled), Goal(goal)


def on_its_place(author: Author) -> tuple[str, Answer] | None:
    """Something goes somewhere, if that is empty, open and so on: "put it in the bowl unless it's full"."""
    author.forget()
    item = sample_literal(author.rng, author.scene, "in")
    other = sample_literal(author.rng, author.scene)
    if item is None or other is None or any(group.pick for group in item.groups):
        return None
    place = item.groups[1].names[0]
    shown, where_to = author.speaker.group(item.groups[0]), author.speaker.one(place)
    drawn = _of_place(author, place)
    otherwise = author.say(other)
    if shown is None or drawn is None or otherwise is None or speaks_back(f"{shown} {otherwise}"):
        return None
    author.mirror.note(item)
    with_else = author.rng.random() < 0.45
    template = author.phrase("conditions", "its_place_else" if with_else else "its_place")
    words = {"X": shown, "Y": where_to, "B": otherwise}
    words |= {"C": drawn.clause(author.speaker), "N": drawn.denied().clause(author.speaker)}
    goal = (item,) if drawn.true else (other,) if with_else else ()
    branches = _as_said(template, drawn, (item,), (other,) if with_else else None)
    author.form = author.mirror.clauses([branches])
    return fill(template, words), Goal(goal)


def _of_place(author: Author, place: str) -> Condition | None:
    """What can be so of a container that was just named."""
    facts, rng = author.scene.facts, author.rng
    if place == "drawer" and rng.random() < 0.5:
        if Atom("ajar", (place,)) in facts:
            return None
        is_open = Atom("open", (place,)) in facts
        drawn = Condition("it_open", "it_closed", f"open({place})", f"closed({place})", {}, is_open)
    else:
        full = any(fact.predicate == "in" and fact.args[1] == place for fact in facts)
        text = f"there(thing in {author.speaker.text(place)})"
        drawn = Condition("it_full", "it_empty", text, f"not {text}", {}, full)
    return drawn.denied() if rng.random() < 0.5 else drawn


def nested(author: Author) -> tuple[str, Answer] | None:
    """If this, A; else if that, B; else D."""
    pair = draw_pair(author.speaker)
    items = [sample_literal(author.rng, author.scene) for _ in "ABD"]
    author.forget()
    words = [text for item in items if (text := _fresh(author, item))]
    if pair is None or len(words) < len(items):
        return None
    first, second = pair
    last = author.rng.random() < 0.6
    template = author.phrase("conditions", "nested_else" if last else "nested")
    filled = {"C": first.clause(author.speaker), "C2": second.clause(author.speaker)}
    filled |= dict(zip(("A", "B", "D"), words, strict=True))
    chosen = items[0] if first.true else items[1] if second.true else items[2] if last else None
    ways = zip((first.text, second.text, ""), (first.true, second.true, True), items, strict=True)
    branches = [Branch(condition, so, (item,)) for condition, so, item in ways if item]
    author.form = author.mirror.clauses([branches if last else branches[:2]])
    return fill(template, filled), Goal((chosen,) if chosen else ())


def each_if(author: Author) -> tuple[str, Answer] | None:
    """If this, A; and if that, B; or A if this, and B either way."""
    pair = draw_pair(author.speaker)
    if pair is None:
        return None
    author.forget()
    always = author.rng.random() < 0.35
    template = author.phrase("conditions", "either_way" if always else "each_if")
    ahead = (
        first_of(template, "C") < first_of(template, "A"),
        template.find("C2") in range(first_of(template, "B")),
    )
    steps = [_depending(author, each, it) for each, it in zip(pair, ahead, strict=True)]
    if always or steps[0] is None or steps[1] is None:
        steps = [
            (item, _fresh(author, item)) for _ in "AB" if (item := sample_literal(author.rng, author.scene))
        ]
    said = [step for step in steps if step is not None]
    words = [text for _, text in said if text]
    if len(words) < 2:
        return None
    filled = {"C": pair[0].clause(author.speaker), "C2": pair[1].clause(author.speaker)}
    applies = (pair[0].true, always or pair[1].true)
    goal = composed(item for (item, _), so in zip(said, applies, strict=True) if so)
    if goal is None or len(goal) < sum(applies) or not feasible(goal, author.scene):
        return None
    conditions = (pair[0].text, "" if always else pair[1].text)
    ways = [
        [Branch(condition, so, (item,))]
        for condition, so, (item, _) in zip(conditions, applies, said, strict=True)
    ]
    author.form = author.mirror.clauses(
        ways if first_of(template, "A") < first_of(template, "B") else ways[::-1]
    )
    return fill(template, {**filled, "A": words[0], "B": words[1]}), Goal(goal)


def _depending(author: Author, on: Condition, ahead: bool) -> tuple[Literal, str | None] | None:
    """What people do when a fixture is so: to it, where it was named ahead."""
    if not on.likely:
        return None
    step = author.rng.choice(on.likely)
    return step, author.say(step, shown={"F": "it"}) if ahead else _fresh(author, step)


def _fresh(author: Author, item: Literal | None) -> str | None:
    """A step in words that refer to nothing before them; None where it cannot be said so."""
    words = author.say(item) if item else None
    return None if words is None or speaks_back(words) else words


def elsewhere(author: Author) -> tuple[str, Answer] | None:
    """One thing, and its place under a condition; or one place, and which thing."""
    drawn = draw_condition(author.speaker)
    author.forget()
    first = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "on")))
    if drawn is None or first is None:
        return None
    by_place = author.rng.random() < 0.6
    second = _varied(author, first, by_place)
    if second is None or second == first:
        return None
    words = {"X": author.speaker.group(first.groups[0]) or "", "P": where(author, first) or ""}
    words["X2"] = words["X"] if by_place else author.speaker.group(second.groups[0]) or ""
    words["P2"] = where(author, second) or "" if by_place else words["P"]
    if not all(words.values()) or any(map(speaks_back, words.values())):
        return None
    template = author.phrase("conditions", "two_places" if by_place else "two_things")
    words |= {"C": drawn.clause(author.speaker), "N": drawn.denied().clause(author.speaker)}
    author.form = author.mirror.clauses([_as_said(template, drawn, (first,), (second,))])
    return fill(template, words), Goal((first if drawn.true else second,))


def _varied(author: Author, first: Literal, by_place: bool) -> Literal | None:
    """The same thing to another place, or another thing to the same place; one thing each."""
    if any(group.pick or len(group.names) > 1 for group in first.groups):
        return None
    thing, place = (group.names[0] for group in first.groups)
    if by_place:
        return step_about(author.rng, author.scene, thing, ("in", "on"))
    fits = [f.args for f in author.scene.facts if f.predicate == "fits" and f.args[2] == place]
    others = sorted(args[0] for args in fits if args[1] == first.predicate and args[0] != thing)
    second = literal(first.predicate, author.rng.choice(others), place) if others else None
    return second if second and feasible((second,), author.scene) else None
