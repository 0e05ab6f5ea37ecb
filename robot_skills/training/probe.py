"""How much learning one skill helps another, found by trying: the graph that Skill-It draws on."""

from __future__ import annotations

import dataclasses
from typing import cast

import torch
from torch import nn

from robot_skills.policies.policy import Policy, Stage
from robot_skills.training.feed import Feed
from robot_skills.training.measure import Measurer
from robot_skills.training.mixing import SkillMixing
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.step import StageRun
from robot_skills.training.team import Team


def probe(
    mixing: SkillMixing,
    policy: Policy,
    stage: Stage,
    recipe: TrainRecipe,
    feed: Feed,
    measure: Measurer,
    team: Team,
) -> dict[str, dict[str, float]]:
    """Learn from each skill alone for a while, from where the policy is, and take it back.

    Args:
        mixing: knows the skills' windows.
        policy: at the beginning of the phase; left as it was, and so are the random numbers.
        stage: the phase.
        recipe: how it is trained.
        feed: the phase's batches.
        measure: takes losses.
        team: the processes that train together.

    Returns:
        Skill learned from -> skill -> relative drop of its held-out loss (Chen et al. 2023, section 3.2,
        the approximate algorithm: as many trials as there are skills).
    """
    module = cast(nn.Module, policy)
    own = {name: value.detach().clone() for name, value in module.state_dict().items()}
    short = dataclasses.replace(stage, steps=mixing.settings.probe_steps)
    plain = dataclasses.replace(recipe, step="eager", ema_decay=0.0)  # the weights as they are
    device = next(module.parameters()).device
    drops: dict[str, dict[str, float]] = {}
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for name in mixing.names:
            run = StageRun(policy, short, plain, feed, team)
            before = measure.losses(short, run.average, mixing.held_out)
            for step, item in enumerate(feed.items(0, short.steps, mixing.mixture(only=name))):
                run(item, step)
            after = measure.losses(short, run.average, mixing.held_out)
            relative = {other: 1 - after[other] / max(before[other], 1e-9) for other in before}
            drops[name] = team.mean(relative)
            run.end()
            module.load_state_dict(own)
    return drops
