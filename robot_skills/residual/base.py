"""What is asked of a base: to be made or read as part of a folder, and what it saw, encoded once."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from safetensors.torch import save_file
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.policy import Policy
from robot_skills.policies.registry import FORMAT_VERSION, load_policy
from robot_skills.policies.visuomotor import VisuomotorPolicy
from robot_skills.residual.config import ResidualConfig
from robot_skills.training.configuration import to_mapping
from robot_skills.training.recipe import PolicyChoice

#: Prefix of the base's tensors in a folder.
BASE = "base."


def fresh(config: Mapping[str, Any]) -> Policy:
    """A base that was never trained."""
    settings = {name: value for name, value in config.items() if name not in ("policy", "format_version")}
    base = PolicyChoice(str(config.get("policy", "bc")), settings).build()
    return cast(Policy, cast(nn.Module, base).eval())


def with_base(config: ResidualConfig, base: Policy) -> ResidualConfig:
    """The configuration with what the base says of itself."""
    known = to_mapping(base.config)
    copied = {name: known[name] for name in ("image_size", "state_size", "action_size") if name in known}
    skills = [*known.get("skills", ()), *known.get("adds", ())]
    told = {"policy": getattr(base, "name", config.base.get("policy", "")), "format_version": FORMAT_VERSION}
    return dataclasses.replace(config, base={**told, **known}, skills=tuple(skills), **copied)


def read_base(config: ResidualConfig, files: Mapping[str, Mapping[str, Tensor]]) -> Policy:
    """The base, by its own reader, from its part of a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        for file, tensors in files.items():
            own = {name.removeprefix(BASE): value for name, value in tensors.items() if name.startswith(BASE)}
            save_file(own, Path(scratch) / file)
        (Path(scratch) / "config.json").write_text(json.dumps(to_mapping(config.base)))
        return load_policy(Path(scratch))


def visuomotor(base: Policy) -> VisuomotorPolicy:
    """A base that is learned from in batches.

    Raises:
        InputError: it is none.
    """
    if not isinstance(base, VisuomotorPolicy):
        raise InputError(f"{type(base).__name__} cannot be learned from in batches: refine it by practice.")
    return base


def context_size(base: Policy) -> int:
    """Numbers of the context of a base that sees images; 0 for others."""
    if not isinstance(base, VisuomotorPolicy) or not base.cameras:
        return 0
    return base.tokens * int(base.config.width)


@contextlib.contextmanager
def contexts(base: Policy) -> Iterator[list[Tensor]]:
    """The contexts that a base makes for itself meanwhile: what it saw, encoded once."""
    seen: list[Tensor] = []
    if not isinstance(base, VisuomotorPolicy):
        yield seen
        return
    inner = base.context

    def context(*given: Any) -> Tensor:
        seen.append(inner(*given))
        return seen[-1]

    # An attribute of the object hides the method of its class for the time.
    object.__setattr__(base, "context", context)
    try:
        yield seen
    finally:
        object.__delattr__(base, "context")
