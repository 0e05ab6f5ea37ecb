"""A goal in words: several phrasings, fixed by the goal and a seed.

Every phrasing says the whole goal. They differ in verbs, in mood ("put it there", "it should be there"), in
how clauses are joined, and in what things are called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from robot_skills.logic import Atom, parse_atom
from sim.generative.goal import Clause, Goal

PHRASINGS = 4

#: {o} what is put, {p} where; {r} stands for in or on.
_PUT_IN = (
    "put {o} in {p}", "drop {o} into {p}", "stow {o} away in {p}", "move {o} into {p}", "pack {o} inside {p}",
    "tuck {o} into {p}", "store {o} in {p}", "let {p} swallow {o}",
    "fill {p} with {o}", "hide {o} inside {p}",
    "transfer {o} over to {p}", "deposit {o} in {p}", "collect {o} in {p}", "bring {o} to {p} and let go",
    "{o} should live in {p}", "lock {o} away inside {p}", "load {p} with {o}", "dump {o} into {p}",
    "have {p} contain {o}", "toss {o} gently in {p}", "use {p} to keep {o}", "find {o} a spot inside {p}",
    "carry {o} across and release into {p}", "{p} is where {o} must go", "return {o} to {p}",
)  # fmt: skip
_PUT_ON = (
    "put {o} on {p}", "set {o} down on {p}", "stand {o} on top of {p}", "place {o} onto {p}",
    "rest {o} on {p}",
    "lay {o} upon {p}", "park {o} on {p}", "balance {o} on {p}", "display {o} on {p}", "lift {o} up onto {p}",
    "crown {p} with {o}", "leave {o} standing on {p}", "exhibit {o} atop {p}", "let {p} carry {o}",
    "mount {o} upon {p}", "{p} needs {o} on it", "serve {o} on {p}", "position {o} over {p} and lower it",
)  # fmt: skip
_TABLE = (
    "put {o} down on the table", "bring {o} back to the table", "clear {o} off, down to the tabletop",
    "take {o} down and leave it on the bare table", "{o} belongs on the table, not up there",
    "unload {o} onto a free spot of the tabletop",
)  # fmt: skip
_OPEN: Mapping[str, Sequence[str]] = {
    "drawer": ("open {o}", "pull {o} out", "draw {o} open", "slide {o} out by its handle", "access {o}"),
    "door": ("open {o}", "slide {o} aside", "push {o} open", "reveal what is behind {o}"),
    "lidded": (
        "open {o}", "slide the lid off {o}", "uncover {o}", "draw back the lid of {o}", "unveil {o}",
        "make {o} accessible from above",
    ),
    "gate": ("open {o}", "swing {o} open", "turn {o} on its hinge until it is open"),
    "knob": ("turn {o}", "twist {o} clockwise", "rotate {o} as far as it goes", "crank {o} up"),
    "lever": (
        "pull {o}", "throw {o}", "switch {o} over to the right", "draw {o} all the way back", "engage {o}",
    ),
}  # fmt: skip
_CLOSE: Mapping[str, Sequence[str]] = {
    "drawer": ("close {o}", "push {o} shut", "slide {o} back in", "shut {o} completely"),
    "door": ("close {o}", "slide {o} shut", "shut {o}", "seal off {o}"),
    "lidded": (
        "close {o}", "put the lid back over {o}", "cover {o} with its lid", "slide the lid of {o} shut",
        "seal {o}", "keep dust out of {o}",
    ),
    "gate": ("close {o}", "swing {o} shut", "turn {o} back until it is closed"),
    "knob": ("turn {o} back", "twist {o} back to zero", "rotate {o} anticlockwise to its stop"),
    "lever": (
        "push {o} back", "return {o} to its rest", "reset {o}", "switch {o} off again", "disengage {o}",
    ),
}  # fmt: skip
_PRESS: Mapping[str, Sequence[str]] = {
    "button": (
        "press {o}", "push down {o}", "light the lamp of {o}", "hit {o}", "switch on the light at {o}",
        "tap {o}", "activate {o}", "poke {o}",
    ),
    "bell": ("ring {o}", "strike {o}", "press {o}", "sound {o}", "call the waiter with {o}", "tap {o} once"),
}  # fmt: skip
_PUSH = (
    "push {o} {d}", "nudge {o} {d}", "shove {o} about ten centimetres {d}", "sweep {o} {d} over the table",
    "slide {o} {d} with closed fingers", "drive {o} {d}", "herd {o} {d} a bit",
    "without grasping, move {o} {d}",
)  # fmt: skip
_WAYS = {
    "left": ("to the left", "leftwards"),
    "right": ("to the right", "rightwards"),
    "forward": ("away from you", "forward"),
    "back": ("towards you", "back towards the robot"),
}  # fmt: skip
_HOLD = (
    "pick up {o}", "hold {o} in the air", "grab {o} and keep it in the gripper", "lift {o} and wait",
    "take hold of {o}", "hoist {o}", "fetch {o}", "raise {o} off whatever it stands on",
)  # fmt: skip
_TOWER = (
    "stack {s}", "build a tower: {s}", "pile {s}", "make one column of them, {s}", "assemble a pillar, {s}",
    "construct this: {s}", "heap them up, {s}", "I need a totem: {s}",
)  # fmt: skip
_COUNTED = (
    "{r} {p} there should be {n} of these: {o}", "pick {n} out of {o} and move them {r}to {p}",
    "see to it that {p} gets {n} of {o}", "of {o}, {n} belong {r} {p}",
    "count {n} from {o} {r}to {p}", "{p} wants {n}, chosen among {o}", "reserve {p} for {n} of {o}",
)  # fmt: skip
_EITHER = (
    "put {o} {r} {p} or {q}, whichever you like", "{o} may go {r} {p} or {r} {q}; choose one",
    "find a home for {o}: {p} or {q}", "get rid of {o}, be it {r} {p} or {r} {q}",
    "I do not mind whether {o} ends up {r} {p} or {r} {q}", "{p} or {q}, one of them must receive {o}",
)  # fmt: skip
_STATES: Mapping[str, Sequence[str]] = {
    "holding": ("{a} is in your hand", "you hold {a}"),
    "in": ("{a} is in {b}", "{a} lies inside {b}", "{b} holds {a}"),
    "on": ("{a} is on {b}", "{a} stands on {b}", "{a} rests on top of {b}"),
    "open": ("{a} is open", "{a} stands open"),
    "closed": ("{a} is closed", "{a} is shut"),
    "pressed": ("the lamp of {a} is lit", "{a} has been pressed"),
    "moved": ("{a} has moved {b}", "{a} ends up ten centimetres {b}"),
}  # fmt: skip
_SWITCHED = {
    "lever": {"open": "{a} is pulled", "closed": "{a} is at rest"},
    "knob": {"open": "{a} is turned up", "closed": "{a} is at zero"},
    "bell": {"pressed": "{a} has rung"},
}  # fmt: skip
_JOINS = (
    "{a}, then {b}", "{a} and {b}", "first {a}, after that {b}", "{a}; {b}", "{a}, and finally {b}",
    "{a}. Next, {b}", "begin here: {a}. Then {b}", "two jobs: {a}, and also {b}",
    "{a}, with one more thing: {b}",
    "{a}. Once done, {b}", "{a}. Also, {b}", "{a}, followed by this: {b}",
)  # fmt: skip
_WISHES = (
    "at the end, {s}", "make it so that {s}", "I want to see that {s}", "arrange things until {s}",
    "the job is done once {s}", "bring about a scene in which {s}", "please ensure {s}", "success means {s}",
    "leave the table such that {s}", "goal: {s}",
)  # fmt: skip
_CONDITIONS = (
    "if {c}, {a}; otherwise {b}", "look first: when {c}, {a}, else {b}", "{a} provided that {c}; if not, {b}",
    "should you find that {c}, {a}. In any other case {b}", "check whether {c}. Yes: {a}. No: {b}",
    "unless {c}, {b}; but if so, {a}",
)  # fmt: skip
_NUMBERS = ("no", "one", "two", "three", "four", "five")
_CALLED: Mapping[str, Sequence[str]] = {
    "block": ("block", "cube", "brick"), "ball": ("ball", "sphere", "marble"),
    "cylinder": ("cylinder", "can", "drum"), "bowl": ("bowl", "dish"), "pedestal": ("pedestal", "column"),
    "plate": ("plate", "saucer"), "lever": ("lever", "switch handle"), "crate": ("crate", "open carton"),
    "tray": ("tray", "salver"), "shelf": ("shelf", "ledge"), "box": ("box", "case"),
    "chest": ("chest", "coffer"), "gate": ("gate", "hinged flap", "barrier"), "knob": ("knob", "dial"),
    "bell": ("bell", "reception bell"), "basket": ("basket", "hamper"), "bin": ("bin", "waste bin"),
    "rack": ("rack", "trough"), "bench": ("bench", "plank"), "stool": ("stool", "footstool"),
    "coaster": ("coaster", "beer mat"), "mat": ("mat", "placemat"), "drawer": ("drawer",),
    "door": ("door", "sliding door"), "button": ("button", "push button"), "table": ("table",),
}  # fmt: skip
#: Kinds that open in the same way.
_LIKE = {"box": "lidded", "chest": "lidded"}


def instructions(goal: Goal, seed: int, count: int = PHRASINGS) -> tuple[str, ...]:
    """So many different phrasings, fixed by the goal and the seed; the last calls things by their names."""
    found: dict[str, None] = {}
    for attempt in range(20 * count):
        rng = np.random.default_rng([seed, attempt])
        found[_Speaker(rng, plain=len(found) == count - 1).say(goal)] = None
        if len(found) == count:
            break
    return tuple(found)


class _Speaker:
    """Chooses among the ways to say something.

    Args:
        rng: chooses.
        plain: call every thing by its name, without synonyms.
    """

    def __init__(self, rng: np.random.Generator, plain: bool) -> None:
        self._rng, self._plain = rng, plain

    def say(self, goal: Goal) -> str:
        """The whole goal as sentences."""
        if goal.condition:
            text = self._one(_CONDITIONS).format(
                c=self.state(parse_atom(goal.condition)),
                a=self.orders(goal.clauses),
                b=self.orders(goal.otherwise),
            )
        else:
            text = self.wish(goal.clauses) or self.orders(goal.clauses)
        text = re.sub(r"(^|[.] )(\w)", lambda match: match[1] + match[2].upper(), text)
        return text if text.endswith(".") else text + "."

    def wish(self, clauses: Sequence[Clause]) -> str | None:
        """The state that is wanted rather than what to do; now and then, where it is a plain conjunction."""
        if self._rng.random() > 0.3 or any(c.kind in ("at_least", "exactly", "either") for c in clauses):
            return None
        states = [self.states(clause) for clause in clauses]
        return self._one(_WISHES).format(s=_listed(states))

    def orders(self, clauses: Sequence[Clause]) -> str:
        """Clauses one after the other."""
        *before, text = [self.order(clause) for clause in clauses]
        for number, said in reversed(list(enumerate(before))):
            text = self._one(_JOINS if number == 0 else _JOINS[:2]).format(a=said, b=text)
        return text

    def order(self, clause: Clause) -> str:
        """One clause as a command."""
        things = self.things(clause)
        match clause.kind:
            case "put" if clause.places[0] == "table":
                return self._one(_TABLE).format(o=things)
            case "put":
                verbs = _PUT_IN if clause.relation == "in" else _PUT_ON
                return self._one(verbs).format(o=things, p=self.name(clause.places[0]))
            case "push":
                return self._one(_PUSH).format(o=things, d=self._one(_WAYS[clause.places[0]]))
            case "open" | "close":
                ways = _OPEN if clause.kind == "open" else _CLOSE
                return _listed([self._done_to(thing, ways) for thing in clause.things])
            case "press":
                return _listed([self._done_to(thing, _PRESS) for thing in clause.things])
            case "hold":
                return self._one(_HOLD).format(o=things)
            case "tower":
                return self._one(_TOWER).format(s=self._layers(clause))
            case "either":
                first, second = (self.name(place) for place in clause.places[:2])
                return self._one(_EITHER).format(o=things, r=clause.relation, p=first, q=second)
            case _:
                many = {"at_least": "at least ", "exactly": "exactly "}[clause.kind] + _NUMBERS[clause.number]
                where = self.name(clause.places[0])
                return self._one(_COUNTED).format(r=clause.relation, p=where, n=many, o=things)

    def states(self, clause: Clause) -> str:
        """One clause as what is so at the end."""
        if clause.kind == "put" and (clause.group or len(clause.things) > 2):
            verb = "are" if not clause.group or len(clause.things) > 1 else "is"
            return f"{self.things(clause)} {verb} {clause.relation} {self.name(clause.places[0])}"
        formula = clause.formula
        parts = [formula] if isinstance(formula, Atom) else getattr(formula, "parts", ())
        return _listed([self.state(part) for part in parts if isinstance(part, Atom)])

    def state(self, atom: Atom) -> str:
        """An atom as a fact."""
        if atom.predicate == "moved":
            args = [self.name(atom.args[0]), self._one(_WAYS[atom.args[1]])]
        else:
            args = [self.name(arg) for arg in atom.args]
        ways = _STATES[atom.predicate]
        special = _SWITCHED.get(atom.args[0].split()[-1], {}).get(atom.predicate)
        ways = (special,) if special else ways
        return self._one(ways).format(**dict(zip("ab", args, strict=False)))

    def things(self, clause: Clause) -> str:
        """What a clause is about: by what it has in common, or one by one."""
        if clause.group:
            kind = clause.group if clause.group in _CALLED else "thing"
            colour = "" if clause.group in _CALLED else f"{clause.group} "
            word = kind if self._plain else self._one(_CALLED.get(kind, (kind,)))
            return self._one((f"all the {colour}{word}s", f"every {colour}{word}", f"the {colour}{word}s"))
        return _listed([self.name(thing) for thing in clause.things])

    def name(self, thing: str) -> str:
        """What a thing is called, with its article."""
        *adjectives, kind = thing.split()
        word = kind if self._plain else self._one(_CALLED[kind])
        return " ".join(["the", *adjectives, word])

    def _done_to(self, thing: str, ways: Mapping[str, Sequence[str]]) -> str:
        kind = thing.split()[-1]
        return self._one(ways[_LIKE.get(kind, kind)]).format(o=self.name(thing))

    def _layers(self, clause: Clause) -> str:
        names = [self.name(layer) for layer in (*clause.things, *clause.places) if layer != "table"]
        if self._rng.random() < 0.5:
            return " on ".join(names)
        return f"from the bottom up, {_listed(names[::-1])}"

    def _one(self, ways: Sequence[str]) -> str:
        return ways[int(self._rng.integers(len(ways)))]


def _listed(items: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
