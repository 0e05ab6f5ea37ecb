"""Checks that the configurations of policies share."""

from __future__ import annotations

from collections.abc import Mapping

from robot_skills.errors import InputError, unknown

#: The highest value of a setting that may be as large as one likes.
UNBOUNDED = float("inf")


def check_range(what: str, value: float, low: float, high: float = UNBOUNDED) -> None:
    """Check that a setting lies in [low, high].

    Raises:
        InputError: it does not.
    """
    if not low <= value <= high:
        bound = f"at least {low:g}" if high == UNBOUNDED else f"between {low:g} and {high:g}"
        raise InputError(f"{what} is {bound}, not {value}.")


def check_ranges(settings: object, bounds: Mapping[str, tuple[float, float]], prefix: str = "") -> None:
    """Check the settings that a table names.

    Args:
        settings: the configuration.
        bounds: setting -> lowest and highest value.
        prefix: of the settings' names in errors, as in "codes.".

    Raises:
        InputError: one of them is out of its range.
    """
    for name, (low, high) in bounds.items():
        check_range(f"{prefix}{name}", getattr(settings, name), low, high)


def check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    """Check that a setting is one of a few words.

    Raises:
        InputError: it is not.
    """
    if value not in choices:
        raise unknown(what, value, choices)
