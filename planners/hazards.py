"""Commands that are refused for what they could do: explicit rules over words and over kinds of things.

Rules and words are data (`hazards.yaml`, or a file of your own with the same keys): a rule names groups, and
fires when the command has a word of each. It needs no model, and no model can talk it out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from planners.vocabulary import forms
from robot_skills.errors import InputError, unknown
from robot_skills.scene_graph import SceneGraph

RULES = Path(__file__).with_name("hazards.yaml")
_ARTICLES = (
    r"(?:(?:the|a|an|my|his|her|their|our|your|that|this|old|little|hot|open|lit|burning|naked|big|poor|sick|"
    r"sleeping|young|new|power|red|orange|yellow|green|cyan|blue|purple|white|small|medium|large) )*"
)
_WORD = re.compile(r"[a-z']+|[,.;:!?]")


@dataclass(frozen=True)
class Rule:
    """When to refuse.

    Attributes:
        reason: what could happen, in words for the person who gave the command.
        groups: words of each of these have to occur; "a|b" is either of two.
        before: words one of which has to stand right before a word of the last group.
        phrases: phrases one of which has to occur.
        twice: a group of which two different words have to occur.
        direct: whether the last group's word has to follow the verb at once, articles apart.
    """

    reason: str
    groups: tuple[tuple[str, ...], ...]
    before: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    twice: str = ""
    direct: bool = False


@dataclass(frozen=True)
class Hazards:
    """Rules with their vocabulary.

    Attributes:
        rules: in order; the first that fires is the reason.
        words: group -> its words and phrases, every form written out.
        patterns: group -> what counts as a word of it besides.
        harmless: what is left out of a command before it is looked at.
        kinds: group -> the kinds of things that belong to it.
    """

    rules: tuple[Rule, ...]
    words: Mapping[str, frozenset[str]]
    patterns: Mapping[str, Sequence[re.Pattern[str]]]
    harmless: Sequence[re.Pattern[str]]
    kinds: Mapping[str, frozenset[str]]

    def reason(self, command: str, scene: SceneGraph) -> str | None:
        """Why a command is too dangerous, or None."""
        tokens = _WORD.findall(command.lower().replace("’", "'"))
        said = " ".join("," if token in ",.;:!?" else token for token in tokens)
        for pattern in self.harmless:
            said = " ".join(pattern.sub(" ", said).split())
        text = f" {said} "
        here = {group: self._here(group, text, scene) for group in {*self.words, *self.patterns}}
        for rule in self.rules:
            if _fires(rule, text, here):
                return rule.reason
        return None

    def _here(self, group: str, text: str, scene: SceneGraph) -> tuple[str, ...]:
        """The words of a group that a command holds, names of things of its kinds with them."""
        words = self.words.get(group, frozenset())
        named = {e.name.lower() for e in scene.entities if e.kind in self.kinds.get(group, ())}
        own = {e.name.lower() for e in scene.entities if set(e.name.lower().split()) & words}
        matched = [match[0] for each in self.patterns.get(group, ()) for match in each.finditer(text.strip())]
        return (*(word for word in {*words, *named, *own} if f" {word} " in text), *matched)


def _fires(rule: Rule, text: str, here: Mapping[str, Sequence[str]]) -> bool:
    found = [[word for name in either for word in here[name]] for either in rule.groups]
    if not all(found):
        return False
    if rule.phrases and not any(f" {phrase} " in text for phrase in rule.phrases):
        return False
    if rule.twice and len(here[rule.twice]) < 2:
        return False
    leads: Iterable[str] = rule.before or (found[0] if rule.direct else ())
    if not leads:
        return True
    pattern = rf" (?:{'|'.join(map(re.escape, leads))}) {_ARTICLES}(?:{'|'.join(map(re.escape, found[-1]))}) "
    return re.search(pattern, text) is not None


def load_hazards(path: Path = RULES) -> Hazards:
    """Read a file of rules.

    Raises:
        InputError: it is no such file, or a rule names a group that has no words.
    """
    try:
        data = yaml.safe_load(path.read_text())
        verbs, plain = data["verbs"], data["words"]
        words = {name: frozenset(map(str, each)) for name, each in plain.items()}
        words |= {name: _inflected(each) for name, each in verbs.items()}
        kinds = {name: frozenset(each) for name, each in data.get("kinds", {}).items()}
        patterns = {name: _patterns(each) for name, each in data.get("patterns", {}).items()}
        harmless = _patterns(data.get("harmless", ()))
        rules = tuple(_rule(each) for each in data["rules"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, re.error) as error:
        raise InputError(f"{path} is no file of hazard rules: {error!r}.") from error
    for rule in rules:
        for name in (*(name for either in rule.groups for name in either), *filter(None, [rule.twice])):
            if name not in words and name not in patterns:
                raise unknown("group of a hazard rule", name, {**words, **patterns})
    return Hazards(rules, words, patterns, harmless, kinds)


@cache
def hazards() -> Hazards:
    """The rules that come with the package."""
    return load_hazards()


def _patterns(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Each of whole words only."""
    return tuple(re.compile(rf"(?<![a-z'])(?:{text})(?![a-z'])") for text in texts)


def _inflected(verbs: Iterable[str]) -> frozenset[str]:
    phrases = {verb for verb in verbs if " " in verb}
    return frozenset(phrases) | forms(verb for verb in verbs if " " not in verb)


def _rule(data: Mapping[str, Any]) -> Rule:
    return Rule(
        reason=str(data["reason"]),
        groups=tuple(tuple(name.split("|")) for name in data["all"]),
        before=tuple(map(str, data.get("before", ()))),
        phrases=tuple(map(str, data.get("phrase", ()))),
        twice=str(data.get("twice", "")),
        direct=bool(data.get("direct", False)),
    )
