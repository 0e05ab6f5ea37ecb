"""Whether a chain makes sense, as a language model judges it: a number from 1 to 5, and what it is for.

BOSS (Zhang et al., "Bootstrap your own skills", CoRL 2023) draws the next skill of a chain by a language
model's likelihood. Here whole chains are found in plans that work, so that the model is left the question
which of them anybody would ask for. It answers within a grammar or a schema, at temperature 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from robot_skills.errors import InputError, UnavailableError
from robot_skills.scene_graph import DIRECTIONS
from sim.generative.chains import Chain
from sim.tabletop.scene import COLOURS, FIXTURES, FURNISHINGS, GRASPABLE

#: The best that a chain can be judged; a chain that was not judged counts as one in the middle.
MOST, MIDDLE = 5, 3
_HEAD = (
    "A robot arm at a table could learn these skills, each made of several steps. How sensible is each, "
    "from 1 (its steps serve no purpose together) to 5 (they have one purpose, and people ask for it "
    "often)? And what is it for, in two to eight plain words, such as: put a thing away in the chest?\n"
)
#: What a person would say. With words for what each is for among them, SmolLM2 says 1 of everything.
_EXAMPLES = (
    ("open the door, close the door", 1),
    ("open the chest, put a thing in the chest, close the chest", 5),
    ("press the bell, push a thing left", 2),
    ("press the bell, press the bell", 1),
    ("put a thing on the shelf, put a second thing on the thing", 4),
    ("push a thing left, push the thing right", 1),
    ("close the gate, press the button", 3),
    ("put a thing on the plate", 5),
    ("press the button, close the drawer, press the bell", 2),
    ("open the box, put a thing in the box", 4),
)
_ORDINALS = ("", "second ", "third ", "fourth ")
_PLAIN = re.compile("[a-z]{1,12}( [a-z]{1,12}){1,7}")
#: Words that mean something in this world: a name may not speak of what its chain is not about.
_WORLD = frozenset(
    (*COLOURS, *FIXTURES, *FURNISHINGS, *GRASPABLE, *DIRECTIONS, "bowl", "open", "close", "press", "push")
)
_SMALL = frozenset(("a", "the", "in", "on", "of", *(word.strip() for word in _ORDINALS)))


@dataclass(frozen=True)
class Judgement:
    """What a model said of a chain: a line of `growth.jsonl`.

    Attributes:
        signature: of the chain.
        judge: the model.
        sensible: 1 to `MOST`; None where the answer was none.
        words: what the chain is for, where the model gave it a name that passed `checked`; else "".

    Raises:
        InputError: `sensible` is another number.
    """

    signature: str
    judge: str
    sensible: int | None
    words: str = ""

    def __post_init__(self) -> None:
        if self.sensible is not None and not 1 <= self.sensible <= MOST:
            raise InputError(f"A chain is judged 1 to {MOST}, not {self.sensible}.")


class Model(Protocol):
    """A language model that writes within bounds; the back ends of `planners` are."""

    @property
    def name(self) -> str:
        """The back end and the model."""
        ...

    def write(
        self, prompt: str, grammar: str, schema: Mapping[str, Any], seed: int, temperature: float
    ) -> str:
        """A line of the grammar, or JSON of the schema, as the back end has it.

        Raises:
            InputError: the model cannot be reached, or does not answer.
        """
        ...


class Judge:
    """Asks a model about chains, each by itself: of five in one question a small model says 1, 2, 3, 4, 5.

    Args:
        model: who is asked.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    def judge(self, chain: Chain) -> Judgement:
        """What the model says of a chain.

        Raises:
            UnavailableError: the model cannot be reached.
        """
        try:
            sensible, words = read(self._model.write(prompt(chain), gbnf(), schema(), 0, 0.0))
        except UnavailableError:  # says nothing of the chain: it is asked about again by the next run
            raise
        except InputError:
            return Judgement(chain.signature, self.name, None)
        return Judgement(chain.signature, self.name, sensible, checked(words, chain))


def in_order(chains: Sequence[Chain], judgements: Mapping[str, Judgement]) -> list[Chain]:
    """Chains by what they would shorten, times how sensible they are; what is equal stays as it is."""
    return sorted(chains, key=lambda chain: -worth(chain.saved, judgements.get(chain.signature)))


def worth(saved: int, judgement: Judgement | None) -> int:
    """Steps that plans would be shorter by, times how sensible the chain is."""
    sensible = None if judgement is None else judgement.sensible
    return saved * (MIDDLE if sensible is None else sensible)


def described(chain: Chain) -> str:
    """A chain in plain language: "open the box, put a thing in the box, close the box"."""
    nouns = _nouns(chain)
    fresh = {noun for noun in nouns.values() if noun.endswith("thing")}
    parts = []
    for number, step in enumerate(chain.steps):
        after = chain.steps[number + 1] if number + 1 < len(chain.steps) else None
        if step.skill == "pick" and after is not None and after.skill == "place":
            continue
        said = ["put" if step.skill == "place" else step.skill]
        for value in step.args.values():
            noun = nouns.get(value, "table" if value == "table" else "")
            said.append(f"{'a' if noun in fresh else 'the'} {noun}" if noun else value)
            fresh.discard(noun)
        parts.append(" ".join(said))
    return ", ".join(parts)


def prompt(chain: Chain) -> str:
    """What the model is asked about a chain: examples first."""
    shown = (f"Skill: {text}\nSensible: {sensible}\n" for text, sensible in _EXAMPLES)
    return "\n".join([_HEAD, *shown, f"Skill: {described(chain)}\nSensible:"])


def gbnf() -> str:
    """A judgement as a GBNF grammar of " 4" lines; small models that write by grammar give no names."""
    return f'root ::= " " [1-{MOST}] {json.dumps(chr(10))}\n'


def schema() -> dict[str, Any]:
    """A judgement as a JSON schema, with what the chain is for."""
    return {
        "type": "object",
        "properties": {
            "sensible": {"type": "integer", "enum": list(range(1, MOST + 1))},
            "for": {"type": "string", "pattern": f"^{_PLAIN.pattern}$"},
        },
        "required": ["sensible", "for"],
        "additionalProperties": False,
    }


def read(written: str) -> tuple[int, str]:
    """The judgement of an answer, a number or JSON, and what the chain is said to be for, or "".

    Raises:
        InputError: it is neither.
    """
    text = written.strip()
    try:
        given = json.loads(text)
        sensible, words = (
            (given["sensible"], given.get("for", "")) if isinstance(given, dict) else (given, "")
        )
    except (ValueError, KeyError) as error:
        raise InputError(f"The model's answer is no judgement: {text[:100]!r}.") from error
    if type(sensible) is not int or not 1 <= sensible <= MOST:
        raise InputError(f"The model's judgement is no number from 1 to {MOST}: {text[:100]!r}.")
    return sensible, str(words)


def checked(words: str, chain: Chain) -> str:
    """A name that a model gave to a chain, or "" where it is none.

    It has two to eight plain words, at least one of the chain's own among them, and speaks of no colour, kind
    of thing, direction or verb of this world that the chain is not about.
    """
    name = " ".join(words.lower().split()).rstrip(".")
    own = set(described(chain).replace(",", "").split())
    said = set(name.split())
    fits = _PLAIN.fullmatch(name) and said & own - _SMALL and not said & _WORLD - own
    return name if fits else ""


def _nouns(chain: Chain) -> dict[str, str]:
    """Parameter -> what it is called in a description, with a number where there are several."""
    kinds: dict[str, str] = {}
    for step in chain.steps:
        for place, value in step.args.items():
            if place == "object":
                kinds[value] = "thing"
            elif place == "target" and value != "table" and kinds.get(value) != "thing":
                use = f"{step.skill} {step.args.get('relation', '')}".strip()
                named = {"place in": "container", "place on": "support", "press": "button"}
                kinds[value] = named.get(use, kinds.get(value, "piece of furniture"))
    kinds |= dict([chain.only] if chain.only is not None else [])
    counted: dict[str, str] = {}
    for parameter, kind in kinds.items():
        before = sum(kinds[other] == kind for other in counted)
        counted[parameter] = f"{_ORDINALS[before]}{kind}"
    return counted
