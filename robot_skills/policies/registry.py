"""Policies by name: `robot_skills.policies` entry points, this project's and other people's alike."""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

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


def load_policy(folder: Path, execute: int | None = None) -> Policy:
    """Read any trained folder; its `config.json` names the policy.

    Args:
        folder: a trained folder.
        execute: how many actions of a chunk are played; None: as the folder says.

    Raises:
        InputError: it is no trained folder, a chunk has fewer actions, or the policy has no such setting.
    """
    name = str(read_config(folder).get("policy"))
    policy: Any = policy_class(name).from_pretrained(folder)
    if execute is not None:
        config: Any = getattr(policy, "config", None)
        if not dataclasses.is_dataclass(type(config)) or not hasattr(config, "execute"):
            raise InputError(f"The policy {name!r} has no setting for the number of actions that are played.")
        policy.config = dataclasses.replace(config, execute=execute)
    loaded: Policy = policy
    return loaded
