"""What is known of a scene: the things in it and the facts about them.

Where it came from is part of it: `source` is "oracle" when a simulator's state was read, "camera" when
the facts were perceived, "told" when a person said so.

Fluents (they change): on(o, support), in(o, container), holding(o), open(fixture), ajar(fixture)
(neither open nor closed), pressed(button), moved(o, direction). Derived from them: clear(o) nothing
stands on it; hand_empty; contained(o) it lies in something; accessible(o) clear, and no shut fixture
holds it; free(t) not shut, and nothing stands on it unless it is the table; closed(f). Static:
fits(o, relation, target); different(a, b, ...) no two of them are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from robot_skills.errors import InputError, unknown
from robot_skills.logic import Atom, Formula, Not, holds, parse_atom

DIRECTIONS = ("left", "right", "forward", "back")
RELATIONS = ("in", "on")


@dataclass(frozen=True)
class Entity:
    """A thing in the scene.

    Attributes:
        name: unique in its scene, and what a person would call it: "red block", "small red block", "drawer".
        kind: block, cylinder, ball, bowl, drawer, door, button, table.
        tags: what may be done with it: graspable, pushable, container, support, openable,
            pressable.
        attributes: colour and size where it has one.
    """

    name: str
    kind: str
    tags: frozenset[str]
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class SceneGraph:
    """Entities and the facts that hold among them. Facts not listed are false.

    Attributes:
        entities: everything that may be named.
        facts: the fluents that are true, and the static `fits`.
        source: "oracle" (simulator state), "camera", or "told" (by a person).
    """

    entities: tuple[Entity, ...]
    facts: frozenset[Atom]
    source: str = "oracle"

    def entity(self, name: str) -> Entity:
        """Look up an entity by name.

        Raises:
            InputError: no entity is called that.
        """
        for entity in self.entities:
            if entity.name == name:
                return entity
        raise unknown("object", name, (entity.name for entity in self.entities))

    def tagged(self, tag: str) -> Iterator[Entity]:
        """Entities that carry the tag."""
        return (entity for entity in self.entities if tag in entity.tags)

    def true(self, atom: Atom) -> bool:
        """Whether an atom is true, fluent, static or derived."""
        match atom.predicate, atom.args:
            case "hand_empty", ():
                return not any(fact.predicate == "holding" for fact in self.facts)
            case "clear", (thing,):
                return not any(fact.predicate == "on" and fact.args[1] == thing for fact in self.facts)
            case "contained", (thing,):
                return any(fact.predicate == "in" and fact.args[0] == thing for fact in self.facts)
            case "accessible", (thing,):
                return self.true(Atom("clear", (thing,))) and not any(
                    fact.predicate == "in" and fact.args[0] == thing and self._shut(fact.args[1])
                    for fact in self.facts
                )
            case "free", (thing,):
                wide = self.entity(thing).kind == "table"
                return not self._shut(thing) and (wide or self.true(Atom("clear", (thing,))))
            case "closed", (thing,):
                return self._shut(thing) and Atom("ajar", (thing,)) not in self.facts
            case "different", names:
                return len(set(names)) == len(names)
            case _:
                return atom in self.facts

    def holds(self, formula: Formula) -> bool:
        """Whether a ground formula is true."""
        return holds(formula, self.true)

    def apply(self, effects: Iterable[Formula]) -> SceneGraph:
        """Return the graph after ground effects: atoms become true, negated atoms false.

        A `*` in a negated atom stands for any argument: `not on(red block, *)`. Deletions come first.
        """
        effects = tuple(effects)
        facts = set(self.facts)
        for effect in effects:
            if isinstance(effect, Not) and isinstance(effect.part, Atom):
                facts -= {fact for fact in facts if matches(effect.part, fact)}
        facts |= {effect for effect in effects if isinstance(effect, Atom)}
        return SceneGraph(self.entities, frozenset(facts), self.source)

    def to_json(self) -> dict[str, Any]:
        """The form in which it is sent and kept."""
        entities = [
            {"name": each.name, "kind": each.kind, "tags": sorted(each.tags)}
            | ({"attributes": dict(each.attributes)} if each.attributes else {})
            for each in self.entities
        ]
        return {"source": self.source, "entities": entities, "facts": sorted(map(str, self.facts))}

    @classmethod
    def from_json(cls, data: Any) -> SceneGraph:
        """The inverse of `to_json`.

        Raises:
            InputError: saying what is missing, or what is not as it should be.
        """
        try:
            entities = tuple(
                Entity(
                    str(each["name"]), str(each["kind"]), frozenset(map(str, each["tags"])),
                    {str(key): str(value) for key, value in each.get("attributes", {}).items()},
                )
                for each in data["entities"]
            )  # fmt: skip
            facts = frozenset(parse_atom(str(fact)) for fact in data["facts"])
            source = str(data["source"])
        except KeyError as error:
            raise InputError(f"The scene lacks {error.args[0]!r}.") from error
        except (TypeError, AttributeError) as error:
            raise InputError(f"A scene has a source, entities and facts: {error}.") from error
        names = {each.name for each in entities}
        if len(names) != len(entities):
            raise InputError("Two things of the scene have the same name.")
        for fact in sorted(facts):
            if strange := [arg for arg in fact.args if arg not in (*names, *DIRECTIONS, *RELATIONS)]:
                raise InputError(f"{fact} is about {strange[0]!r}, which is not in the scene.")
        return cls(entities, facts, source)

    def _shut(self, container: str) -> bool:
        return "openable" in self.entity(container).tags and Atom("open", (container,)) not in self.facts


def matches(pattern: Atom, fact: Atom) -> bool:
    """Whether a fact is what a pattern says, in which `*` stands for any argument."""
    return (
        pattern.predicate == fact.predicate
        and len(pattern.args) == len(fact.args)
        and all(want in ("*", got) for want, got in zip(pattern.args, fact.args, strict=True))
    )
