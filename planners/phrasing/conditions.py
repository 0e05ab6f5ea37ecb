"""Conditions on a scene as it is: drawn, put into words, and looked up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from planners.compact import Group, Literal, literal
from planners.forms import HELD
from planners.phrasing.groups import Speaker
from planners.phrasing.mirror import contrary
from planners.phrasing.nouns import NUMBERS, standard
from planners.phrasing.scenes import COLOURS, LOOSE
from planners.phrasing.templates import fill
from robot_skills.logic import Atom


@dataclass(frozen=True)
class Condition:
    """Something that is so or not.

    Attributes:
        section: of conditions.txt, which says it.
        opposite: the section that denies it.
        text: what it says, in the reader's language.
        contrary: what its opposite says.
        words: for the slots of both.
        true: whether it is so in the scene.
        likely: steps that people make depend on it.
        subject: what "it" means in what follows; empty where nothing in the scene is it.
        it: the same in the reader's language; empty where what follows must not call anything "it", there
            or not.
    """

    section: str
    opposite: str
    text: str
    contrary: str
    words: Mapping[str, str]
    true: bool
    likely: tuple[Literal, ...] = ()
    subject: str = ""
    it: str = ""

    def denied(self) -> Condition:
        """The opposite condition; nothing is "it" any more."""
        other = replace(self, section=self.opposite, opposite=self.section, true=not self.true)
        return replace(other, text=self.contrary, contrary=self.text, subject="", it="")

    def negated(self) -> str:
        """That it is not so, with a `not` before it, or one less."""
        return contrary(self.text)

    def clause(self, speaker: Speaker) -> str:
        """The condition in words."""
        said = fill(speaker.phrase("conditions", self.section), self.words)
        return re.sub(r"\ba (?=[aeiou])", "an ", said)


@dataclass(frozen=True)
class Joined:
    """Two conditions: both of them, or one at least."""

    parts: tuple[Condition, Condition]
    every: bool
    likely: tuple[Literal, ...] = field(default=())

    @property
    def true(self) -> bool:
        """Whether it is so in the scene."""
        return (all if self.every else any)(part.true for part in self.parts)

    def denied(self) -> Joined:
        """The opposite, after De Morgan."""
        first, second = self.parts
        return Joined((first.denied(), second.denied()), not self.every)

    @property
    def text(self) -> str:
        """What they say together, in the reader's language."""
        return (" and " if self.every else " or ").join(part.text for part in self.parts)

    def negated(self) -> str:
        """That it is not so."""
        return self.denied().text

    def clause(self, speaker: Speaker) -> str:
        """Both conditions in words."""
        first, second = (part.clause(speaker) for part in self.parts)
        if not self.every:
            return f"{first} or {second}"
        return f"{first}{speaker.rng.choice((' and ', ' and ', ' and ', ' and also ', ' while '))}{second}"


def draw_condition(speaker: Speaker) -> Condition | None:
    """A condition on a fixture, or on where things are; None where the scene has nothing for the draw."""
    ways = (
        _fixture, _fixture, _fixture, _empty, _empty, _holding, _held, _exists, _exists, _clear, _clear,
        _placed, _placed, _fixtures, _number, _all_in,
    )  # fmt: skip
    drawn = speaker.rng.choice(ways)(speaker)
    if drawn is not None and speaker.rng.random() < 0.4:
        return drawn.denied()
    return drawn


def draw_joined(speaker: Speaker) -> Joined | None:
    """This and that, this or that."""
    pair = draw_pair(speaker)
    return None if pair is None else Joined(pair, speaker.rng.random() < 0.65)


def draw_pair(speaker: Speaker) -> tuple[Condition, Condition] | None:
    """Two conditions that are not about the same."""
    first, second = draw_condition(speaker), draw_condition(speaker)
    if first is None or second is None:
        return None
    same = second.section in (first.section, first.opposite) and first.likely == second.likely
    return None if same else (first, second)


def _fixture(speaker: Speaker) -> Condition | None:
    scene = speaker.scene
    fixtures = [each.name for each in scene.entities if each.kind in ("drawer", "door", "button")]
    if not fixtures:
        return None
    name = speaker.rng.choice(fixtures)
    if Atom("ajar", (name,)) in scene.facts:
        return None
    if name == "button":
        words = {"L": speaker.word("lamp"), "F": speaker.word("button")}
        lit = Atom("pressed", ("button",)) in scene.facts
        steps = (literal("pressed", "button"), Literal("pressed", (Group(("button",)),), False))
        text = "pressed(button)"
        found = Condition("pressed", "unpressed", text, f"not {text}", words, lit, steps)
    else:
        words, is_open = {"F": speaker.fixture(name)}, Atom("open", (name,)) in scene.facts
        texts, steps = (f"open({name})", f"closed({name})"), (literal("closed", name), literal("open", name))
        found = Condition("open", "closed", *texts, words, is_open, steps)
    speaker.said.append(name)
    return found


def _fixtures(speaker: Speaker) -> Condition | None:
    """The drawer and the door together."""
    names = [each.name for each in speaker.scene.tagged("openable")]
    if len(names) != 2 or any(Atom("ajar", (name,)) in speaker.scene.facts for name in names):
        return None
    speaker.rng.shuffle(names)
    words = {"F": speaker.fixture(names[0]), "F2": speaker.fixture(names[1])}
    is_open = [Atom("open", (name,)) in speaker.scene.facts for name in names]
    if speaker.rng.random() < 0.5:
        return _either("bothopen", "notbothopen", f"open({' & '.join(names)})", words, all(is_open))
    return _either("bothclosed", "notbothclosed", f"closed({' & '.join(names)})", words, not any(is_open))


def _empty(speaker: Speaker) -> Condition | None:
    places = [each.name for each in speaker.scene.tagged("container")]
    if not places:
        return None
    place = speaker.rng.choice(places)
    inside = [fact for fact in speaker.scene.facts if fact.predicate == "in" and fact.args[1] == place]
    words = {"Y": speaker.one(place)}
    text = f"there(thing in {speaker.text(place)})"
    return Condition("empty", "unempty", f"not {text}", text, words, not inside)


def _holding(speaker: Speaker) -> Condition:
    held = [fact.args[0] for fact in speaker.scene.facts if fact.predicate == "holding"]
    found = _either("holding", "handempty", f"there({HELD})", {}, bool(held))
    return replace(found, subject=held[0] if held else "", it=HELD)


def _held(speaker: Speaker) -> Condition | None:
    """This very thing in the hand."""
    movable = [each.name for each in speaker.scene.tagged("graspable")]
    held = [name for name in movable if Atom("holding", (name,)) in speaker.scene.facts]
    name = held[0] if held and speaker.rng.random() < 0.5 else speaker.rng.choice(movable)
    words = {"X": speaker.plainly(name)}
    speaker.said.append(name)
    text = speaker.text(name)
    found = _either("held", "notheld", f"holding({text})", words, name in held)
    return replace(found, subject=name, it=text)


def _exists(speaker: Speaker) -> Condition:
    kind, colour = speaker.rng.choice(LOOSE), speaker.rng.choice((*COLOURS, None))
    words = {
        "S": speaker.described(kind, colour, None), "K": speaker.described(kind, colour, None, several=True)
    }  # fmt: skip
    there = speaker.fitting(kind, colour)
    subject = there[0] if len(there) == 1 else ""
    spoken = kind != "bowl" and len(there) < 2
    text = standard(kind, colour)
    found = _either("exists", "missing", f"there({text})", words, bool(there))
    return replace(found, subject=subject, it=text if spoken else "")


def _number(speaker: Speaker) -> Condition:
    """So many of a kind, or fewer."""
    kind, number = speaker.rng.choice(LOOSE[:3]), speaker.rng.randint(2, 4)
    words = {"K": speaker.word(f"{kind}s"), "N": NUMBERS[number]}
    enough = len(speaker.fitting(kind)) >= number
    return _either("atleast", "fewer", f"there({number} {kind})", words, enough)


def _all_in(speaker: Speaker) -> Condition | None:
    """All of a kind in one place."""
    kind = speaker.rng.choice(LOOSE[:3])
    names, places = speaker.fitting(kind), [each.name for each in speaker.scene.tagged("container")]
    if len(names) < 2 or not places:
        return None
    place = speaker.rng.choice(places)
    words = {"K": speaker.word(f"{kind}s"), "S": speaker.word(kind), "Y": speaker.plainly(place)}
    inside = all(Atom("in", (name, place)) in speaker.scene.facts for name in names)
    return _either("allin", "notallin", f"in(all {kind}, {speaker.text(place)})", words, inside)


def _clear(speaker: Speaker) -> Condition | None:
    places = [each.name for each in speaker.scene.tagged("graspable") if "support" in each.tags]
    if not places:
        return None
    place = speaker.rng.choice(places)
    above = sorted(f.args[0] for f in speaker.scene.facts if f.predicate == "on" and f.args[1] == place)
    words = {"Y": speaker.one(place)}
    it = f"thing on {speaker.text(place)}"
    found = _either("occupied", "free", f"there({it})", words, bool(above))
    if speaker.rng.random() < 0.5:
        return found.denied()
    return replace(found, subject=above[0] if above else "", it=it)


def _placed(speaker: Speaker) -> Condition | None:
    rng, facts, relation = speaker.rng, speaker.scene.facts, speaker.rng.choice(("in", "on"))
    so = sorted(fact.args for fact in facts if fact.predicate == relation and fact.args[1] != "table")
    could = sorted(fact.args[::2] for fact in facts if fact.predicate == "fits" and fact.args[1] == relation)
    could = [pair for pair in could if pair[1] != "table"]
    if not could:
        return None
    thing, place = rng.choice(so) if so and rng.random() < 0.6 else rng.choice(could)
    words = {"X": speaker.one(thing), "Y": speaker.one(place)}
    text = f"{relation}({speaker.text(thing)}, {speaker.text(place)})"
    so_now = Atom(relation, (thing, place)) in facts
    if relation == "on":
        speaker.said.append(thing)  # "if X is on Y, push it": X is meant
    return _either(relation, f"not{relation}", text, words, so_now)


def _either(section: str, opposite: str, text: str, words: Mapping[str, str], true: bool) -> Condition:
    """A condition whose opposite is its text with a `not`."""
    return Condition(section, opposite, text, contrary(text), words, true)
