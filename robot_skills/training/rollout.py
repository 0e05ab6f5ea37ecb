"""A policy in several worlds at once, one forward pass for all of them: how a benchmark's score is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robot_skills.policies.policy import Policy, PolicyInput
from robot_skills.robot import Float, Robot


def rollout(
    policy: Policy,
    worlds: Sequence[Robot],
    done: Callable[[int], bool],
    steps: int,
    text: str = "",
    execute: int | None = None,
    skill: str = "",
) -> None:
    """Drive worlds that have been reset, until each is done or its steps are gone.

    Every world gets a chunk at the same step, and plays it from its first action; what a world does depends
    on its own observations alone.

    Args:
        policy: what drives them.
        worlds: robots of one kind, each at its start.
        done: whether the world of that number has ended; asked after each of its steps.
        steps: control steps a world may take.
        text: the language argument.
        execute: actions played of a chunk; None: the policy's own number.
        skill: name of the skill, for policies of several.
    """
    played = policy.execute if execute is None else execute
    observed = [world.observe(policy.cameras) for world in worlds]
    histories = [np.repeat(seen.state[None], policy.history, axis=0) for seen in observed]
    running = list(range(len(worlds)))
    for step in range(0, steps, played):
        running = [number for number in running if not done(number)]
        if not running:
            return
        inputs = [PolicyInput(observed[number], histories[number], text, skill) for number in running]
        chunks = policy.predict(inputs)
        for number, chunk in zip(running, chunks, strict=True):
            world = worlds[number]
            for index in range(min(played, steps - step, len(chunk.actions))):
                world.act(chunk.at(index, histories[number]))
                if done(number):
                    break
                histories[number] = _follow(histories[number], world.observe(()).state)
            else:
                observed[number] = world.observe(policy.cameras)


def _follow(history: Float, state: Float) -> Float:
    """The history (H, S) with a state more, and the oldest dropped."""
    return np.concatenate([history[1:], state[None]])
