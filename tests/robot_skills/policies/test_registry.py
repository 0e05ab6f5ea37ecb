"""Trained folders by name, and how much of a chunk is played."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_skills.errors import InputError
from robot_skills.policies.registry import load_policy
from tests.robot_skills.small_policy import CONFIG, save_policy


def test_the_folder_says_how_many_actions_are_played_unless_the_caller_does(tmp_path: Path) -> None:
    folder = save_policy(tmp_path / "small")
    assert load_policy(folder).execute == CONFIG.execute
    policy = load_policy(folder, CONFIG.execute + 1)
    assert (policy.execute, policy.chunk) == (CONFIG.execute + 1, CONFIG.chunk)
    assert load_policy(folder).execute == CONFIG.execute
    with pytest.raises(InputError, match=rf"execute is .*{CONFIG.chunk}, not {CONFIG.chunk + 1}"):
        load_policy(folder, CONFIG.chunk + 1)
