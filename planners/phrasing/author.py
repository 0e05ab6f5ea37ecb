"""Literals in words: what every kind of command is written with."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from planners.compact import Group, Literal
from planners.phrasing.groups import Speaker
from planners.phrasing.meaning import sample_literal, step_kind
from planners.phrasing.mirror import Mirror
from planners.phrasing.scenes import COLOURS, LOOSE
from planners.phrasing.talk import Talker
from planners.phrasing.templates import fill, phrases, slots
from planners.vocabulary import word_set
from robot_skills.logic import Atom
from robot_skills.scene_graph import SceneGraph

FILES = {
    "in": "in", "on": "on", "table": "table", "holding": "holding", "open": "open", "closed": "closed",
    "pressed": "pressed", "unpressed": "pressed", "moved": "moved", "tower": "tower", "off": "table",
}  # fmt: skip
TRIES = 40
#: The "it" that is a thing of before: not that of "it's time" and "it would be nice".
_THING = re.compile(
    r"(?<!n't )(?<!in )(?<!of )(?<!on )(?<!see to )(?<!try )(?<!do )(?<!is )(?<!find )(?<!give )(?<!feed )"
    r"(?<!make )(?<!under )(?<!beside )(?<!next to )(?<!about )(?<!so )(?<!that )(?<!sort )\bit\b"
    r"(?!'|,? (?:is|would|was|be|possible|time|right|annoys|bugs|bothers|belongs|goes|looks|had|has|will|"
    r"should|must|might|needn't)\b)"
)
#: First words of imperatives that do not become "-ing" by themselves.
_NOT_VERBS = word_set("into in on inside lights be don't the a my your what do i nothing kindly up")


@dataclass
class Author:
    """Writes commands about one scene.

    Attributes:
        scene: what there is.
        rng: for every draw.
        held_out: whether to write with the held-out constructions.
        speaker: says what things are called.
        mirror: writes in the reader's language what was said.
        form: the command in the reader's language, where it is more or other than the goal in words.
    """

    scene: SceneGraph
    rng: random.Random
    held_out: bool = False
    speaker: Speaker = field(init=False)
    mirror: Mirror = field(init=False)
    form: str = ""

    def __post_init__(self) -> None:
        """Begin with nothing said."""
        self.begin()

    def begin(self) -> None:
        """Begin a command."""
        self.speaker = Speaker(self.scene, self.rng, self.held_out)
        self.mirror = Mirror(self.scene, self.speaker.meant)
        self.form = ""

    def forget(self) -> None:
        """Go on as if nothing had been said; what was meant by it is kept for the reader's language."""
        self.speaker = Speaker(self.scene, self.rng, self.held_out, meant=self.speaker.meant)

    def mean(self, group: Group, text: str) -> None:
        """Note what is said of a group, in the reader's language."""
        self.speaker.meant[group] = text

    def phrase(self, family: str, section: str) -> str:
        """A construction."""
        return phrases(family)[section].draw(self.rng, self.held_out)

    def chatter(self, text: str) -> str:
        """A command with talk before, after or within it."""
        return Talker(self.rng, self.held_out).around(text, speaks_back(text))

    def say(
        self, item: Literal, style: str = "imp", named: bool = False, shown: Mapping[str, str] | None = None
    ) -> str | None:
        """A literal as an imperative, a state, a fact or a sentence of its own.

        `named`: with its thing. `shown`: words for slots that are already chosen, which have to be said.
        """
        kind = step_kind(item, self.scene)
        section = ("off" if style == "imp" else "off_told") if kind == "unpressed" else style
        if kind == "table" and style == "imp":
            section = self._lowering(item)
        if self.speaker.plain:
            below = self.base_of(item.groups[0].names[0]) if kind == "table" else None
            template = self.phrase("plain", "off" if below else kind)
        elif section in phrases(FILES[kind]):
            template = self.phrase(FILES[kind], section)
        else:
            return None
        words = self.words_for(item, kind, shown or {})
        if words is None or (named and not slots(template)) or not {*(shown or {})} <= {*slots(template)}:
            return None
        if len(item.groups[0].names) > 1 and item.groups[0].pick != 1:
            template = _THING.sub("them", template)
        return fill(template, words)

    def _lowering(self, item: Literal) -> str:
        """How something comes to the table: out of the hand, off what it stands on, or just so."""
        names = item.groups[0].names
        if len(names) == 1 and Atom("holding", names) in self.scene.facts and not self.speaker.said:
            return self.rng.choice(("held", "imp"))
        if len(names) == 1 and self.base_of(names[0]) and self.rng.random() < 0.7:
            return "off"
        return "imp"

    def base_of(self, name: str) -> str | None:
        """What a thing stands on; None for the table."""
        stands = [f.args[1] for f in self.scene.facts if f.predicate == "on" and f.args[0] == name]
        return stands[0] if stands and stands[0] != "table" else None

    def words_for(
        self, item: Literal, kind: str, chosen: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, str] | None:
        """Words for the slots of a construction of a kind; None where something cannot be named."""
        words = self._words_for(item, kind, chosen)
        self.mirror.note(item)
        return words

    def _words_for(self, item: Literal, kind: str, chosen: Mapping[str, str]) -> dict[str, str] | None:
        group = item.groups[0]
        if kind in ("open", "closed", "pressed", "unpressed"):
            shown = chosen.get("F") or self._pronoun(group) or self._fixtures(group)
            lamp = self.speaker.word("lamp") if group.names == ("button",) and " " in shown else shown
            if self.speaker.plain and group.names == ("button",):
                lamp = self.rng.choice(("the light", "the lamp", "the button"))
            self.speaker.said.append(group.names[-1])
            return {"F": shown, "L": lamp}
        place = chosen.get("Y") or (self._pronoun(item.groups[1]) if kind in ("in", "on") else None)
        shown = chosen.get("X") or self._pronoun(group) or self.speaker.group(group) or ""
        if not shown:
            return None
        several = len(group.names) > 1 and group.pick != 1
        words = {"X": shown, "B": "are" if several else "is", "H": "have" if several else "has"}
        words |= {"G": "go" if several else "goes", "E": "belong" if several else "belongs"}
        words |= {"T": self.speaker.word("table"), "D": ""}
        base = self.base_of(group.names[0])
        if base and kind not in ("in", "on"):
            words["Y"] = self.plainly(base)
        if kind in ("in", "on"):
            place = place or self.speaker.group(item.groups[1])
            if place is None:
                return None
            words["Y"] = place
        if kind == "moved":
            words["D"] = self.speaker.word(item.groups[1].names[0])
        return words

    def _fixtures(self, group: Group) -> str:
        """One fixture, or two: both of them, or one or the other."""
        shown = [self.plainly(name) for name in group.names]
        if len(shown) == 1:
            return shown[0]
        self.mean(group, str(group))
        if group.pick:
            return f"{shown[0]} or {shown[1]}"
        both = "both " if self.rng.random() < 0.3 else ""
        return f"{both}{shown[0]} and {shown[1]}"

    def _pronoun(self, group: Group) -> str | None:
        """A pronoun, where the last thing said that could be meant is meant."""
        if len(group.names) != 1 or self.rng.random() > 0.75:
            return None
        entity = self.scene.entity(group.names[0])
        could = [name for name in self.speaker.said if self._alike(name, entity.name)]
        if not could or could[-1] != entity.name:
            return None
        return self.rng.choice(("it", "it", "it", "it", "it", "that", "that one"))

    def _alike(self, name: str, other: str) -> bool:
        one, two = self.scene.entity(name).tags, self.scene.entity(other).tags
        return bool((one & two) & {"graspable", "openable", "pressable"}) or (
            "container" in two and "container" in one
        )

    def gerund(self, imperative: str) -> str | None:
        """An imperative with its verb in -ing; None where the first word is no verb."""
        first, _, rest = imperative.partition(" ")
        if first not in _verbs():
            return None
        return f"{_ing(first)} {rest}".strip()

    def framed(self, imperative: str) -> str:
        """An imperative as people wrap it up."""
        for _ in range(TRIES):
            frame = self.phrase("frames", "imp")
            gerund = self.gerund(imperative)
            if gerund is not None:
                return fill(frame, {"A": imperative, "G": gerund})
            if "G" not in frame and frame in ("A", "please A", "A please", "ok, A", "now A"):
                return fill(frame, {"A": imperative})
        return imperative

    def wrapped(self, text: str) -> str:
        """An imperative, now and then as people wrap it up."""
        return self.framed(text) if self.rng.random() < 0.35 else text

    def plainly(self, name: str) -> str:
        """A reference by adjectives and a noun only."""
        return self.speaker.plainly(name)

    def plain_command(self) -> tuple[str, tuple[Literal, ...]] | None:
        """A literal in words, and itself; None where the scene has none."""
        item = sample_literal(self.rng, self.scene)
        words = self.say(item) if item else None
        return None if item is None or words is None else (words, (item,))

    def any_words(self) -> dict[str, str]:
        """Words for the slots of a refusal, whatever they are."""
        loose = [e.name for e in self.scene.entities if e.kind in LOOSE]
        first = self.rng.choice(loose)
        fixtures = [e.name for e in self.scene.entities if e.kind in ("drawer", "door")] or ["drawer"]
        kind = self.scene.entity(first).kind
        item = sample_literal(self.rng, self.scene)
        imperative = (self.say(item) if item else None) or "open the drawer"
        containers = [e.name for e in self.scene.tagged("container")] or ["table"]
        return {
            "X": self.plainly(first),
            "Y": self.plainly(self.rng.choice(containers)),
            "K": self.speaker.word(kind + "s"),
            "F": self.speaker.word(self.rng.choice(fixtures)),
            "L": self.speaker.word("lamp"),
            "C": self.speaker.word(self.rng.choice(COLOURS)),
            "A": imperative,
            "G": self.gerund(imperative) or "moving things",
        }


@cache
def _verbs() -> frozenset[str]:
    """The verbs that imperatives begin with."""
    lines = [
        line
        for file in {*FILES.values()}
        for section in ("imp", "off", "held")
        if section in phrases(file)
        for line in (*phrases(file)[section].training, *phrases(file)[section].held_out)
    ]
    skill = phrases("refusals")["skill"]
    lines += [line.replace("W", "") for line in (*skill.training, *skill.held_out)]
    firsts = {match[0] for line in lines if (match := re.match(r"[a-z]+(?= |$)", line))}
    return frozenset(firsts - _NOT_VERBS)


def speaks_back(words: str) -> bool:
    """Whether words refer to what was said before them."""
    return bool(re.search(r"\b(it|its|that|them|there|other|rest|others|remaining|left)\b", words))


def first_of(template: str, letters: str) -> int:
    """Where the first of some slots stands; behind everything where none does."""
    match = re.search(rf"\b[{letters}]\b", template)
    return match.start() if match else len(template)


def backwards(template: str) -> bool:
    """Whether the second step is said first."""
    return first_of(template, "BH") < first_of(template, "AG")


def _ing(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    double = len(verb) > 2 and verb[-1] in "bdgmnpt" and verb[-2] in "aeiou" and verb[-3] not in "aeiou"
    return verb + (verb[-1] if double and verb not in _SINGLE else "") + "ing"


_IRREGULAR = {
    "lie": "lying", "underlie": "underlying", "tie": "tying", "untie": "untying", "be": "being",
    "bar": "barring", "unbar": "unbarring", "stir": "stirring", "inter": "interring", "equip": "equipping",
    "transfer": "transferring", "impel": "impelling", "propel": "propelling", "patrol": "patrolling",
}  # fmt: skip
_SINGLE = word_set(
    "open reopen position deposit gather collect lower loosen deliver abandon widen flatten unfasten "
    "surrender entrust fasten batten awaken brighten lighten burden darken dollop pocket spirit"
)
