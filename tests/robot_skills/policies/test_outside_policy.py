"""Somebody else's policy: one short file and an entry point, and it is under the contract like all others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CONTRACT = "tests/robot_skills/policies/test_contract.py"
POLICY = '''
"""A linear policy, as somebody would add it who has never seen the others."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn

from robot_skills.policies.policy import Stage
from robot_skills.policies.vision import normalise
from robot_skills.policies.visuomotor import VisuomotorConfig, VisuomotorPolicy


@dataclass(frozen=True)
class LinearConfig(VisuomotorConfig):
    steps: int = 1000


class LinearPolicy(VisuomotorPolicy):
    config_class, name = LinearConfig, "outside"

    def __init__(self, config: LinearConfig | None = None):
        config = config or LinearConfig()
        super().__init__(config)
        self.shape = config.chunk, config.action_size + 1
        self.out = nn.Linear(self.tokens * config.width, config.chunk * (config.action_size + 1))

    def read(self, pixels, state, text, skill):
        context = self.context(pixels, state, text, skill)
        return self.out(context.flatten(1)).view(len(context), *self.shape)

    def act(self, images, history, text, skill):
        pixels = {name: normalise(images[name]) for name in self.cameras}
        chunk = self.read(pixels, self.normalise_state(history), text, skill)
        return self.restore_actions(chunk[..., :-1]), chunk[..., -1].sigmoid()

    def stages(self):
        return (Stage("policy", self.config.steps, 64, 1e-3),)

    def begin_stage(self, name, statistics, sample):
        self.take_statistics(statistics, sample)

    def loss(self, name, batch):
        chunk = self.read(*self.augment(batch), batch["text"], batch["skill"])
        action = F.l1_loss(chunk[..., :-1], self.normalise_actions(batch["actions"]))
        end = F.binary_cross_entropy_with_logits(chunk[..., -1], batch["end"])
        return action + end, {"action": action.detach(), "end": end.detach()}

    def report(self):
        return {"parameters": sum(parameter.numel() for parameter in self.parameters())}
'''


def check(folder: Path, policy: str, tests: str) -> str:
    """What pytest says of the contract's tests that `tests` selects, with this policy installed."""
    installed = folder / "linear_policy-1.0.dist-info"
    installed.mkdir()
    (folder / "linear_policy.py").write_text(policy)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: linear-policy\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[robot_skills.policies]\noutside = linear_policy:LinearPolicy\n"
    )
    command = [sys.executable, "-m", "pytest", CONTRACT, "-k", tests]
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [*command, "-rA", "-p", "no:cacheprovider"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_a_policy_from_outside_is_under_the_contract_and_meets_it(tmp_path: Path) -> None:
    assert len(POLICY.strip().splitlines()) < 60
    said = check(tmp_path, POLICY, "outside")
    assert "failed" not in said, said
    for what in (
        "a_folder_gives_the_same_policy_back",
        "a_batch_gives_what_its_parts_give",
        "a_chunk_has_the_promised_shape_and_range",
        "prediction_is_deterministic_and_leaves_the_policy_alone",
        "a_killed_training_goes_on_exactly",
        "the_same_seed_trains_the_same_weights",
    ):
        assert f"PASSED {CONTRACT}::test_{what}[outside]" in said, said


def test_one_that_breaks_the_contract_is_found_out(tmp_path: Path) -> None:
    noisy = POLICY.replace("chunk = self.read(pixels,", "chunk = self.training_noise() + self.read(pixels,")
    noisy += "\n    def training_noise(self):\n        return self.out.bias.new_empty(self.shape).normal_()\n"
    said = check(tmp_path, noisy, "outside and deterministic")
    assert "1 failed" in said, said
