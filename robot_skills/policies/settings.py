"""Checks that the configurations of policies share."""

from __future__ import annotations

from robot_skills.errors import InputError, unknown


def check_range(what: str, value: float, low: float, high: float = float("inf")) -> None:
    """Check that a setting lies in [low, high].

    Raises:
        InputError: it does not.
    """
    if not low <= value <= high:
        bound = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
        raise InputError(f"{what} is {bound}, not {value}.")


def check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    """Check that a setting is one of a few words.

    Raises:
        InputError: it is not.
    """
    if value not in choices:
        raise unknown(what, value, choices)
