"""Errors a user can act on: what was wrong, what would be right, and the nearest valid name."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class InputError(ValueError):
    """Bad input. The command line prints its message on one line and exits with 2."""


class UnavailableError(InputError):
    """A service that the job needs cannot be reached, or does not answer: the same may work another time."""


class JobError(RuntimeError):
    """Work that was well asked for and failed. The command line prints its message and exits with 1."""


def unknown(kind: str, name: str, valid: Iterable[str]) -> InputError:
    """Build the error for a name that is not among the valid ones.

    Args:
        kind: what the name was meant to name, as in "skill" or "recipe key".
        name: the name that was given.
        valid: every name that would have been accepted.
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return InputError(f"Unknown {kind} {name!r}; valid: {', '.join(names) or '(none)'}.{hint}")


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Raises:
        InputError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise InputError(f"This needs {module}: pip install 'robot-skills[{extra}]'.") from error
