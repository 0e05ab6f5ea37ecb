"""References to several things, and to any of them: by what they have in common, or one by one.

As with single things (`nouns`), a description is used only where it means exactly what was to be said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from planners.compact import Group
from planners.phrasing.nouns import NUMBERS, Namer, colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill
from robot_skills.scene_graph import Entity

#: A reference as it is said, and in the reader's language.
_Said: TypeAlias = tuple[str, str]


class Speaker(Namer):
    """Says what things are called, one or several."""

    def group(self, group: Group) -> str | None:
        """A reference to a group; None where no construction says just that."""
        if len(group.names) == 1 and not group.pick:
            return self.one(group.names[0])
        said = self._choice(group) if group.pick else self._several(group.names)
        if said is None:
            return None
        if not group.pick:
            self.said += group.names
            self.several = True
        words, self.meant[group] = said
        return words

    def _several(self, names: Sequence[str]) -> _Said:
        """All of some things: by what they have in common, or one by one."""
        ways: list[Callable[[frozenset[str]], _Said | None]] = [
            self._all_kind, self._everything, self._by_colour, self._all_but, self._kind_but,
            self._not_kind, self._others, self._paired, self._not_colour,
        ]  # fmt: skip
        if self.rng.random() < 0.85:
            for way in self.rng.sample(ways, len(ways)):
                said = way(frozenset(names))
                if said is not None:
                    return said
        return self.listed(names), self._texts(names)

    def _texts(self, names: Iterable[str], joint: str = " & ") -> str:
        """What was last said of each thing."""
        return joint.join(map(self.text, names))

    def listed(self, names: Iterable[str]) -> str:
        """Each thing by a reference of its own."""
        each = [self._alone(self.scene.entity(name)) for name in names]
        joint = self.rng.choice((" and ", " and ", " and ", ", ", " & ", " plus ", " as well as "))
        return ", ".join(each[:-1]) + joint + each[-1] if len(each) > 1 else each[0]

    def _alone(self, entity: Entity) -> str:
        if entity.kind not in LOOSE:
            return self.fixture(entity.name)
        if self.plain:
            return f"the {self.told_apart(entity)}"
        return fill(self.phrase("nouns", "definite"), {"S": self.told_apart(entity)})

    @property
    def movable(self) -> frozenset[str]:
        """What "everything" means: all that can be grasped."""
        return frozenset(entity.name for entity in self.scene.tagged("graspable"))

    def _kind_of(self, names: Iterable[str]) -> str | None:
        kinds = {self.scene.entity(name).kind for name in names}
        return kinds.pop() if len(kinds) == 1 else None

    def _all_kind(self, names: frozenset[str]) -> _Said | None:
        kind = self._kind_of(names)
        if kind not in LOOSE:
            return None
        colours = {colour_of(self.scene.entity(name)) for name in names}
        colour = colours.pop() if len(colours) == 1 else None
        if names == frozenset(self.fitting(kind)) and self.rng.random() < 0.8:
            colour = None
        if names != frozenset(self.fitting(kind, colour)):
            return None
        words = {
            "K": self.described(kind, colour, None, several=True),
            "S": self.described(kind, colour, None),
            "N": self._number(len(names)),
        }
        section = self.rng.choice(("both_kind" if len(names) == 2 else "all_kind", "number_kind"))
        text = f"all {standard(kind, colour)}"
        return fill(self.phrase("nouns", section), words), text

    def _number(self, number: int) -> str:
        return NUMBERS[number] if self.rng.random() < 0.85 else str(number)

    def _everything(self, names: frozenset[str]) -> _Said | None:
        return (self.phrase("nouns", "everything"), "all thing") if names == self.movable else None

    def _by_colour(self, names: frozenset[str]) -> _Said | None:
        colours = {colour_of(self.scene.entity(name)) for name in names}
        if len(colours) != 1 or names != frozenset(self.fitting(colour=next(iter(colours)))) & self.movable:
            return None
        colour = colours.pop()
        words = {"C": self.word(colour), "N": self._number(len(names))}
        counted = "both_colour" if len(names) == 2 else "number_colour"
        section = counted if self.rng.random() < 0.4 else "everything_colour"
        return fill(self.phrase("nouns", section), words), f"all {standard(None, colour)}"

    def _all_but(self, names: frozenset[str]) -> _Said | None:
        left = self.movable - names
        if not 1 <= len(left) <= 2 or not names <= self.movable:
            return None
        words = fill(self.phrase("nouns", "everything_but"), {"X": self.listed(sorted(left))})
        return words, f"all thing but {self._texts(sorted(left))}"

    def _kind_but(self, names: frozenset[str]) -> _Said | None:
        kind = self._kind_of(names)
        left = frozenset(self.fitting(kind)) - names if kind in LOOSE else frozenset()
        if not 1 <= len(left) <= 2:
            return None
        colours = {colour_of(self.scene.entity(name)) for name in left}
        words = {"K": self.word(f"{kind}s"), "S": self.word(str(kind)), "X": self.listed(sorted(left))}
        one = len(colours) == 1 and frozenset(self.fitting(kind, next(iter(colours)))) == left
        if one and self.rng.random() < 0.4:
            colour = colours.pop()
            words["C"] = self.word(colour)
            text = f"all {kind} but all {standard(kind, colour)}"
            return fill(self.phrase("nouns", "kind_not_colour"), words), text
        text = f"all {kind} but {self._texts(sorted(left))}"
        return fill(self.phrase("nouns", "kind_but"), words), text

    def _not_colour(self, names: frozenset[str]) -> _Said | None:
        left = self.movable - names
        colours = {colour_of(self.scene.entity(name)) for name in left}
        if len(colours) != 1 or not names <= self.movable:
            return None
        if left != frozenset(self.fitting(colour=next(iter(colours)))) & self.movable:
            return None
        colour = colours.pop()
        words = fill(self.phrase("nouns", "not_colour"), {"C": self.word(colour)})
        return words, f"all thing but all {standard(None, colour)}"

    def _not_kind(self, names: frozenset[str]) -> _Said | None:
        left = self.movable - names
        kind = self._kind_of(left)
        if kind is None or not names <= self.movable or left != frozenset(self.fitting(kind)):
            return None
        words = {"S": self.word(kind), "K": self.word(f"{kind}s")}
        return fill(self.phrase("nouns", "not_kind"), words), f"all thing but all {kind}"

    def _others(self, names: frozenset[str]) -> _Said | None:
        kind = self._kind_of(names)
        said = frozenset(self.said) & self.movable
        if not said or kind is None or names != frozenset(self.fitting(kind)) - said:
            return None
        if not all(self.scene.entity(name).kind == kind for name in said):
            return None
        return fill(self.phrase("nouns", "others"), {"K": self.word(f"{kind}s")}), f"all other {kind}"

    def _paired(self, names: frozenset[str]) -> _Said | None:
        """Two of a kind by their colours: "the red and the blue block"."""
        kind = self._kind_of(names)
        pair = [self.scene.entity(name) for name in sorted(names)]
        unique = all(self.fitting(kind, colour_of(each)) == (each.name,) for each in pair)
        if len(pair) != 2 or kind not in LOOSE or not unique:
            return None
        self.rng.shuffle(pair)
        first, second = (self.word(colour_of(each)) for each in pair)
        words = {"C": first, "D": second, "S": self.word(str(kind)), "K": self.word(f"{kind}s")}
        text = " & ".join(standard(kind, colour_of(each)) for each in pair)
        return fill(self.phrase("nouns", "paired"), words), text

    def _choice(self, group: Group) -> _Said | None:
        """Any one, any two of some."""
        kind = self._kind_of(group.names)
        if kind in LOOSE and frozenset(group.names) == frozenset(self.fitting(kind)):
            words = {"S": self.word(kind), "K": self.word(kind + "s"), "N": self._number(group.pick)}
            section = "either_kind" if len(group.names) == 2 and self.rng.random() < 0.6 else "any_kind"
            text = fill(self.phrase("nouns", "any_number" if group.pick > 1 else section), words)
            return _an(text), f"{any_of(group.pick)} {kind}"
        if group.pick == 1 and len(group.names) == 2:
            first, second = (self.listed([name]) for name in group.names)
            words = {"X": first, "Y": second}
            return fill(self.phrase("nouns", "or"), words), f"any of {self._texts(group.names, ' | ')}"
        return None


def _an(text: str) -> str:
    """An "an" before a vowel."""
    if text.startswith("a ") and text[2:3] in "aeiou":
        return "an" + text[1:]
    return text


def any_of(pick: int) -> str:
    """How a choice begins in the reader's language."""
    return "any of" if pick == 1 else f"any {pick} of"
