"""How likely a skill call is to work here: what SayCan calls "can", from counted tries of the same weights.

A library's skill may hold `tries.json`: how often it was tried in which context, and how often it worked
(`benchmarks/tries.py` makes it). A context is a list of properties of the call and the scene, from general to
particular, and the estimate backs off along it: with s successes in n tries of a context,

    p(context) = (s + m p(shorter context)) / (n + m),   p() = (s + 1) / (n + 2)

the posterior mean of a beta-binomial whose prior is the shorter context, worth m tries (the m-estimate of
Cestnik, "Estimating probabilities: a crucial task in machine learning", ECAI 1990; the chain of priors is
that of MacKay and Peto, "A hierarchical Dirichlet language model", Natural Language Engineering 1, 1995), and
at its root Laplace's rule of succession.
"""

from __future__ import annotations

import json
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from robot_skills.data.files import write_text
from robot_skills.errors import InputError
from robot_skills.logic import Atom, Formula, atoms, bind
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.model import same_for_all

if TYPE_CHECKING:
    from robot_skills.library import SkillLibrary

log = logging.getLogger(__name__)

TRIES = "tries.json"
#: m, how many tries the shorter context is worth.
STRENGTH = 10.0
#: What a second of robot time costs in a search, in nats: two seconds are worth a hundredth of the chance.
SECOND = 0.005
#: What any call costs, in nats: of plans that are as sure the one of fewer calls is taken.
CALL = 0.001
#: What a call costs more, in nats, after which a thing is out of the skills' reach, as in a bowl that nothing
#: is taken out of. Where it is asked for, every plan pays it; what is in the way goes where it can be had.
FINAL = 0.1
#: From this many loose things on the table on it is crowded.
CROWD = 5

Context: TypeAlias = tuple[str, ...]


def context(skill: Skill, call: SkillCall, scene: SceneGraph) -> Context:
    """The properties of a call that its chance may hang on, from general to particular.

    Kinds of the arguments and the words among them; their sizes; where each is and what is in or on it;
    whether the table is crowded.
    """
    things = [scene.entity(call.args[n]) for n, kind in skill.parameters.items() if isinstance(kind, str)]
    words = [call.args[n] for n, kind in skill.parameters.items() if not isinstance(kind, str)]
    kinds = " ".join([*(thing.kind for thing in things), *words])
    sizes = " ".join(thing.attributes.get("size", "-") for thing in things)
    places = "; ".join(_place(thing.name, scene) for thing in things if thing.kind != "table")
    loose = sum(fact.predicate == "on" and fact.args[1] == "table" for fact in scene.facts)
    return kinds, sizes, places, "crowded" if loose >= CROWD else "spacious"


def _place(name: str, scene: SceneGraph) -> str:
    """Where a thing is, what state it is in, and how much is in or on it: "on block", "open, 1 in"."""
    told = []
    for fact in sorted(scene.facts):
        match fact.predicate, fact.args:
            case (("in" | "on" as how), (thing, place)) if thing == name:
                told.append(f"{how} {scene.entity(place).kind}")
            case "holding", (thing,) if thing == name:
                told.append("in hand")
            case (("open" | "ajar" | "pressed" as how), (thing,)) if thing == name:
                told.append(how)
    for how in ("in", "on"):
        count = sum(fact.predicate == how and fact.args[1] == name for fact in scene.facts)
        told += [f"{count} {how}"] if count else []
    return ", ".join(told)


@dataclass(frozen=True)
class Count:
    """Tries of one context.

    Attributes:
        successes: of them.
        tries: all.
        seconds: robot time of all of them together.
    """

    successes: int
    tries: int
    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.tries or self.tries < 1 or self.seconds < 0:
            raise InputError(f"Counted are 0 <= successes <= tries in 0 s or more, not {self}.")

    def __add__(self, other: Count) -> Count:
        return Count(self.successes + other.successes, self.tries + other.tries, self.seconds + other.seconds)


@dataclass(frozen=True)
class Tries:
    """The record of a skill's tries.

    Attributes:
        weights: fingerprint of the weights that were tried.
        made_by: the command, with its seeds.
        counts: context -> tries.
    """

    weights: str
    made_by: str
    counts: Mapping[Context, Count]

    def __post_init__(self) -> None:
        if not self.counts:
            raise InputError("A record of tries holds one or more.")

    @cached_property
    def totals(self) -> Mapping[Context, Count]:
        """Tries of every context and of every shorter one, the empty one included."""
        found: dict[Context, Count] = {}
        for full, count in self.counts.items():
            for length in range(len(full) + 1):
                start = full[:length]
                found[start] = found[start] + count if start in found else count
        return found

    @property
    def seconds(self) -> float:
        """Mean robot time of a try, s."""
        return self.totals[()].seconds / self.totals[()].tries

    def chance(self, context: Context, strength: float = STRENGTH) -> float:
        """The probability in (0, 1) that the skill works in a context; see the module for the formula."""
        everything = self.totals[()]
        chance = (everything.successes + 1) / (everything.tries + 2)
        for length in range(1, len(context) + 1):
            count = self.totals.get(context[:length])
            if count is None:  # nothing longer was seen either
                break
            chance = (count.successes + strength * chance) / (count.tries + strength)
        return chance

    @classmethod
    def of(cls, weights: str, made_by: str, tries: Iterable[tuple[Context, bool, float]]) -> Tries:
        """Count tries: of each the context, whether it worked, and its robot time in s."""
        counts: dict[Context, Count] = {}
        for where, worked, seconds in tries:
            one = Count(int(worked), 1, seconds)
            counts[where] = counts[where] + one if where in counts else one
        return cls(weights, made_by, counts)

    def save(self, path: Path) -> None:
        """Write `tries.json`, a line a context."""
        lines = ",\n".join(
            "    "
            + json.dumps(
                {
                    "context": list(full), "successes": count.successes, "tries": count.tries,
                    "seconds": round(count.seconds, 1),
                }
            )
            for full, count in sorted(self.counts.items())
        )  # fmt: skip
        head = json.dumps({"format_version": 1, "weights": self.weights, "made_by": self.made_by}, indent=2)
        write_text(path, head[:-2] + ',\n  "counts": [\n' + lines + "\n  ]\n}\n")

    @classmethod
    def load(cls, path: Path) -> Tries:
        """The inverse of `save`.

        Raises:
            InputError: it cannot be read, or is no record of tries; the message names the file.
        """
        try:
            data: Any = json.loads(path.read_text())
            if data["format_version"] != 1:
                raise InputError(f"format version {data['format_version']}; this version reads 1")
            counts = {
                tuple(map(str, row["context"])): Count(
                    int(row["successes"]), int(row["tries"]), float(row["seconds"])
                )
                for row in data["counts"]
            }
            return cls(str(data["weights"]), str(data["made_by"]), counts)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is no record of tries: {error}.") from error


class Affordances:
    """What the skills of a library can do, as far as their tries tell.

    Args:
        skills: the cards.
        tries: of the skills that have any, by name.
        steps: what a composite's call stands for: itself, for any other.
    """

    def __init__(
        self,
        skills: Mapping[str, Skill],
        tries: Mapping[str, Tries],
        steps: Callable[[SkillCall], Sequence[SkillCall]] = lambda call: (call,),
    ) -> None:
        self._skills, self._tries, self._steps = skills, tries, steps

    @classmethod
    def open(cls, library: SkillLibrary) -> Affordances:
        """Read the records of a library; one that belongs to other weights is left out, with a warning.

        Raises:
            InputError: a record is damaged.
        """
        from robot_skills.library import fingerprint

        tries = {}
        for name in library.skills:
            path = library.folder / name / TRIES
            if not path.is_file() or name in library.composites or not library.trained(name):
                continue
            record = Tries.load(path)
            if record.weights == fingerprint(library.home(name)):
                tries[name] = record
            else:
                log.warning("%s is of other weights than those of %s, and is not used.", path, name)
        return cls(library.skills, tries, library.expand)

    def chance(self, call: SkillCall, scene: SceneGraph) -> float:
        """The probability in (0, 1) that a call works in a scene; 1/2 of a skill that was never tried.

        Of a composite, that all of its steps do, each in the scene that the one before leaves.
        """
        chance = 1.0
        for step, before in self._unrolled(call, scene):
            record = self._tries.get(step.skill)
            where = context(self._skills[step.skill], step, before)
            chance *= 0.5 if record is None else record.chance(where)
        return chance

    def cost(self, scene: SceneGraph) -> Callable[[SkillCall], float]:
        """What a search pays for a call: -log of its chance in this scene, and a little for its time; > 0.

        A sequence of calls that all must work has the product of their chances: the cheapest plan is, but for
        the time, the surest. What cannot be undone costs `FINAL` more. Where no skill was ever tried, all
        calls cost the same.
        """
        if not self._tries:
            return same_for_all
        reach = _Reach(self._skills, scene)

        def price(call: SkillCall) -> float:
            steps = self._steps(call)
            seconds = sum(r.seconds for step in steps if (r := self._tries.get(step.skill)) is not None)
            final = FINAL * reach.lost(call)
            return CALL - math.log(self.chance(call, scene)) + SECOND * seconds + final

        return price

    def expected_success(self, plan: Sequence[SkillCall], scene: SceneGraph) -> float | None:
        """The probability that every step of a plan works at its first try; None where one was never tried.

        Each step is looked up in the scene that the steps before it promise.
        """
        chance = 1.0
        for call in plan:
            if any(step.skill not in self._tries for step in self._steps(call)):
                return None
            chance *= self.chance(call, scene)
            scene = self._skills[call.skill].after(call, scene)
        return chance

    def _unrolled(self, call: SkillCall, scene: SceneGraph) -> Iterable[tuple[SkillCall, SceneGraph]]:
        for step in self._steps(call):
            yield step, scene
            scene = self._skills[step.skill].after(step, scene)


class _Reach:
    """Whether a call takes a thing out of the reach of all skills, as far as conditions on the thing tell.

    In reach is what some skill can change something about: what an effect says first.
    """

    def __init__(self, skills: Mapping[str, Skill], scene: SceneGraph) -> None:
        self._skills, self._scene = skills, scene
        self._about: dict[str, list[tuple[Formula, ...]]] = defaultdict(list)
        for skill in skills.values():
            for call in skill.groundings(scene):
                bound = [bind(condition, call.args) for condition in skill.preconditions]
                for name in {change.args[0] for each in skill.possible_changes(call)
                             for change in atoms(each) if change.args}:  # fmt: skip
                    own = tuple(each for each in bound if any(name in atom.args for atom in atoms(each)))
                    self._about[name].append(own)
        self._known: dict[tuple[str, frozenset[Atom]], bool] = {}

    def lost(self, call: SkillCall) -> bool:
        """Whether a graspable thing of the call can be used by no skill after it."""
        after = self._skills[call.skill].after(call, self._scene)
        return any(
            "graspable" in entity.tags and not self._usable(entity.name, after)
            for entity in self._scene.entities
            if entity.name in call.args.values()
        )

    def _usable(self, name: str, scene: SceneGraph) -> bool:
        key = name, frozenset(fact for fact in scene.facts if name in fact.args)
        if key not in self._known:
            self._known[key] = any(all(map(scene.holds, own)) for own in self._about[name])
        return self._known[key]


def reliability(
    pairs: Iterable[tuple[float, bool]], edges: Sequence[float]
) -> list[tuple[float, float, int, int, float]]:
    """Predictions by size beside what came of them: a reliability table.

    Args:
        pairs: (predicted probability, whether it happened).
        edges: ascending, from 0 to 1; the last bin holds its upper edge.

    Returns:
        For each bin that is not empty: low, high, predictions, how often it happened, mean prediction.
    """
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for predicted, happened in pairs:
        place = sum(predicted >= edge for edge in edges[1:-1])
        bins[place].append((predicted, happened))
    return [
        (edges[b], edges[b + 1], len(rows), sum(h for _, h in rows), sum(p for p, _ in rows) / len(rows))
        for b, rows in sorted(bins.items())
    ]


def brier(pairs: Iterable[tuple[float, bool]]) -> float:
    """Mean squared difference of predicted probability and what happened (Brier 1950); lower is better.

    Raises:
        ValueError: there are no pairs.
    """
    rows = [(predicted - happened) ** 2 for predicted, happened in pairs]
    if not rows:
        raise ValueError("A Brier score is of one prediction or more.")
    return sum(rows) / len(rows)
