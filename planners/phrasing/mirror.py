"""What a command says, in the reader's language (`planners.forms`): its words, not what they come to.

Of a literal that was put into words, each group is written as it was said. Every text is resolved in the
scene and compared with what was meant; where it does not say that ("the empty bowl", for which the language
has no words, or "the other one" of a step that was taken back), the names of the scene stand for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from planners.compact import Group, Literal
from planners.forms import NOTHING, Resolver, UnresolvedError, same_group
from robot_skills.errors import InputError
from robot_skills.scene_graph import DIRECTIONS, SceneGraph


@dataclass
class Mirror:
    """Writes literals, conditions and branches as they were said.

    Attributes:
        scene: that they are said of.
        meant: what was last said of each group.
        said: what was said of the groups of a literal when it was put into words.
        unsaid: groups of several things and choices that were written by names for want of words.
    """

    scene: SceneGraph
    meant: Mapping[Group, str]
    said: dict[Literal, tuple[str, ...]] = field(default_factory=dict)
    unsaid: list[Group] = field(default_factory=list)

    def note(self, item: Literal) -> None:
        """Keep what was last said of the groups of a literal."""
        self.said[item] = tuple(self.meant.get(group, "") for group in item.groups)

    def goal(self, literals: Sequence[Literal], named: Sequence[str] = ()) -> str:
        """Literals as a text; `named`: things that were named before it."""
        resolver = Resolver(self.scene, list(named))
        return self._goal(literals, resolver)

    def _goal(self, literals: Sequence[Literal], resolver: Resolver) -> str:
        return " and ".join(self._literal(item, resolver) for item in literals) or NOTHING

    def unlooked(self, item: Literal) -> str:
        """A literal just as it was said, of things that need not be there."""
        texts = [text or str(group) for group, text in zip(item.groups, self.said[item], strict=True)]
        return f"{'' if item.positive else 'not '}{item.predicate}({', '.join(texts)})"

    def _literal(self, item: Literal, resolver: Resolver) -> str:
        said = self.said.get(item) or tuple("" for _ in item.groups)
        inside = [
            self._group(group, (text, self.meant.get(group, "")), resolver)
            for group, text in zip(item.groups, said, strict=True)
        ]
        return f"{'' if item.positive else 'not '}{item.predicate}({', '.join(inside)})"

    def _group(self, group: Group, texts: Sequence[str], resolver: Resolver) -> str:
        if group.names[0] in DIRECTIONS:
            return group.names[0]
        for text in filter(None, texts):
            if _says(text, group, resolver):
                return text
        if len(group.names) > 1:
            self.unsaid.append(group)
        resolver.group(str(group))
        return str(group)

    def clauses(self, clauses: Sequence[Sequence[Branch]]) -> str:
        """Clauses of branches one after another, each with the branches that do not apply."""
        named: list[str] = []
        return "; ".join([self._clause(branches, named) for branches in clauses])

    def _clause(self, branches: Sequence[Branch], named: list[str]) -> str:
        """One clause; what it names is noted as far as it applies."""
        text, resolver, taken = "", Resolver(self.scene, named), False
        for number, branch in enumerate(branches):
            if branch.condition:
                text += f"{' elif' if number else 'if'} {branch.condition}: "
                _try(resolver, branch.condition)
            elif number:
                text += " else: "
            inside = resolver if branch.applies and not taken else Resolver(self.scene, list(named))
            taken |= branch.applies
            text += branch.text or self._goal(branch.literals, inside)
        return text


@dataclass(frozen=True)
class Branch:
    """What is to be done where a condition is so.

    Attributes:
        condition: in the reader's language; empty for "otherwise" and for what is to be done in any case.
        applies: whether the condition is so.
        literals: what is to be done.
        text: the same in the reader's language, where it is already written.
    """

    condition: str
    applies: bool
    literals: tuple[Literal, ...]
    text: str = ""


def _try(resolver: Resolver, condition: str) -> None:
    """Note what a condition names; where it names nothing, the whole will be found not to agree."""
    with suppress(UnresolvedError):
        resolver.condition(condition)


def _says(text: str, group: Group, resolver: Resolver) -> bool:
    """Whether a text means a group; what it names is noted where it does."""
    before = list(resolver.named)
    try:
        if same_group(resolver.group(text), group):
            return True
    except (UnresolvedError, InputError):
        pass
    resolver.named[:] = before
    return False


def contrary(condition: str) -> str:
    """A condition of one part, denied."""
    return condition.removeprefix("not ") if condition.startswith("not ") else f"not {condition}"
