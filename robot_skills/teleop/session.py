"""A sitting at the keys: scene after scene, each episode committed when it is marked as succeeded."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robot_skills.data.collection import (
    FAILURES,
    CollectReport,
    Failures,
    card,
    next_seed,
    open_collection,
)
from robot_skills.data.files import write_text
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.robot import Robot
from robot_skills.teleop.keys import COMMANDS, GRIPPER, Command, Pressed, Status, Window, motion
from robot_skills.teleop.recorder import Recorder, Trial
from robot_skills.training.recipe import FIRST_VALIDATION_SEED, CollectRecipe

#: Attributes of an episode: what the person said, and whether the success formula held then (null: unknown).
MARKED, FORMULA = "marked", "success_formula"


@dataclass(frozen=True)
class Station:
    """Where a person drives a robot.

    Attributes:
        begin: brings the robot to the start of a seed's scene.
        expert: who is at the keys, as the episodes will say.
        say: told every message that matters after the window is gone.
    """

    robot: Robot
    begin: Callable[[int], Trial]
    window: Window
    expert: str
    say: Callable[[str], None]


def record(recipe: CollectRecipe, folder: Path, station: Station, command: str) -> CollectReport:
    """Record demonstrations until the person ends it; every saved one is on the disk at once.

    The next run into the same folder goes on with the seed after the last saved one.

    Args:
        recipe: skill, seeds, cameras and the number wanted; its noise and its workers play no part.
        folder: of the store: a new one, or one to go on with.
        station: robot, scenes, window.
        command: what was typed, for the store's card.

    Raises:
        InputError: the folder holds something else, or a collection with another recipe.
    """
    began = time.monotonic()
    rate = station.robot.spec.control_rate
    recipe = dataclasses.replace(recipe, noise=0.0, misled=0.0)
    with open_collection(recipe, folder, rate, command, teleop="keyboard") as store:
        session = _Session(recipe, store, station)
        try:
            session.run()
        finally:
            reasons, seconds = session.failures.reasons, time.monotonic() - began
            report = CollectReport(str(folder), len(store.episodes), store.frames, reasons, seconds)
            write_text(folder / "README.md", card(report, store, command) + _doubts(store))
    return report


class _Session:
    """Turns keys into commands and motion."""

    def __init__(self, recipe: CollectRecipe, store: EpisodeStore, station: Station) -> None:
        self._recipe, self._store, self._station = recipe, store, station
        self._before = len(store.episodes)
        self._asked: int | None = None  # the episode of an earlier run that U was pressed for once
        self._paused = self._help = self._over = False
        self._message = ""
        # Keys that were down when a scene began: they mean nothing to it until they go down again.
        self._stale: frozenset[str] = frozenset()
        first = next_seed(store, recipe)
        self.failures = Failures(store.folder / FAILURES, first)
        self._begin(first)

    def run(self) -> None:
        """Until the person ends it or the script does."""
        while not self._over:
            self._station.window.show(self._status())
            pressed = self._station.window.poll()
            if pressed.closed:
                break
            self._step(pressed)
        if len(self._recorder):
            seed, steps = self._recorder.trial.seed, len(self._recorder)
            self._station.say(f"Ended in mid-episode: {steps} steps of seed {seed} are not saved.")

    @property
    def _full(self) -> bool:
        return len(self._store.episodes) >= self._recipe.episodes

    def _step(self, pressed: Pressed) -> None:
        recorder = self._recorder
        self._stale &= pressed.down - frozenset(pressed.events)
        for key in pressed.events:
            if key == GRIPPER and not (self._paused or self._full):
                recorder.toggle()
            elif key in COMMANDS:
                self._obey(COMMANDS[key])
                if self._over or self._recorder is not recorder:
                    self._stale = pressed.down
                    return
        if not (self._paused or self._full):
            recorder.step(motion(pressed.down - self._stale))

    def _obey(self, command: Command) -> None:
        if command is not Command.UNDO:
            self._asked = None
        seed = self._recorder.trial.seed
        if command is Command.QUIT:
            self._over = True
        elif command is Command.HELP:
            self._help = not self._help
        elif command is Command.UNDO:
            self._undo()
        elif self._full:
            self._tell(self._invite())
        elif command is Command.PAUSE:
            self._paused = not self._paused
        elif command is Command.RESTART:
            self._begin(seed)
        elif command is Command.NEXT:
            self._begin(seed + 1)
        elif not len(self._recorder):
            self._tell("Nothing is recorded yet: move the arm first.")
        else:
            self._finish(command)

    def _finish(self, command: Command) -> None:
        """Save the episode as a success, or drop it as a failure, and go on."""
        recorder, trial, say = self._recorder, self._recorder.trial, self._station.say
        succeeded = command is Command.SUCCEEDED
        if succeeded:
            recorder.hold()
        reached = trial.reached()
        if succeeded:
            marks = {MARKED: "succeeded", FORMULA: reached}
            saved = self._store.append(recorder.episode(self._station.expert, marks))
            done = f"Saved episode {saved.episode}: {trial.call}, seed {trial.seed}, {saved.length} steps."
        else:
            self.failures.add(trial.seed, "marked as failed")
            done = f"Dropped seed {trial.seed}: marked as failed."
        if reached is not None and reached != succeeded:
            holds = "holds" if reached else "does not hold"
            done += f" Warning: the simulator's success formula {holds}; " + (
                "U takes the episode back." if succeeded else "was it a success?"
            )
        say(done)
        self._begin(trial.seed + 1)
        self._message = f"{done} {self._invite()}" if self._full else done

    def _undo(self) -> None:
        """Take the last saved episode back and return to its scene; of an earlier run only if asked twice."""
        if not self._store.episodes:
            self._tell("There is no saved episode to take back.")
            return
        last = self._store.episodes[-1]
        if last.episode < self._before and self._asked != last.episode:
            self._asked = last.episode
            self._tell(f"Episode {last.episode} was saved in an earlier run: press U again to take it back.")
            return
        self._store.drop_last()
        self._before = min(self._before, len(self._store.episodes))
        assert last.seed is not None  # every episode of a collection has one
        self.failures = Failures(self._store.folder / FAILURES, last.seed)  # later scenes come again
        self._begin(last.seed)
        self._tell(f"Took episode {last.episode} back; seed {self._recorder.trial.seed} again.")

    def _begin(self, seed: int) -> None:
        """Start a scene from nothing."""
        if seed >= FIRST_VALIDATION_SEED:
            raise InputError(f"There are no seeds for training after {FIRST_VALIDATION_SEED - 1}.")
        self._recorder = Recorder(self._station.robot, self._station.begin(seed))
        self._paused, self._message = False, self._invite() if self._full else ""

    def _invite(self) -> str:
        return f"All {self._recipe.episodes} are saved: Escape ends, U takes the last one back."

    def _tell(self, message: str) -> None:
        self._message = message
        self._station.say(message)

    def _status(self) -> Status:
        recorder = self._recorder
        mode = "still" if recorder.still else "recording"
        if not len(recorder):
            mode = "ready"
        if self._paused or self._full:
            mode = "done" if self._full else "paused"
        trial, saved = recorder.trial, len(self._store.episodes)
        return Status(
            str(trial.call), mode, trial.seed, len(recorder), saved, self._recipe.episodes, recorder.closed,
            self._message, self._help,
        )  # fmt: skip


def _doubts(store: EpisodeStore) -> str:
    """The lines of the card about episodes that the simulator judges otherwise than the person."""
    doubted = [e.episode for e in store.episodes if e.attributes.get(FORMULA) is False]
    if not doubted:
        return ""
    listed = ", ".join(map(str, doubted))
    return f"\nMarked as succeeded while the simulator's success formula did not hold: episodes {listed}.\n"
