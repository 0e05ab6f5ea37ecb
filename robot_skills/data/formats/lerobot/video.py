"""Video as LeRobot writes it: MP4 with AV1, H.264 or HEVC and a key frame every second frame.

Source: LeRobot 0.4.4, `datasets/video_utils.py` (`encode_video_frames`: g=2, crf 30, yuv420p, preset 12).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.formats.base import DataError, Problem
from robot_skills.data.formats.border import FOREIGN, wrong
from robot_skills.data.formats.lerobot.frames import FrameRows
from robot_skills.errors import InputError, require, unknown
from robot_skills.robot import Image

#: Codec -> encoder, pixel format, worst quality. `libx264rgb` at quality 0 loses nothing.
CODECS = {
    "libsvtav1": ("libsvtav1", "yuv420p", 63),
    "h264": ("libx264", "yuv420p", 51),
    "hevc": ("libx265", "yuv420p", 51),
    "libx264rgb": ("libx264rgb", "rgb24", 51),
}
#: Frames that are decoded and dropped rather than seeking past them.
SKIP = 16


@dataclass(frozen=True)
class VideoIndex:
    """Where the frames of a video are, found without decoding one.

    Attributes:
        pts: (F,) presentation times in units of `time_base`, ascending.
        keys: presentation times of the key frames, ascending.
        time_base: s.
    """

    path: Path
    pts: NDArray[np.int64]
    keys: NDArray[np.int64]
    time_base: Fraction

    @classmethod
    def read(cls, path: Path, root: Path, episode: int | None = None) -> VideoIndex:
        """Go through the packets of a video.

        Raises:
            DataError: it is missing, damaged or cut short.
        """
        name = path.relative_to(root)
        if not path.is_file():
            raise wrong(root, "missing", f"There is no {name}.", episode)
        try:
            with _open(path) as container:
                stream = container.streams.video[0]
                packets = [packet for packet in container.demux(stream) if packet.size]
                promised, time_base = stream.frames, stream.time_base
        except _errors() as error:
            raise wrong(root, "damaged", f"{name} cannot be read ({_reason(error)}).", episode) from error
        torn = any(packet.pts is None or packet.is_corrupt for packet in packets)
        if torn or not packets or (promised and promised != len(packets)) or not time_base:
            message = f"{name} is cut short: it promises {promised} frames and holds {len(packets)}."
            raise wrong(root, "truncated", message, episode)
        shown = [packet for packet in packets if not packet.is_discard]
        pts = np.array(sorted(packet.pts for packet in shown), np.int64)
        keys = np.array(sorted(packet.pts for packet in packets if packet.is_keyframe), np.int64)
        return cls(path, pts, keys, Fraction(time_base))

    def __len__(self) -> int:
        return len(self.pts)

    def nearest(self, times: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The frames nearest to times (s), and how far off (s) they are."""
        shown = self.pts * float(self.time_base)
        right = np.clip(np.searchsorted(shown, times), 0, len(shown) - 1)
        left = np.maximum(right - 1, 0)
        number = np.where(np.abs(shown[left] - times) < np.abs(shown[right] - times), left, right)
        return number, np.abs(shown[number] - times)


class Rgb:
    """Frames to (H, W, 3) arrays, with one converter for all of them.

    A frame's own `to_ndarray` makes a converter for each, and starts threads for it: 20 ms instead of 1.
    """

    def __init__(self) -> None:
        self._convert: Any = None
        self._options: dict[str, int] = {"threads": 1}

    def __call__(self, frame: Any) -> Image:
        """(H, W, 3) uint8."""
        if self._convert is None:
            self._convert = require("av.video.reformatter", "video").VideoReformatter().reformat
            try:
                self._convert(frame, format="rgb24", **self._options)
            except TypeError:  # of an older PyAV, which starts no threads
                self._options = {}
        image: Image = self._convert(frame, format="rgb24", **self._options).to_ndarray()
        return image


class VideoRows(FrameRows):
    """The frames of an episode.

    Args:
        index: of the video.
        frames: (N,) the number of each row's frame in it.
        size: height and width, px.
        root, episode: of the data set, for errors.
    """

    def __init__(
        self, index: VideoIndex, frames: NDArray[np.int64], size: tuple[int, int], root: Path, episode: int
    ) -> None:
        super().__init__(len(frames), size)
        self._index, self._frames, self._root, self._episode = index, frames, root, episode
        self._stream: Any = None
        self._decoder: Iterator[Any] = iter(())
        self._container: Any = None
        self._rgb = Rgb()
        self._at = -1  # the frame that the decoder gives next; -1: not known

    def __getstate__(self) -> dict[str, Any]:
        """A decoder stays in its process."""
        closed = {"_stream": None, "_container": None, "_decoder": iter(()), "_rgb": Rgb(), "_at": -1}
        return {**self.__dict__, **closed}

    def _decode(self, rows: Sequence[int]) -> Iterator[tuple[int, Image]]:
        for row in rows:
            yield row, self._frame(row, int(self._frames[row]))

    def _frame(self, row: int, number: int) -> Image:
        try:
            self._go_to(number)
            for frame in self._decoder:
                at = int(np.searchsorted(self._index.pts, frame.pts))
                if at > number or frame.is_corrupt:
                    break
                self._at = at + 1
                if at == number and self._index.pts[at] == frame.pts:
                    return self._image(frame, row)
        except DataError:
            raise
        except _errors() as error:
            raise self._wrong(row, f"cannot be decoded ({_reason(error)})") from error
        finally:
            if number + 1 >= len(self._index) or row + 1 == len(self):
                self._close()
        raise self._wrong(row, "is missing or damaged in the video")

    def _go_to(self, number: int) -> None:
        """Have the decoder before a frame: where it is, or at the key frame before."""
        place = int(np.searchsorted(self._index.keys, self._index.pts[number], side="right")) - 1
        key = int(self._index.keys[max(place, 0)])
        near = self._at >= 0 and self._at <= number
        if near and key <= self._index.pts[min(self._at + SKIP, len(self._index) - 1)]:
            return
        if self._container is None:
            self._container = _open(self._index.path)
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
            # A damaged picture is an error, not something to be painted over.
            self._stream.codec_context.options = {"err_detect": "explode"}
        self._container.seek(key, stream=self._stream, backward=True)
        self._decoder, self._at = self._container.decode(self._stream), -1

    def _image(self, frame: Any, row: int) -> Image:
        if (frame.height, frame.width) != self.shape[1:3]:
            found = f"is {frame.height} x {frame.width} px, not {self.shape[1]} x {self.shape[2]}"
            raise self._wrong(row, found)
        return self._rgb(frame)

    def _wrong(self, row: int, what: str) -> DataError:
        message = f"{self._index.path.relative_to(self._root)}: the frame {what}."
        return DataError(Problem("video", message, self._episode, row), self._root)

    def _close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container, self._stream, self._decoder, self._at = None, None, iter(()), -1


class VideoWriter:
    """A video that is being written, of one episode or of several one after the other.

    Args:
        path: of the MP4 file.
        size: height and width, px.
        fps: frames a second, Hz.
        codec: one of `CODECS`.
        quality: constant rate factor; lower is better.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: Fraction, codec: str, quality: int) -> None:
        av = require("av", "video")
        check_codec(codec, quality)
        encoder, pixels, _ = CODECS[codec]
        options = {"g": "2", "crf": str(quality)}
        if encoder == "libsvtav1":
            options["preset"] = "12"
            os.environ.setdefault("SVT_LOG", "1")  # else it writes its settings to stderr, errors or not
        if encoder == "libx265":
            # With B frames, ending a video of one frame fails now and then (x265 4.2).
            options["x265-params"] = "log-level=error:bframes=0"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.frames, self.bytes = path, 0, 0  # bytes: what the encoder has given so far
        self._codec, self._rate, self._frame = codec, fps, av.VideoFrame
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream = self._container.add_stream(encoder, rate=fps, options=options)
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt, self._stream.time_base = pixels, 1 / fps

    def append(self, images: Image) -> None:
        """Encode (n, H, W, 3) uint8 images.

        Raises:
            InputError: the codec does not take images of this size.
        """
        for image in images:
            frame = self._frame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = self.frames, 1 / self._rate
            self._mux(frame)
            self.frames += 1

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self.bytes += packet.size
                self._container.mux(packet)
        except _errors() as error:
            size = f"{self._stream.height} x {self._stream.width}"
            raise InputError(
                f"The codec {self._codec} cannot encode images of {size} px ({_reason(error)}): take "
                "libsvtav1 or libx264rgb, or leave the images in the table (no video)."
            ) from error

    @property
    def time(self) -> float:
        """Seconds of video so far."""
        return float(self.frames / self._rate)

    def close(self) -> None:
        """Write what the encoder holds back, and the end of the file."""
        try:
            if self.frames:
                self._mux(None)
        finally:
            self._container.close()


def check_codec(codec: str, quality: int) -> None:
    """Check that a codec is known and takes a quality.

    Raises:
        InputError: it is not, or does not.
    """
    if codec not in CODECS:
        raise unknown("video codec", codec, CODECS)
    if not 0 <= quality <= CODECS[codec][2]:
        raise InputError(f"The quality of {codec} lies in 0 to {CODECS[codec][2]}, not {quality}.")


def lossless(codec: str, quality: int) -> bool:
    """Whether decoded images are equal to those that were encoded."""
    return codec == "libx264rgb" and quality == 0


def describe(path: Path, fps: float) -> dict[str, Any]:
    """What `meta/info.json` says of a video (`get_video_info` of LeRobot)."""
    with _open(path) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.codec.canonical_name
        return {
            "video.height": stream.height,
            "video.width": stream.width,
            "video.codec": codec,
            "video.pix_fmt": stream.pix_fmt,
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        }


def _open(path: Path) -> Any:
    return require("av", "video").open(str(path))


def _errors() -> tuple[type[BaseException], ...]:
    return (require("av", "video").FFmpegError, *FOREIGN)


def _reason(error: BaseException) -> str:
    """The library's reason without the path, which is named already."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
