"""What a person is asked when the arm is at its wits' end, and what she may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Choice(str, Enum):
    """What a person may answer."""

    AGAIN = "look again and try again"  # because she has helped, or thinks that it is worth another try
    REST = "do the rest without it"  # what can still be had of the goal
    LEAVE = "leave it"


@dataclass(frozen=True)
class Question:
    """What the arm asks.

    Attributes:
        text: what is wrong, in sentences.
        options: what may be answered.
    """

    text: str
    options: tuple[Choice, ...] = (Choice.AGAIN, Choice.LEAVE)

    def __str__(self) -> str:
        *most, last = (option.value for option in self.options)
        return f"{self.text} Shall I {', '.join(most)} or {last}?"


#: Puts a question to somebody, and waits for what she says; None: nobody is there.
Ask: TypeAlias = Callable[[Question], Choice | None]
