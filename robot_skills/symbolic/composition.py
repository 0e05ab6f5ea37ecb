"""Chains of skills as skills: parameters, conditions and effects of a chain follow from its steps' cards.

What the chain needs is what each step needs, carried back over the steps before it (regression); what it
changes is what its steps change, the later over the earlier (Fikes, Hart and Nilsson, "Learning and
executing generalized robot plans", 1972). Where a derived predicate cannot be carried back exactly over
parameters, what is asked for is more than needed, never less: a chain whose conditions hold can always be
carried out on the cards. Parameters stand for different things: the card asks for `different(a, b)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from robot_skills.errors import InputError
from robot_skills.logic import And, Atom, Formula, Not, Or, bind
from robot_skills.scene_graph import SceneGraph, matches
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.verification import verify

TRUE, FALSE = And(()), Or(())
#: The one thing that every scene holds under this name; in a chain it stays what it is.
TABLE = "table"


class ChainError(InputError):
    """A chain that no card can describe: it contradicts itself, or its conditions cannot be carried back."""


def lift(
    calls: Sequence[SkillCall], skills: Mapping[str, Skill]
) -> tuple[tuple[SkillCall, ...], dict[str, str]]:
    """Put parameters in the place of things, the same for the same thing; words and the table stay.

    Returns:
        The steps over parameters, named for the part that a thing plays first (`object`, `target`,
        `object_2`), and parameter -> thing.
    """
    named: dict[str, str] = {}
    steps = []
    for call in calls:
        args = {}
        for name, value in call.args.items():
            fixed = isinstance(skills[call.skill].parameters[name], tuple) or value == TABLE
            args[name] = value if fixed else named.setdefault(value, _fresh(name, named.values()))
        steps.append(SkillCall(call.skill, args))
    return tuple(steps), {parameter: thing for thing, parameter in named.items()}


def kinds(steps: Sequence[SkillCall], skills: Mapping[str, Skill]) -> dict[str, str]:
    """Parameter -> the tags that what is put in its place must carry: all that its steps ask for.

    Raises:
        InputError: a step is no call of a skill here, or has other arguments than the skill takes.
    """
    found: dict[str, dict[str, None]] = {}
    for step in steps:
        if step.skill not in skills:
            raise InputError(f"The step {step} calls no skill that is here: {', '.join(skills)}.")
        card = skills[step.skill]
        if set(step.args) != set(card.parameters):
            raise InputError(f"The step {step} needs the arguments {', '.join(card.parameters)}.")
        for name, value in step.args.items():
            kind = card.parameters[name]
            if isinstance(kind, str) and value != TABLE:
                found.setdefault(value, {})[kind] = None
            elif isinstance(kind, tuple) and value not in kind:
                raise InputError(f"The step {step}: {name} is one of {', '.join(kind)}, not {value!r}.")
    return {name: "&".join(sorted(asked, key=lambda kind: "|" in kind)) for name, asked in found.items()}


def compose(
    name: str,
    steps: Sequence[SkillCall],
    skills: Mapping[str, Skill],
    only: Mapping[str, str] | None = None,
) -> Skill:
    """The card of a chain.

    Args:
        name: of the new skill.
        steps: calls over parameters, as `lift` gives them.
        skills: the cards of the steps.
        only: parameter -> kind of thing, where the chain is for one kind alone.

    Raises:
        InputError: a step is no call of a skill here.
        ChainError: no card can say when the chain can be carried out.
    """
    parameters = kinds(steps, skills)
    parameters |= {name: f"{parameters[name]}&{kind}" for name, kind in (only or {}).items()}
    so_far = _Effects()
    needs: dict[Formula, None] = {}
    for step in steps:
        for condition in skills[step.skill].preconditions:
            for part in _parts(so_far.before(bind(condition, step.args), needs)):
                if part == FALSE:
                    raise ChainError(f"The chain can never be carried out: {step} finds no {condition}.")
                needs[part] = None
        so_far.extend(_changes(skills[step.skill], step, so_far, needs))
    clash = [part for part in needs if isinstance(part, Not) and part.part in needs]
    if clash:
        raise ChainError(f"The chain asks for {clash[0].part} and for its opposite.")
    lasting = {
        part: None
        for step in steps
        for part in _parts(bind(skills[step.skill].success, step.args))
        if so_far.before(part, needs) == TRUE
    }
    if not lasting:
        raise ChainError("Nothing that the chain brings about lasts to its end.")
    apart = [*parameters, *([TABLE] if any(TABLE in step.args.values() for step in steps) else [])]
    if len(apart) > 1:
        needs = {Atom("different", tuple(apart)): None, **needs}
    places = {parameter: f"{{{parameter}}}" for parameter in parameters}
    texts = (
        skills[step.skill].text.format(**{key: places.get(v, v) for key, v in step.args.items()})
        for step in steps
    )
    return Skill(
        name=name,
        summary=f"{', then '.join(_said(step) for step in steps)}.",
        parameters=parameters,
        preconditions=tuple(needs),
        effects=so_far.net(),
        success=next(iter(lasting)) if len(lasting) == 1 else And(tuple(lasting)),
        text="; ".join(texts),
        timeout=sum(skills[step.skill].timeout for step in steps),
    )


def bound(steps: Sequence[SkillCall], args: Mapping[str, str]) -> tuple[SkillCall, ...]:
    """The steps of a chain with things in the place of its parameters."""
    return tuple(
        SkillCall(step.skill, {name: args.get(value, value) for name, value in step.args.items()})
        for step in steps
    )


def refuted(
    card: Skill, call: SkillCall, steps: Sequence[SkillCall], skills: Mapping[str, Skill], scene: SceneGraph
) -> str | None:
    """What is wrong with a chain's card in a scene where its conditions hold; None when it is right there.

    The steps are replayed on their own cards, which know nothing of how the chain's was made.
    """
    after = card.after(call, scene)
    plan = bound(steps, call.args)
    problem = verify(plan, card.goal(call), scene, skills)
    if not problem.ok:
        return problem.problem
    if problem.final.facts != after.facts:
        wrong = sorted(map(str, problem.final.facts ^ after.facts))
        return f"The card and the steps do not agree on {', '.join(wrong)}."
    return None


def _changes(
    skill: Skill, step: SkillCall, so_far: _Effects, needed: Mapping[Formula, None]
) -> Iterator[Formula]:
    """What a step changes after the steps so far: of its conditional effects those that surely come about."""
    effects = list(skill.effects)
    for change in skill.when:
        before = so_far.before(bind(change.condition, step.args), needed)
        if all(part in needed for part in _parts(before)):
            effects += change.effects
        elif before != FALSE and not any(_denied(part, needed) for part in _parts(before)):
            raise ChainError(f"Whether {before} holds when the chain begins decides what {step} does.")
    yield from (bind(effect, step.args) for effect in effects)


def _denied(part: Formula, needed: Mapping[Formula, None]) -> bool:
    return (part.part if isinstance(part, Not) else Not(part)) in needed


class _Effects:
    """What the steps so far have changed, and what a formula asks of the state before all of them."""

    def __init__(self) -> None:
        self._adds: dict[Atom, None] = {}
        self._deletes: dict[Atom, None] = {}

    def extend(self, effects: Iterable[Formula]) -> None:
        """Add the effects of a step: its deletions come before its additions."""
        effects = tuple(effects)
        gone = [each.part for each in effects if isinstance(each, Not) and isinstance(each.part, Atom)]
        self._adds = {atom: None for atom in self._adds if not any(matches(each, atom) for each in gone)}
        self._deletes |= dict.fromkeys(gone)
        self._adds |= {each: None for each in effects if isinstance(each, Atom)}

    def net(self) -> tuple[Formula, ...]:
        """Additions, and deletions as negations."""
        return (*self._adds, *(Not(atom) for atom in self._deletes if atom not in self._adds))

    def before(self, formula: Formula, needed: Iterable[Formula]) -> Formula:
        """What must hold before the steps for a formula to hold after them, given what is asked already.

        Raises:
            ChainError: that cannot be said over parameters.
        """
        match formula:
            case Atom():
                return self._atom(formula, set(needed))
            case Not(part):
                inner = self._negated(part, set(needed))
                return FALSE if inner == TRUE else TRUE if inner == FALSE else Not(inner)
            case And(parts):
                each = [p for part in parts for p in _parts(self.before(part, needed)) if p != TRUE]
                return FALSE if FALSE in each else _joined(each)
            case Or(parts):
                ways = [way for part in parts if (way := self.before(part, needed)) != FALSE]
                return TRUE if TRUE in ways else Or(tuple(ways)) if len(ways) != 1 else ways[0]

    def _negated(self, part: Formula, needed: set[Formula]) -> Formula:
        """As `before`, of what stands under a negation, where asking for more is asking for less."""
        if not isinstance(part, Atom):
            raise ChainError(f"{Not(part)} cannot be carried back over the steps before it.")
        exact = part.predicate not in ("accessible", "free", "clear") or not self._touches(part)
        found = self._atom(part, needed)
        if not exact and found not in (TRUE, FALSE):
            raise ChainError(f"{Not(part)} cannot be carried back over the steps before it.")
        return found

    def _touches(self, atom: Atom) -> bool:
        """Whether anything that the derived predicates are made of was changed."""
        parts = {"on", "in", "open", "ajar"}
        return any(each.predicate in parts for each in (*self._adds, *self._deletes))

    def _atom(self, atom: Atom, needed: set[Formula]) -> Formula:
        match atom.predicate, atom.args:
            case "hand_empty", ():
                return self._hand_empty(atom, needed)
            case "clear", (thing,):
                return FALSE if self._added("on", 1, thing) else atom
            case "contained", (thing,):
                return self._contained(atom, thing)
            case "accessible", (thing,):
                return self._accessible(atom, thing)
            case "free", (thing,):
                return self._free(atom, thing)
            case "closed", (thing,):
                return self._closed(atom, thing)
        if atom in self._adds:
            return TRUE
        return FALSE if any(matches(each, atom) for each in self._deletes) else atom

    def _hand_empty(self, atom: Atom, needed: set[Formula]) -> Formula:
        if any(each.predicate == "holding" for each in self._adds):
            return FALSE
        let_go = [each for each in self._deletes if each.predicate == "holding"]
        if not let_go:
            return atom
        # A hand holds one thing: what was let go is all there was.
        if atom in needed or any(each in needed for each in let_go):
            return TRUE
        raise ChainError("Whether the hand is empty cannot be told.")

    def _contained(self, atom: Atom, thing: str) -> Formula:
        if self._added("in", 0, thing):
            return TRUE
        return FALSE if Atom("in", (thing, "*")) in self._deletes else atom

    def _accessible(self, atom: Atom, thing: str) -> Formula:
        inside = self._contained(Atom("contained", (thing,)), thing)
        if self._added("on", 1, thing):
            return FALSE
        if inside == TRUE:
            raise ChainError(f"Whether the {thing} can be reached where it was put cannot be told.")
        if inside == FALSE:
            return Atom("clear", (thing,))
        if any(each.predicate == "open" for each in self._deletes):
            return And((Atom("clear", (thing,)), Not(inside)))
        return atom

    def _free(self, atom: Atom, thing: str) -> Formula:
        if thing == TABLE:
            return TRUE
        if self._added("on", 1, thing):
            raise ChainError(f"Whether there is room on the {thing} cannot be told.")
        opened = Atom("open", (thing,))
        if opened in self._adds:
            return Atom("clear", (thing,))
        return FALSE if opened in self._deletes else atom

    def _closed(self, atom: Atom, thing: str) -> Formula:
        opened, ajar = Atom("open", (thing,)), Atom("ajar", (thing,))
        if opened in self._adds or ajar in self._adds:
            return FALSE
        gone = {opened, ajar} & set(self._deletes)
        if len(gone) == 1:
            raise ChainError(f"Whether the {thing} is closed cannot be told.")
        return TRUE if gone else atom

    def _added(self, predicate: str, place: int, name: str) -> bool:
        return any(each.predicate == predicate and each.args[place] == name for each in self._adds)


def _fresh(name: str, taken: Iterable[str]) -> str:
    """The name, or with the first number that makes it new."""
    known, number = set(taken), 1
    while (candidate := name if number == 1 else f"{name}_{number}") in known:
        number += 1
    return candidate


def _parts(formula: Formula) -> tuple[Formula, ...]:
    return formula.parts if isinstance(formula, And) else (formula,)


def _joined(parts: Sequence[Formula]) -> Formula:
    unique = tuple(dict.fromkeys(parts))
    return unique[0] if len(unique) == 1 else And(unique)


def _said(step: SkillCall) -> str:
    return " ".join([step.skill, *step.args.values()])
