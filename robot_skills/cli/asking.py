"""Questions of the closed loop at a console: what is wrong, what may be answered, and what was."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from robot_skills.cli.console import escape
from robot_skills.symbolic.question import Ask, Choice, Question

if TYPE_CHECKING:
    from rich.console import Console

#: Words that choose, and words that say nothing; a line with any other word is no answer.
_WORDS = {
    Choice.AGAIN: ("again", "try", "retry", "look", "yes", "y", "yeah", "continue", "go", "helped", "done"),
    Choice.REST: ("rest", "without", "skip", "remaining", "others"),
    Choice.LEAVE: ("leave", "no", "n", "nothing", "never", "mind", "give", "up"),
}
_IDLE = ("please", "ok", "okay", "now", "then", "just", "and", "do", "the", "it", "that", "this", "one",
         "more", "once", "on", "i", "have", "be")  # fmt: skip


def show_question(console: Console, question: Question) -> None:
    """Print a question with its options, numbered."""
    console.print(f"[yellow]?[/] {escape(question.text)} What now?")
    for number, option in enumerate(question.options, start=1):
        console.print(f"  {number}. {option.value}", markup=False)


def chosen(line: str, question: Question) -> Choice | None:
    """The option that a line chooses, by its number or its words; None: the line is no answer."""
    from planners.dialogue.interjections import plain, says_stop

    said = plain(line)
    if says_stop(line):
        return Choice.LEAVE
    if said.isdecimal():
        number = int(said)
        return question.options[number - 1] if 1 <= number <= len(question.options) else None
    told = set(said.replace(",", " ").split()).difference(_IDLE)
    meant = [choice for choice, words in _WORDS.items() if not told.isdisjoint(words)]
    known = told.issubset(word for words in _WORDS.values() for word in words)
    return meant[0] if known and len(meant) == 1 and meant[0] in question.options else None


def at_terminal(console: Console, stream: TextIO | None = None) -> Ask | None:
    """Ask whoever sits at the terminal; None where there is none, as in a pipe.

    Args:
        console: shows the question.
        stream: where answers are typed; the standard input by default.
    """
    lines = sys.stdin if stream is None else stream
    if not (lines.isatty() and console.is_terminal):
        return None

    def ask(question: Question) -> Choice | None:
        show_question(console, question)
        while True:
            console.print("[bold]>[/] ", end="")
            line = lines.readline()
            choice = chosen(line, question)
            if choice is not None or not line:
                return choice
            console.print(f"Say a number from 1 to {len(question.options)}.")

    return ask


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the wait for an answer, where it else only asks the arm to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
