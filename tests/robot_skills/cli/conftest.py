from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from robot_skills.cli import run
from robot_skills.library import SkillLibrary
from tests.robot_skills.cli.experts import ExpertChunks

Substitute = Callable[[type[ExpertChunks]], None]


@pytest.fixture
def experts(monkeypatch: pytest.MonkeyPatch) -> Substitute:
    """Puts experts in the place of policies when called."""

    def substitute(kind: type[ExpertChunks] = ExpertChunks) -> None:
        original = run.Run.__init__

        def make(
            self: run.Run,
            console: Any,
            world: Any,
            library: SkillLibrary,
            sources: Any,
            plan: Any,
            *others: Any,
        ) -> None:
            original(
                self, console, world, library, lambda name: kind(world, library.skill(name)), plan, *others
            )

        monkeypatch.setattr(run.Run, "__init__", make)

    return substitute
