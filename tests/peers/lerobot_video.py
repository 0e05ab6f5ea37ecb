"""Lets LeRobot decode video beside a CPU build of torch; import it before LeRobot.

LeRobot decodes through torchvision's VideoReader, which torchvision has dropped, or through torchcodec, which
needs FFmpeg's libraries. So that LeRobot's own choice of frames by time stamps runs, a reader with
VideoReader's interface stands in for it here; decoding itself is PyAV's, as it was in torchvision.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import av
import torch

# torchvision's wheels are built for CUDA's torch: beside a CPU build two operators are not declared.
LIBRARY = torch.library.Library("torchvision", "DEF")
LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
LIBRARY.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import torchvision  # noqa: E402


class VideoReader:
    """The part of `torchvision.io.VideoReader` (backend "pyav") that LeRobot uses."""

    def __init__(self, path: str, stream: str) -> None:
        self.container = av.open(path)
        self._video = getattr(self.container.streams, stream)[0]

    def seek(self, time: float, keyframes_only: bool = False) -> None:
        self.container.seek(int(time / self._video.time_base), any_frame=False, stream=self._video)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for frame in self.container.decode(self._video):
            image = torch.as_tensor(frame.to_rgb().to_ndarray()).permute(2, 0, 1)
            yield {"data": image, "pts": float(frame.pts * frame.time_base)}


torchvision.set_video_backend = lambda backend: None
torchvision.io.VideoReader = VideoReader
