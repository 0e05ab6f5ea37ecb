"""Whether a grammar of llama.cpp (GBNF) without recursion admits a text: what the tests hold answers against.

Every place where a part may end is followed at once, so that no grammar takes long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[A-Za-z][A-Za-z0-9]*|\{\d+,\d+\}|[()|?]|\[\d-\d\]')
#: A part: what it is, and what belongs to it.
Part = tuple[str, object]
#: A rule and a place -> where it may end.
_Known = dict[tuple[str, int], set[int]]


@dataclass
class Grammar:
    """A grammar, read once."""

    text: str
    rules: dict[str, Part] = field(init=False)

    def __post_init__(self) -> None:
        lines = (line.split(" ::= ", 1) for line in self.text.splitlines())
        self.rules = {name: _either(iter([*_TOKEN.findall(rule), ")"])) for name, rule in lines}

    def admits(self, text: str) -> bool:
        """Whether a text is of the grammar, from its beginning to its end."""
        return len(text) in _ends(self.rules["root"], text, 0, self.rules, {})


def _either(tokens: Iterator[str]) -> Part:
    """Alternatives up to the closing bracket."""
    ways: list[list[Part]] = [[]]
    for token in tokens:
        if token == ")":
            break
        if token == "|":
            ways.append([])
        elif token == "(":
            ways[-1].append(_either(tokens))
        elif token == "?" or token[0] == "{":
            least, most = (0, 1) if token == "?" else map(int, token[1:-1].split(","))
            ways[-1][-1] = ("repeat", (ways[-1][-1], least, most))
        elif token[0] == "[":
            digits = range(int(token[1]), int(token[3]) + 1)
            ways[-1].append(("either", [[("text", str(digit))] for digit in digits]))
        else:
            ways[-1].append(("text", json.loads(token)) if token[0] == '"' else ("rule", token))
    return ("either", ways)


def _ends(part: Part, text: str, start: int, rules: dict[str, Part], known: _Known) -> set[int]:
    """Where a part that begins at a place may end."""
    match part:
        case "text", str(word):
            return {start + len(word)} if text.startswith(word, start) else set()
        case "rule", str(name):
            if (name, start) not in known:
                known[name, start] = _ends(rules[name], text, start, rules, known)
            return known[name, start]
        case "repeat", (inner, int(least), int(most)):
            reached, found = {start}, {start} if least == 0 else set()
            for number in range(1, most + 1):
                reached = {end for place in reached for end in _ends(inner, text, place, rules, known)}
                found |= reached if number >= least else set()
            return found
        case "either", list(ways):
            found = set()
            for way in ways:
                reached = {start}
                for each in way:
                    reached = {end for place in reached for end in _ends(each, text, place, rules, known)}
                found |= reached
            return found
    raise AssertionError(part)
