"""A small picture of a scene graph, as SVG: things by kind and colour, where they are, what is open or lit.

It is drawn from the facts alone, so that it shows what the planner knows, not where things stand in metres.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from robot_skills.logic import Atom
from robot_skills.scene_graph import Entity, SceneGraph

#: Colour words as they are drawn; any other is grey.
PAINT = {
    "red": "#d92b2b", "orange": "#f58a1f", "yellow": "#f2d424", "green": "#2a9d3f", "cyan": "#3cc8d2",
    "blue": "#2f50d8", "purple": "#8a36b8", "white": "#f4f4f2", "pink": "#ec8ab0", "black": "#26282c",
    "grey": "#8b9098", "brown": "#8a5a32",
}  # fmt: skip
_PLAIN = "#b4b9c1"
#: Width of a column and side of a block, px; room above and below a row; columns beside the hand's, so few
#: that names can be read at a phone's width.
_CELL, _SIZE, _FLOOR, _COLUMNS = 80, 32, 30, 4


@dataclass(frozen=True)
class _Box:
    """Where a thing is drawn: the middle of its bottom edge, px, and how large."""

    x: float
    y: float
    size: float


def picture(scene: SceneGraph, marked: frozenset[str] = frozenset()) -> str:
    """An SVG element.

    Args:
        scene: what is drawn.
        marked: names of things to be outlined.
    """
    return _Drawing(scene, marked).svg()


class _Drawing:
    def __init__(self, scene: SceneGraph, marked: frozenset[str]) -> None:
        self._scene, self._marked = scene, marked
        self._where = {f.args[0]: f for f in sorted(scene.facts) if f.predicate in ("in", "on")}
        self._held = [fact.args[0] for fact in scene.facts if fact.predicate == "holding"]
        self._drawn: set[str] = set()

    def svg(self) -> str:
        """The whole picture."""
        standing = [entity for entity in self._scene.entities if self._stands(entity)]
        rows = [standing[first : first + _COLUMNS] for first in range(0, len(standing), _COLUMNS)] or [[]]
        width, height, parts = _CELL * max(1, len(rows[0])) + _CELL, 0.0, []
        for row in rows:
            floor = height + _FLOOR + _SIZE * max([1.25 if height else 2.0, *map(self._levels, row)])
            height = floor + _FLOOR
            parts.append(f'<line class="table" x1="0" x2="{width}" y1="{floor:g}" y2="{floor:g}"/>')
            for column, entity in enumerate(row):
                parts += self._thing(entity, _Box(_CELL * (column + 0.5), floor, _SIZE), labelled=True)
        parts += self._hand(_Box(width - _CELL / 2, _FLOOR + _SIZE, _SIZE))
        inner = "".join(parts)
        return f'<svg viewBox="0 0 {width} {height:g}" width="{width}" role="img">{inner}</svg>'

    def _stands(self, entity: Entity) -> bool:
        """Whether a thing has a place of its own on the table."""
        if entity.kind == "table" or entity.name in self._held:
            return False
        place = self._where.get(entity.name)
        return place is None or place.args[1] == entity.name or self._is_table(place.args[1])

    def _levels(self, entity: Entity, below: frozenset[str] = frozenset()) -> float:
        """How high a thing is with all that stands on it, in blocks."""
        own = 1.25 if {"openable", "container"} & entity.tags and entity.kind != "bowl" else 1.0
        if entity.name in below:
            return 0.0
        under = below | {entity.name}
        above = (self._levels(e, under) for e in self._scene.entities if self._is(e, "on", entity))
        return own + max(above, default=0.0)

    def _is_table(self, name: str) -> bool:
        return any(each.name == name and each.kind == "table" for each in self._scene.entities)

    def _thing(self, entity: Entity, box: _Box, labelled: bool = False) -> Iterator[str]:
        """A thing with what stands on it and lies in it; each is drawn once, whatever the facts say."""
        if entity.name in self._drawn:
            return
        self._drawn.add(entity.name)
        inside = [each for each in self._scene.entities if self._is(each, "in", entity)]
        mark = " marked" if entity.name in self._marked else ""
        yield f'<g class="thing{mark}"><title>{escape(entity.name)}</title>{self._shape(entity, box)}</g>'
        if labelled:
            yield (
                f'<text x="{box.x:g}" y="{box.y + 13:g}">{escape(_short(entity.name))}</text>'
                f'<text class="soft" x="{box.x:g}" y="{box.y + 24:g}">{escape(self._state(entity))}</text>'
            )
        for number, each in enumerate(inside):
            step = box.size * 0.55
            x = box.x + step * (number - (len(inside) - 1) / 2)
            yield from self._thing(each, _Box(x, box.y - 5, box.size * 0.55))
        top = box.y - box.size
        for each in self._scene.entities:
            if self._is(each, "on", entity):
                yield from self._thing(each, _Box(box.x, top, box.size))

    def _is(self, thing: Entity, relation: str, place: Entity) -> bool:
        return self._where.get(thing.name) == Atom(relation, (thing.name, place.name)) and thing is not place

    def _state(self, entity: Entity) -> str:
        for predicate in ("open", "ajar", "pressed"):
            if Atom(predicate, (entity.name,)) in self._scene.facts:
                return "lit" if predicate == "pressed" else predicate
        return "closed" if "openable" in entity.tags else ""

    def _shape(self, entity: Entity, box: _Box) -> str:
        x, y, size, half = box.x, box.y, box.size, box.size / 2
        paint = f'fill="{_paint(entity)}"'
        match entity.kind:
            case "ball":
                return f'<circle cx="{x:g}" cy="{y - half:g}" r="{half:g}" {paint}/>'
            case "cylinder":
                return (
                    f'<rect x="{x - half * 0.8:g}" y="{y - size:g}" width="{size * 0.8:g}" height="{size:g}" '
                    f'rx="{size * 0.3:g}" ry="{size * 0.16:g}" {paint}/>'
                )
            case "bowl":
                wide = size * 0.95
                return (
                    f'<path d="M{x - wide:g} {y - size * 0.75:g} Q{x - wide:g} {y:g} {x:g} {y:g} '
                    f'Q{x + wide:g} {y:g} {x + wide:g} {y - size * 0.75:g} Z" {paint} fill-opacity="0.75"/>'
                )
            case "button":
                lit = "#ffd84a" if Atom("pressed", (entity.name,)) in self._scene.facts else _PLAIN
                return f'<ellipse cx="{x:g}" cy="{y - 6:g}" rx="{half:g}" ry="7" fill="{lit}"/>'
        if "openable" in entity.tags or "container" in entity.tags:
            return self._case(entity, box)
        return f'<rect x="{x - half:g}" y="{y - size:g}" width="{size:g}" height="{size:g}" rx="2" {paint}/>'

    def _case(self, entity: Entity, box: _Box) -> str:
        """A drawer, a door, a box: with a gap on top where it is open, a bar across where it is not."""
        wide, high = box.size * 1.9, box.size * 1.25
        left, top = box.x - wide / 2, box.y - high
        body = (
            f'<rect class="case" x="{left:g}" y="{top:g}" width="{wide:g}" height="{high:g}" rx="3" '
            f'fill="{_paint(entity)}" fill-opacity="0.35"/>'
        )
        if "openable" not in entity.tags or Atom("open", (entity.name,)) in self._scene.facts:
            return body
        drop = 7 if Atom("ajar", (entity.name,)) in self._scene.facts else 0
        return (
            body + f'<rect class="lid" x="{left:g}" y="{top - drop:g}" width="{wide:g}" height="6" rx="3"/>'
        )

    def _hand(self, box: _Box) -> Iterator[str]:
        yield (
            f'<path class="hand" d="M{box.x:g} 4 V{box.y - box.size - 6:g} m-20 18 v-18 h40 v18"/>'
            f'<text class="soft" x="{box.x:g}" y="{box.y + 14:g}">'
            f"{escape(_short(self._held[0])) if self._held else 'hand empty'}</text>"
        )
        for name in self._held[:1]:
            yield from self._thing(self._scene.entity(name), box)


def _short(name: str) -> str:
    return name if len(name) <= 15 else f"{name[:13]}…"


def _paint(entity: Entity) -> str:
    words = [str(entity.attributes.get("colour", "")), *entity.name.lower().split()]
    return next((PAINT[word] for word in words if word in PAINT), _PLAIN)
