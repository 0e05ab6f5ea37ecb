"""Sizes once more: each on the big one of its colour, the next size up, the larger of two kinds, towers."""

from __future__ import annotations

from collections.abc import Callable

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.descriptions import SIZES
from planners.forms import Resolver, UnresolvedError, resolve
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.described import by_size, size_of
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import feasible, sample_literal, step_about
from planners.phrasing.nouns import colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

_SOLID = ("block", "cylinder")


def formed(author: Author, text: str, form: str) -> tuple[str, Answer] | None:
    """A command whose answer is what its form comes to; None where that cannot be."""
    answer = resolve(form, author.scene)
    if not isinstance(answer, Goal) or not feasible(answer.literals, author.scene):
        return None
    author.form = form
    return text, answer


def _pairs(author: Author, kind: str) -> dict[str, tuple[str, str]]:
    """Colour -> the small and the large one of a kind, where there are just these two of it."""
    found: dict[str, tuple[str, str]] = {}
    for colour in dict.fromkeys(colour_of(each) for each in author.scene.entities if each.kind == kind):
        names = by_size(author, kind, colour)
        if len(names) == 2 and size_of(author, names[0]) != size_of(author, names[1]):
            found[colour] = (names[0], names[1])
    return found


def _adjectives(author: Author, kind: str) -> tuple[str, str, bool]:
    """Words for the small and the large one, and whether they compare."""
    compared = author.rng.random() < 0.4
    upright = kind == "cylinder" and author.rng.random() < 0.4
    low, high = ("short", "tall") if upright else ("small", "large")
    degree = "more " if compared else ""
    return author.speaker.word(degree + low), author.speaker.word(degree + high), compared


def own_colour(author: Author) -> tuple[str, Answer] | None:
    """Each small one onto the large one of its own colour."""
    kind = author.rng.choice(_SOLID)
    pairs = _pairs(author, kind)
    if len(pairs) < 2 or len(author.speaker.fitting(kind)) != 2 * len(pairs):
        return None
    low, high, compared = _adjectives(author, kind)
    up = author.rng.random() < 0.8
    first, second = ("small", "large") if up else ("large", "small")
    if compared or any(size_of(author, name) == "medium" for pair in pairs.values() for name in pair):
        first, second = ("smallest", "largest") if up else ("largest", "smallest")
    form = " and ".join(
        f"on({standard(kind, colour, first)}, {standard(kind, colour, second)})" for colour in pairs
    )
    words = {"M": low if up else high, "N": high if up else low}
    words |= {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    return formed(author, fill(author.phrase("ranks", "own_colour"), words), form)


def colour_pair(author: Author) -> tuple[str, Answer] | None:
    """Of the two of one colour the small one onto the large one."""
    kind = author.rng.choice(_SOLID)
    pairs = _pairs(author, kind)
    if not pairs:
        return None
    colour = author.rng.choice(sorted(pairs))
    low, high, compared = _adjectives(author, kind)
    up = author.rng.random() < 0.75
    sizes = [size_of(author, name) for name in pairs[colour]]
    ends = ("smallest", "largest") if compared or sizes != ["small", "large"] else ("small", "large")
    first, second = ends if up else ends[::-1]
    form = f"on({standard(kind, colour, first)}, {standard(kind, colour, second)})"
    words = {"M": low if up else high, "N": high if up else low, "C": author.speaker.word(colour)}
    words |= {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    return formed(author, fill(author.phrase("ranks", "colour_pair"), words), form)


def next_size(author: Author) -> tuple[str, Answer] | None:
    """The smallest onto the next size up, or the last but one onto the largest."""
    kind = author.rng.choice(_SOLID)
    ordered = by_size(author, kind)
    if len(ordered) < 3 or len({size_of(author, name) for name in ordered}) < len(ordered):
        return None
    up = author.rng.random() < 0.65
    smallest, largest = f"smallest {kind}", f"largest {kind}"
    form = f"on({smallest}, second {smallest})" if up else f"on(second {largest}, {largest})"
    words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    words |= {"M": author.speaker.word("most small"), "N": author.speaker.word("most large")}
    return formed(author, fill(author.phrase("ranks", "next_up" if up else "next_down"), words), form)


def second_one(author: Author) -> tuple[str, Answer] | None:
    """The smallest but one, and nothing else, goes somewhere."""
    kind = author.rng.choice(LOOSE[:3])
    ordered = by_size(author, kind)
    if len(ordered) < 3 or len({size_of(author, name) for name in ordered}) < len(ordered):
        return None
    small = author.rng.random() < 0.6
    name = ordered[1] if small else ordered[-2]
    text = f"second {'smallest' if small else 'largest'} {kind}"
    words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    author.speaker.mean(name, text)
    return _said_of(author, Group((name,)), fill(author.phrase("ranks", f"but_one_{small}"), words))


def larger_of(author: Author) -> tuple[str, Answer] | None:
    """Of the ball and the block the larger one."""
    movable = [each.name for each in author.scene.tagged("graspable") if each.attributes.get("size")]
    count = author.rng.choice((2, 2, 2, 3))
    if len(movable) < count:
        return None
    names = sorted(author.rng.sample(movable, count), key=lambda name: SIZES.index(size_of(author, name)))
    if len({author.scene.entity(name).kind for name in names}) < 2:
        return None
    extreme = author.rng.choice(("largest", "smallest"))
    chosen = names[-1 if extreme == "largest" else 0]
    if sum(size_of(author, name) == size_of(author, chosen) for name in names) > 1:
        return None
    author.rng.shuffle(names)
    shown = [author.plainly(name) for name in names]
    text = f"{extreme} of {' | '.join(map(author.speaker.text, names))}"
    degree = "more" if count == 2 and author.rng.random() < 0.8 else "most"
    ending = " one" if degree == "more" else ""
    words = {"M": author.speaker.word(f"{degree} {'large' if extreme == 'largest' else 'small'}{ending}")}
    words["X"] = ", ".join(shown[:-1]) + f" and {shown[-1]}"
    words["Y"] = ", ".join(shown[:-1]) + f" or {shown[-1]}"
    author.speaker.mean(chosen, text)
    phrase = fill(author.phrase("ranks", "larger_of"), words)
    return _said_of(author, Group((chosen,)), phrase, or_it=phrase.endswith(":"))


def all_but_kind(author: Author) -> tuple[str, Answer] | None:
    """Everything small that is no ball; anything less than medium, apart from one."""
    movable = [*author.scene.tagged("graspable")]
    sizes = {size_of(author, each.name) for each in movable}
    if "" in sizes or len(sizes) < 2:
        return None
    size = author.rng.choice(sorted(sizes))
    out = author.rng.choice([each for each in movable if size_of(author, each.name) == size])
    how = author.rng.choice(("kind", "kind", "one", "not", "plain"))
    words = {"Z": author.speaker.word(size), "K": author.speaker.word(f"{out.kind}s")}
    words |= {"S": author.speaker.word(out.kind), "X": "", "V": "", "W": ""}
    chosen = [each.name for each in movable if size_of(author, each.name) == size]
    if size == "medium" or len(chosen) < 2:
        return None
    section = f"size_{how}"
    text = f"all {size} thing"
    if how == "kind":
        text += f" but all {out.kind}"
    elif how == "one":
        words["X"] = author.plainly(out.name)
        text += f" but {author.speaker.text(out.name)}"
    elif how == "not":
        text = f"all thing but all {size} thing"
    elif len(sizes) == 3:
        section = f"{section}_{'less' if size == 'small' else 'more'}"
    group = _group(author, text)
    if group is None or not {*group.names} <= {each.name for each in movable}:
        return None
    author.mean(group, text)
    return _said_of(author, group, fill(author.phrase("ranks", section), words))


def foreign(author: Author) -> tuple[str, Answer] | None:
    """The ball more little: as those say it who learned the language late."""
    kind = author.rng.choice(LOOSE[:3])
    colour = colour_of(author.rng.choice(author.scene.entities)) if author.rng.random() < 0.4 else None
    ordered = by_size(author, kind, colour or None)
    end = author.rng.choice((0, -1))
    if len(ordered) < 2 or sum(size_of(author, n) == size_of(author, ordered[end]) for n in ordered) > 1:
        return None
    words = {"S": author.speaker.described(kind, colour or None, None)}
    words["K"] = author.speaker.described(kind, colour or None, None, several=True)
    text = f"{'largest' if end else 'smallest'} {standard(kind, colour)}"
    author.speaker.mean(ordered[end], text)
    phrase = fill(author.phrase("ranks", "foreign_large" if end else "foreign_small"), words)
    if author.rng.random() < 0.5:
        return _said_of(author, Group((ordered[end],)), phrase)
    step = step_about(author.rng, author.scene, ordered[end], ("in", "in", "on"))
    place = where(author, step) if step else None
    if step is None or not place or speaks_back(place):
        return None
    author.mirror.note(step)
    return fill(author.phrase("ranks", "foreign"), {"X": phrase, "P": place}), Goal((step,))


def brother(author: Author) -> tuple[str, Answer] | None:
    """What is held has a bigger brother, and that goes somewhere."""
    held = next((f.args[0] for f in author.scene.facts if f.predicate == "holding"), None)
    if held is None:
        return None
    kind, colour = author.scene.entity(held).kind, colour_of(author.scene.entity(held))
    names = by_size(author, kind, colour)
    if len(names) != 2 or size_of(author, names[0]) == size_of(author, names[1]):
        return None
    other = next(name for name in names if name != held)
    large = other == names[1]
    step = step_about(author.rng, author.scene, other, ("in", "in", "on"))
    if step is None or held in step.groups[1].names:
        return None
    place = where(author, step)
    if place is None or speaks_back(place):
        return None
    author.speaker.mean(other, f"{'largest' if large else 'smallest'} {standard(kind, colour)}")
    author.mirror.note(step)
    words = {"P": place, "M": author.speaker.word("more large" if large else "more small")}
    words["S"] = author.speaker.word(kind)
    return fill(author.phrase("ranks", "brother"), words), Goal((step,))


def tower_of(author: Author) -> tuple[str, Answer] | None:
    """A tower by size of things of more than one kind, named one by one."""
    solid = [
        e.name for e in author.scene.tagged("graspable") if e.kind in _SOLID and e.attributes.get("size")
    ]
    count = author.rng.choice((2, 3, 3))
    if len(solid) < count:
        return None
    names = author.rng.sample(solid, count)
    if len({size_of(author, name) for name in names}) < count:
        return None
    up = author.rng.random() < 0.75
    shown = [author.plainly(name) for name in names]
    texts = " & ".join(map(author.speaker.text, names))
    words = {"X": ", ".join(shown[:-1]) + f" and {shown[-1]}"}
    section = "tower_of" if up else "tower_of_upturned"
    form = f"{'pyramid' if up else 'upturned'}({texts})"
    return formed(author, fill(author.phrase("ranks", section), words), form)


def _group(author: Author, text: str) -> Group | None:
    try:
        return Resolver(author.scene).group(text)
    except UnresolvedError:
        return None


def _said_of(author: Author, group: Group, phrase: str, or_it: bool = False) -> tuple[str, Answer] | None:
    """A step about things that are called so; `or_it`: or with the phrase before it, and "it" in it."""
    kinds = ("in", "in", "in", "table", "moved") if len(group.names) > 1 else ("in", "on", "table", "moved")
    kind = author.rng.choice(kinds if len(group.names) > 1 else (*kinds, "holding", "in"))
    if len(group.names) > 1:
        step = sample_literal(author.rng, author.scene, kind)
    elif kind == "table":
        step = literal("on", group.names[0], "table")
    else:
        step = step_about(author.rng, author.scene, group.names[0], (kind,))
    if step is None or any(each.pick for each in step.groups[1:]):
        return None
    item = Literal(step.predicate, (group, *step.groups[1:]))
    if not feasible((item,), author.scene) or {*group.names} & {n for g in step.groups[1:] for n in g.names}:
        return None
    if or_it:
        said = author.say(item, shown={"X": author.rng.choice(("it", "it", "that one"))})
        return (f"{phrase} {said}", Goal((item,))) if said else None
    style = author.rng.choice(("imp", "imp", "imp", "told"))
    said = author.say(item, style, shown={"X": phrase})
    if said is None:
        return None
    return (author.wrapped(said) if style == "imp" else said), Goal((item,))


RANKS: dict[str, tuple[float, Callable[[Author], tuple[str, Answer] | None]]] = {
    "own colour by size": (140, own_colour),
    "pair by size": (22, colour_pair),
    "next size": (100, next_size),
    "last but one": (55, second_one),
    "larger of two kinds": (10, larger_of),
    "all of a size but": (12, all_but_kind),
    "size as foreigners say": (7, foreign),
    "brother of the held": (50, brother),
    "tower of these by size": (18, tower_of),
}
