"""What happened in a run, step by step: the scene before and after each skill, outcomes, new plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from robot_skills.logic import Atom
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, Skill, SkillCall
from robot_skills.symbolic.closed_loop import Event


@dataclass(frozen=True)
class Entry:
    """A step, or what went wrong, or a new plan.

    Attributes:
        before, after: the scene; where nothing was done, both are the scene as it was seen last.
        call: of a step; None for all else.
        outcome: of a step that was carried out; None for one that is only planned.
        trouble: what went wrong, and how it is answered; why a new plan was made.
        plan: the new plan, of one.
    """

    before: SceneGraph
    after: SceneGraph
    call: SkillCall | None = None
    outcome: Outcome | None = None
    trouble: str | None = None
    plan: tuple[SkillCall, ...] = ()

    def changes(self) -> tuple[tuple[Atom, ...], tuple[Atom, ...]]:
        """The facts that became true, and those that no longer are."""
        gained = self.after.facts - self.before.facts
        return tuple(sorted(gained)), tuple(sorted(self.before.facts - self.after.facts))


class Journal:
    """Listens to a run: hand `look` and `note` to `run_command` in the place of its own.

    Args:
        look: looks at the scene.

    Attributes:
        entries: so far.
    """

    def __init__(self, look: Callable[[], SceneGraph]) -> None:
        self._look = look
        self._seen: SceneGraph | None = None
        self._before: SceneGraph | None = None
        self.entries: list[Entry] = []

    def look(self) -> SceneGraph:
        """The scene as it is now."""
        self._seen = self._look()
        return self._seen

    def note(self, event: Event) -> None:
        """Write an event down, with the scene as it was seen last."""
        if self._seen is None:
            return
        if event.kind == "step":
            self._before = self._seen
        elif event.kind == "outcome":
            before = self._before or self._seen
            self.entries.append(Entry(before, self._seen, event.call, event.outcome))
        elif event.kind in ("diagnosis", "replan"):
            self.entries.append(Entry(self._seen, self._seen, trouble=event.text, plan=event.plan))


def foreseen(plan: Sequence[SkillCall], scene: SceneGraph, skills: Mapping[str, Skill]) -> list[Entry]:
    """What a plan promises, step by step."""
    entries = []
    for call in plan:
        after = skills[call.skill].after(call, scene)
        entries.append(Entry(scene, after, call))
        scene = after
    return entries
