"""What a command says, in the reader's language (`planners.forms`): its words, not what they come to.

Of a literal that was put into words, each group is written as it was said. Every text is resolved in the
scene and compared with what was meant; where it does not say that ("the empty bowl", for which the language
has no words, or "the other one" of a step that was taken back), the names of the scene stand for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from planners.compact import Group, Literal
from planners.forms import HELD, NOTHING, Resolver, UnresolvedError, same_group
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

    def goal(self, literals: Sequence[Literal], named: Iterable[str] = ()) -> str:
        """Literals as a text; `named`: things that were named before it."""
        resolver = Resolver(self.scene, list(named))
        return " and ".join(self._literal(item, resolver) for item in literals) or NOTHING

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

    def branches(self, clauses: Sequence[Branch]) -> str | None:
        """Branches as a clause, those that do not apply as well; None where a condition is not what it says.

        The last may be without a condition.
        """
        named: list[str] = []
        text = ""
        for number, branch in enumerate(clauses):
            resolver = Resolver(self.scene, named)
            if branch.condition:
                try:
                    if resolver.condition(branch.condition) is not branch.applies:
                        return None
                except UnresolvedError:
                    return None
                lead = "elif" if number else "if"
                text += f"{' ' if number else ''}{lead} {branch.condition}: "
            else:
                text += " else: "
            text += branch.text or self.goal(branch.literals, named)
        return text


@dataclass(frozen=True)
class Branch:
    """What is to be done where a condition is so.

    Attributes:
        condition: in the reader's language; empty for "otherwise".
        applies: whether the condition is so.
        literals: what is to be done.
        text: the same in the reader's language where it is already written.
    """

    condition: str
    applies: bool
    literals: tuple[Literal, ...]
    text: str = ""


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


def pronoun_of(text: str) -> str:
    """What "it" is in what follows a condition: what it says is there, or what it says of something."""
    inside = text.removeprefix("not ").partition("(")[2].rstrip(")")
    return inside or HELD
