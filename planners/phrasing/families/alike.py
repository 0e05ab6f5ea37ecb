"""Things of a kind told apart: this one on that one, these here and those there, both of the smallest."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.descriptions import EXTREMES, SIZES
from planners.forms import Resolver, UnresolvedError
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import composed, feasible, sample_literal, step_about
from planners.phrasing.nouns import NUMBERS, colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

_BY_HEIGHT = 0.5


def onto_like(author: Author) -> tuple[str, Answer] | None:
    """One of a kind on another, the noun said once: "the smaller green block on the biggest one"."""
    pair = _pair(author, author.rng.choice(("block", "block", "cylinder")))
    if pair is None:
        return None
    item = literal("on", *(name for name, _ in pair))
    if not feasible((item,), author.scene) or item.formula() in author.scene.facts:
        return None
    kind = author.scene.entity(pair[0][0]).kind
    words = {"M": pair[0][1], "M2": pair[1][1], "S": author.speaker.word(kind)}
    words["K"] = author.speaker.word(f"{kind}s")
    return fill(author.phrase("alike", "onto_like"), words), Goal((item,))


def likes_apart(author: Author) -> tuple[str, Answer] | None:
    """Two of a kind to two places, or pushed two ways, or one of them only: "the taller cylinder: left"."""
    pair = _pair(author, author.rng.choice(LOOSE[:3]))
    if pair is None:
        return None
    ways = author.rng.choice((("in", "on"), ("moved",)))
    steps = [step_about(author.rng, author.scene, name, ways) for name, _ in pair]
    goal = composed(step for step in steps if step)
    if goal is None or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    if goal[0].groups[1] == goal[1].groups[1] or {n for n, _ in pair} & {i.groups[1].names[0] for i in goal}:
        return None
    moved = ways == ("moved",)
    places = [
        author.speaker.word(item.groups[1].names[0]) if moved else where(author, item) or "" for item in goal
    ]
    if not all(places) or any(map(speaks_back, places)):
        return None
    kind = author.scene.entity(pair[0][0]).kind
    words = {"M": pair[0][1], "M2": pair[1][1], "S": author.speaker.word(kind)}
    words |= {"K": author.speaker.word(f"{kind}s"), "P": places[0], "P2": places[1]}
    return fill(author.phrase("alike", "pushed_apart" if moved else "likes_apart"), words), Goal(goal)


def _pair(author: Author, kind: str) -> list[tuple[str, str]] | None:
    """Two of a kind, each with adjectives that tell it from the rest of them."""
    names = author.speaker.fitting(kind)
    if len(names) < 2:
        return None
    chosen = author.rng.sample(names, 2)
    ways = [adjectives(author, name) for name in chosen]
    if not all(ways):
        return None
    pair = []
    for name, each in zip(chosen, ways, strict=True):
        compared = [way for way in each if way[1].startswith(EXTREMES)]
        words, text = author.rng.choice(compared if compared and author.rng.random() < 0.6 else each)
        author.speaker.mean(name, text)
        pair.append((name, words))
    return pair


def adjectives(author: Author, name: str) -> list[tuple[str, str]]:
    """Every way to tell a thing from others of its kind: the words, and the text of the whole reference."""
    entity = author.scene.entity(name)
    kind, colour, size = entity.kind, colour_of(entity), entity.attributes.get("size")
    word = author.speaker.word
    ways = [(word(colour), standard(kind, colour))]
    if size:
        ways += [(_size(author, size, kind), standard(kind, None, size))]
        ways += [(f"{_size(author, size, kind)} {word(colour)}", standard(kind, colour, size))]
    for extreme in (EXTREMES[0], EXTREMES[-1]):
        for shade in (None, colour):
            if len(author.speaker.fitting(kind, shade)) > 1:
                said = extreme_word(author, extreme, kind, len(author.speaker.fitting(kind, shade)))
                shown = f"{said} {word(colour)}" if shade else said
                ways.append((shown, f"{extreme} {standard(kind, shade)}"))
    return [way for way in ways if _means(author, way[1], name)]


def _size(author: Author, size: str, kind: str) -> str:
    if kind == "cylinder" and size in ("small", "large") and author.rng.random() < _BY_HEIGHT:
        return author.speaker.word("tall" if size == "large" else "short")
    return author.speaker.word(size)


def extreme_word(author: Author, extreme: str, kind: str, count: int) -> str:
    """The smallest, the tallest; of two now and then the smaller, the taller."""
    degree = "more" if count == 2 and author.rng.random() < 0.6 else "most"
    upright = kind == "cylinder" and author.rng.random() < _BY_HEIGHT
    side = ("tall" if upright else "large") if extreme == "largest" else ("short" if upright else "small")
    return author.speaker.word(f"{degree} {side}" if degree == "most" or upright else f"{degree} {side} one")


def _means(author: Author, text: str, name: str) -> bool:
    """Whether a description is of this one thing, by sizes that are known where they are compared."""
    if text.startswith(EXTREMES):
        rest = text.split()[1:]
        alike = author.speaker.fitting(rest[-1], rest[0] if len(rest) > 1 else None)
        if not all(author.scene.entity(each).attributes.get("size") in SIZES for each in alike):
            return False
    try:
        return Resolver(author.scene).one(text) == name
    except UnresolvedError:
        return False


def several_extreme(author: Author) -> tuple[str, Answer] | None:
    """The small ones of a kind, where several are: "both of the smallest cylinders"."""
    kind = author.rng.choice(LOOSE[:3])
    every = author.speaker.fitting(kind)
    sizes = {str(author.scene.entity(name).attributes.get("size", "")) for name in every}
    if not sizes <= {*SIZES} or len(sizes) < 2:
        return None
    order = sorted(sizes, key=SIZES.index)
    extreme, size = author.rng.choice(((EXTREMES[0], order[0]), (EXTREMES[-1], order[-1])))
    names = author.speaker.fitting(kind, None, size)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table", "moved")))
    if step is None or not 1 < len(names) < len(every):
        return None
    item = Literal(step.predicate, (Group(names), *step.groups[1:]))
    compared = author.rng.random() < 0.6 or size == "medium"
    adjective = extreme_word(author, extreme, kind, 3) if compared else _size(author, size, kind)
    words = {"M": adjective, "K": author.speaker.word(f"{kind}s"), "N": NUMBERS[len(names)]}
    author.mean(item.groups[0], f"all {extreme} {kind}" if compared else f"all {standard(kind, None, size)}")
    section = "several_two" if len(names) == 2 and author.rng.random() < 0.6 else "several"
    said = author.say(item, shown={"X": fill(author.phrase("alike", section), words)})
    return (author.wrapped(said), Goal((item,))) if said and feasible((item,), author.scene) else None


def sorts_apart(author: Author) -> tuple[str, Answer] | None:
    """The red ones here, the blue ones there; or by size; of a kind or of all that can be moved."""
    side = author.rng.choice(("colour", "colour", "size"))
    kind = author.rng.choice((*LOOSE[:3], *LOOSE[:3], None))
    movable = [e for e in author.scene.tagged("graspable") if kind in (None, e.kind)]
    if not all(each.attributes.get(side) for each in movable):
        return None
    sorts: dict[str, tuple[str, ...]] = {}
    for each in movable:
        sort = str(each.attributes[side])
        sorts[sort] = (*sorts.get(sort, ()), each.name)
    if len(sorts) < 2:
        return None
    chosen = author.rng.sample(sorted(sorts), 2)
    steps = [sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table"))) for _ in "ab"]
    goal = tuple(
        Literal(step.predicate, (Group(sorts[sort]), step.groups[1]))
        for sort, step in zip(chosen, steps, strict=True)
        if step and not step.groups[1].pick
    )
    if len(goal) < 2 or goal[0].groups[1] == goal[1].groups[1] or not feasible(goal, author.scene):
        return None
    if max(len(sorts[sort]) for sort in chosen) < 2:
        return None
    places = [where(author, item) for item in goal]
    if not all(places) or any(speaks_back(place or "") for place in places):
        return None
    shown = []
    for number, (sort, item) in enumerate(zip(chosen, goal, strict=True)):
        many = len(sorts[sort]) > 1
        text = standard(kind, sort) if side == "colour" else standard(kind, None, sort)
        author.mean(item.groups[0], f"all {text}" if many else text)
        noun = "one" if number else kind or "thing"
        words = {"M": author.speaker.word(sort), "N": NUMBERS[len(sorts[sort])]}
        words["S"] = "one" if number else author.speaker.word(noun)
        words["K"] = "ones" if number else author.speaker.word(f"{noun}s")
        section = "sort_one" if not many else "sort_two" if len(sorts[sort]) == 2 else "sort_many"
        shown.append(fill(author.phrase("alike", section), words))
    words = {"X": shown[0], "X2": shown[1], "P": places[0] or "", "P2": places[1] or ""}
    return fill(author.phrase("alike", "sorts_apart"), words), Goal(goal)
