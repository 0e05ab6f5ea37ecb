"""Commands with their answers: the meaning is drawn first, then the words.

A `Triple` is a scene, a command and the answer to it. The answer follows from what was drawn, never from the
words: things are referred to by descriptions that were checked to mean them (`nouns`), a goal is what holds
after all steps (`meaning.composed`), a condition is looked up in the scene.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from planners.compact import (
    CANNOT,
    MOST_WORDS,
    WORDED,
    Answer,
    Ask,
    Goal,
    Group,
    Literal,
    Refuse,
    literal,
    spans,
)
from planners.phrasing.conditions import Condition, draw_condition
from planners.phrasing.meaning import composed, feasible, sample_literal, step_kind
from planners.phrasing.noise import MARK, noisy
from planners.phrasing.nouns import Speaker
from planners.phrasing.scenes import COLOURS, LOOSE, SIZES, sample_scene
from planners.phrasing.templates import choose, fill, phrases, slots
from robot_skills.logic import Atom
from robot_skills.scene_graph import DIRECTIONS, SceneGraph

_FILES = {
    "in": "in", "on": "on", "table": "table", "holding": "holding", "open": "open", "closed": "closed",
    "pressed": "pressed", "unpressed": "pressed", "moved": "moved", "tower": "tower", "off": "table",
}  # fmt: skip
_TRIES = 40
_CHATTER = 0.12
#: First words of imperatives that do not become "-ing" by themselves.
_NOT_VERBS = frozenset(
    ["into", "in", "on", "inside", "lights", "be", "don't", "the", "a", "my", "your", "what", "do"]
)


@dataclass(frozen=True)
class Triple:
    """A command in a scene, and the right answer.

    Attributes:
        family: what kind of command it is, for figures by group.
    """

    scene: SceneGraph
    command: str
    answer: Answer
    family: str


@dataclass
class Author:
    """Writes commands about one scene.

    Attributes:
        scene: what there is.
        rng: for every draw.
        held_out: whether to write with the held-out constructions.
    """

    scene: SceneGraph
    rng: random.Random
    held_out: bool = False
    speaker: Speaker = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing said."""
        self._forget()

    def _forget(self) -> None:
        self.speaker = Speaker(self.scene, self.rng, self.held_out)

    def write(self, family: str | None = None) -> Triple | None:
        """One command, of a family where one is given; None where the scene has nothing for it."""
        self._forget()
        name = family or self.rng.choices(tuple(FAMILIES), [weight for weight, _ in FAMILIES.values()])[0]
        written = FAMILIES[name][1](self)
        if written is None:
            return None
        text, answer = written
        if self.rng.random() < _CHATTER and name != "chat":
            text = self._chatter(text)
        text = re.sub(r"\s+", " ", noisy(text, self.rng)).strip()
        text = re.sub(r"\s+([,.;:!?])", r"\1", text).replace(",,", ",").replace(",.", ".")
        answer = _quoting(text, answer)
        plain = text.replace(MARK, "").lower()
        about = answer.about if isinstance(answer, Refuse) and answer.reason in WORDED else ""
        if about and about not in spans(plain):
            return None
        return Triple(self.scene, plain, answer, name)

    def phrase(self, family: str, section: str) -> str:
        """A construction."""
        return phrases(family)[section].draw(self.rng, self.held_out)

    def _chatter(self, text: str) -> str:
        if self.rng.random() < 0.5:
            return f"{self.phrase('additions', 'before')} {text}"
        return f"{text}{self.rng.choice((' ', ', ', ', ', '. ', ' - '))}{self.phrase('additions', 'after')}"

    # --- one step in words ---------------------------------------------------------------------------

    def say(self, item: Literal, style: str = "imp", named: bool = False) -> str | None:
        """A literal as an imperative, a state, a fact or a sentence of its own; `named` with its thing."""
        kind = step_kind(item, self.scene)
        section = ("off" if style == "imp" else "off_told") if kind == "unpressed" else style
        if kind == "table" and style == "imp":
            section = self._lowering(item)
        if self.speaker.plain:
            below = self._base(item.groups[0].names[0]) if kind == "table" else None
            template = self.phrase("plain", "off" if below else kind)
        elif section in phrases(_FILES[kind]):
            template = self.phrase(_FILES[kind], section)
        else:
            return None
        words = self._slots(item, kind)
        if words is None or (named and not slots(template)):
            return None
        if len(item.groups[0].names) > 1 and item.groups[0].pick != 1:
            template = re.sub(r"\bit\b", "them", template)
        return fill(template, words)

    def _lowering(self, item: Literal) -> str:
        """How something comes to the table: out of the hand, off what it stands on, or just so."""
        names = item.groups[0].names
        if len(names) == 1 and Atom("holding", names) in self.scene.facts and not self.speaker.said:
            return self.rng.choice(("held", "imp"))
        if len(names) == 1 and self._base(names[0]) and self.rng.random() < 0.7:
            return "off"
        return "imp"

    def _base(self, name: str) -> str | None:
        stands = [f.args[1] for f in self.scene.facts if f.predicate == "on" and f.args[0] == name]
        return stands[0] if stands and stands[0] != "table" else None

    def _slots(self, item: Literal, kind: str) -> dict[str, str] | None:
        group = item.groups[0]
        if kind in ("open", "closed", "pressed", "unpressed"):
            shown = self._pronoun(group) or self._fixtures(group)
            lamp = self.speaker.word("lamp") if group.names == ("button",) and " " in shown else shown
            if self.speaker.plain and group.names == ("button",):
                lamp = self.rng.choice(("the light", "the lamp", "the button"))
            self.speaker.said.append(group.names[-1])
            return {"F": shown, "L": lamp}
        place = self._pronoun(item.groups[1]) if kind in ("in", "on") else None
        shown = self._pronoun(group) or self.speaker.group(group) or ""
        if not shown:
            return None
        several = len(group.names) > 1 and group.pick != 1
        words = {"X": shown, "B": "are" if several else "is", "H": "have" if several else "has"}
        words |= {"G": "go" if several else "goes", "E": "belong" if several else "belongs"}
        words |= {"T": self.speaker.word("table"), "D": ""}
        base = self._base(group.names[0])
        if base:
            words["Y"] = self.speaker.one(base)
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
        shown = [self._plainly(name) for name in group.names]
        if len(shown) == 1:
            return shown[0]
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

    def _framed(self, imperative: str) -> str:
        """An imperative as people wrap it up."""
        for _ in range(_TRIES):
            frame = self.phrase("frames", "imp")
            gerund = self.gerund(imperative)
            if gerund is not None:
                return fill(frame, {"A": imperative, "G": gerund})
            if "G" not in frame and frame in ("A", "please A", "A please", "ok, A", "now A"):
                return fill(frame, {"A": imperative})
        return imperative

    # --- families ------------------------------------------------------------------------------------

    def single(self) -> tuple[str, Answer] | None:
        """One step, in every style."""
        item = sample_literal(self.rng, self.scene)
        return None if item is None else self._single(item)

    def _single(self, item: Literal) -> tuple[str, Answer] | None:
        style = self.rng.choices(("imp", "state", "fact", "told"), (6, 1.3, 1, 2.6))[0]
        if style in ("state", "fact") and not item.positive:
            style = "told"
        words = self.say(item, style)
        if words is None:
            return None
        if style == "imp":
            words = self._framed(words)
        elif style in ("state", "fact"):
            words = fill(self.phrase("frames", style), {"S": words, "F": words})
        return words, Goal((item,))

    def plain(self) -> tuple[str, Answer] | None:
        """One to three steps as most people say them."""
        self.speaker.plain = True
        count = self.rng.choices((1, 2, 3), (5, 3, 1.5))[0]
        steps = [sample_literal(self.rng, self.scene)] if count == 1 else self._steps(count)
        certain = [step for step in steps or [] if step is not None]
        goal = composed(certain)
        if not goal or not feasible(goal, self.scene):
            return None
        words = [self.say(step) for step in certain]
        said = [each for each in words if each is not None]
        if len(said) < len(certain):
            return None
        text = said[0]
        if len(said) == 2:
            template = self.phrase("plain", "two")
            gerunds = [self.gerund(each) or "" for each in said]
            if not all(gerunds) or (_backwards(template) and any(map(_speaks_back, said))):
                return None
            text = fill(template, {"A": said[0], "B": said[1], "G": gerunds[0], "H": gerunds[1]})
        if len(said) > 2:
            text = (
                ", ".join(said[:-1])
                + self.rng.choice((" and ", ", and ", " and then ", ", then "))
                + said[-1]
            )
        if self.gerund(text) is not None:
            text = fill(self.phrase("plain", "frames"), {"A": text})
        return text, Goal(goal)

    def held_thing(self) -> tuple[str, Answer] | None:
        """What the hand holds, and nothing said of it but "it"."""
        held = [fact.args[0] for fact in self.scene.facts if fact.predicate == "holding"]
        if not held:
            return None
        kind = self.rng.choice(("in", "on", "table", "table"))
        for _ in range(_TRIES):
            item = sample_literal(self.rng, self.scene, kind)
            if item and kind == "table":
                item = literal("on", held[0], "table")
            if item and item.groups[0].names == (held[0],):
                break
        else:
            return None
        if self.rng.random() < 0.5:
            self.speaker.said.append(held[0])
        words = self.say(item)
        return None if words is None else (self._framed(words), Goal((item,)))

    def chain(self) -> tuple[str, Answer] | None:
        """Two to six steps."""
        count = self.rng.choices((2, 3, 4, 5, 6), (10, 6, 2.5, 1, 1))[0]
        steps = self._steps(count)
        goal = composed(steps) if steps else None
        if not steps or not goal or not feasible(goal, self.scene):
            return None
        said = [self.say(step) for step in steps]
        words = [each for each in said if each is not None]
        if len(words) < len(steps):
            return None
        text = self._joined(words)
        if text is None:
            return None
        return (self._framed(text) if self.rng.random() < 0.35 else text), Goal(goal)

    def _steps(self, count: int) -> list[Literal] | None:
        """Steps in order: some at random, some as they go together."""
        steps: list[Literal] = []
        while len(steps) < count:
            more = self._bundle() if self.rng.random() < 0.45 else [sample_literal(self.rng, self.scene)]
            if more is None or None in more:
                return None
            steps += [each for each in more if each is not None]
        return steps[: max(count, 2)]

    def _bundle(self) -> list[Literal | None] | None:
        """Steps that belong together: open it, put something in, close it."""
        item = sample_literal(self.rng, self.scene, self.rng.choice(("in", "in", "on", "holding")))
        if item is None:
            return None
        place = item.groups[-1].names[0]
        if item.predicate == "in" and place == "drawer" and not item.groups[1].pick:
            return self.rng.choice(
                (
                    [item, literal("closed", place)],
                    [literal("open", place), item],
                    [literal("open", place), item, literal("closed", place)],
                    [item, literal("open", place)],
                )
            )  # type: ignore[return-value]
        if item.predicate == "holding":
            target = sample_literal(self.rng, self.scene, self.rng.choice(("in", "on")))
            if target is not None and target.groups[0].names == item.groups[0].names:
                return [item, target]
            return [item]
        again = sample_literal(self.rng, self.scene, item.predicate)
        return [item, again]

    def _joined(self, words: Sequence[str]) -> str | None:
        if len(words) == 2:
            for _ in range(_TRIES):
                template = self.phrase("sequences", "two")
                gerunds = [self.gerund(each) for each in words]
                if None in gerunds and re.search(r"\b[GH]\b", template):
                    continue
                filled = {"A": words[0], "B": words[1], "G": gerunds[0] or "", "H": gerunds[1] or ""}
                if _backwards(template) and any(map(_speaks_back, words)):
                    continue
                return fill(template, filled)
            return None
        text = words[0]
        if self.rng.random() < 0.25:
            text = self.rng.choice(("first ", "first of all ", "first, ", "start: ", "ok first ")) + text
        for number, each in enumerate(words[1:], start=2):
            section = "last" if number == len(words) else "more"
            filled = {"A": text, "B": each, "H": self.gerund(each) or each}
            text = fill(self.phrase("sequences", section), filled)
        return text

    def two_places(self) -> tuple[str, Answer] | None:
        """One verb, two things and two places."""
        first, second = (sample_literal(self.rng, self.scene, self.rng.choice(("in", "on"))) for _ in "ab")
        if first is None or second is None or any(g.pick for i in (first, second) for g in i.groups):
            return None
        goal = composed((first, second))
        if not goal or len(goal) < 2 or not feasible(goal, self.scene):
            return None
        template = self.phrase("sequences", "places")
        if template.find("X2") < template.find("X "):
            self.speaker.said.append("table")
        words = {"X": self.speaker.group(first.groups[0]), "Y": self.speaker.group(first.groups[1])}
        words |= {"X2": self.speaker.group(second.groups[0]), "Y2": self.speaker.group(second.groups[1])}
        ways = {"in": ("in", "into", "inside"), "on": ("on", "onto", "on top of")}
        filled = {key: value for key, value in words.items() if value}
        if len(filled) < 4:
            return None
        if template.find("X2") < template.find("X ") and "other" in " ".join(filled.values()):
            return None
        filled |= {"R": self.rng.choice(ways[first.predicate]), "Q": self.rng.choice(ways[second.predicate])}
        return fill(template, filled), Goal(goal)

    def through(self) -> tuple[str, Answer] | None:
        """A thing is picked up and put somewhere: the last counts."""
        item = sample_literal(self.rng, self.scene, self.rng.choice(("in", "on", "table")))
        if item is None or any(group.pick or len(group.names) > 1 for group in item.groups):
            return None
        thing, place = self.speaker.one(item.groups[0].names[0]), self.speaker.one(item.groups[1].names[0])
        relation = self.rng.choice(("in", "into", "inside") if item.predicate == "in" else ("on", "onto"))
        template = self.phrase("sequences", "through")
        return fill(template, {"X": thing, "P": f"{relation} {place}"}), Goal((item,))

    # --- conditions ----------------------------------------------------------------------------------

    def condition(self) -> tuple[str, Answer] | None:
        """If, unless, otherwise: looked up in the scene as it is."""
        drawn = draw_condition(self.speaker)
        then, other = sample_literal(self.rng, self.scene), sample_literal(self.rng, self.scene)
        if drawn is None or then is None or other is None:
            return None
        if drawn.likely and self.rng.random() < 0.6:
            undone = [each for each in drawn.likely if not drawn.true or not self.scene.holds(each.formula())]
            then = self.rng.choice(undone or drawn.likely)
            if self.rng.random() < 0.7:
                other = self.rng.choice(drawn.likely)
        shape = self.rng.choices(("then", "unless", "else"), (4, 2, 4))[0]
        template = self.phrase("conditions", shape)
        condition, words = self._clause(drawn), self.say(then)
        negated, otherwise = self._clause(drawn.denied()), self.say(other) if shape == "else" else ""
        if words is None or otherwise is None:
            return None
        if _speaks_back(words) and _first(template, "A") < _first(template, "CN"):
            return None
        turned = shape == "else" and _first(template, "B") < _first(template, "A")
        if turned and (_speaks_back(words) or _speaks_back(otherwise)):
            return None
        filled = {"C": condition, "N": negated, "A": words, "B": otherwise}
        goal = (then,) if drawn.true else (other,) if shape == "else" else ()
        return fill(template, filled), Goal(goal)

    def _clause(self, condition: Condition) -> str:
        return fill(self.phrase("conditions", condition.section), condition.words)

    # --- additions -----------------------------------------------------------------------------------

    def addition(self) -> tuple[str, Answer] | None:
        """A command and what is to be left alone."""
        written = self._plain_command()
        if written is None:
            return None
        text, goal = written
        used = {name for item in goal for group in item.groups for name in group.names}
        if self.rng.random() < 0.5:
            left = [e.name for e in self.scene.entities if e.kind in LOOSE and e.name not in used]
            if not left:
                return None
            thing = f"the {self.speaker._described(self.scene.entity(self.rng.choice(left)))}"
            template = self.phrase("additions", "leave")
            return fill(template, {"A": text, "X": thing, "B": "it is"}), Goal(goal)
        other = sample_literal(self.rng, self.scene, self.rng.choice(("open", "closed", "pressed", "moved")))
        template = self.phrase("additions", "nothing")
        if other is None or any(not group.names[0] for group in other.groups) or other in goal:
            return None
        if {name for group in other.groups for name in group.names} & used and not self._after(other, goal):
            return None
        forbidden = self.say(other)
        gerund = self.gerund(forbidden) if forbidden else None
        if forbidden is None or gerund is None:
            return None
        if _speaks_back(forbidden) and template.find("A") > max(template.find("B"), template.find("H")):
            return None
        return fill(template, {"A": text, "B": forbidden, "H": gerund}), Goal(goal)

    def _after(self, other: Literal, goal: Sequence[Literal]) -> bool:
        """Whether "don't close it" may be said of the drawer that something goes into."""
        fixtures = other.groups[0].names
        return (
            other.predicate == "closed"
            and all(i.predicate in ("in", "open") for i in goal)
            and (len(fixtures) == 1)
        )

    def _plain_command(self) -> tuple[str, tuple[Literal, ...]] | None:
        item = sample_literal(self.rng, self.scene)
        words = self.say(item) if item else None
        return None if item is None or words is None else (words, (item,))

    def left_open(self) -> tuple[str, Answer] | None:
        """Put something in the drawer, and leave it open."""
        item = sample_literal(self.rng, self.scene, "in")
        if item is None or item.groups[1].names != ("drawer",):
            return None
        words = self.say(item)
        stay = self.rng.choice(_LEFT_OPEN)
        if words is None:
            return None
        return f"{words} {choose(stay, self.rng)}", Goal((item, literal("open", "drawer")))

    def correction(self) -> tuple[str, Answer] | None:
        """Something else was said first, and taken back."""
        item, wrong = sample_literal(self.rng, self.scene), sample_literal(self.rng, self.scene)
        if item is None or wrong is None or item == wrong:
            return None
        taken = self.say(wrong)
        self._forget()
        right = self.say(item)
        template = self.phrase("additions", "corrected")
        if taken is None or right is None or _speaks_back(taken):
            return None
        if self.rng.random() < 0.25 and len(taken.split()) > 3:
            taken = " ".join(taken.split()[: self.rng.randint(2, 3)]) + "..."
            template = "B no, just A" if self.rng.random() < 0.5 else "B no, A"
        return fill(template, {"A": right, "B": taken}), Goal((item,))

    def corrected_thing(self) -> tuple[str, Answer] | None:
        """The wrong thing, no, the right one."""
        item = sample_literal(self.rng, self.scene, self.rng.choice(("in", "on", "holding", "moved")))
        if item is None or any(len(group.names) > 1 for group in item.groups):
            return None
        slot = self.rng.randrange(len(item.groups))
        named = item.groups[slot].names[0]
        meant = None if named in DIRECTIONS else self.scene.entity(named)
        if meant is None:
            others = [way for way in DIRECTIONS if way != named]
            before, after = self.speaker.word(self.rng.choice(others)), self.speaker.word(named)
        else:
            tag = "graspable" if not slot else "container" if item.predicate == "in" else "support"
            rivals = [e.name for e in self.scene.tagged(tag) if e.name not in (meant.name, "table")]
            if not rivals:
                return None
            before, after = self._plainly(self.rng.choice(rivals)), self._plainly(meant.name)
        template = self.phrase("additions", "corrected_thing")
        shown = fill(template, {"X": before, "X2": after})
        words = self._slots(item, step_kind(item, self.scene))
        if words is None:
            return None
        words["D" if meant is None else "Y" if slot else "X"] = shown
        text = fill(self.phrase(_FILES[step_kind(item, self.scene)], "imp"), words)
        return text.rstrip(","), Goal((item,))

    def _plainly(self, name: str) -> str:
        return self.speaker._plainly(name)

    # --- refusals and questions ----------------------------------------------------------------------

    def question(self) -> tuple[str, Answer] | None:
        """A question or talk, an answer to nobody."""
        section = self.rng.choice(("question", "talk"))
        return fill(self.phrase("chat", section), self._any_words()), Refuse("chat")

    def injection(self) -> tuple[str, Answer] | None:
        """Words meant for the machine behind the robot."""
        return fill(self.phrase("chat", "injection"), self._any_words()), Refuse("injection")

    def hazard(self) -> tuple[str, Answer] | None:
        """Something that would hurt."""
        text = fill(self.phrase("refusals", "hazard"), self._any_words())
        return self._wrapped(text), Refuse("hazard")

    def forbidden(self) -> tuple[str, Answer] | None:
        """Only what not to do."""
        return fill(self.phrase("refusals", "forbidden"), self._any_words()), Refuse("forbidden")

    def no_skill(self) -> tuple[str, Answer] | None:
        """A verb that no skill is for."""
        template = self.phrase("refusals", "skill").replace("W", MARK)
        return self._wrapped(fill(template, self._any_words())), Refuse("skill", MARK)

    def no_place(self) -> tuple[str, Answer] | None:
        """A place that no relation reaches."""
        words = self._any_words()
        lines = phrases("words")["elsewhere"]
        place = self.rng.choice(lines.training + lines.held_out)
        others = [e.name for e in self.scene.entities if e.kind in LOOSE]
        near = {"X": self._plainly(self.rng.choice(others)), "Y": self._plainly(self.rng.choice(others))}
        lead, slot, rest = place.partition(" X")
        shown = f"{MARK}{lead}{MARK}{fill(slot + rest, near)}" if slot else f"{MARK}{place}{MARK}"
        if not slot and len(place.split()) > MOST_WORDS:
            most, over = place.split()[:MOST_WORDS], place.split()[MOST_WORDS:]
            shown = f"{MARK}{' '.join(most)}{MARK} {' '.join(over)}"
        template = self.phrase("refusals", "place").replace("WPW", "P")
        return fill(template, {**words, "P": shown}), Refuse("place", MARK)

    def missing(self) -> tuple[str, Answer] | None:
        """A thing that is not here: of another kind, of another colour, or more of them than there are."""
        words = self._any_words()
        if self.rng.random() < 0.45:
            noun = self.speaker.word("unknown")
            colour = self.rng.choice((*COLOURS, "small", "big", "my", "old"))
            name = f"{colour} {noun}" if self.rng.random() < 0.3 else noun
            section = "missing"
        else:
            name, section = self._absent(), "missing_loose"
        if not name or len(name.split()) > MOST_WORDS:
            return None
        template = self.phrase("refusals", section).replace("WMW", f"{MARK}M{MARK}")
        return self._wrapped(fill(template, {**words, "M": name})), Refuse("missing", MARK)

    def _absent(self) -> str:
        """A kind and a colour that nothing here has, each of which may well be here."""
        for _ in range(_TRIES):
            kind = self.rng.choice(LOOSE[:3])
            colour = self.rng.choice(COLOURS) if self.rng.random() < 0.7 else self.speaker.word("absent")
            if colour in COLOURS and self.speaker.fitting(kind, colour):
                alike = map(self.scene.entity, self.speaker.fitting(kind, colour))
                sizes = {entity.attributes.get("size") for entity in alike}
                lacking = [size for size in SIZES if size not in sizes]
                if None in sizes or not lacking:
                    continue
                return f"{self.rng.choice(lacking)} {colour} {kind}"
            if not self.speaker.fitting(kind) and self.rng.random() < 0.5:
                return self.speaker.word(kind)
            shown = self.speaker.word(colour) if colour in COLOURS and self.rng.random() < 0.3 else colour
            return f"{shown} {self.speaker.word(kind) if self.rng.random() < 0.3 else kind}"
        return ""

    def too_many(self) -> tuple[str, Answer] | None:
        """More of a kind than there are."""
        kind = self.rng.choice(LOOSE[:3])
        number = len(self.speaker.fitting(kind)) + self.rng.randint(1, 2)
        if number < 2 or number > 6 or not self.speaker.fitting(kind):
            return None
        shown = f"{('two', 'three', 'four', 'five', 'six')[number - 2]} {self.speaker.word(kind + 's')}"
        if len(shown.split()) > MOST_WORDS:
            return None
        lines = (
            "put the WMW in Y", "put WMW in Y", "stack the WMW", "push the WMW to the left",
            "put all WMW in Y", "i want the WMW in Y", "put my WMW on the table", "get the WMW into Y",
            "build a tower of WMW", "place the WMW in Y", "WMW in Y", "move the WMW to Y",
        )  # fmt: skip
        template = self.rng.choice(lines).replace("WMW", f"{MARK}M{MARK}")
        return fill(template, {**self._any_words(), "M": shown}), Refuse("missing", MARK)

    def cannot(self) -> tuple[str, Answer] | None:
        """What the rules of the world forbid: on a ball, a bowl in a drawer, to open a block."""
        item = self._impossible()
        words = self.say(item, named=True) if item else None
        if item is None or words is None:
            return None
        return self._framed(words), Refuse(CANNOT, str(item).replace(", left)", ")"))

    def _impossible(self) -> Literal | None:
        names = {kind: [e.name for e in self.scene.entities if e.kind == kind] for kind in (*LOOSE, "drawer")}
        loose = [e.name for e in self.scene.entities if e.kind in LOOSE]
        rng = self.rng
        draw = rng.choice(("in", "on", "on", "on", "holding", "open", "closed", "pressed", "moved"))
        if draw in ("in", "on"):
            places = [e.name for e in self.scene.entities if e.name != "table"]
            item, place = rng.choice(loose), rng.choice(places)
            kinds = self.scene.entity(item).kind, self.scene.entity(place).kind
            same = item == place or Atom("fits", (item, draw, place)) in self.scene.facts
            odd = draw == "on" and kinds[1] in ("drawer", "button", "door") and rng.random() < 0.6
            return None if same or odd or place == "button" else literal(draw, item, place)
        if draw == "holding":
            return literal("holding", rng.choice([*names["bowl"], *names["bowl"], "table"]))
        if draw == "moved":
            return literal("moved", rng.choice(names["bowl"]), "left") if names["bowl"] else None
        return literal(draw, rng.choice(loose))

    def ambiguous(self) -> tuple[str, Answer] | None:
        """A description that fits several: which one?"""
        asked = self.rng.choice(("in", "in", "on", "holding", "moved", "table"))
        item = sample_literal(self.rng, self.scene, asked)
        if item is None or any(group.pick or len(group.names) > 1 for group in item.groups):
            return None
        kind = step_kind(item, self.scene)
        slot = "Y" if kind in ("in", "on") and self.rng.random() < 0.35 else "X"
        meant = self.scene.entity(item.groups[slot == "Y"].names[0])
        if meant.kind not in LOOSE:
            return None
        other = item.groups[slot != "Y"].names[0] if len(item.groups) > 1 else ""
        colour = str(meant.attributes["colour"])
        options: list[tuple[str | None, str | None, str | None]]
        options = [(None, colour, None), (meant.kind, None, None), (meant.kind, colour, None)]
        if size := meant.attributes.get("size"):
            options.append((meant.kind, None, size))
        fitting = [(how, self._could(how, slot, other)) for how in options if how[0]]
        fitting = [(how, names) for how, names in fitting if len(names) > 1]
        if not fitting:
            return None
        how, names = self.rng.choice(fitting)
        if len(names) != len([n for n in self.speaker.fitting(*how)]):
            return None
        words = self._slots(item, kind)
        if words is None:
            return None
        words[slot] = f"{self.rng.choice(('the', 'the', 'the', 'the', 'that', 'my', 'this'))} " + (
            self.speaker.described(*how)
        )
        section = self.rng.choice(("imp", "imp", "told"))
        if kind == "table":
            section = "imp"
        text = fill(self.phrase(_FILES[kind], section), words)
        return (self._framed(text) if section == "imp" else text), Ask(tuple(names))

    def _could(self, how: tuple[str | None, str | None, str | None], slot: str, other: str) -> list[str]:
        return [name for name in self.speaker.fitting(*how) if name != other]

    def which_way(self) -> tuple[str, Answer] | None:
        """A push without a direction, a thing to be put nobody says where."""
        movable = [e.name for e in self.scene.tagged("graspable")]
        thing = self.speaker.one(self.rng.choice(movable))
        if self.rng.random() < 0.5:
            return self._framed(fill(self.phrase("moved", "undirected"), {"X": thing})), Ask(DIRECTIONS)
        places = tuple(e.name for e in self.scene.entities if {"container"} & e.tags or e.kind == "table")
        return self._framed(fill(self.phrase("moved", "unplaced"), {"X": thing})), Ask(places)

    def what(self) -> tuple[str, Answer] | None:
        """A pronoun that stands for nothing."""
        held = any(fact.predicate == "holding" for fact in self.scene.facts)
        openable = tuple(e.name for e in self.scene.tagged("openable"))
        kind = self.rng.choice(("closed", "open", "in", "holding", "moved", "on"))
        if kind in ("closed", "open"):
            words = {"F": self.rng.choice(("it", "it", "that", "this", "that thing"))}
            text = fill(self.phrase(kind, "imp"), words)
            return (self._framed(text), Ask(openable)) if len(openable) > 1 else None
        item = sample_literal(self.rng, self.scene, kind)
        if held or item is None or any(group.pick for group in item.groups):
            return None
        words2 = self._slots(item, kind)
        if words2 is None:
            return None
        words2["X"] = self.rng.choice(("it", "it", "it", "that", "this", "that one", "one of them", "them"))
        if words2["X"] in ("one of them", "them"):
            words2["X"] = "it"
        names = tuple(e.name for e in self.scene.tagged("graspable"))
        place = item.groups[1].names[0] if kind == "on" else ""
        names = tuple(name for name in names if name != place)
        text = fill(self.phrase(_FILES[kind], "imp"), words2)
        return (self._framed(text), Ask(names)) if len(names) > 1 else None

    def _wrapped(self, text: str) -> str:
        return self._framed(text) if self.rng.random() < 0.35 else text

    def _any_words(self) -> dict[str, str]:
        """Words for the slots of a refusal, whatever they are."""
        loose = [e.name for e in self.scene.entities if e.kind in LOOSE]
        first = self.rng.choice(loose)
        fixtures = [e.name for e in self.scene.entities if e.kind in ("drawer", "door")] or ["drawer"]
        kind = self.scene.entity(first).kind
        item = sample_literal(self.rng, self.scene)
        imperative = (self.say(item) if item else None) or "open the drawer"
        containers = [e.name for e in self.scene.tagged("container")] or ["table"]
        return {
            "X": self._plainly(first),
            "Y": self._plainly(self.rng.choice(containers)),
            "K": self.speaker.word(kind + "s"),
            "F": self.speaker.word(self.rng.choice(fixtures)),
            "L": self.speaker.word("lamp"),
            "C": self.speaker.word(self.rng.choice(COLOURS)),
            "A": imperative,
            "G": self.gerund(imperative) or "moving things",
        }

    def mixed(self) -> tuple[str, Answer] | None:
        """A step that can be done and one that cannot: the whole is refused."""
        refused = self.rng.choice((self.no_skill, self.missing, self.cannot, self.no_place, self.question))()
        done = self._plain_command()
        if refused is None or done is None:
            return None
        text, answer = refused
        if self.gerund(text.replace(MARK, "")) is None:
            return None
        parts = [done[0], text] if self.rng.random() < 0.6 or _speaks_back(done[0]) else [text, done[0]]
        joint = self.rng.choice((" and ", " and then ", ", then ", ". ", ", ", "; ", " and also "))
        return joint.join(parts), answer

    def swap(self) -> tuple[str, Answer] | None:
        """Two things change places: a goal where a place has a name, and no skill where it has none."""
        movable = [e.name for e in self.scene.tagged("graspable") if e.kind != "ball"]
        if len(movable) < 2:
            return None
        pair = self.rng.sample(movable, 2)
        places = [self._base(name) or "table" for name in pair]
        template = self.rng.choice(_SWAPS)
        text = fill(template.replace("W", MARK), dict(zip(("X", "Y"), map(self._plainly, pair), strict=True)))
        facts = self.scene.facts
        settled = all(Atom("on", (name, place)) in facts for name, place in zip(pair, places, strict=True))
        if not settled or set(places) & set(pair):
            return None
        if places[0] == places[1]:
            return text, Refuse("skill", MARK)
        goal = (literal("on", pair[0], places[1]), literal("on", pair[1], places[0]))
        return (text.replace(MARK, ""), Goal(goal)) if feasible(goal, self.scene) else None


_LEFT_OPEN = (
    "and leave [it|the drawer] open", "but leave [it|the drawer] open", ", leave it open",
    "and keep [it|the drawer] open", ", keep the drawer open", "and let it stay open",
    ". leave [it|the drawer] open afterwards", "but keep it open", ", it should stay open",
    "and the drawer should [stay|remain|be left] open", "with the drawer left open",
)  # fmt: skip
_SWAPS = (
    "WswapW X and Y", "WswapW X with Y", "WexchangeW X and Y", "WswitchW X and Y", "WinterchangeW X and Y",
    "please WswapW X and Y", "could you WswapW X and Y", "let X and Y Wtrade placesW",
    "Wswap placesW of X and Y",
    "WswapW the positions of X and Y", "make X and Y Wchange placesW", "X and Y should Wswap placesW",
    "WreplaceW X with Y and vice versa", "WexchangeW X for Y",
)  # fmt: skip

_Writer = Callable[[Author], "tuple[str, Answer] | None"]
#: family -> how often it is written, and by what.
FAMILIES: dict[str, tuple[float, _Writer]] = {
    "plain": (30, Author.plain),
    "single": (30, Author.single),
    "held": (3, Author.held_thing),
    "chain": (18, Author.chain),
    "two places": (5, Author.two_places),
    "through": (2, Author.through),
    "condition": (11, Author.condition),
    "addition": (5, Author.addition),
    "left open": (1, Author.left_open),
    "correction": (3.5, Author.correction),
    "corrected thing": (3.5, Author.corrected_thing),
    "mixed": (2.5, Author.mixed),
    "swap": (1.2, Author.swap),
    "chat": (3.5, Author.question),
    "injection": (1.5, Author.injection),
    "hazard": (2, Author.hazard),
    "forbidden": (2, Author.forbidden),
    "skill": (3.5, Author.no_skill),
    "place": (3, Author.no_place),
    "missing": (6, Author.missing),
    "too many": (0.8, Author.too_many),
    "cannot": (4, Author.cannot),
    "ambiguous": (7, Author.ambiguous),
    "which way": (2.5, Author.which_way),
    "what": (2, Author.what),
}


def write_triples(seed: int, scenes: int, each: int, held_out: bool = False) -> list[Triple]:
    """Commands about so many scenes, `each` of them a scene; the same for the same arguments."""
    written: list[Triple] = []
    for number in range(scenes):
        rng = random.Random(f"{seed}:{number}:{held_out}")
        written += scene_triples(rng, sample_scene(rng), each, held_out)
    return written


def scene_triples(rng: random.Random, scene: SceneGraph, count: int, held_out: bool = False) -> list[Triple]:
    """So many commands about one scene."""
    author = Author(scene, rng, held_out)
    written: list[Triple] = []
    while len(written) < count:
        triple = author.write()
        if triple is not None:
            written.append(triple)
    return written


def _quoting(text: str, answer: Answer) -> Answer:
    """The answer with the marked words of the command as what it is about."""
    if not isinstance(answer, Refuse) or answer.about != MARK:
        return answer
    marked = text.split(MARK)
    return Refuse(answer.reason, marked[1].strip().lower() if len(marked) > 2 else MARK)


@cache
def _verbs() -> frozenset[str]:
    """The verbs that imperatives begin with."""
    lines = [
        line
        for file in {*_FILES.values()}
        for section in ("imp", "off", "held")
        if section in phrases(file)
        for line in (*phrases(file)[section].training, *phrases(file)[section].held_out)
    ]
    skill = phrases("refusals")["skill"]
    lines += [line.replace("W", "") for line in (*skill.training, *skill.held_out)]
    firsts = {match[0] for line in lines if (match := re.match(r"[a-z]+(?= |$)", line))}
    return frozenset(firsts - _NOT_VERBS)


def _speaks_back(words: str) -> bool:
    return bool(re.search(r"\b(it|that|them|there|other|rest|others|remaining|left)\b", words))


def _first(template: str, letters: str) -> int:
    """Where the first of some slots stands; behind everything where none does."""
    match = re.search(rf"\b[{letters}]\b", template)
    return match.start() if match else len(template)


def _backwards(template: str) -> bool:
    """Whether the second step is said first."""
    return _first(template, "BH") < _first(template, "AG")


def _ing(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    double = len(verb) > 2 and verb[-1] in "bdgmnpt" and verb[-2] in "aeiou" and verb[-3] not in "aeiou"
    return verb + (verb[-1] if double and verb not in _SINGLE else "") + "ing"


_IRREGULAR = {"lie": "lying", "be": "being"}
_SINGLE = frozenset(
    ["open", "reopen", "position", "deposit", "gather", "collect", "lower", "loosen", "deliver"]
)
