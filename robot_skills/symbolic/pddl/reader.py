"""PDDL read: a domain's actions as skill cards, a problem as a scene and a goal.

The classical part of PDDL is read: types, constants, negative, disjunctive and conditional, equality; what a
card has no words for is refused in a line that names it. A static predicate of one argument becomes a tag of
the things that it holds of, as types do, so that a card's parameters say what they take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from robot_skills.errors import InputError, unknown
from robot_skills.logic import And, Atom, Formula, Not, Or
from robot_skills.scene_graph import DIRECTIONS, RELATIONS, Entity, SceneGraph
from robot_skills.skill import Skill, When
from robot_skills.symbolic.pddl.definitions import DERIVED, WIDE, known
from robot_skills.symbolic.pddl.expressions import Expression, read, replaced, sections, show, typed
from robot_skills.symbolic.pddl.writer import Names

#: Seconds of a skill that was read from PDDL, which says nothing of them.
TIMEOUT = 10.0


@dataclass(frozen=True)
class Domain:
    """What a domain file says.

    Attributes:
        skills: its actions as cards, without weights.
        parents: type -> the type above it.
        constants: name -> its types.
        tags: its static predicates of one argument.
    """

    skills: Mapping[str, Skill]
    parents: Mapping[str, str]
    constants: Mapping[str, tuple[str, ...]]
    tags: frozenset[str]


def read_domain(text: str) -> Domain:
    """Read a domain.

    Raises:
        InputError: it is no PDDL domain, or an action says what a card has no words for.
    """
    parts = sections(read(text), "domain")
    parents = {name: kinds[0] for part in parts.get(":types", ()) for name, kinds in typed(part)}
    constants = {name: kinds for part in parts.get(":constants", ()) for name, kinds in typed(part)}
    predicates = [part for group in parts.get(":predicates", ()) for part in group]
    unary = {each[0] for each in predicates if isinstance(each, tuple) and len(typed(each[1:])) == 1}
    actions = [_fields(part) for part in parts.get(":action", ())]
    changed = {name for action in actions for name in _mentioned(action.get(":effect", ()))}
    tags = frozenset(_word(str(name)) for name in unary - changed)
    skills = (_Action(action, constants, tags).skill() for action in actions)
    return Domain({skill.name: skill for skill in skills}, parents, constants, tags)


def read_problem(text: str, domain: Domain) -> tuple[SceneGraph, Formula]:
    """Read a problem of a domain: the scene, which nobody saw but was told, and the goal.

    Raises:
        InputError: it is no PDDL problem, or names what it does not declare.
    """
    parts = sections(read(text), "problem")
    things = dict(domain.constants)
    things |= {name: kinds for part in parts.get(":objects", ()) for name, kinds in typed(part)}
    tags: dict[str, set[str]] = {
        name: {above for kind in kinds for above in _lineage(kind, domain.parents)}
        for name, kinds in things.items()
    }
    facts = set()
    for item in parts.get(":init", [()])[0]:
        atom = _fact(item, things)
        if atom is None:
            continue
        if atom.predicate in domain.tags:
            tags[atom.args[0]].add(atom.predicate)
        facts.add(atom)
    kinds = {name: "table" if WIDE in tags[name] else each[0] for name, each in things.items()}
    entities = tuple(Entity(name, kinds[name], frozenset(tags[name])) for name in things)
    scene = SceneGraph(entities, frozenset(facts), "told")
    return scene, _goal(parts, {name: name for name in things})


def read_goal(text: str, scene: SceneGraph) -> Formula:
    """Read the goal of a problem that is about a scene of ours, whose things it names as `writer` does.

    Raises:
        InputError: it is no PDDL problem, or names what is not in the scene.
    """
    names = Names()
    things = {names.of("thing", entity.name): entity.name for entity in scene.entities}
    words = {word: word for word in (*DIRECTIONS, *RELATIONS)}
    return _goal(sections(read(text), "problem"), {**words, **things})


def _goal(parts: Mapping[str, list[tuple[Expression, ...]]], things: Mapping[str, str]) -> Formula:
    if len(parts.get(":goal", ())) != 1 or len(parts[":goal"][0]) != 1:
        raise InputError("A PDDL problem has one `(:goal ...)`.")
    return _Formulas(things, {}, known(tuple(things)), things).formula(parts[":goal"][0][0])


@dataclass(frozen=True)
class _Formulas:
    """Reads conditions.

    Attributes:
        terms: how a term is called in the formula: variables without their question mark, and things.
        types: variable -> its types.
        definitions: what the definitions of derived predicates look like over these terms.
        things: what quantifiers range over; nothing in an action.
    """

    terms: Mapping[str, str]
    types: Mapping[str, tuple[str, ...]]
    definitions: Mapping[Expression, Atom]
    things: Mapping[str, str]

    def formula(self, expression: Expression) -> Formula:
        derived = self.definitions.get(expression)
        if derived is not None:
            return Atom(derived.predicate, tuple(map(self._term, derived.args)))
        match expression:
            case ():
                return And(())
            case ("not", part):
                return Not(self.formula(part))
            case ("and", *parts):
                return _joined(And, map(self.formula, parts))
            case ("or", *parts):
                return _joined(Or, map(self.formula, parts))
            case ("imply", condition, part):
                return Or((Not(self.formula(condition)), self.formula(part)))
            case ("=", str(one), str(other)):
                return Not(Atom("different", (self._term(one), self._term(other))))
            case (("forall" | "exists") as head, tuple(variables), part) if self.things:
                return self._spelled_out(head, variables, part)
            case (str(predicate), *args) if predicate not in ("forall", "exists"):
                return Atom(_word(predicate), tuple(self._term(str(arg)) for arg in args))
        raise InputError(f"A skill card has no words for {show(expression)}.")

    def _term(self, term: str) -> str:
        if term not in self.terms:
            raise unknown("name in PDDL", term, self.terms)
        return self.terms[term]

    def _spelled_out(self, head: str, variables: tuple[Expression, ...], part: Expression) -> Formula:
        """A quantifier as the conjunction or disjunction over all things."""
        name = typed(variables)[0][0]
        rest = [each for each in variables if each != name]
        each: list[Formula] = []
        for thing in self.things:
            inner = replaced(part, name, thing)
            each.append(self.formula((head, tuple(rest), inner) if rest else inner))
        return _joined(And if head == "forall" else Or, each)


def _joined(kind: type[And] | type[Or], parts: Iterable[Formula]) -> Formula:
    flat = [each for part in parts for each in (part.parts if isinstance(part, kind) else (part,))]
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


class _Action:
    def __init__(
        self,
        fields: Mapping[str, Expression],
        constants: Mapping[str, tuple[str, ...]],
        tags: frozenset[str],
    ) -> None:
        self._fields, self._tags = fields, tags
        parameters = fields.get(":parameters", ())
        self._parameters = dict(typed(parameters if isinstance(parameters, tuple) else ()))
        terms = {name: name.lstrip("?").replace("-", "_") for name in self._parameters}
        self._names = terms
        terms = {**terms, **{name: name for name in constants}}
        self._formulas = _Formulas(terms, self._parameters, known(tuple(terms)), {})

    def skill(self) -> Skill:
        name = _word(str(self._fields["name"]))
        wanted = self._formulas.formula(self._fields.get(":precondition", ()))
        parts = wanted.parts if isinstance(wanted, And) else (wanted,)
        asked = {each: list(kinds) for each, kinds in self._parameters.items()}
        parameters = {self._names[each]: ["|".join(kinds)] for each, kinds in asked.items()}
        needs = []
        for part in parts:
            if isinstance(part, Atom) and part.predicate in self._tags and part.args[0] in parameters:
                parameters[part.args[0]].append(part.predicate)
            else:
                needs.append(part)
        always, when = self._effects(self._fields.get(":effect", ()))
        lasting = tuple(each for each in always if "*" not in str(each))
        return Skill(
            name=name,
            summary=f"The action {name} of a PDDL domain.",
            parameters={each: _kind(kinds) for each, kinds in parameters.items()},
            preconditions=tuple(needs),
            effects=always,
            success=lasting[0] if len(lasting) == 1 else And(lasting),
            text=" ".join([name, *(f"{{{each}}}" for each in parameters)]),
            timeout=TIMEOUT,
            when=when,
        )

    def _effects(self, expression: Expression) -> tuple[tuple[Formula, ...], tuple[When, ...]]:
        match expression:
            case ("and", *parts):
                read_parts = [self._effects(part) for part in parts]
                always = tuple(effect for effects, _ in read_parts for effect in effects)
                return always, tuple(each for _, when in read_parts for each in when)
            case ("when", condition, part):
                then, nested = self._effects(part)
                if nested:
                    raise InputError(f"A skill card has no words for {show(expression)}.")
                return (), (When(self._formulas.formula(condition), then),)
            case ("increase", *_) | ():
                return (), ()
            case ("forall", tuple(variables), ("not", (str(predicate), *args))):
                free = {name: "*" for name, _ in typed(variables)}
                terms = tuple(free.get(str(arg)) or self._formulas._term(str(arg)) for arg in args)
                return (Not(Atom(_word(predicate), terms)),), ()
            case ("forall", *_):
                raise InputError(f"A skill card has no words for {show(expression)}.")
        return (self._formulas.formula(expression),), ()


def _kind(kinds: Iterable[str]) -> str:
    """Tags that are asked for; `object`, which everything is, only where nothing more is."""
    asked = [kind for kind in kinds if kind != "object"]
    return "&".join(asked) or "object"


def _fields(action: tuple[Expression, ...]) -> dict[str, Expression]:
    if len(action) % 2 == 0 or not isinstance(action[0], str):
        raise InputError(f"Not a PDDL action: {show(action)[:60]!r}.")
    pairs = zip(action[1::2], action[2::2], strict=True)
    return {"name": action[0], **{str(key): value for key, value in pairs}}


def _mentioned(expression: Expression) -> Iterable[str]:
    """Predicates (and the words of effects) that an expression begins a list with."""
    if isinstance(expression, tuple) and expression:
        if isinstance(expression[0], str):
            yield expression[0]
        effects = expression[2:] if expression[0] == "when" else expression
        for part in effects:
            yield from _mentioned(part)


def _fact(item: Expression, things: Mapping[str, tuple[str, ...]]) -> Atom | None:
    match item:
        case ("=", *_):  # a number, such as a cost
            return None
        case (str(predicate), *args):
            for arg in args:
                if arg not in things:
                    raise unknown("object in PDDL", show(arg), things)
            return Atom(_word(predicate), tuple(map(str, args)))
    raise InputError(f"Not a PDDL fact: {show(item)}.")


def _lineage(kind: str, parents: Mapping[str, str]) -> Iterable[str]:
    seen: dict[str, None] = {}
    while kind not in seen:
        seen[kind] = None
        kind = parents.get(kind, "object")
    return (*seen, "object")


def _word(name: str) -> str:
    """A name as cards write it; one that scene graphs derive is kept apart from theirs."""
    word = name.replace("-", "_")
    return f"given_{word}" if word in DERIVED else word
