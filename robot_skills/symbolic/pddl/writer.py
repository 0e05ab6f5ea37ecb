"""Skill cards, a scene and a goal written as a PDDL domain and problem (Fox and Long, JAIR 20, 2003).

What a parameter may be is a static predicate (`graspable`, `container_or_support`); a choice of words makes
an action of each word (`place_in`, `place_on`); derived predicates are written out. Costs are whole numbers
of thousandths, since planners ask for whole numbers.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from robot_skills.errors import InputError, unknown
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms, bind
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.pddl.definitions import DERIVED, OPENABLE, WIDE, defined
from robot_skills.symbolic.pddl.expressions import FALSE, TRUE, Expression, folded, replaced, show

REQUIREMENTS = (
    ":strips", ":negative-preconditions", ":disjunctive-preconditions", ":equality",
    ":existential-preconditions", ":universal-preconditions", ":conditional-effects",
)  # fmt: skip
#: Words that name nothing in PDDL.
_RESERVED = (
    "and",
    "or",
    "not",
    "when",
    "forall",
    "exists",
    "imply",
    "either",
    "object",
    "define",
    "increase",
)
#: Costs are written in thousandths.
PRECISION = 1000


@dataclass(frozen=True)
class Schema:
    """The PDDL action of a skill, for one choice of words; it takes the skill's other parameters."""

    skill: Skill
    words: Mapping[str, str]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those that things take the place of."""
        return tuple(name for name in self.skill.parameters if name not in self.words)


@dataclass(frozen=True)
class Task:
    """A domain and a problem, and how to come back from them.

    Attributes:
        domain, problem: PDDL.
        schemas: action -> what it stands for.
        things: PDDL object -> name in the scene.
    """

    domain: str
    problem: str
    schemas: Mapping[str, Schema]
    things: Mapping[str, str]

    def calls(self, plan: str) -> tuple[SkillCall, ...]:
        """The calls of a plan as planners write it, `(pick red_block)` a line; comments are left out.

        Raises:
            InputError: a line is no action of this domain over its objects.
        """
        return tuple(self._call(line) for line in plan.lower().splitlines() if line.partition(";")[0].strip())

    def plan(self, calls: Sequence[SkillCall]) -> str:
        """The inverse of `calls`."""
        objects = {name: written for written, name in self.things.items()}
        lines = []
        for call in calls:
            action = next(
                name
                for name, schema in self.schemas.items()
                if schema.skill.name == call.skill and schema.words.items() <= call.args.items()
            )
            args = (objects[call.args[each]] for each in self.schemas[action].parameters)
            lines.append(show((action, *args)))
        return "".join(f"{line}\n" for line in lines)

    def _call(self, line: str) -> SkillCall:
        action, *args = line.partition(";")[0].strip().strip("()").split()
        if action not in self.schemas:
            raise unknown("PDDL action", action, self.schemas)
        schema = self.schemas[action]
        for arg in args:
            if arg not in self.things:
                raise unknown("PDDL object", arg, self.things)
        if len(args) != len(schema.parameters):
            raise InputError(f"The PDDL action {action} takes {len(schema.parameters)} objects: {line!r}.")
        things = dict(zip(schema.parameters, (self.things[arg] for arg in args), strict=True))
        chosen = {**things, **schema.words}
        return SkillCall(schema.skill.name, {name: chosen[name] for name in schema.skill.parameters})


class Names:
    """Names as PDDL writes them: letters, digits and underscores, no two things the same."""

    def __init__(self) -> None:
        self._taken: dict[str, None] = dict.fromkeys(_RESERVED)
        self._given: dict[tuple[str, str], str] = {}

    def of(self, kind: str, name: str) -> str:
        """The PDDL name of something of a kind (thing, predicate, action), given at first mention."""
        if (kind, name) not in self._given:
            base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or kind
            base = base if base[0].isalpha() else f"{kind}_{base}"
            choices = itertools.chain([base], (f"{base}_{number}" for number in itertools.count(2)))
            new = next(choice for choice in choices if choice not in self._taken)
            self._taken[new] = None
            self._given[kind, name] = new
        return self._given[kind, name]

    def all_of(self, kind: str) -> dict[str, str]:
        """PDDL name -> name, of every name of a kind."""
        return {written: name for (of, name), written in self._given.items() if of == kind}


def write_task(
    skills: Mapping[str, Skill],
    scene: SceneGraph,
    goal: Formula,
    cost: Callable[[SkillCall], float] | None = None,
    name: str = "robot_skills",
    quantifiers: bool = True,
) -> Task:
    """Write a domain and a problem.

    Args:
        skills: the cards.
        scene: what there is, and what is so.
        goal: what must hold at the end.
        cost: what making a call costs, if plans of little cost are asked for rather than short ones.
        name: of the domain.
        quantifiers: keep them, and the domain serves every scene; otherwise they are spelled out over the
            things of this one, for planners and heuristics that have none.
    """
    return _Writer(scene, cost, name, quantifiers).task(skills, goal)


class _Writer:
    def __init__(
        self, scene: SceneGraph, cost: Callable[[SkillCall], float] | None, name: str, quantifiers: bool
    ) -> None:
        self._scene, self._cost, self._name, self._quantifiers = scene, cost, name, quantifiers
        self._names = Names()
        for entity in scene.entities:
            self._names.of("thing", entity.name)
        for predicate in sorted(
            {*(fact.predicate for fact in scene.facts), "on", "in", "holding", "open", "ajar"}
        ):
            self._names.of("predicate", predicate)
        self._arity: dict[str, int] = {}
        self._constants: dict[str, None] = {}
        self._functions: list[Expression] = []
        self._prices: list[Expression] = []
        self._kinds: dict[str, str] = {}
        self._in_domain = True

    def task(self, skills: Mapping[str, Skill], goal: Formula) -> Task:
        """Actions first: what they mention has to be declared."""
        schemas: dict[str, Schema] = {}
        actions = []
        for skill in skills.values():
            for words in _choices(skill):
                action = self._names.of("action", "_".join([skill.name, *words.values()]))
                schemas[action] = Schema(skill, words)
                actions.append(self._action(action, schemas[action]))
        self._in_domain = False
        wanted = self._formula(goal, {})
        facts = self._facts()
        domain = "\n".join(["(define (domain " + self._name + ")", *self._declared(), *actions]) + "\n)\n"
        metric = ["  (:metric minimize (total-cost))"] if self._cost else []
        others = [name for name in self._names.all_of("thing") if name not in self._constants]
        problem = "\n".join(
            [
                f"(define (problem {self._name}_task) (:domain {self._name})",
                f"  (:objects {' '.join(others)})",
                "  (:init",
                *(f"    {show(fact)}" for fact in facts),
                "  )",
                f"  (:goal {show(wanted)})",
                *metric,
                ")\n",
            ]
        )
        return Task(domain, problem, schemas, self._names.all_of("thing"))

    def _declared(self) -> Iterator[str]:
        more = (":action-costs",) if self._cost else ()
        yield f"  (:requirements {' '.join((*REQUIREMENTS, *more))})"
        if self._constants:
            yield f"  (:constants {' '.join(self._constants)})"
        predicates = [
            show((name, *(f"?a{place}" for place in range(count)))) for name, count in self._arity.items()
        ]
        yield f"  (:predicates {' '.join(predicates)})"
        if self._cost:
            yield f"  (:functions (total-cost) {' '.join(map(show, self._functions))})"

    def _action(self, action: str, schema: Schema) -> str:
        skill, words, own = schema.skill, schema.words, schema.parameters
        variables = {name: f"?{name}" for name in own}
        needs: list[Expression] = []
        for name in own:
            kind = skill.parameters[name]
            assert isinstance(kind, str)
            needs.append(self._atom(self._kind(kind), (variables[name],)))
        needs += [self._formula(bind(each, words), variables) for each in skill.preconditions]
        changes = [self._effect(bind(each, words), variables) for each in skill.effects]
        for each in skill.when:
            then = [self._effect(bind(effect, words), variables) for effect in each.effects]
            changes.append(("when", self._formula(bind(each.condition, words), variables), ("and", *then)))
        if self._cost is not None:
            changes.append(("increase", ("total-cost",), self._price(action, schema)))
        return "\n".join(
            [
                f"  (:action {action}",
                f"    :parameters ({' '.join(variables.values())})",
                f"    :precondition {show(('and', *needs))}",
                f"    :effect {show(('and', *changes))})",
            ]
        )

    def _price(self, action: str, schema: Schema) -> Expression:
        """A number where every call costs the same, else a function of the objects."""
        assert self._cost is not None
        calls = [
            call for call in schema.skill.groundings(self._scene) if schema.words.items() <= call.args.items()
        ]
        prices = [max(1, round(PRECISION * self._cost(call))) for call in calls]
        if len(set(prices)) <= 1:
            return str(prices[0] if prices else PRECISION)
        head = (self._names.of("function", f"cost_{action}"), *(f"?{name}" for name in schema.parameters))
        self._functions.append(head)
        for call, price in zip(calls, prices, strict=True):
            things = (self._names.of("thing", call.args[name]) for name in schema.parameters)
            self._prices.append(("=", (head[0], *things), str(price)))
        return head

    def _kind(self, kind: str) -> str:
        """The static predicate of a kind of parameter."""
        self._kinds.setdefault(kind.replace("|", "_or_").replace("&", "_and_"), kind)
        return kind.replace("|", "_or_").replace("&", "_and_")

    def _facts(self) -> list[Expression]:
        found = [
            self._atom(fact.predicate, tuple(map(self._thing, fact.args)))
            for fact in sorted(self._scene.facts)
        ]
        asks = {**self._kinds, OPENABLE: OPENABLE}
        probe = Skill("probe", "", asks, (), (), And(()), "", 1.0)
        holds = [(each, name) for each in asks for name in probe.choices(each, self._scene)]
        holds += [(WIDE, entity.name) for entity in self._scene.entities if entity.kind == "table"]
        found += [self._atom(predicate, (self._names.of("thing", name),)) for predicate, name in holds]
        return list(dict.fromkeys(found)) + (
            [("=", ("total-cost",), "0"), *self._prices] if self._cost else []
        )

    def _thing(self, name: str) -> str:
        """An entity of the scene or a word, as an object; a constant where a card names it."""
        written = self._names.of("thing", name)
        if self._in_domain:
            self._constants[written] = None
        return written

    def _atom(self, predicate: str, terms: tuple[str, ...]) -> Expression:
        written = self._names.of("predicate", predicate)
        self._arity[written] = len(terms)
        return (written, *terms)

    def _formula(self, formula: Formula, variables: Mapping[str, str]) -> Expression:
        match formula:
            case Not(part):
                return ("not", self._formula(part, variables))
            case And(parts) | Or(parts):
                head = "and" if isinstance(formula, And) else "or"
                return (head, *(self._formula(part, variables) for part in parts))
            case Atom(predicate, args):
                terms = tuple(variables.get(arg) or self._thing(arg) for arg in args)
                if predicate in DERIVED:
                    expression = defined(predicate, terms)
                    assert expression is not None
                    return self._declare(expression)
                return self._atom(predicate, terms)

    def _declare(self, expression: Expression) -> Expression:
        """A definition with its predicates under their PDDL names."""
        if isinstance(expression, str):
            return expression
        head, *rest = expression
        if head in ("forall", "exists"):
            if self._quantifiers:
                return (head, rest[0], self._declare(rest[1]))
            joint = "and" if head == "forall" else "or"
            things = [self._thing(entity.name) for entity in self._scene.entities]
            return folded(joint, [self._declare(replaced(rest[1], rest[0][0], thing)) for thing in things])
        if head in ("and", "or", "not"):
            parts = [self._declare(part) for part in rest]
            return (head, *parts) if self._quantifiers else folded(str(head), parts)
        if head == "=":
            return expression
        settled = None if self._quantifiers else self._settled(str(head), str(rest[0]))
        return settled or self._atom(str(head), tuple(map(str, rest)))

    def _settled(self, predicate: str, term: str) -> Expression | None:
        """What a static predicate of the definitions is of a thing: without quantifiers it can be told."""
        name = self._names.all_of("thing").get(term)
        if name is None or predicate not in (OPENABLE, WIDE):
            return None
        entity = self._scene.entity(name)
        return (
            TRUE if (OPENABLE in entity.tags if predicate == OPENABLE else entity.kind == "table") else FALSE
        )

    def _effect(self, effect: Formula, variables: Mapping[str, str]) -> Expression:
        """An atom or its negation; `*` becomes a variable over everything."""
        stars = [arg for atom in atoms(effect) for arg in atom.args if arg == "*"]
        written = self._formula(effect, {**variables, "*": "?any"})
        if not stars:
            return written
        if len(stars) > 1:
            raise InputError(f"An effect with more than one '*' cannot be written as PDDL: {effect}.")
        return ("forall", ("?any",), written)


def _choices(skill: Skill) -> Iterator[dict[str, str]]:
    """Every choice of the words that a skill takes; one that is empty where it takes none."""
    names = [name for name, kind in skill.parameters.items() if isinstance(kind, tuple)]
    for values in itertools.product(*(skill.parameters[name] for name in names)):
        yield dict(zip(names, values, strict=True))
