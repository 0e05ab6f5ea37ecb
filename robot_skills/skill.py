"""What a skill is: a named primitive with typed parameters, conditions, and a policy to carry it out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from robot_skills.errors import InputError, unknown
from robot_skills.logic import Atom, Formula, Not, bind, parse
from robot_skills.scene_graph import SceneGraph


@dataclass(frozen=True)
class SkillCall:
    """A skill with its arguments: `place(object="red block", relation="in", target="drawer")`."""

    skill: str
    args: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        inner = ", ".join(f'{name}="{value}"' for name, value in self.args.items())
        return f"{self.skill}({inner})"

    def __hash__(self) -> int:
        return hash((self.skill, tuple(self.args.items())))

    def to_json(self) -> dict[str, Any]:
        """The form used in plans and results."""
        return {"skill": self.skill, "args": dict(self.args)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SkillCall:
        """The inverse of `to_json`."""
        return cls(str(data["skill"]), {str(k): str(v) for k, v in data["args"].items()})

    @classmethod
    def parse(cls, text: str) -> SkillCall:
        """Read `pick(object="red block")`; quotes may be left out.

        Raises:
            InputError: the text is not a skill call.
        """
        match = re.fullmatch(r"\s*(\w+)\s*\(([^()]*)\)\s*", text)
        if match is None:
            raise InputError(f'Not a skill call: {text!r}; one looks like pick(object="red block").')
        args: dict[str, str] = {}
        for part in filter(str.strip, match.group(2).split(",")):
            name, equals, value = part.partition("=")
            if not equals or not value.strip():
                raise InputError(f"Expected name=value in {text!r}, not {part.strip()!r}.")
            args[name.strip()] = value.strip().strip("\"'")
        return cls(match.group(1), args)


class Status(str, Enum):
    """How a skill call ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # it ran to its end, and its success condition does not hold
    TIMED_OUT = "timed_out"
    PREEMPTED = "preempted"  # somebody asked it to stop
    ABORTED = "aborted"  # it could not go on: an error of the robot or the policy


@dataclass(frozen=True)
class Outcome:
    """What came of a skill call.

    Attributes:
        steps: control steps played.
        seconds: wall time.
    """

    call: SkillCall
    status: Status
    reason: str
    steps: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The form used in results."""
        return {
            **self.call.to_json(),
            "status": self.status.value,
            "reason": self.reason,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class When:
    """A conditional effect: what also changes where a condition holds before the skill begins."""

    condition: Formula
    effects: tuple[Formula, ...]


@dataclass(frozen=True)
class Skill:
    """A primitive: what it may be called with, when, what it changes, and how its end is known.

    Attributes:
        parameters: name -> the tag an entity must carry, or its kind ("graspable"), alternatives split by
            "|" ("container|support"), several of them by "&" ("openable&container|support"); or a tuple of
            allowed words.
        preconditions: formulas over the parameters that must hold before.
        effects: atoms, or negated atoms (with `*` for any argument), that hold after.
        success: the formula that says whether it worked.
        text: the language argument the policy is given, with `{parameter}` places.
        timeout: seconds of robot time.
        when: effects that come about only where something more holds before.
    """

    name: str
    summary: str
    parameters: Mapping[str, str | tuple[str, ...]]
    preconditions: tuple[Formula, ...]
    effects: tuple[Formula, ...]
    success: Formula
    text: str
    timeout: float
    when: tuple[When, ...] = ()

    def check(self, call: SkillCall, scene: SceneGraph) -> None:
        """Check that the arguments are those the skill takes, present in the scene and of the right type.

        Raises:
            InputError: with the valid choices.
        """
        self.check_arguments(call)
        for name, kind in self.parameters.items():
            choices = self.choices(name, scene)
            if call.args[name] not in choices:
                scene.entity(call.args[name])  # says so when there is no such thing at all
                raise InputError(
                    f"{self.name}: {call.args[name]!r} is not {describe(kind)}; "
                    f"valid: {', '.join(choices) or '(none here)'}."
                )

    def check_arguments(self, call: SkillCall) -> None:
        """Check what can be checked without a scene: the names of the arguments, and words of a fixed choice.

        Raises:
            InputError: with the valid choices.
        """
        for name in call.args:
            if name not in self.parameters:
                raise unknown(f"argument of {self.name}", name, self.parameters)
        for name, kind in self.parameters.items():
            if name not in call.args:
                raise InputError(f"{self.name} needs the argument {name!r} ({describe(kind)}).")
            if isinstance(kind, tuple) and call.args[name] not in kind:
                raise InputError(f"{self.name}: {name} is {describe(kind)}, not {call.args[name]!r}.")

    def choices(self, parameter: str, scene: SceneGraph) -> tuple[str, ...]:
        """Every valid argument for a parameter in this scene."""
        kind = self.parameters[parameter]
        if isinstance(kind, tuple):
            return kind
        asked = [set(part.split("|")) for part in kind.split("&")]
        carried = {entity.name: {*entity.tags, entity.kind} for entity in scene.entities}
        return tuple(name for name, tags in carried.items() if all(tags & each for each in asked))

    def groundings(self, scene: SceneGraph) -> Iterator[SkillCall]:
        """Every well-typed call in this scene."""
        names = list(self.parameters)
        for values in itertools.product(*(self.choices(name, scene) for name in names)):
            yield SkillCall(self.name, dict(zip(names, values, strict=True)))

    def unmet(self, call: SkillCall, scene: SceneGraph) -> tuple[Formula, ...]:
        """Preconditions, bound to the call, that do not hold."""
        bound = (bind(condition, call.args) for condition in self.preconditions)
        return tuple(condition for condition in bound if not scene.holds(condition))

    def after(self, call: SkillCall, scene: SceneGraph) -> SceneGraph:
        """The scene graph that the effects promise; conditions are looked up in the scene before."""
        met = (each.effects for each in self.when if scene.holds(bind(each.condition, call.args)))
        return scene.apply(bind(effect, call.args) for effect in itertools.chain(self.effects, *met))

    def possible_changes(self, call: SkillCall) -> Iterator[Formula]:
        """Every effect bound to the call, those that need a condition too."""
        for effect in itertools.chain(self.effects, *(each.effects for each in self.when)):
            yield bind(effect, call.args)

    def goal(self, call: SkillCall) -> Formula:
        """The success formula bound to the call."""
        return bind(self.success, call.args)

    def language(self, call: SkillCall) -> str:
        """What the policy is told."""
        return self.text.format(**call.args)

    def to_json(self) -> dict[str, Any]:
        """The card, as `skill.yaml` holds it."""
        return {
            "name": self.name,
            "summary": self.summary,
            "parameters": {n: list(k) if isinstance(k, tuple) else k for n, k in self.parameters.items()},
            "preconditions": [str(formula) for formula in self.preconditions],
            "effects": [str(formula) for formula in self.effects],
            "success": str(self.success),
            "text": self.text,
            "timeout": self.timeout,
        } | ({"when": [_when_to_json(each) for each in self.when]} if self.when else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Skill:
        """Read a card. Conditional effects may be left out.

            when:
            - {if: "on(object, tray)", then: ["not clean(object)"]}

        Raises:
            InputError: a key is missing, unknown, or does not parse.
        """
        fields = ("name", "summary", "parameters", "preconditions", "effects", "success", "text", "timeout")
        for key in data:
            if key not in (*fields, "when"):
                raise unknown("key of a skill card", key, (*fields, "when"))
        for key in fields:
            if key not in data:
                raise InputError(f"The skill card {data.get('name', '')!r} lacks the key {key!r}.")
        return cls(
            name=str(data["name"]),
            summary=str(data["summary"]),
            parameters={
                n: tuple(k) if isinstance(k, list) else str(k) for n, k in data["parameters"].items()
            },
            preconditions=tuple(parse(text) for text in data["preconditions"]),
            effects=_effects(data["effects"]),
            success=parse(data["success"]),
            text=str(data["text"]),
            timeout=float(data["timeout"]),
            when=tuple(_when_from_json(each) for each in data.get("when", ())),
        )


def _effects(texts: Iterable[str]) -> tuple[Formula, ...]:
    return tuple(bind(parse(text.replace("*", "_any_")), {"_any_": "*"}) for text in texts)


def _when_to_json(when: When) -> dict[str, Any]:
    return {"if": str(when.condition), "then": [str(effect) for effect in when.effects]}


def _when_from_json(data: Any) -> When:
    if not isinstance(data, Mapping) or set(data) != {"if", "then"} or not isinstance(data["then"], list):
        raise InputError(f"A conditional effect has an `if` and a list `then`, not {data!r}.")
    return When(parse(str(data["if"])), _effects(map(str, data["then"])))


def describe(kind: str | tuple[str, ...]) -> str:
    """What an argument of a kind is, in words: "graspable", "one of left, right"."""
    if isinstance(kind, tuple):
        return f"one of {', '.join(kind)}"
    return kind.replace("|", " or ").replace("&", " and ")


__all__ = ["Atom", "Not", "Outcome", "Skill", "SkillCall", "Status", "When", "describe"]
