"""Windows on the device that learns from them: everything is gathered there, by index.

The same batches in the same order as `robot_skills.data.loader`. What crosses from the host is the numbers of
the windows, many steps of them at a time, so that a small policy does not wait for its data. Words cross
once: a row of tokens for each episode.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from robot_skills.data.loader import Frames, Windows
from robot_skills.data.order import Mixture
from robot_skills.policies.policy import Batch

#: Steps whose window numbers are sent at once: 64 batches of 256 are 128 KB.
BLOCK_STEPS = 64
#: Rows of images copied at once: bounds the memory a copy takes on the host.
COPIED_ROWS = 1024


class ResidentWindows:
    """A data set's arrays on a device, and the windows of `Windows` gathered from them.

    Args:
        windows: which windows.
        device: where to.
        images: whether to take the images along; without, `batch["images"]` is empty.
    """

    def __init__(self, windows: Windows, device: torch.device, images: bool = True) -> None:
        self._device, self.history, self.chunk = device, windows.history, windows.chunk
        self._arrays = {name: torch.from_numpy(array).to(device) for name, array in windows.arrays().items()}
        self._images = {name: _frames_to(frames, device) for name, frames in windows.images.items() if images}
        self._past = torch.arange(1 - self.history, 1, device=device)
        self._future = torch.arange(self.chunk, device=device)
        self._choose(windows)

    def of(self, windows: Windows) -> ResidentWindows:
        """Other windows of the same data set (`Windows.only`, `Windows.split`); the arrays are shared."""
        part = copy.copy(self)
        part._choose(windows)
        return part

    def _choose(self, windows: Windows) -> None:
        self.windows = windows
        self._places = {
            name: torch.from_numpy(place).to(self._device) for name, place in windows.places().items()
        }
        self._text = self._skill = torch.zeros(windows.episodes, 0, device=self._device)

    def prepare(self, words: Callable[[Batch], Batch]) -> None:
        """Have the words of every episode turned into tensors, once.

        Args:
            words: a policy's `prepare`; called again when the policy's vocabulary has grown.
        """
        texts, skills = self.windows.texts()
        some = self.windows.batch(np.zeros(len(texts), np.int64), images=False)
        ready = words({**some, "text": texts, "skill": skills})
        text, skill = ready["text"], ready["skill"]
        if not (isinstance(text, Tensor) and isinstance(skill, Tensor)):
            raise TypeError("The policy's `prepare` leaves words that are no tensors.")
        self._text, self._skill = text.to(self._device), skill.to(self._device)

    def batch(self, indices: Tensor, images: bool = True) -> Batch:
        """Gather windows (B,) int64, on the device and without waiting for it; as `Windows.batch` does."""
        row, first, last = (self._places[name][indices] for name in ("row", "first", "last"))
        past = torch.maximum(row[:, None] + self._past, first[:, None])
        future = row[:, None] + self._future
        over = future > last[:, None]
        future = torch.minimum(future, last[:, None])
        arrays, episode = self._arrays, self._places["episode"][indices]
        still = over[..., None] & ~arrays["held"]
        return Batch(
            images={name: frames[row].permute(0, 3, 1, 2) for name, frames in self._images.items() if images},
            history=arrays["state"][past],
            actions=arrays["action"][future].masked_fill(still, 0.0),
            end=arrays["end"][future].masked_fill(over, 1.0),
            text=self._text[episode],
            skill=self._skill[episode],
            target=arrays["target"][row],
            to_go=(last - row).to(torch.float32),
        )

    def indices(
        self,
        mixture: Mixture,
        batch_size: int,
        seed: int,
        stream: int,
        start: int,
        stop: int,
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Tensor]:
        """The window numbers (B,) of batches `start` to `stop` - 1, as `Loader` would gather them."""
        for begin in range(start, stop, BLOCK_STEPS):
            steps = range(begin, min(begin + BLOCK_STEPS, stop))
            block = np.stack([mixture.batch(batch_size, seed, stream, step, share) for step in steps])
            sent = torch.from_numpy(block)
            if self._device.type == "cuda":  # from pinned memory the copy waits for nothing
                sent = sent.pin_memory()
            yield from sent.to(self._device, non_blocking=True).unbind()


def resident_bytes(windows: Windows, images: bool = True) -> int:
    """What `ResidentWindows` takes of a device's memory."""
    arrays = sum(array.nbytes for array in (*windows.arrays().values(), *windows.places().values()))
    pixels = sum(len(frames) * int(np.prod(frames.shape)) for frames in windows.images.values())
    return arrays + (pixels if images else 0)


def _frames_to(frames: Frames, device: torch.device) -> Tensor:
    """All images of a camera, (N, h, w, 3) uint8."""
    moved = torch.empty((len(frames), *frames.shape), dtype=torch.uint8, device=device)
    for begin in range(0, len(frames), COPIED_ROWS):
        rows = np.arange(begin, min(begin + COPIED_ROWS, len(frames)))
        moved[begin : begin + len(rows)].copy_(torch.from_numpy(frames.take(rows)))
    return moved
