"""A procedure in plain language, and whoever carries it out watched: what was done, and where it went wrong.

Each line is read and planned against the scene as the lines before it leave it. What is done is recognised in
a sequence of scene graphs, whoever does it: an arm, a person, a recording. A change is explained by the skill
calls whose cards promise just that change. Mistakes are told as soon as they can be known, after Flaborea
et al., "PREGO: online mistake detection in procedural egocentric videos" (CVPR 2024): what was done is set
against the step that was due, here by the cards and the written procedure instead of learned models of
both.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from planners.planner import Planner
from robot_skills.errors import InputError
from robot_skills.logic import Atom, Formula, Not
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall

#: How many calls may lie between two looks at the scene.
MOST_BETWEEN = 2


@dataclass(frozen=True)
class Line:
    """A line of a procedure.

    Attributes:
        text: as it was written.
        goal: what holds when it is done.
        calls: that bring it about, after the lines before.
    """

    text: str
    goal: Formula
    calls: tuple[SkillCall, ...]


@dataclass(frozen=True)
class Procedure:
    """Lines, and the scene that they start from."""

    lines: tuple[Line, ...]
    scene: SceneGraph

    @property
    def steps(self) -> tuple[SkillCall, ...]:
        """The calls of all lines, in order."""
        return tuple(call for line in self.lines for call in line.calls)

    def line_of(self, step: int) -> int:
        """The number of the line, from 0, that a step belongs to."""
        ends = itertools.accumulate(len(line.calls) for line in self.lines)
        return next(number for number, end in enumerate(ends) if step < end)


def read_procedure(text: str, scene: SceneGraph, planner: Planner, skills: Mapping[str, Skill]) -> Procedure:
    """Read a procedure, a line a step; empty lines and lines that begin with # are left out.

    Raises:
        InputError: there is no step, or one is refused, unclear or cannot be done after those before it.
    """
    told = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines, now = [], scene
    for number, line in told:
        if not line or line.startswith("#"):
            continue
        result = planner.plan(line, now)
        if result.goal is None or not result.verified:
            raise InputError(f"Line {number}, {line!r}: {result.refused or result.question}")
        for call in result.plan:
            now = skills[call.skill].after(call, now)
        lines.append(Line(line, result.goal, result.plan))
    if not lines:
        raise InputError("The procedure has no steps: write one a line.")
    return Procedure(tuple(lines), scene)


class Kind(str, Enum):
    """What is said of something that was done."""

    EXPECTED = "expected"  # the step that was due
    EARLY = "early"  # a later step: what was due is out of order, or left out
    OUT_OF_ORDER = "out of order"
    SKIPPED = "skipped"
    WRONG = "wrong"  # the skill that was due, with something else
    EXTRA = "not in the procedure"
    UNDONE = "undone"  # it takes back a step that was done
    MADE_GOOD = "made good"  # what was wrong or left out, after all
    UNEXPLAINED = "unexplained"  # no skill changes the scene so


#: The kinds that are mistakes.
MISTAKES = (Kind.OUT_OF_ORDER, Kind.SKIPPED, Kind.WRONG, Kind.EXTRA, Kind.UNDONE, Kind.UNEXPLAINED)


@dataclass(frozen=True)
class Remark:
    """Something said about what was done.

    Attributes:
        kind: what it is.
        text: a sentence.
        step: the number, from 0, of the step it is about; None where it is about none.
        call: what was done; None where nothing was, or nobody knows.
    """

    kind: Kind
    text: str
    step: int | None = None
    call: SkillCall | None = None


def explain(
    before: SceneGraph, after: SceneGraph, skills: Mapping[str, Skill], prefer: Sequence[SkillCall] = ()
) -> tuple[SkillCall, ...] | None:
    """The fewest calls whose cards lead from a scene to another; none where nothing changed.

    That a thing has moved is asked for only where it stayed on the table all the while: what is carried moves
    too, and a new command forgets what moved before it.

    Args:
        before: the scene.
        after: the scene later.
        skills: the cards.
        prefer: calls to be thought of first where several would do.

    Returns:
        The calls, or None where no one or two of them explain the change.
    """
    carried = {f.args[0] for f in before.facts ^ after.facts if f.predicate in ("in", "on", "holding")}

    def told(scene: SceneGraph) -> frozenset[Atom]:
        return frozenset(f for f in scene.facts if f.predicate != "moved" or f.args[0] not in carried)

    forgotten = [fact for fact in before.facts - after.facts if fact.predicate == "moved"]
    wanted, start = told(after), before.apply(map(Not, forgotten))
    reached: list[tuple[SceneGraph, tuple[SkillCall, ...]]] = [(start, ())]
    for _ in range(MOST_BETWEEN):
        for scene, calls in reached:
            if told(scene) == wanted:
                return calls
        reached = [
            (skills[call.skill].after(call, scene), (*calls, call))
            for scene, calls in reached
            for call in _possible(scene, skills, prefer)
        ]
    return next((calls for scene, calls in reached if told(scene) == wanted), None)


def _possible(
    scene: SceneGraph, skills: Mapping[str, Skill], prefer: Sequence[SkillCall]
) -> Iterator[SkillCall]:
    every = [call for skill in skills.values() for call in skill.groundings(scene)]
    for call in dict.fromkeys([*(call for call in prefer if call in every), *every]):
        if not skills[call.skill].unmet(call, scene):
            yield call


class Watch:
    """Follows a procedure from scene to scene.

    Args:
        procedure: what should be done.
        skills: the cards.

    Attributes:
        mistakes: so far; one that turns out to be another kind is told anew.
    """

    def __init__(self, procedure: Procedure, skills: Mapping[str, Skill]) -> None:
        self._procedure, self._skills = procedure, skills
        self._steps = procedure.steps
        self._scene = procedure.scene
        self._state = ["waiting"] * len(self._steps)
        self._passed = [0] * len(self._steps)
        #: Steps that others seem to have been done in the place of, since the last step that was right.
        self._doubtful: list[tuple[int, Remark]] = []
        self.mistakes: list[Remark] = []

    @property
    def due(self) -> int | None:
        """The number of the step that is due; None when nothing is left."""
        return next((n for n, state in enumerate(self._state) if state == "waiting"), None)

    def next_step(self) -> str:
        """What is due, in words."""
        if self.due is None:
            return "Nothing is left to do."
        line = self._procedure.lines[self._procedure.line_of(self.due)]
        return f"Next: {self._steps[self.due]} ({line.text})"

    def see(self, scene: SceneGraph) -> list[Remark]:
        """Take in the scene as it is now, and say what was done since the last look."""
        due = [self._steps[n] for n, state in enumerate(self._state) if state == "waiting"]
        calls = explain(self._scene, scene, self._skills, due)
        if calls is None:
            changed = sorted(map(str, self._scene.facts ^ scene.facts))
            self._scene = scene
            text = f"No skill explains what changed: {', '.join(changed)}."
            return [self._noted(Remark(Kind.UNEXPLAINED, text))]
        remarks = []
        for call in calls:
            before = self._scene
            self._scene = self._skills[call.skill].after(call, self._scene)
            remarks += self._take(call, before)
        self._scene = scene
        return remarks

    def finish(self) -> list[Remark]:
        """Say what was left out, when nothing more is done."""
        left = [number for number, state in enumerate(self._state) if state == "waiting"]
        return [self._skip(number) for number in left]

    def _take(self, call: SkillCall, before: SceneGraph) -> list[Remark]:
        self._settle(call)
        due = self.due
        waiting = [n for n, state in enumerate(self._state) if state == "waiting" and self._steps[n] == call]
        if waiting:
            return self._right(waiting[0], call)
        for number, state in enumerate(self._state):
            if state in ("wrong", "skipped") and self._steps[number] == call:
                return [self._made_good(number, call)]
        for number in dict.fromkeys(n for n in (due, self._front()) if n is not None):
            if self._steps[number].skill == call.skill and self._state[number] == "waiting":
                return [self._wrong(number, call)]
        return [self._besides(call, before)]

    def _right(self, number: int, call: SkillCall) -> list[Remark]:
        """A step that was waited for: the one that was due, one that comes late, or one that comes early."""
        before = [n for n in range(number) if self._state[n] == "waiting"]
        late = any(state == "done" for state in self._state[number + 1 :])
        self._state[number] = "done"
        remarks = []
        for other in before:
            self._passed[other] += 1
            if self._passed[other] > 1:
                remarks.append(self._skip(other))
        if late:
            first = next(n for n in range(number + 1, len(self._steps)) if self._state[n] == "done")
            text = f"{call} came after {self._steps[first]}, which it should come before."
            return [*remarks, self._noted(Remark(Kind.OUT_OF_ORDER, text, number, call))]
        if any(self._state[n] == "waiting" for n in before):
            return [*remarks, Remark(Kind.EARLY, f"{call} before {self._steps[before[0]]}.", number, call)]
        return [*remarks, Remark(Kind.EXPECTED, f"{call}, as it should be.", number, call)]

    def _skip(self, number: int) -> Remark:
        self._state[number] = "skipped"
        text = f"{self._steps[number]} was left out."
        return self._noted(Remark(Kind.SKIPPED, text, number))

    def _wrong(self, number: int, call: SkillCall) -> Remark:
        self._state[number] = "wrong"
        remark = self._noted(Remark(Kind.WRONG, f"{call} instead of {self._steps[number]}.", number, call))
        self._doubtful.append((number, remark))
        return remark

    def _made_good(self, number: int, call: SkillCall) -> Remark:
        if self._state[number] == "skipped":  # it was only late
            self._retold(number, Kind.SKIPPED, Kind.OUT_OF_ORDER)
        self._state[number] = "done"
        return Remark(Kind.MADE_GOOD, f"{call}, after all.", number, call)

    def _besides(self, call: SkillCall, before: SceneGraph) -> Remark:
        """What no step asks for: harmless, or taking back what a step has done."""
        for number, state in enumerate(self._state):
            goal = self._skills[self._steps[number].skill].goal(self._steps[number])
            wanted = state == "done" and not self._superseded(number)
            if wanted and before.holds(goal) and not self._scene.holds(goal):
                text = f"{call} takes back {self._steps[number]}."
                return self._noted(Remark(Kind.UNDONE, text, number, call))
        return self._noted(Remark(Kind.EXTRA, f"{call} is not in the procedure.", None, call))

    def _superseded(self, number: int) -> bool:
        """Whether the procedure itself takes back what a step brings about: it lets go what it picked up."""
        scene, step = self._procedure.scene, self._steps[number]
        for call in self._steps:
            scene = self._skills[call.skill].after(call, scene)
        return not scene.holds(self._skills[step.skill].goal(step))

    def _front(self) -> int | None:
        """The step after the last one that was done, right or wrong."""
        done = [number for number, state in enumerate(self._state) if state in ("done", "wrong")]
        front = done[-1] + 1 if done else 0
        return front if front < len(self._steps) else None

    def _settle(self, call: SkillCall) -> None:
        """Where a step comes that something seemed to be done in the place of, that was besides it."""
        if self._doubtful and self._steps[self._doubtful[0][0]] == call:
            for number, _ in self._doubtful:
                self._state[number] = "waiting"
                self._retold(number, Kind.WRONG, Kind.EXTRA)
            self._doubtful.clear()
        elif call in self._steps:
            self._doubtful.clear()

    def _retold(self, step: int, kind: Kind, now: Kind) -> None:
        for place, remark in enumerate(self.mistakes):
            if (remark.step, remark.kind) == (step, kind):
                about = None if now is Kind.EXTRA else step
                text = f"{remark.call or self._steps[step]}: {now.value}."
                self.mistakes[place] = Remark(now, text, about, remark.call)

    def _noted(self, remark: Remark) -> Remark:
        self.mistakes.append(remark)
        return remark
