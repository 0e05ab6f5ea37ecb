"""Chains of skill calls that recur in the plans of tasks: what may become a skill, and what may not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from robot_skills.logic import Atom
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.composition import ChainError, compose, kinds, lift
from sim.generative.task import Task

#: Between the steps of a chain and the kind of thing that it is for, in its signature.
WITH = " with "


@dataclass(frozen=True)
class Rules:
    """What makes a chain, and what makes a chain a skill.

    Attributes:
        recurs: tasks whose plans hold the chain, at least.
        longest: steps of a chain at most.
        parameters: at most; each multiplies the calls that a planner has to think of.
        practice: scenes on which it is practised.
        kept: share of them in which it must work.
        draws: scenes looked at for each one in which the chain can begin.
    """

    recurs: int = 2
    longest: int = 8
    parameters: int = 4
    practice: int = 20
    kept: float = 0.9
    draws: int = 4


@dataclass(frozen=True)
class Chain:
    """A chain over parameters, and the tasks whose plans hold it.

    Attributes:
        steps: calls over parameters.
        tasks: in whose plans it was found.
        only: (parameter, kind of thing), where the chain is for one kind alone.
    """

    steps: tuple[SkillCall, ...]
    tasks: tuple[Task, ...]
    only: tuple[str, str] | None = None

    @property
    def signature(self) -> str:
        """The steps as text: the same for the same chain."""
        text = "; ".join(map(str, self.steps))
        return text if self.only is None else f"{text}{WITH}{self.only[0]}={self.only[1]}"

    @property
    def name(self) -> str:
        """What it is called: its verbs, a pick and the place after it being a put; and the kind."""
        verbs = name_of(self.steps)
        return verbs if self.only is None else f"{verbs}_{self.only[1]}"

    def card(self, name: str, skills: Mapping[str, Skill]) -> Skill:
        """The card of the skill that it makes."""
        return compose(name, self.steps, skills, None if self.only is None else dict([self.only]))

    @classmethod
    def parse(cls, signature: str) -> Chain:
        """Read a signature; the tasks are left out."""
        text, _, only = signature.partition(WITH)
        parameter, _, kind = only.partition("=")
        steps = tuple(SkillCall.parse(step) for step in text.split("; "))
        return cls(steps, (), (parameter, kind) if only else None)

    @property
    def saved(self) -> int:
        """Steps that all these plans together would be shorter by."""
        return (len(self.steps) - 1) * len(self.tasks)


def mine(
    tasks: Sequence[Task], skills: Mapping[str, Skill], rules: Rules, known: Mapping[str, bool]
) -> list[Chain]:
    """The chains that recur in the tasks' plans and are not known, those first that would shorten most.

    Args:
        tasks: with their steps.
        skills: the cards of the primitives.
        rules: what makes a chain.
        known: signatures of what was practised, and whether it was kept. Of what was not there are chains
            for one kind of thing.
    """
    found: dict[tuple[SkillCall, ...], dict[str, Task]] = {}
    narrow: dict[tuple[SkillCall, ...], dict[tuple[str, str], dict[str, Task]]] = {}
    for task in tasks:
        plan = [step.skill_call for step in task.steps]
        for first, after in _stretches(len(plan), rules.longest):
            steps, names = lift(plan[first:after], skills)
            if len(names) <= rules.parameters and _connected(steps, names):
                found.setdefault(steps, {})[task.name] = task
                for parameter, thing in names.items():
                    only = parameter, thing.split()[-1]  # a name ends with the kind
                    narrow.setdefault(steps, {}).setdefault(only, {})[task.name] = task
    chains = []
    for steps, sources in found.items():
        general = Chain(steps, tuple(sources.values()))
        before = known.get(general.signature)
        if before is None:
            chains.append(general)
        elif not before:
            places = kinds(steps, skills)
            chains += [
                Chain(steps, tuple(lent.values()), only)
                for only, lent in narrow[steps].items()
                if "container" in places[only[0]] and len(lent) < len(sources)
            ]
    new = [
        chain
        for chain in chains
        if len(chain.tasks) >= rules.recurs and chain.signature not in known and _whole(chain.steps, skills)
    ]
    return sorted(new, key=lambda chain: (-chain.saved, chain.signature))


def name_of(steps: Sequence[SkillCall]) -> str:
    """What a chain is called: its verbs, a pick and the place after it being a put."""
    words = []
    for number, step in enumerate(steps):
        after = steps[number + 1] if number + 1 < len(steps) else None
        if step.skill == "pick" and after is not None and after.skill == "place":
            continue
        said = "put" if step.skill == "place" and number else step.skill
        fixed = [value for name, value in step.args.items() if name in ("relation", "direction")]
        table = ["table"] if step.args.get("target") == "table" else []
        words.append("_".join([said, *fixed, *table]))
    return "_".join(words)


def _stretches(length: int, longest: int) -> Iterator[tuple[int, int]]:
    """Every stretch of two steps or more, as (first, after)."""
    for first in range(length):
        for after in range(first + 2, min(length, first + longest) + 1):
            yield first, after


def _connected(steps: Sequence[SkillCall], names: Mapping[str, str]) -> bool:
    """Whether the steps hang together through the things that they are about."""
    groups: list[set[str]] = []
    for step in steps:
        about = {value for value in step.args.values() if value in names}
        touching = [group for group in groups if group & about]
        groups = [group for group in groups if not group & about] + [about.union(*touching)]
    return len(groups) == 1


def _whole(steps: Sequence[SkillCall], skills: Mapping[str, Skill]) -> bool:
    """Whether a chain has a card, needs nothing in the hand, and leaves nothing in it."""
    try:
        card = compose("chain", steps, skills)
    except ChainError:
        return False
    before = any(isinstance(part, Atom) and part.predicate == "holding" for part in card.preconditions)
    return not before and not any(isinstance(e, Atom) and e.predicate == "holding" for e in card.effects)
