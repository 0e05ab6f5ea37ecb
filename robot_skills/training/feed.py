"""What a phase learns from, batch by batch: prepared on the host, or gathered on the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from robot_skills.data.loader import Loader, Windows
from robot_skills.data.order import Index
from robot_skills.data.resident import ResidentWindows, resident_bytes
from robot_skills.errors import InputError
from robot_skills.policies.policy import Batch, Policy, Stage


class Feed(Protocol):
    """A phase's batches.

    Attributes:
        captured: whether `batch` may be part of a captured graph: its items are then tensors of one shape.
    """

    captured: bool

    def __enter__(self) -> Feed:
        """Begin to prepare."""

    def __exit__(self, *_: object) -> None:
        """End whatever prepares."""

    def items(self, start: int, stop: int) -> Iterator[Any]:
        """What stands for the batches of steps `start` to `stop` - 1."""

    def batch(self, item: Any) -> Batch:
        """The batch that an item stands for, on the device."""


class HostFeed:
    """Batches that background threads gather from memory-mapped arrays."""

    captured = False

    def __init__(
        self, windows: Windows, stage: Stage, device: torch.device, seed: int, stream: int, workers: int
    ) -> None:
        self._windows, self._stage, self._device = windows, stage, device
        self._seed, self._stream, self._workers = seed, stream, workers
        self._loader: Loader | None = None

    def __enter__(self) -> HostFeed:
        return self

    def __exit__(self, *_: object) -> None:
        if self._loader is not None:
            self._loader.__exit__()

    def items(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches themselves, still on the host."""
        self.__exit__()
        stage = self._stage
        self._loader = Loader(
            self._windows,
            stage.batch_size,
            self._seed,
            stream=self._stream,
            start=start,
            stop=stop,
            images=stage.images,
            workers=self._workers,
        )
        return iter(self._loader)

    def batch(self, item: Batch) -> Batch:
        """The batch on the device."""
        return to_device(item, self._device)


class DeviceFeed:
    """Batches gathered on the device, by the numbers of their windows."""

    captured = True

    def __init__(self, windows: ResidentWindows, stage: Stage, seed: int, stream: int) -> None:
        self._windows, self._stage, self._seed, self._stream = windows, stage, seed, stream

    def __enter__(self) -> DeviceFeed:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs in the background."""

    def items(self, start: int, stop: int) -> Iterator[Tensor]:
        """Window numbers (B,)."""
        mixture = self._windows.windows.mixture
        return self._windows.indices(mixture, self._stage.batch_size, self._seed, self._stream, start, stop)

    def batch(self, item: Tensor) -> Batch:
        """The windows of these numbers."""
        return self._windows.batch(item, self._stage.images)


def gather(
    windows: Windows, resident: ResidentWindows | None, indices: Index, images: bool, device: torch.device
) -> Batch:
    """Windows by number, on the device, from wherever they are."""
    if resident is None:
        return to_device(windows.batch(indices, images), device)
    return resident.batch(torch.from_numpy(np.ascontiguousarray(indices)).to(device), images)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device."""
    if device.type == "cpu":
        return batch
    moved: dict[str, Any] = {
        key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for key, value in batch.items()
    }
    moved["images"] = {name: value.to(device, non_blocking=True) for name, value in batch["images"].items()}
    return cast(Batch, moved)


def parts_of(batch: Batch, count: int) -> list[Batch]:
    """A batch cut into `count` batches of the same size."""
    if count == 1:
        return [batch]
    size = len(batch["actions"]) // count

    def part(number: int) -> Batch:
        cut = slice(number * size, (number + 1) * size)
        values: dict[str, Any] = dict(batch)
        images = {camera: pixels[cut] for camera, pixels in batch["images"].items()}
        others = {name: value[cut] for name, value in values.items() if name != "images"}
        return cast(Batch, {**others, "images": images})

    return [part(number) for number in range(count)]


def place_data(
    choice: str | bool, windows: Windows, images: bool, policy: Policy, device: torch.device
) -> ResidentWindows | None:
    """The data on the device that trains, if it shall lie there.

    Args:
        choice: a recipe's `data_on_gpu`.
        windows: of the data set.
        images: whether any phase looks at images.
        policy: it has to offer `prepare`, which makes tensors of words.
        device: what trains; "auto" looks at GPUs only, where gathering on the host is what one waits for.

    Raises:
        InputError: the recipe asks for it, and the policy has no `prepare`.
    """
    able = hasattr(policy, "prepare")
    if choice is True and not able:
        raise InputError(f"data_on_gpu needs a policy with `prepare`, which {type(policy).__name__} lacks.")
    if choice == "auto" and able and device.type == "cuda":
        choice = 2 * resident_bytes(windows, images) <= torch.cuda.mem_get_info(device)[0]
    return ResidentWindows(windows, device, images) if choice is True else None
