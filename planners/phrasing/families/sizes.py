"""Sizes of several things: all that are smaller than one, the bigger of each colour, big in big."""

from __future__ import annotations

from collections.abc import Sequence

from planners.compact import Answer, Ask, Goal, Group, Literal, literal
from planners.forms import Resolver, UnresolvedError, same_group
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.alike import extreme_word
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.described import by_size, described, put, size_of
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import composed, feasible, sample_literal, step_about
from planners.phrasing.nouns import colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

_UPRIGHT = 0.4


def by_comparison(author: Author) -> tuple[str, Answer] | None:
    """A step about one thing that is told by its size, by comparison, or by its place in a tower."""
    thing = author.rng.choice([*author.scene.tagged("graspable")]).name
    step = step_about(author.rng, author.scene, thing, ("in", "in", "on", "on", "holding", "moved", "table"))
    if author.rng.random() < 0.2:
        step = literal("on", thing, "table")
    if step is None or not feasible((step,), author.scene):
        return None
    shown = described(author, thing)
    if shown is None:
        return None
    words = {"X": shown}
    if step.predicate in ("in", "on") and author.rng.random() < 0.4:
        place = described(author, step.groups[1].names[0])
        words |= {"Y": place} if place else {}
    style = author.rng.choice(("imp", "imp", "imp", "told", "hint"))
    said = author.say(step, style, shown=words)
    if said is None or (style == "hint" and author.scene.holds(step.formula())):
        return None
    return (author.wrapped(said) if style == "imp" else said), Goal((step,))


def all_compared(author: Author) -> tuple[str, Answer] | None:
    """All of a kind, or all things, that are smaller or larger than one."""
    kind = author.rng.choice((*LOOSE[:3], *LOOSE[:3], None))
    colour = colour_of(author.rng.choice(author.scene.entities)) if author.rng.random() < 0.25 else None
    than = author.rng.choice([*author.scene.tagged("graspable")])
    if kind and than.kind != kind and author.rng.random() < 0.8:
        return None
    side = author.rng.choice(("smaller", "larger"))
    extreme = described(author, than.name, ways="sizes") if author.rng.random() < 0.3 else None
    shown = extreme or short(author, than.name, kind)
    text = f"{standard(kind, colour or None)} {side} than {author.speaker.text(than.name)}"
    names = _group(author, f"all {text}")
    movable = {each.name for each in author.scene.tagged("graspable")}
    known = {
        size_of(author, name) for name in author.speaker.fitting(kind, colour or None) if name in movable
    }
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table", "moved")))
    if not names or step is None or "" in known or " than " in author.speaker.text(than.name):
        return None
    item = Literal(step.predicate, (Group(names), *step.groups[1:]))
    if len(names) == 1 and author.rng.random() < 0.6:
        return None
    if not feasible((item,), author.scene):
        return None
    section = f"all_{side}" if kind else f"every_{side}"
    if kind == "cylinder" and author.rng.random() < _UPRIGHT:
        section = "all_shorter" if side == "smaller" else "all_taller"
    words = {"X": shown, "S": author.speaker.described(kind, colour or None, None)}
    words["K"] = author.speaker.described(kind, colour or None, None, several=True)
    phrase = fill(author.phrase("sizes", section), words)
    if not kind and colour:
        phrase = phrase.replace("everything", f"everything {author.speaker.word(colour)}")
        if "everything" not in phrase:
            return None
    author.mean(item.groups[0], f"all {text}")
    said = author.say(item, author.rng.choice(("imp", "imp", "told")), shown={"X": phrase})
    return (author.wrapped(said), Goal((item,))) if said else None


def _group(author: Author, text: str) -> tuple[str, ...]:
    """The things that a text of the reader's language is about; of none, none."""
    try:
        return Resolver(author.scene).group(text).names
    except UnresolvedError:
        return ()


def each_colour(author: Author) -> tuple[str, Answer] | None:
    """The smaller of a kind for each colour."""
    kind = author.rng.choice(LOOSE[:3])
    colours: dict[str, list[str]] = {}
    for name in by_size(author, kind):
        colours.setdefault(colour_of(author.scene.entity(name)), []).append(name)
    alone = [names for names in colours.values() if len({size_of(author, n) for n in names}) < len(names)]
    if len(colours) < 2 or alone or any(len(names) < 2 for names in colours.values()):
        return None
    extreme = author.rng.choice(("smallest", "largest"))
    chosen = {names[-1 if extreme == "largest" else 0] for names in colours.values()}
    names = tuple(each.name for each in author.scene.entities if each.name in chosen)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table")))
    if step is None or any(group.pick for group in step.groups[1:]):
        return None
    item = Literal(step.predicate, (Group(names), *step.groups[1:]))
    if not feasible((item,), author.scene):
        return None
    author.mean(item.groups[0], f"all {extreme} {kind} of each colour")
    most = max(map(len, colours.values()))
    words = {"P": where(author, step) or "", "M": extreme_word(author, extreme, kind, most)}
    words |= {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    author.mirror.note(item)
    return fill(author.phrase("sizes", "each_colour"), words), Goal((item,))


def be_it(author: Author) -> tuple[str, Answer] | None:
    """Anything small, be it a ball or a block."""
    size, (one, two) = author.rng.choice(("small", "large")), author.rng.sample(LOOSE[:3], 2)
    groups = [author.speaker.fitting(kind, None, size) for kind in (one, two)]
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table")))
    sized = all(size_of(author, name) for kind in (one, two) for name in author.speaker.fitting(kind))
    if step is None or not all(groups) or not sized or any(group.pick for group in step.groups[1:]):
        return None
    names = (*groups[0], *groups[1])
    item = Literal(step.predicate, (Group(names), *step.groups[1:]))
    if not feasible((item,), author.scene):
        return None
    text = " & ".join(f"all {standard(kind, None, size)}" for kind in (one, two))
    if not same_group(Resolver(author.scene).group(text), item.groups[0]):
        return None
    author.mean(item.groups[0], text)
    words = {"M": author.speaker.word(size), "P": where(author, step) or ""}
    words |= {"S": author.speaker.word(one), "K": author.speaker.word(f"{one}s")}
    words |= {"L": author.speaker.word(two), "Q": author.speaker.word(f"{two}s")}
    author.mirror.note(item)
    return fill(author.phrase("sizes", "be_it"), words), Goal((item,))


def matched(author: Author) -> tuple[str, Answer] | None:
    """The little ball in the little bowl and the big one in the big one; or one of them only."""
    kind, place = author.rng.choice(LOOSE[:3]), author.rng.choice(("bowl", "bowl", "block", "cylinder"))
    things, places = by_size(author, kind), by_size(author, place)
    predicate = "in" if place == "bowl" else "on"
    if place == kind or (kind == "ball" and predicate == "on") or len(places) < 2 or len(things) < 2:
        return None
    if any(size_of(author, names[0]) == size_of(author, names[-1]) for names in (things, places)):
        return None
    ends = author.rng.choice(((0, -1), (-1, 0)))
    onto = ends if author.rng.random() < 0.7 else ends[::-1]
    one = author.rng.random() < 0.35
    pairs = [*zip(ends, onto, strict=True)][: 1 if one else 2]
    goal: list[Literal] = []
    words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    words |= {"L": author.speaker.word(place), "Q": author.speaker.word(f"{place}s")}
    compared = author.rng.random() < 0.5
    for number, (at, to) in enumerate(pairs):
        end = "" if number == 0 else "2"
        for key, names, which in (("M", things, at), ("N", places, to)):
            said = _adjective(author, names, which, compared)
            if said is None:
                return None
            words[f"{key}{end}"] = said
        goal.append(literal(predicate, things[at], places[to]))
    if not feasible(goal, author.scene):
        return None
    for item in goal:
        author.mirror.note(item)
    template = author.phrase("sizes", "matched_one" if one else "matched")
    if predicate == "on":
        template = template.replace("into ", "onto ").replace(" in ", " on ").removeprefix("in ")
        if "on the" not in template and " on " not in template:
            return None
    return fill(template, words), Goal(tuple(goal))


def _adjective(author: Author, names: Sequence[str], which: int, compared: bool) -> str | None:
    """What tells the first or the last by size, which is noted; None where it is not alone."""
    name, kind = names[which], author.scene.entity(names[which]).kind
    size = size_of(author, name)
    if sum(size_of(author, each) == size for each in names) > 1:
        return None
    extreme = "smallest" if which == 0 else "largest"
    if compared or size == "medium":
        author.speaker.mean(name, f"{extreme} {kind}")
        return extreme_word(author, extreme, kind, len(names))
    author.speaker.mean(name, standard(kind, None, size))
    return author.speaker.word(size)


def sized_sides(author: Author) -> tuple[str, Answer] | None:
    """The taller one over there; the shorter one stays."""
    kind = author.rng.choice(LOOSE[:3])
    colour = colour_of(author.rng.choice(author.scene.entities)) if author.rng.random() < 0.5 else None
    ordered = by_size(author, kind, colour or None)
    if len(ordered) < 2:
        return None
    moved = author.rng.choice((0, -1))
    adjectives = [_side_adjective(author, ordered, at, kind, colour or None) for at in (moved, -1 - moved)]
    step = step_about(author.rng, author.scene, ordered[moved], ("in", "on", "moved"))
    if not all(adjectives) or step is None or ordered[-1 - moved] in step.groups[1].names:
        return None
    words = {"M": adjectives[0] or "", "N": adjectives[1] or ""}
    words |= {"S": author.speaker.described(kind, colour or None, None)}
    words |= {"K": author.speaker.described(kind, colour or None, None, several=True)}
    words["P"] = (
        author.speaker.word(step.groups[1].names[0]) if step.predicate == "moved" else put(author, step) or ""
    )
    author.speaker.mean(ordered[moved], f"{'smallest' if moved == 0 else 'largest'} {standard(kind, colour)}")
    template = author.phrase("sizes", "sized_sides")
    wrong = "put it" if step.predicate == "moved" else "push it"
    if wrong in template or speaks_back(words["P"]):
        return None
    author.mirror.note(step)
    return fill(template, words), Goal((step,))


def _side_adjective(
    author: Author, ordered: Sequence[str], at: int, kind: str, colour: str | None
) -> str | None:
    if sum(size_of(author, each) == size_of(author, ordered[at]) for each in ordered) > 1:
        return None
    return extreme_word(author, "smallest" if at == 0 else "largest", kind, len(ordered))


def left_empty(author: Author) -> tuple[str, Answer] | None:
    """A command, and a container that is to stay as empty as it is."""
    written = by_comparison(author)
    full = {fact.args[1] for fact in author.scene.facts if fact.predicate == "in"}
    empty = [e.name for e in author.scene.tagged("container") if e.name not in full]
    if written is None or not empty:
        return None
    text, goal = written
    if not isinstance(goal, Goal):
        return None
    place = author.rng.choice(empty)
    if place in {name for item in goal.literals for group in item.groups for name in group.names}:
        return None
    shown = described(author, place) if author.scene.entity(place).kind in LOOSE else None
    return fill(author.phrase("sizes", "left_empty"), {"A": text, "Y": shown or author.plainly(place)}), goal


def asked_size(author: Author) -> tuple[str, Answer] | None:
    """Of several big ones "the big one", of two blocks of that size "the biggest block": which?"""
    size, kind = author.rng.choice(("small", "large")), author.rng.choice((None, None, *LOOSE[:3]))
    step = sample_literal(
        author.rng, author.scene, author.rng.choice(("in", "in", "holding", "moved", "table"))
    )
    names = author.speaker.fitting(kind, None, size)
    if step is None or any(group.pick for group in step.groups[1:]) or len(names) < 2:
        return None
    if {name for group in step.groups[1:] for name in group.names} & {*names}:
        return None
    text, shown = standard(kind, None, size), ""
    if kind is None:
        shown = fill(author.phrase("sizes", "asked_size"), {"M": author.speaker.word(size)})
    else:
        alike = by_size(author, kind)
        if not alike or size_of(author, alike[0]) == size_of(author, alike[-1]):
            return None
        if {size_of(author, alike[0 if size == "small" else -1])} != {size}:
            return None
        extreme = "smallest" if size == "small" else "largest"
        text = f"{extreme} {kind}"
        words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
        words["M"] = extreme_word(author, extreme, kind, 3)
        shown = fill(author.phrase("described", "super"), words)
    item = Literal(step.predicate, (Group((names[0],)), *step.groups[1:]))
    author.speaker.mean(names[0], text)
    said = author.say(item, author.rng.choice(("imp", "imp", "told")), shown={"X": shown})
    if said is None:
        return None
    author.form = author.mirror.unlooked(item)
    return author.wrapped(said), Ask(names)


def placed_each(author: Author) -> tuple[str, Answer] | None:
    """Two or three things told by size or tower, each to its place, and now and then one step more."""
    count = author.rng.choice((2, 2, 2, 3))
    movable = [each.name for each in author.scene.tagged("graspable")]
    if len(movable) < count:
        return None
    steps, last = [], ""
    for name in author.rng.sample(movable, count):
        step = step_about(author.rng, author.scene, name, ("in", "in", "on"))
        if step is None:
            return None
        steps.append(step)
    more = sample_literal(author.rng, author.scene) if author.rng.random() < 0.5 else None
    if more is None and author.rng.random() < 0.3 and any(s.groups[1].names == ("drawer",) for s in steps):
        more = literal("closed", "drawer")
    goal = composed([*steps, more] if more else steps)
    if goal is None or len(goal) < count + bool(more) or not feasible(goal, author.scene):
        return None
    words: dict[str, str] = {}
    for number, step in enumerate(steps):
        name = step.groups[0].names[0]
        bare = number > 0 and _same_kind(author, name, steps[number - 1].groups[0].names[0])
        shown = described(author, name, bare and author.rng.random() < 0.5)
        if shown is None and number == 0:
            return None
        end = str(number + 1)
        words |= {f"X{end}": shown or author.plainly(name), f"P{end}": put(author, step) or ""}
        author.mirror.note(step)
    if any(map(speaks_back, words.values())):
        return None
    if more:
        last = author.say(more) or ""
        gerund = author.gerund(last)
        if not last or speaks_back(last) or gerund is None:
            return None
        words |= {"B": last, "H": gerund}
    section = f"each_{count}_and" if more else f"each_{count}"
    return fill(author.phrase("placed", section), words), Goal(goal)


def _same_kind(author: Author, one: str, two: str) -> bool:
    return author.scene.entity(one).kind == author.scene.entity(two).kind
