"""The bracketed expressions that PDDL files are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from robot_skills.errors import InputError

#: A word, or a list of expressions.
Expression: TypeAlias = "str | tuple[Expression, ...]"

TRUE: Expression = ("and",)
FALSE: Expression = ("or",)
_TOKEN = re.compile(r"[()]|[^\s()]+")


def read(text: str) -> tuple[Expression, ...]:
    """Read the one list that a PDDL file holds; words in lower case, as PDDL asks, comments left out.

    Raises:
        InputError: brackets do not match, or there is something beside the list.
    """
    bare = "\n".join(line.partition(";")[0] for line in text.splitlines()).lower()
    stack: list[list[Expression]] = [[]]
    for token in _TOKEN.findall(bare):
        if token == "(":
            stack.append([])
        elif token == ")":
            if len(stack) == 1:
                raise InputError("Not PDDL: a bracket is closed that was not opened.")
            done = tuple(stack.pop())
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    if len(stack) > 1:
        raise InputError(f"Not PDDL: {len(stack) - 1} brackets are not closed.")
    if len(stack[0]) != 1 or not isinstance(stack[0][0], tuple):
        raise InputError("Not PDDL: a file holds one list, `(define ...)`.")
    return stack[0][0]


def show(expression: Expression) -> str:
    """The inverse of `read`, on one line."""
    if isinstance(expression, str):
        return expression
    return f"({' '.join(map(show, expression))})"


def sections(expression: tuple[Expression, ...], head: str) -> dict[str, list[tuple[Expression, ...]]]:
    """The parts of `(define (domain x) (:requirements ...) ...)` by keyword, `:action` among them.

    Raises:
        InputError: it does not define what `head` says, "domain" or "problem".
    """
    match expression:
        case ("define", (kind, str()), *rest) if kind == head:
            found: dict[str, list[tuple[Expression, ...]]] = {}
            for part in rest:
                if not isinstance(part, tuple) or not part or not isinstance(part[0], str):
                    raise InputError(f"Not a PDDL {head} at {show(part)!r}.")
                found.setdefault(part[0], []).append(part[1:])
            return found
    raise InputError(f"Not a PDDL {head}: it begins with {show(expression)[:40]!r}.")


def typed(items: tuple[Expression, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """Names with their types: `a b - block c - (either ball cup) d` gives `object` to what has none.

    Raises:
        InputError: a type does not follow a dash.
    """
    found: list[tuple[str, tuple[str, ...]]] = []
    waiting: list[str] = []
    left = list(items)
    while left:
        item = left.pop(0)
        if item != "-":
            if not isinstance(item, str):
                raise InputError(f"Expected a name in PDDL, not {show(item)!r}.")
            waiting.append(item)
            continue
        match left.pop(0) if left else None:
            case str(kind):
                kinds: tuple[str, ...] = (kind,)
            case ("either", *several) if all(isinstance(each, str) for each in several):
                kinds = tuple(str(each) for each in several)
            case other:
                raise InputError(f"Expected a type after '-' in PDDL, not {other!r}.")
        found += [(name, kinds) for name in waiting]
        waiting = []
    return found + [(name, ("object",)) for name in waiting]


def replaced(expression: Expression, name: Expression, value: str) -> Expression:
    """The expression with a value in the place of a word."""
    if isinstance(expression, str):
        return value if expression == name else expression
    return tuple(replaced(part, name, value) for part in expression)


def folded(head: str, parts: Sequence[Expression]) -> Expression:
    """`and`, `or` or `not` of conditions, without those that say nothing."""
    if head == "not":
        return {TRUE: FALSE, FALSE: TRUE}.get(parts[0], ("not", parts[0]))
    neutral, absorbing = (TRUE, FALSE) if head == "and" else (FALSE, TRUE)
    if absorbing in parts:
        return absorbing
    kept = [part for part in parts if part != neutral]
    return kept[0] if len(kept) == 1 else (head, *kept)
