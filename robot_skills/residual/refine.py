"""The practice of a skill: fill the replay with the base, learn its value, then correct, play and learn on.

Episodes are played one after the other, or by several processes (Ray), each given the correction as it
stands; what they play comes back in order. Every episode is on the disk before it is learned from, and what
has been learned is in the checkpoint: a run that was killed learns again from the episodes since its last
checkpoint and goes on. With one process, or in this one, that is bit for bit the run that was not killed.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from robot_skills.data.episode import Episode
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError, JobError
from robot_skills.residual.arena import Order
from robot_skills.residual.checkpoint import (
    CHECKPOINT,
    Position,
    enough_room,
    read_checkpoint,
    write_checkpoint,
)
from robot_skills.residual.config import RefineConfig
from robot_skills.residual.learner import Learner, Metrics, Snapshot
from robot_skills.residual.log import FOLDER, open_log, to_episode, to_trajectory
from robot_skills.residual.policy import SHORTFALL
from robot_skills.residual.practice import Asked, Look, Practice
from robot_skills.residual.replay import Replay, Trajectory
from robot_skills.training.configuration import from_mapping, to_mapping
from robot_skills.training.evaluation import EpisodeResult
from robot_skills.training.memory import keep_freed_memory
from robot_skills.training.metrics import MetricLog
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from robot_skills.training.recipe import FIRST_VALIDATION_SEED
from robot_skills.training.statistics import wilson_interval

#: Settings that may change when a run goes on: they say how long, and what is left of it.
FREE = ("steps", "keep")
#: Episodes over which the success of practice is told.
RECENT = 20
#: Prefix of the best actor's tensors in a checkpoint.
BEST = "best."


@dataclass(frozen=True)
class RefineResult:
    """What a run came to.

    Attributes:
        steps, episodes: of practice.
        position: where it ended.
    """

    steps: int
    episodes: int
    position: Position


class Refiner:
    """One run of practice: give it the parts, then call `run`.

    Args:
        learner: learns in place; its policy is left with the best correction.
        config: how.
        practice: plays episodes, in this process or in others.
        demonstrations: labelled with the base's actions; may be none.
        folder: where episodes, checkpoint and curves go.
        console: where progress is shown.
        workers: processes that play.
        local: play in this process, without Ray.
    """

    def __init__(
        self,
        learner: Learner,
        config: RefineConfig,
        practice: Practice,
        demonstrations: Sequence[Trajectory],
        folder: Path,
        console: Console,
        workers: int = 1,
        local: bool = True,
    ) -> None:
        self.learner, self.config, self._practice = learner, config, practice
        self._demonstrations, self._folder, self._console = demonstrations, folder, console
        self._workers, self._local = workers, local
        self._position = Position()
        self._best = self._candidate = learner.actor_state()
        self._filling: list[Trajectory] = []
        self._replay: Replay = learner.replay()
        self._kept: deque[Trajectory] = deque()
        self._looks: deque[Look] = deque()
        self._seen: dict[str, list[EpisodeResult]] = {"base": [], "refined": []}
        self._awaited = 0  # episodes of an evaluation that are asked for, or will be, and have not come
        self._ordered = 0
        self._failed: set[int] = set()  # starts at which the base failed, without noise

    def run(self, resume: bool = False) -> RefineResult:
        """Practise for as many steps as are asked for, and leave the best correction in the policy.

        Args:
            resume: go on from the folder's checkpoint; without one, from the start.

        Raises:
            InputError: the folder holds a run already, of another configuration, or is damaged.
            JobError: the base never succeeds and there is no demonstration; or the disk is full.
        """
        keep_freed_memory()
        torch.set_num_threads(1)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._restore(resume)
        policy = self.learner.policy
        with (
            open_log(self._folder, policy) as store,
            MetricLog(self._folder, self._position.steps if self._position.filled else -1, ()) as log,
            JobProgress(
                self._console,
                "practice",
                self.config.steps,
                "steps",
                min(self._position.steps, self.config.steps),
            ) as progress,
        ):
            self._read_back(store)
            self._go_on(store, log, progress)
        if self.config.evaluate_episodes and self.config.keep == "best":
            self.learner.restore_actor(self._best)
        return RefineResult(self._position.steps, self._position.episodes, self._position)

    def _go_on(self, store: EpisodeStore, log: MetricLog, progress: JobProgress) -> None:
        stream = map_in_order(self._practice, self._orders(), self._workers, self._local)
        with contextlib.closing(stream):
            while not self._finished():
                self._schedule()
                if self._kept and not self._awaited:
                    self._take(self._kept.popleft(), log, progress)
                    continue
                with self._timed("playing"):
                    answer = next(stream)
                if isinstance(answer, EpisodeResult):
                    self._look(answer, log)
                    continue
                if self._position.filled and self._position.steps >= self.config.steps:
                    continue  # other processes play on while the last evaluation runs
                with self._timed("disk"):
                    _keep(store, to_episode(answer, self.learner.policy))
                self._take(answer, log, progress)

    # What is asked for ----------------------------------------------------------------------------------

    def _orders(self) -> Iterator[Asked]:
        """What is to be played next, as things stand when it is asked for; endless."""
        config = self.config
        while True:
            if self._looks:
                yield self._looks.popleft()
                continue
            number = self._ordered
            self._ordered += 1
            yield Order(
                number,
                seed=self._start(number),
                noise_seed=(config.seed, number, 1),
                snapshot=self.learner.snapshot(),
                explore=self._explores(number),
            )

    def _explores(self, number: int) -> bool:
        """Whether an episode has noise: all that come after the filling, and a share of those."""
        share = self.config.fill_noise
        drawn = math.floor((number + 1) * share) > math.floor(number * share)
        return number >= self.config.fill or drawn

    def _start(self, number: int) -> int:
        """The seed that an episode begins from."""
        config = self.config
        rng = np.random.default_rng([config.seed, number, 2])
        if self._position.filled and self._failed and rng.uniform() < config.again:
            return int(rng.choice(sorted(self._failed)))
        return config.first_seed + number % (FIRST_VALIDATION_SEED - config.first_seed)

    def _schedule(self) -> None:
        """Ask for an evaluation where one is due: at first of the base, then of the correction."""
        config, position = self.config, self._position
        if self._awaited or not config.evaluate_episodes:
            return
        snapshot: Snapshot | None = None
        if position.base:
            if not (position.filled and self._due()):
                return
            position.evaluated = position.steps
            snapshot, self._candidate = self.learner.snapshot(), self.learner.actor_state()
        first = config.evaluate_first_seed
        seeds = range(first, first + config.evaluate_episodes)
        self._looks.extend(Look(seed, snapshot) for seed in seeds)
        self._awaited = len(seeds)

    def _due(self) -> bool:
        """Whether the correction is to be evaluated now."""
        every, position = self.config.evaluate_every, self._position
        last = max(position.evaluated, 0)
        return position.steps // every > last // every or (
            position.steps >= self.config.steps and position.evaluated < position.steps
        )

    def _finished(self) -> bool:
        done = self._position.steps >= self.config.steps and self._position.filled
        return done and not self._awaited and not (self.config.evaluate_episodes and self._due())

    # What comes back ------------------------------------------------------------------------------------

    def _take(self, trajectory: Trajectory, log: MetricLog, progress: JobProgress) -> None:
        """Learn from an episode."""
        position, config = self._position, self.config
        before = position.steps
        self._heard(position.episodes, trajectory)
        position.episodes += 1
        position.steps += len(trajectory)
        position.recent = [*position.recent, trajectory.success][-RECENT:]
        self.learner.policy.get_buffer(SHORTFALL).fill_(self._shortfall())
        metrics: Metrics = {}
        begins = not position.filled and position.episodes >= max(config.fill, 1)
        if not position.filled:
            self._filling.append(trajectory)
            metrics = self._begin() if begins else {}
        else:
            self._add(trajectory)
            position.owed += len(trajectory) * config.learner.updates
            with self._timed("learning"):
                metrics = self.learner.learn(self._replay, int(position.owed))
            position.owed -= int(position.owed)
        if metrics:
            values = {**metrics, "practice": float(np.mean(position.recent))}
            if "q" in metrics:
                values["bias"] = self.learner.bias(trajectory)
            log.write("learning", {**values, "success": float(trajectory.success)}, position.steps)
        rate = np.mean(position.recent)
        progress.advance(len(trajectory), f"{rate:.0%} of the last {len(position.recent)}", len(trajectory))
        passed = before // config.checkpoint_every < position.steps // config.checkpoint_every
        if begins or (position.filled and (passed or position.steps >= config.steps)):
            log.flush()
            self._save()

    def _shortfall(self) -> float:
        """The share of the base's success that practice of late falls short of.

        All of it before there was practice, or where the base's is not known; of the last episodes, those
        that filled the replay, or are yet to come, count as lost.
        """
        position = self._position
        practised = min(position.episodes - max(self.config.fill, 1), RECENT)
        if not position.base or practised <= 0:
            return 1.0
        base = sum(position.base.values()) / len(position.base)
        return max(0.0, 1 - sum(position.recent[-practised:]) / RECENT / base) if base else 0.0

    def _begin(self) -> Metrics:
        """The replay is full: fix how inputs are normalised, and have the critics learn the base's value.

        Raises:
            JobError: there is no success to learn from.
        """
        given = [*self._demonstrations, *self._filling]
        successes = sum(one.success for one in self._filling)
        if not successes and not self._demonstrations:
            raise JobError(
                f"The base failed in all of {len(self._filling)} episodes, and there are no demonstrations: "
                "nothing tells what success is. Give --demonstrations, or train the skill further."
            )
        if successes == len(self._filling):
            self._console.print("The base failed in none of its episodes: there is little to learn from.")
        self.learner.policy.take_statistics(np.concatenate([one.inputs for one in given]))
        for one in given:
            self._add(one)
        self._filling = []
        self._position.filled = True
        with self._timed("learning"):
            return self.learner.learn(self._replay, self.config.learner.warm_up, actor=False)

    def _heard(self, number: int, trajectory: Trajectory) -> None:
        """Remember where the base fails by itself: what noise spoils says nothing of a start."""
        if not (trajectory.success or self._explores(number)):
            self._failed.add(trajectory.seed)

    def _add(self, trajectory: Trajectory) -> None:
        self.learner.take(trajectory)
        self._replay.append(trajectory, self.learner.policy.brain().normalise(trajectory.inputs))

    def _look(self, result: EpisodeResult, log: MetricLog) -> None:
        """Take in an episode of an evaluation; when it was the last one, judge."""
        position, count = self._position, self.config.evaluate_episodes
        kind = "refined" if position.base else "base"
        self._seen[kind].append(result)
        self._awaited -= 1
        if len(self._seen[kind]) < count:
            return
        results, self._seen[kind] = self._seen[kind], []
        won = {str(one.seed): one.success for one in results}
        if kind == "base":
            position.base = won
            position.best = sum(won.values())
        self._judge(won, results, log)

    def _judge(self, won: Mapping[str, bool], results: Sequence[EpisodeResult], log: MetricLog) -> None:
        """Keep the correction if it is the best so far; take the best back if this one fell too far below."""
        position, config = self._position, self.config
        count, successes, steps = len(won), sum(won.values()), position.steps
        gained = sum(won[seed] and not position.base[seed] for seed in won)
        lost = sum(position.base[seed] and not won[seed] for seed in won)
        rolled_back = successes < position.best - config.rollback * count
        if successes >= position.best:
            position.best, position.best_steps = successes, position.evaluated
            self._best = self._candidate
        elif rolled_back:
            position.rollbacks += 1
            self.learner.restore_actor(self._best)
        lengths = [one.steps for one in results if one.success]
        values = {
            "episodes": float(count),
            "successes": float(successes),
            "base_successes": float(sum(position.base.values())),
            "gained": float(gained),
            "lost": float(lost),
            "steps_to_success": float(np.mean(lengths)) if lengths else 0.0,
            "rolled_back": float(rolled_back),
        }
        log.write("evaluation", values, steps, {"won": dict(won)})
        low, high = (100 * bound for bound in wilson_interval(successes, count))
        back = "; the best correction so far is taken back" if rolled_back else ""
        self._console.print(
            f"step {steps}: {successes} of {count} ({low:.0f} to {high:.0f} %), the base "
            f"{sum(position.base.values())}; {gained} gained, {lost} lost{back}",
            highlight=False,
            soft_wrap=True,
        )
        if position.filled:
            log.flush()
            self._save()

    # Checkpoints -------------------------------------------------------------------------------------------

    def _save(self) -> None:
        with self._timed("disk"):
            tensors = self.learner.state() | {f"{BEST}{name}": value for name, value in self._best.items()}
            write_checkpoint(self._folder, self._position, self.config, tensors)

    def _restore(self, resume: bool) -> None:
        """Take up the folder's checkpoint, if there is one.

        Raises:
            InputError: it is there and is not to be gone on with, of another configuration, or damaged.
        """
        path = self._folder / CHECKPOINT
        begun = path.is_file() or (self._folder / FOLDER).exists()
        if begun and not resume:
            raise InputError(
                f"{self._folder} holds a run already: go on with --resume, or name another folder."
            )
        if not path.is_file():
            return
        told, tensors = read_checkpoint(path)
        config = to_mapping(from_mapping(RefineConfig, told["config"], str(path)))
        own = to_mapping(self.config)
        changed = sorted(key for key in own if own[key] != config[key] and key not in FREE)
        if changed:
            raise InputError(
                f"The run in {self._folder} was begun with other settings ({', '.join(changed)} differ); "
                "refine in another folder."
            )
        self._position = Position(**told["position"])
        self._best = {
            name.removeprefix(BEST): tensors.pop(name) for name in list(tensors) if name.startswith(BEST)
        }
        self.learner.load(tensors)

    def _read_back(self, store: EpisodeStore) -> None:
        """Put practice on the disk into the replay; what came after the checkpoint is learned from anew."""
        done = self._position.episodes
        trajectories = [to_trajectory(store.read(number)) for number in range(len(store.episodes))]
        if len(trajectories) < done:
            raise InputError(
                f"{store.folder} holds {len(trajectories)} episodes; its checkpoint has learned from {done}."
            )
        if self._position.filled:
            for one in [*self._demonstrations, *trajectories[:done]]:
                self._add(one)
        for number, one in enumerate(trajectories[:done]):
            self._heard(number, one)
        self._kept = deque(trajectories[done:])
        self._ordered = len(trajectories)

    @contextlib.contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        seconds = self._position.seconds
        seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - began


def _keep(store: EpisodeStore, episode: Episode) -> None:
    with enough_room(store.folder):
        store.append(episode)
