"""How the texts of `planners.forms` are written: clauses cut apart, literals taken to pieces."""

from __future__ import annotations

import re

from robot_skills.errors import InputError

#: A predicate, and of how many things it is.
_PREDICATES = {
    "in": 2, "on": 2, "moved": 2, "holding": 1, "open": 1, "closed": 1, "pressed": 1, "stacked": 1,
    "there": 1, "elsewhere": 2, "pyramid": 1, "upturned": 1,
}  # fmt: skip


def cut(text: str, pattern: str) -> tuple[str, str, str]:
    """A text before, at and after the first match; all of it before where there is none."""
    match = re.search(pattern, text)
    return (text, "", "") if match is None else (text[: match.start()], match[0], text[match.end() :])


def split_literal(text: str) -> tuple[bool, str, list[str]]:
    """Whether a literal is affirmed, its predicate, and its arguments.

    Raises:
        InputError: it is none.
    """
    match = re.fullmatch(r"(not )?(\w+)\((.+)\)", text)
    if match is None or match[2] not in _PREDICATES:
        raise InputError(f"{text!r} is no literal such as 'in(all block, drawer)'.")
    arguments = match[3].split(", ")
    if len(arguments) != _PREDICATES[match[2]]:
        raise InputError(f"{match[2]} is of {_PREDICATES[match[2]]}, not of {len(arguments)}: {text!r}.")
    return match[1] is None, match[2], arguments
