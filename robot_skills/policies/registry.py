"""Policies by name: `robot_skills.policies` entry points, this project's and other people's alike."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path

from robot_skills.errors import InputError, unknown
from robot_skills.policies.policy import Policy

GROUP = "robot_skills.policies"
FORMAT_VERSION = 1


def policy_class(name: str) -> type[Policy]:
    """The class registered under a name.

    Raises:
        InputError: nothing is.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        raise unknown("policy", name, found)
    loaded: type[Policy] = found[name].load()
    return loaded


def read_config(folder: Path) -> dict[str, object]:
    """Read and check `config.json` of a trained folder.

    Raises:
        InputError: there is none, it is damaged, or it has another format version.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} is not a trained policy: it holds no config.json.")
    try:
        config: dict[str, object] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    version = config.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"{folder} has format version {version}; this release reads version {FORMAT_VERSION}. "
            "Train it again, or install the release that wrote it."
        )
    return config


def load_policy(folder: Path) -> Policy:
    """Read any trained folder; its `config.json` names the policy."""
    return policy_class(str(read_config(folder).get("policy"))).from_pretrained(folder)
