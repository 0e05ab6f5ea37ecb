"""A point that has to be brought to a place and closed there, and a base that heads a little to one side."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from robot_skills.data.episode import Episode
from robot_skills.data.store import EpisodeStore
from robot_skills.policies.bc import BCConfig, BCPolicy
from robot_skills.policies.policy import Batch, Policy
from robot_skills.residual.config import Gate, LearnerConfig, RefineConfig, ResidualConfig
from robot_skills.robot import ActionSpace, Float, Observation, RobotSpec
from robot_skills.skill import SkillCall, Status
from robot_skills.training.evaluation import EpisodeResult
from robot_skills.training.rollout import rollout
from tests.robot_skills.policies.learning import fit

SPACE = ActionSpace(("dx", "dy", "gripper"), (True, True, False), (-1.0,) * 3, (1.0,) * 3)
STATE = ("x", "y", "goal.x", "goal.y")
#: How far an action of 1 goes, how near is near enough, and how far off the base heads.
SPEED, NEAR, OFF = 0.05, 0.02, np.array([0.022, 0.0])
STEPS, RATE = 24, 10.0
BASE = BCConfig(
    cameras=(),
    shift=(),
    state_size=4,
    action_size=3,
    chunk=6,
    execute=3,
    hidden=32,
    hidden_layers=2,
    width=16,
)
RESIDUAL = ResidualConfig(bound=0.3, gripper_bound=0.5, coming=2, width=32, heads=3, gate=Gate())
LEARNER = LearnerConfig(batch_size=64, updates=1, warm_up=100, gamma=0.95, n_step=3)
REFINE = RefineConfig(
    steps=300,
    fill=6,
    evaluate_every=200,
    evaluate_episodes=6,
    checkpoint_every=60,
    policy=RESIDUAL,
    learner=LEARNER,
)


class World:
    """The point; it is there when it is near its goal and the gripper is told to close."""

    def __init__(self) -> None:
        self.spec = RobotSpec("toy", {}, RATE, STATE, SPACE)
        self.reset(0)

    def reset(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.place, self.goal = rng.uniform(-0.1, 0.1, 2), rng.uniform(-0.3, 0.3, 2)
        self.actions: list[Float] = []
        self.done = False

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        return Observation({}, np.concatenate([self.place, self.goal]).astype(np.float32), 0.0)

    def act(self, action: Float) -> None:
        assert np.abs(action).max() <= 1
        self.actions.append(action)
        self.place = self.place + SPEED * action[:2]
        self.done = self.done or bool(np.linalg.norm(self.place - self.goal) < NEAR and action[2] > 0)

    def stop(self) -> None:
        pass

    def expert(self, off: Float | None = None) -> Float:
        """Straight to the goal, or beside it; closed when it is there."""
        aim = self.goal if off is None else self.goal + off
        way = (aim - self.place) / SPEED
        near = np.linalg.norm(way) < 0.5
        return np.array([*np.clip(way, -1, 1), 1.0 if near else -1.0], np.float32)


class Arena:
    lead = 0

    def __init__(self) -> None:
        self.world = World()
        self.spec = self.world.spec

    def observe(self, cameras: Sequence[str]) -> Observation:
        return self.world.observe(cameras)

    def language(self, result: EpisodeResult) -> str:
        return "there"

    def play(self, policy: Policy, seed: int) -> EpisodeResult:
        world = self.world
        world.reset(seed)
        rollout(policy, [world], lambda _: world.done, STEPS)
        status = Status.SUCCEEDED if world.done else Status.TIMED_OUT
        steps = len(world.actions)
        return EpisodeResult(seed, world.done, status.value, "", steps, steps / RATE, "")

    def expert(self) -> Float:
        return self.world.expert()


@dataclass(frozen=True)
class Deadly:
    """Makes arenas whose process is killed when it first plays one of some seeds."""

    seeds: tuple[int, ...] = ()
    marks: str = ""

    def __call__(self) -> Arena:
        made_by = self

        class Dying(Arena):
            def play(self, policy: Policy, seed: int) -> EpisodeResult:
                mark = Path(made_by.marks) / str(seed)
                if seed in made_by.seeds and not mark.exists():
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().play(policy, seed)

        return Dying()


def demonstrate(seed: int, off: Float | None = None, noise: float = 0.0) -> Episode:
    """An expert's episode; its last two steps are over."""
    world, rng = World(), np.random.default_rng([seed, 1])
    world.reset(seed)
    states, actions, ends = [], [], []
    while sum(ends) < 2 and len(states) < 40:
        states.append(world.observe().state)
        ends.append(float(world.done or (off is not None and world.expert(off)[2] > 0)))
        actions.append(world.expert(off))
        world.act(np.clip(actions[-1] + rng.normal(0, noise, 3), -1, 1).astype(np.float32))
    count = len(states)
    return Episode(
        images={},
        state=np.stack(states),
        action=np.stack(actions),
        end=np.array(ends, np.float32),
        target=np.full((count, 3), np.nan, np.float32),
        text="",
        call=SkillCall("toy", {}),
        seed=seed,
    )


def save_demonstrations(folder: Path, episodes: int = 5) -> Path:
    """A store of an expert that knows where to go."""
    with EpisodeStore.create(folder, {}, RATE, state_names=STATE, action=SPACE) as store:
        for seed in range(episodes):
            store.append(demonstrate(seed))
    return folder


def save_base(folder: Path, seed: int = 0) -> Path:
    """A policy that learned from an expert who is a little off."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    episodes = [demonstrate(100 + number, OFF, noise=0.2) for number in range(40)]
    rows = [(episode, step) for episode in episodes for step in range(len(episode))]
    steps = [np.minimum(np.arange(step, step + BASE.chunk), len(episode) - 1) for episode, step in rows]
    states = torch.from_numpy(np.stack([episode.state[step] for episode, step in rows]))
    data = Batch(
        images={},
        history=states[:, None],
        actions=torch.from_numpy(
            np.stack([episode.action[ahead] for (episode, _), ahead in zip(rows, steps, strict=True)])
        ),
        end=torch.zeros(len(rows), BASE.chunk),
        text=[""] * len(rows),
        skill=["toy"] * len(rows),
        target=torch.full((len(rows), 3), float("nan")),
        to_go=torch.zeros(len(rows)),
    )
    policy = BCPolicy(BASE)
    fit(policy, {"policy": 250}, data)
    policy.save_pretrained(folder)
    return folder
