"""Where things are put, in words: "in the bowl", "onto the red block"."""

from __future__ import annotations

from planners.compact import Literal
from planners.phrasing.author import Author

WAYS = {"in": ("in", "in", "into", "inside"), "on": ("on", "on", "onto", "on top of")}


def where(author: Author, item: Literal) -> str | None:
    """The place of a literal of `in` or `on` with its preposition; None where it cannot be named."""
    place = author.speaker.group(item.groups[1])
    return None if place is None else f"{author.rng.choice(WAYS[item.predicate])} {place}"
