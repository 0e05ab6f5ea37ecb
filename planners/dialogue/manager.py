"""The conversation as a state machine: lines and scene graphs in; plans, questions and stop signals out.

It knows no console, no simulator and no arm. Whoever carries plans out asks `interrupt` about every line that
comes while the arm moves, stops the arm when the signal says so, and tells `ended` how it ended:

    ready ──hear──> asking ──hear──> moving ──ended──> ready
      └──────────────hear──────────────┘ └─interrupt─> stopping ──ended──> ready, paused, or moving again

A line that is not understood while the arm moves changes nothing; what may be "stop" always stops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from planners.answers import listing
from planners.dialogue.context import Turn, put_back, resolved, salient, undone
from planners.dialogue.corrections import corrected, entity_of
from planners.dialogue.interjections import Interjection, Kind, heard, heard_moving, says_stop
from planners.dialogue.queries import Decline, Positions, Query, answered, completed, query
from planners.goal_form import GoalForm
from planners.phrases import tokenise
from planners.planner import LONGEST_COMMAND, Planner, PlanResult, check_command
from planners.reading import read_command
from planners.soundness import VERBS
from robot_skills.errors import InputError
from robot_skills.logic import Formula
from robot_skills.scene_graph import SceneGraph


class State(str, Enum):
    """Where a conversation stands."""

    READY = "ready"
    ASKING = "asking"
    MOVING = "moving"
    STOPPING = "stopping"  # the arm was told to stop, and `ended` is awaited
    PAUSED = "paused"


@dataclass(frozen=True)
class Reply:
    """What to say, and what to do.

    Attributes:
        text: for the person; may be empty.
        plan: to be carried out now; `Dialogue.ended` is told of its end.
        question: that was asked, when one was.
        leave: whether the conversation is over.
    """

    text: str
    plan: PlanResult | None = None
    question: Query | None = None
    leave: bool = False


@dataclass(frozen=True)
class Signal:
    """What a line means for the motion that goes on: whether the arm has to stop at once, and what to say."""

    stop: bool
    text: str


class Dialogue:
    """A conversation in a scene that stays as the arm leaves it.

    Args:
        planner: reads commands and finds plans.
    """

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._state = State.READY
        self._history: list[Turn] = []
        self._asked: tuple[Query, str] | None = None  # and the command it is about
        self._running: Turn | None = None
        self._pending: Interjection | None = None

    @property
    def state(self) -> State:
        """Where the conversation stands."""
        return self._state

    @property
    def stopping(self) -> bool:
        """Whether the arm was told to stop, and its end is awaited."""
        return self._state is State.STOPPING

    @property
    def history(self) -> tuple[Turn, ...]:
        """The commands so far that were carried out or begun, the running one apart."""
        return tuple(self._history)

    def hear(self, line: str, scene: SceneGraph, positions: Positions | None = None) -> Reply:
        """Take a line while the arm stands still.

        Args:
            line: as it was typed.
            scene: as it is now.
            positions: where things are, for "the left one"; None where nobody knows.

        Raises:
            RuntimeError: the arm moves; `interrupt` takes lines then.
        """
        if self._state in (State.MOVING, State.STOPPING):
            raise RuntimeError("The arm moves: lines go to `interrupt`.")
        if not line.strip():
            return Reply("")
        try:
            check_command(line)
            return self._heard(line, _at_rest(scene), positions)
        except InputError as error:
            return Reply(str(error))

    def interrupt(self, line: str) -> Signal:
        """Take a line while the arm moves: what it means for the motion; it is quick, and asks no model.

        Raises:
            RuntimeError: the arm stands still; `hear` takes lines then.
        """
        if self._running is None:
            raise RuntimeError("The arm stands still: lines go to `hear`.")
        said = heard_moving(line[:LONGEST_COMMAND])
        if said.kind is Kind.STOP or says_stop(line):
            return self.stop()
        if self._state is State.STOPPING:
            return Signal(True, "I am stopping already.")
        if not line.strip():
            return Signal(False, "")
        if said.kind is Kind.GO_ON:
            return Signal(False, "I am at it.")
        if said.kind is Kind.CORRECTION and not said.rest:
            said = Interjection(Kind.WAIT, "")
        if said.kind is Kind.CORRECTION and not self._understands(said.rest, self._running):
            return Signal(False, f"I do not understand {line.strip()!r} and go on. Say stop to stop me.")
        if said.kind in (Kind.AGAIN, Kind.OTHER):
            return Signal(
                False, f'I go on: {line.strip()!r} has to wait. Say stop, or "no, ..." to correct me.'
            )
        self._state, self._pending = State.STOPPING, said
        return Signal(True, "I wait." if said.kind is Kind.WAIT else "I stop, and see to that.")

    def stop(self) -> Signal:
        """Stop the arm, whatever was to come: Ctrl-C, or "stop"."""
        if self._running is not None:
            self._state, self._pending = State.STOPPING, None
        return Signal(True, "Stopping.")

    def ended(self, done: bool, scene: SceneGraph) -> Reply:
        """Take note that the motion has ended, and go on with what was said meanwhile.

        Args:
            done: whether the goal holds.
            scene: as it is now.

        Raises:
            RuntimeError: nothing was being carried out.
        """
        if self._running is None:
            raise RuntimeError("Nothing is being carried out.")
        turn = replace(self._running, after=scene, done=done)
        self._history.append(turn)
        stopped, pending = self._state is State.STOPPING, self._pending
        self._running, self._pending, self._state = None, None, State.READY
        if not stopped:
            return Reply("")
        if pending is None:
            return Reply(f"I have stopped.{_held(scene)}")
        if pending.kind is Kind.WAIT:
            self._state = State.PAUSED
            return Reply('I wait. Say "go on", "stop", or what to do instead.')
        try:
            return self._interjected(pending, _at_rest(scene))
        except InputError as error:
            return Reply(str(error))

    def _heard(self, line: str, scene: SceneGraph, positions: Positions | None) -> Reply:
        if self._state is State.ASKING and self._asked is not None:
            reply = self._answer(line, scene, positions)
            if reply is not None:
                return reply
        said = heard(line)
        if said.kind is not Kind.OTHER:
            return self._interjected(said, scene)
        self._state = State.READY
        if self._history and not _acts(line, scene):  # "now the blue one"
            changed = corrected(self._history[-1].goal, heard(f"no, {line}").rest, scene)
            if changed is not None:
                return self._towards(changed, line, scene)
        found = resolved(line, scene, self._history)
        return self._ask(found, line) if isinstance(found, Query) else self._plan(found, scene)

    def _interjected(self, said: Interjection, scene: SceneGraph) -> Reply:
        last = self._history[-1] if self._history else None
        paused, self._state = self._state is State.PAUSED, State.READY
        if said.kind is Kind.LEAVE:
            return Reply("Goodbye.", leave=True)
        if said.kind in (Kind.STOP, Kind.WAIT):
            return Reply("I leave it at that." if paused else "I stand still.")
        if last is None:
            return Reply("There is nothing before this that it could mean.")
        if said.kind is Kind.GO_ON:
            return self._go_on(last, scene)
        if said.kind is Kind.PUT_BACK:
            return self._put_back(said.rest, scene)
        if said.kind is Kind.UNDO:
            goal = undone(last, scene)
            return self._towards(goal, "undo that", scene) if goal else Reply("Nothing has changed.")
        if said.kind is Kind.AGAIN and not said.rest:
            return self._towards(last.goal, last.command, scene)
        return self._correct(said.rest, last, scene)

    def _go_on(self, last: Turn, scene: SceneGraph) -> Reply:
        if last.done:
            return Reply("There is nothing to go on with: that is done.")
        self._history.pop()
        return self._towards(last.goal, last.command, scene, before=last.before)

    def _put_back(self, what: str, scene: SceneGraph) -> Reply:
        entity = entity_of(what, scene) if what not in ("it", "that", "them") else None
        known = [name for name in salient(self._history, scene) if "graspable" in scene.entity(name).tags]
        if entity is None and (not known or what not in ("it", "that")):
            return Reply("I do not know what to put back; name the thing.")
        thing = entity.name if entity else known[0]
        goal = put_back(thing, scene, self._history)
        if goal is None:
            return Reply(f"I have not seen the {thing} anywhere else.")
        return self._towards(goal, f"put the {thing} back", scene)

    def _correct(self, text: str, last: Turn, scene: SceneGraph) -> Reply:
        """A correction of the last command: another goal of its kind, or another command."""
        changed = corrected(last.goal, text, scene)
        if changed is None and _acts(text, scene):
            found = resolved(text, scene, self._history)
            return self._ask(found, text) if isinstance(found, Query) else self._plan(found, scene)
        if changed is None:
            return Reply("I do not understand what should be otherwise; say the whole command, please.")
        return self._towards(changed, text, scene)

    def _towards(
        self, goal: Formula | Query, command: str, scene: SceneGraph, before: SceneGraph | None = None
    ) -> Reply:
        if isinstance(goal, Query):
            return self._ask(goal, command)
        return self._begin(self._planner.plan_goal(goal, scene, command), before or scene)

    def _plan(self, command: str, scene: SceneGraph) -> Reply:
        result = self._planner.plan(command, scene)
        if result.question is None:
            return self._begin(result, scene)
        asked = query(command, scene, result.question, result.proposal)
        if asked is None:
            return Reply(f"{result.question} Please say the whole command.")
        return self._ask(asked, command)

    def _begin(self, result: PlanResult, before: SceneGraph) -> Reply:
        if result.goal is None or not result.verified:
            return Reply(result.refused or "I found no plan for that.")
        turn = Turn(result.command, result.goal, before)
        if not result.plan:
            self._history.append(replace(turn, after=before, done=True))
            return Reply(result.note or "That is so already.")
        self._running, self._state = turn, State.MOVING
        return Reply("", plan=result)

    def _ask(self, asked: Query, command: str) -> Reply:
        self._state, self._asked = State.ASKING, (asked, command)
        return Reply(asked.text, question=asked)

    def _answer(self, line: str, scene: SceneGraph, positions: Positions | None) -> Reply | None:
        """What comes of an answer; None when the line is none, and something else is wanted."""
        assert self._asked is not None
        asked, command = self._asked
        try:
            chosen = answered(line, asked, scene, positions)
        except Decline:
            self._state = State.READY
            return Reply("All right, I leave it.")
        if not chosen:
            if heard(line).kind is not Kind.OTHER or _acts(line, scene):
                return None
            return Reply(f"Which one: {listing(asked.options, 'or')}?", question=asked)
        whole = completed(asked, chosen, scene)
        self._state = State.READY
        if whole is None:
            return Reply("I cannot put that into the command; please say the whole command.")
        if isinstance(whole, str):
            return self._plan(whole, scene)
        return self._towards(whole, command, scene)

    def _understands(self, text: str, running: Turn) -> bool:
        """Whether a correction means something, by the rules alone."""
        if corrected(running.goal, text, running.before) is not None:
            return True
        if not _acts(text, running.before):
            return False
        found = resolved(text, running.before, [*self._history, running])
        if isinstance(found, Query):
            return True
        reading = read_command(found, running.before)
        if reading.question is not None:
            return True
        return reading.refused is None and bool(GoalForm(reading, running.before).sound_goals(1))


def _acts(line: str, scene: SceneGraph) -> bool:
    """Whether a line holds a verb, so that it is a command of its own."""
    return bool(VERBS & set(tokenise(line, scene)))


def _at_rest(scene: SceneGraph) -> SceneGraph:
    """The scene as a new command finds it: nothing has been pushed anywhere yet."""
    facts = frozenset(fact for fact in scene.facts if fact.predicate != "moved")
    return SceneGraph(scene.entities, facts, scene.source)


def _held(scene: SceneGraph) -> str:
    held = [fact.args[0] for fact in scene.facts if fact.predicate == "holding"]
    return f" I hold the {held[0]}." if held else ""
