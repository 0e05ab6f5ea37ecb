"""One thing told by its size among its like, by comparison, or by its place in a tower.

The words are always beside what they say in the reader's language, and that is looked up in the scene before
it is used.
"""

from __future__ import annotations

from collections.abc import Iterator

from planners.compact import Literal
from planners.descriptions import SIZES, tier
from planners.forms import Resolver, UnresolvedError
from planners.phrasing.author import Author
from planners.phrasing.families.alike import extreme_word
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.placing import WAYS
from planners.phrasing.nouns import colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

Said = tuple[str, str]
_WITH_COLOUR, _PLACE_TOLD = 0.4, 0.4


def by_size(author: Author, kind: str | None, colour: str | None = None) -> list[str]:
    """What is of a kind and colour from the smallest to the biggest; empty where a size is not known."""
    names = author.speaker.fitting(kind, colour)
    sizes = {name: author.scene.entity(name).attributes.get("size") for name in names}
    if not {*sizes.values()} <= {*SIZES}:
        return []
    return sorted(names, key=lambda name: SIZES.index(str(sizes[name])))


def size_of(author: Author, name: str) -> str:
    """The size of a thing; empty where it is not known."""
    return str(author.scene.entity(name).attributes.get("size", ""))


def means(author: Author, text: str, name: str) -> bool:
    """Whether a text of the reader's language is this one thing."""
    try:
        return Resolver(author.scene).one(text) == name
    except UnresolvedError:
        return False


def described(author: Author, name: str, bare: bool = False, ways: str = "sizes tiers") -> str | None:
    """A thing by its size or its place in a tower; `bare`: without its noun, which was just said.

    What it says is noted. None where neither tells the thing from the others.
    """
    said: list[Said] = []
    if "sizes" in ways:
        said += [way for way in _sizes(author, name, bare) if means(author, way[1], name)]
    if "tiers" in ways and not bare:
        said += [way for way in _tiers(author, name) if means(author, way[1], name)]
    if not said:
        return None
    words, text = author.rng.choice(said)
    author.speaker.mean(name, text)
    return words


def told(author: Author, name: str) -> str:
    """A thing by its size or tower where that is possible and drawn; else by adjectives and a noun."""
    drawn = described(author, name) if author.rng.random() < 0.7 else None
    return drawn or author.plainly(name)


def put(author: Author, item: Literal) -> str | None:
    """The place of a literal of `in` or `on` with its preposition; it may be told by its size."""
    name = item.groups[1].names[0]
    loose = author.scene.entity(name).kind in LOOSE
    shown = described(author, name) if loose and author.rng.random() < _PLACE_TOLD else None
    return f"{author.rng.choice(WAYS[item.predicate])} {shown or author.plainly(name)}"


def _sizes(author: Author, name: str, bare: bool) -> Iterator[Said]:
    entity = author.scene.entity(name)
    kind, size = entity.kind, size_of(author, name)
    colour = colour_of(entity) if author.rng.random() < _WITH_COLOUR else None
    ordered = by_size(author, kind, colour)
    if len(ordered) < 2 or size not in SIZES:
        return
    sizes = [size_of(author, each) for each in ordered]
    words = {"S": author.speaker.described(kind, colour, None)}
    words["K"] = author.speaker.described(kind, colour, None, several=True)
    noun = standard(kind, colour)

    def phrase(section: str, **more: str) -> str:
        return fill(author.phrase("described", section), words | more)

    section = "super_bare" if bare else "super"
    for extreme, end in (("smallest", 0), ("largest", -1)):
        if len({*sizes}) > 1 and size == sizes[end]:
            adjective = extreme_word(author, extreme, kind, len(ordered))
            yield phrase(section, M=adjective), f"{extreme} {noun}"
    if bare:
        return
    if len(ordered) == len({*sizes}) > 2:
        if ordered[1] == name:
            yield phrase("second_small"), f"second smallest {noun}"
        if ordered[-2] == name:
            yield phrase("second_large"), f"second largest {noun}"
            low, high = (f"the {author.speaker.word(each)} one" for each in (sizes[0], sizes[-1]))
            yield phrase("between_sizes", X=low, Y=high), f"middle {noun}"
    for other in author.rng.sample(ordered, len(ordered))[:2]:
        if other != name and size_of(author, other) != size:
            smaller = SIZES.index(size) < SIZES.index(size_of(author, other))
            shown = short(author, other, kind)
            text = f"{noun} {'smaller' if smaller else 'larger'} than {author.speaker.text(other)}"
            yield phrase("smaller" if smaller else "larger", X=shown), text


def _tiers(author: Author, name: str) -> Iterator[Said]:
    where, kind = tier(name, author.scene), author.scene.entity(name).kind
    if where:
        words = {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
        yield fill(author.phrase("described", where), words), f"{where} {kind}"
