"""A run's whole state in one safetensors file: weights, optimizer, random numbers, and where it was.

Tensors carry a prefix (`model.`, `average.`, `optimizer.`, `random.`); the rest is JSON in the file's header.
One file, written under a temporary name and renamed, so that a checkpoint is there whole or not at all. What
the data loader needs to go on is the step alone (see `robot_skills.data.loader.batch_indices`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from robot_skills.errors import InputError

FILE = "checkpoint.safetensors"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Position:
    """Where a run is.

    Attributes:
        stage: index of the phase.
        step: steps of that phase that are done.
        seconds: wall time so far, by what it was spent on.
        recipe: the recipe, as a mapping, to see that it is still the same.
        metrics: phase -> its last numbers.
        processes: that train together.
        mixing: of a mixture that changes while it trains, what `SkillMixing.restore` takes.
    """

    stage: int
    step: int
    seconds: Mapping[str, float]
    recipe: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, float]]
    processes: int = 1
    mixing: Mapping[str, Any] | None = None


def save(
    folder: Path,
    position: Position,
    model: nn.Module,
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    random: Sequence[Mapping[str, Tensor]],
) -> None:
    """Write a checkpoint in place of the one before.

    Args:
        folder: of the run.
        position: where it is.
        model: with its weights.
        average: the averaged ones.
        optimizer: with its state.
        random: each process's `random_state`.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    for rank, state in enumerate(random):
        tensors |= {f"random.{_of(rank, name)}": value for name, value in state.items()}
    # Copies: safetensors refuses tensors that share memory (tied weights).
    tensors = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}
    header = {"format_version": str(FORMAT_VERSION), "position": json.dumps(asdict(position))}
    temporary = folder / f".{FILE}.tmp"
    save_file(tensors, temporary, metadata=header)
    temporary.replace(folder / FILE)


def read_position(folder: Path) -> Position | None:
    """Where the run in a folder is; None if it has no checkpoint.

    Raises:
        InputError: the checkpoint is damaged, or of another format version.
    """
    if not (folder / FILE).is_file():
        return None
    try:
        with safe_open(folder / FILE, "pt") as file:
            header = file.metadata() or {}
    except SafetensorError as error:
        raise InputError(f"{folder / FILE} is damaged: {error}.") from error
    if header.get("format_version") != str(FORMAT_VERSION):
        raise InputError(
            f"{folder / FILE} has format version {header.get('format_version')}; this release reads "
            f"version {FORMAT_VERSION}. Train again, in another folder."
        )
    return Position(**json.loads(header["position"]))


def load(
    folder: Path,
    model: nn.Module,
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    rank: int = 0,
) -> None:
    """Put a checkpoint's tensors into a run that was built from the same recipe.

    Raises:
        InputError: the checkpoint does not fit the policy.
    """
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}, "random": {}}
    with safe_open(folder / FILE, "pt") as file:
        keys: list[str] = list(file.keys())
        for key in keys:
            part, _, name = key.partition(".")
            parts[part][name] = file.get_tensor(key)
    try:
        model.load_state_dict(parts["model"])
        for name, value in average.items():
            value.copy_(parts["average"][name])
    except (RuntimeError, KeyError) as error:
        raise InputError(f"{folder / FILE} does not fit this policy: {error}.") from error
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in parts["optimizer"].items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    own = _of(rank, "")
    set_random_state({name.removeprefix(own): value for name, value in parts["random"].items()})


def _of(rank: int, name: str) -> str:
    """A process's random numbers; those of the first lie where a lone process has them."""
    return f"{rank}/{name}" if rank else name


def random_state() -> dict[str, Tensor]:
    """PyTorch's generators, of the CPU and of every GPU."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state |= {f"cuda{i}": value for i, value in enumerate(torch.cuda.get_rng_state_all())}
    return state


def set_random_state(state: Mapping[str, Tensor]) -> None:
    """The inverse of `random_state`; GPUs that are not here now are passed over."""
    torch.set_rng_state(state["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda{index}" in state:
            torch.cuda.set_rng_state(state[f"cuda{index}"], index)
