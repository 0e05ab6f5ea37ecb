"""Answers that are no plan: why a command cannot be done, and what has to be asked first."""

from __future__ import annotations

from collections.abc import Iterable

from robot_skills.scene_graph import SceneGraph


class RefusalError(Exception):
    """The command cannot be done; the message says why, in words for the person who gave it."""


class QuestionError(Exception):
    """The command can be understood in more than one way; the message is the question to ask.

    Args:
        text: the question.
        options: the names of the things that could be meant.
        span: first token, and the one after the last, of the phrase that leaves it open.
    """

    def __init__(self, text: str, options: tuple[str, ...] = (), span: tuple[int, int] = (0, 0)) -> None:
        super().__init__(text)
        self.options, self.span = options, span


def absent(scene: SceneGraph, shown: str) -> str:
    """That a thing is not in a scene, and what is."""
    return f"There is no {shown} here; there are: {listing(entity.name for entity in scene.entities)}."


def listing(names: Iterable[str], joint: str = "and") -> str:
    """Names as a person lists them: "a, b and c"."""
    *most, last = names
    return f"{', '.join(most)} {joint} {last}" if most else last
