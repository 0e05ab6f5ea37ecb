"""What a phase learns from, batch by batch: prepared on the host, or gathered on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from robot_skills.data.loader import Loader, Windows
from robot_skills.data.order import Index, Mixture
from robot_skills.data.resident import ResidentWindows, resident_bytes
from robot_skills.errors import InputError
from robot_skills.policies.policy import Batch, Policy, Stage


@dataclass(frozen=True)
class Order:
    """Which batches: see `robot_skills.data.order`.

    Attributes:
        stream: tells phases apart.
        share: (k, n): the k-th of n parts of a batch n times as large.
    """

    seed: int
    stream: int
    share: tuple[int, int] = (0, 1)


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

    def items(self, start: int, stop: int, mixture: Mixture) -> Iterator[Any]:
        """What stands for the batches of steps `start` to `stop` - 1, drawn from a mixture."""

    def batch(self, item: Any) -> Batch:
        """The batch that an item stands for, on the device."""


class HostFeed:
    """Batches that background threads gather from memory-mapped arrays."""

    captured = False

    def __init__(
        self, windows: Windows, stage: Stage, device: torch.device, order: Order, workers: int
    ) -> None:
        self._windows, self._stage, self._device = windows, stage, device
        self._order, self._workers = order, workers
        self._loader: Loader | None = None

    def __enter__(self) -> HostFeed:
        return self

    def __exit__(self, *_: object) -> None:
        if self._loader is not None:
            self._loader.__exit__()

    def items(self, start: int, stop: int, mixture: Mixture) -> Iterator[Batch]:
        """The batches themselves, still on the host."""
        self.__exit__()
        stage, order = self._stage, self._order
        self._loader = Loader(
            self._windows,
            stage.batch_size,
            order.seed,
            stream=order.stream,
            start=start,
            stop=stop,
            images=stage.images,
            workers=self._workers,
            share=order.share,
            mixture=mixture,
        )
        return iter(self._loader)

    def batch(self, item: Batch) -> Batch:
        """The batch on the device."""
        return to_device(item, self._device)


class DeviceFeed:
    """Batches gathered on the device, by the numbers of their windows."""

    captured = True

    def __init__(self, windows: ResidentWindows, stage: Stage, order: Order) -> None:
        self._windows, self._stage, self._order = windows, stage, order

    def __enter__(self) -> DeviceFeed:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs in the background."""

    def items(self, start: int, stop: int, mixture: Mixture) -> Iterator[Tensor]:
        """Window numbers (B,)."""
        size, order = self._stage.batch_size, self._order
        return self._windows.indices(mixture, size, order.seed, order.stream, start, stop, order.share)

    def batch(self, item: Tensor) -> Batch:
        """The windows of these numbers."""
        return self._windows.batch(item, self._stage.images)


class Source:
    """A data set's windows, gathered on the host or on the device that trains.

    Args:
        windows: which.
        device: what trains.
        resident: the same data on that device, if it lies there.
    """

    def __init__(
        self, windows: Windows, device: torch.device, resident: ResidentWindows | None = None
    ) -> None:
        self.windows, self._device, self._resident = windows, device, resident

    @classmethod
    def place(
        cls, choice: str | bool, windows: Windows, images: bool, policy: Policy, device: torch.device
    ) -> Source:
        """Decide where the data lies.

        Args:
            choice: a recipe's `data_on_gpu`.
            windows: of the data set.
            images: whether any phase looks at images.
            policy: for data on the device it has to offer `prepare`, which makes tensors of words.
            device: what trains; "auto" looks at GPUs only, where one waits for a host that gathers.

        Raises:
            InputError: the recipe asks for data on the device, and the policy has no `prepare`.
        """
        able = hasattr(policy, "prepare")
        if choice is True and not able:
            raise InputError(
                f"data_on_gpu needs a policy with `prepare`, which {type(policy).__name__} lacks."
            )
        if choice == "auto" and able and device.type == "cuda":
            choice = 2 * resident_bytes(windows, images) <= torch.cuda.mem_get_info(device)[0]
        return cls(windows, device, ResidentWindows(windows, device, images) if choice is True else None)

    def of(self, windows: Windows) -> Source:
        """Other windows of the same data set."""
        resident = None if self._resident is None else self._resident.of(windows)
        return Source(windows, self._device, resident)

    def begin(self, policy: Policy) -> None:
        """Have words turned into tensors, now that a phase has begun and they are known."""
        if self._resident is not None:
            self._resident.prepare(cast(Any, policy).prepare)

    def batch(self, indices: Index, images: bool) -> Batch:
        """Windows by number, on the device."""
        if self._resident is None:
            return to_device(self.windows.batch(indices, images), self._device)
        return self._resident.batch(torch.from_numpy(indices).to(self._device), images)

    def feed(self, stage: Stage, order: Order, workers: int) -> Feed:
        """A phase's batches."""
        if self._resident is not None:
            return DeviceFeed(self._resident, stage, order)
        return HostFeed(self.windows, stage, self._device, order, workers)


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
