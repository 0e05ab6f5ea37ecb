"""Trained folders in the smallest size, for tests of what runs and carries them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from robot_skills.library import CARD, PRETRAINED
from robot_skills.policies.star.config import StarConfig
from robot_skills.policies.star.policy import StarPolicy

CONFIG = StarConfig(cameras=("front",), shift=(1,), image_size=16, width=16, layers=1, heads=2, feature=16)


def save_policy(folder: Path, seed: int = 0) -> Path:
    """Write a policy that was never trained."""
    torch.manual_seed(seed)
    StarPolicy(CONFIG).save_pretrained(folder)
    return folder


def make_library(folder: Path, trained: tuple[str, ...] = (), seed: int = 0) -> Path:
    """Write a library of the packaged cards, some of its skills with weights."""
    for card in sorted(PRETRAINED.glob(f"*/{CARD}")):
        (folder / card.parent.name).mkdir(parents=True)
        shutil.copyfile(card, folder / card.parent.name / CARD)
    for name in trained:
        save_policy(folder / name, seed)
    return folder


def age(folder: Path) -> None:
    """Make a trained folder one of another format version."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "format_version": 99}))
