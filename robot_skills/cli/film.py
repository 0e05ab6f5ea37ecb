"""The film of a run: the scene, the command and its current step, and what the policy sees."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from robot_skills.cli.console import whole_file
from robot_skills.errors import require
from robot_skills.robot import Image

#: Pixels: the picture of the scene, the column beside it, the caption below. H.264 wants even sums.
HEIGHT, WIDTH, COLUMN, CAPTION = 480, 640, 208, 72
INSET, MARGIN = 184, 12
DARK, LIGHT, GREY, GREEN, RED = (
    (24, 26, 30),
    (240, 240, 240),
    (150, 152, 156),
    (110, 200, 120),
    (235, 110, 100),
)
#: Seconds for which the first picture stands, and the last.
PAUSE = 1.2
SHEET_ROWS, SHEET_COLUMNS, SHEET_WIDTH = 4, 3, 424


class Film:
    """Pictures to an MP4 and a contact sheet (PNG) beside it; both appear when it is closed without error.

    Args:
        path: of the MP4.
        camera: renders the scene, (480, 640, 3).
        command: what the arm was told.
        rate: pictures a second.
    """

    def __init__(self, path: Path, camera: Callable[[], Image], command: str, rate: float) -> None:
        self._path, self._camera, self._command, self._rate = path, camera, command, rate
        self._seen: dict[str, Image] = {}
        self._line, self._colour = "", LIGHT
        self._sheet = ContactSheet()
        self._file = whole_file(path)
        self._open(self._file.__enter__())

    def _open(self, path: Path) -> None:
        av = require("av", "video")
        self._container: Any = av.open(str(path), "w")
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        self._stream: Any = self._container.add_stream(
            codec, rate=Fraction(self._rate).limit_denominator(1000)
        )
        self._stream.width, self._stream.height = WIDTH + COLUMN, HEIGHT + CAPTION
        self._stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            self._stream.options = {"crf": "20", "preset": "veryfast"}
        else:
            self._stream.bit_rate = 3_000_000

    def caption(self, line: str, colour: tuple[int, int, int] = LIGHT) -> None:
        """Set the line below the command."""
        self._line, self._colour = line, colour

    def see(self, images: Mapping[str, Image]) -> None:
        """Show these as what the policy sees, until there are others."""
        self._seen.update(images)

    def shoot(self, seconds: float = 0.0) -> None:
        """Add the present picture, standing still for some seconds if asked."""
        picture = self._compose()
        self._sheet.add(picture)
        frame = require("av", "video").VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
        for _ in range(max(1, round(seconds * self._rate))):
            frame.pts = None
            self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._container.mux(self._stream.encode())
        finally:
            self._container.close()
            self._file.__exit__(kind, error, trace)
        if error is None:
            self._sheet.save(sheet_path(self._path))

    def _compose(self) -> Picture.Image:
        """Scene, column and caption in one picture."""
        canvas = Picture.new("RGB", (WIDTH + COLUMN, HEIGHT + CAPTION), DARK)
        canvas.paste(Picture.fromarray(self._camera()), (0, 0))
        draw = ImageDraw.Draw(canvas)
        draw.text((WIDTH + MARGIN, 8), "what the policy sees", GREY, _font(14))
        for row, (name, image) in enumerate(sorted(self._seen.items())[:2]):
            top = 34 + row * (INSET + 36)
            # The pixels as they are, enlarged without smoothing.
            inset = Picture.fromarray(np.asarray(image)).resize((INSET, INSET), Picture.Resampling.NEAREST)
            canvas.paste(inset, (WIDTH + MARGIN, top))
            draw.text((WIDTH + MARGIN, top + INSET + 3), name, GREY, _font(14))
        room = WIDTH + COLUMN - 2 * MARGIN
        draw.text((MARGIN, HEIGHT + 10), _fitted(f"“{self._command}”", room, 20), LIGHT, _font(20))
        draw.text((MARGIN, HEIGHT + 42), _fitted(self._line, room, 16), self._colour, _font(16))
        return canvas


class ContactSheet:
    """Twelve pictures spread evenly over however many there were."""

    def __init__(self) -> None:
        self._pictures: list[Picture.Image] = []
        self._stride, self._count = 1, 0

    def add(self, picture: Picture.Image) -> None:
        """Take a picture into account; no more than 48 are kept at any time, and the last."""
        if self._count % self._stride == 0:
            if len(self._pictures) == 4 * SHEET_ROWS * SHEET_COLUMNS:
                self._pictures, self._stride = self._pictures[::2], 2 * self._stride
            self._pictures.append(_small(picture))
        self._count, self._last = self._count + 1, picture

    def save(self, path: Path) -> None:
        """Write the sheet as PNG."""
        if not self._count:
            return
        pictures = [*self._pictures, _small(self._last)]
        chosen = np.linspace(0, len(pictures) - 1, SHEET_ROWS * SHEET_COLUMNS).round().astype(int)
        wide, tall = pictures[0].size
        sheet = Picture.new("RGB", (SHEET_COLUMNS * wide, SHEET_ROWS * tall), DARK)
        for place, index in enumerate(chosen):
            row, column = divmod(place, SHEET_COLUMNS)
            sheet.paste(pictures[index], (column * wide, row * tall))
        with whole_file(path) as temporary:
            sheet.save(temporary)


def sheet_path(film: Path) -> Path:
    """Where the contact sheet of a film lies: beside it."""
    return film.with_suffix(".png")


def _small(picture: Picture.Image) -> Picture.Image:
    height = picture.height * SHEET_WIDTH // picture.width
    return picture.resize((SHEET_WIDTH, height), Picture.Resampling.LANCZOS)


@functools.cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


@functools.lru_cache(maxsize=64)
def _fitted(text: str, room: int, size: int) -> str:
    """The text, cut to a width in pixels."""
    font = _font(size)
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"
