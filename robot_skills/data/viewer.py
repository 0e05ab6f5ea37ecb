"""Episodes on one HTML page that needs nothing else, and on a contact sheet."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.data.episode import Episode, Rows
from robot_skills.data.formats.base import DataError, Problem, Source
from robot_skills.data.meta import StoreMeta
from robot_skills.errors import InputError, require

#: Pictures are made no higher than this on the page, and on the sheet.
PAGE_HEIGHT, SHEET_HEIGHT = 240, 96
#: Pictures of one camera and episode that the page holds at most; of longer ones every k-th step.
MOST_FRAMES = 600
#: Pictures in a row and a column of a sprite sheet: browsers refuse very large ones.
ACROSS = 12
#: WebP quality: 90 is hard to tell from the original at these sizes.
QUALITY = 90
MARGIN, CAPTION = 6, 18


def page(source: Source, episodes: Sequence[int], problems: Iterable[Problem] = ()) -> str:
    """Build the page.

    Args:
        source: the data set.
        episodes: the numbers of those to show; damaged ones are left out, their problem is not.
        problems: what `validate` found; marked on the time lines.

    Returns:
        HTML with images, numbers and script in it; it asks nothing of the network.

    Raises:
        InputError: none of the episodes can be read; or Pillow is not installed.
    """
    found = list(problems)
    shown = []
    for number in episodes:
        try:
            shown.append(_episode(number, source.read(number), source.meta, found))
        except DataError as error:  # noqa: PERF203
            found.append(error.problem)
    if not shown:
        raise InputError(
            f"{source.path}: none of the episodes can be read. {found[-1] if found else ''}".strip()
        )
    meta = source.meta
    data = {
        "title": source.path.name,
        "about": f"{len(source)} episodes, {meta.control_rate:g} Hz. Space plays, arrow keys step.",
        "rate": meta.control_rate,
        "state_names": list(meta.state_names),
        "action_names": list(meta.action.names),
        "episodes": shown,
    }
    # "<" cannot end the script element, nor begin a comment in it, when it is written as JSON's escape.
    text = json.dumps(data).replace("<", "\\u003c")
    template = resources.files("robot_skills.data").joinpath("viewer.html").read_text(encoding="utf-8")
    return template.replace("@DATA@", text, 1)


def contact_sheet(source: Source, episodes: Sequence[int], columns: int = 8) -> Any:
    """Build a picture: a row for each episode and camera, columns at even times from first to last step.

    Args:
        source: the data set.
        episodes: the numbers of those to show; damaged ones are left out.
        columns: pictures in a row.

    Returns:
        A `PIL.Image.Image`.

    Raises:
        InputError: none of the episodes can be read, or there is no camera; or Pillow is not installed.
    """
    image_module, draw_module = require("PIL.Image", "video"), require("PIL.ImageDraw", "video")
    rows: list[tuple[str, list[NDArray[np.uint8]]]] = []
    for number in episodes:
        try:
            episode = source.read(number)
            for camera, images in episode.images.items():
                steps = np.linspace(0, len(episode) - 1, columns).round().astype(int)
                frames = [shrunk(np.asarray(images[step : step + 1])[0], SHEET_HEIGHT) for step in steps]
                title = (
                    f"episode {number}, {camera}: {episode.text} ({len(episode)} steps, {episode.outcome})"
                )
                rows.append((title, frames))
        except DataError:  # noqa: PERF203
            continue
    if not rows:
        raise InputError(f"{source.path} has no episode with images that can be read.")
    width = max(sum(frame.shape[1] + MARGIN for frame in frames) for _, frames in rows) + MARGIN
    height = sum(frames[0].shape[0] + CAPTION + MARGIN for _, frames in rows) + MARGIN
    sheet = image_module.new("RGB", (width, height), (255, 255, 255))
    draw, top = draw_module.Draw(sheet), MARGIN
    for title, frames in rows:
        draw.text((MARGIN, top), title.encode("latin-1", "replace").decode("latin-1"), fill=(40, 42, 46))
        left = MARGIN
        for frame in frames:
            sheet.paste(image_module.fromarray(frame), (left, top + CAPTION))
            left += frame.shape[1] + MARGIN
        top += frames[0].shape[0] + CAPTION + MARGIN
    return sheet


def shrunk(frame: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """A (H, W, 3) frame no higher than this; smaller ones as they are."""
    if frame.shape[0] <= height:
        return frame
    picture = require("PIL.Image", "video").fromarray(frame)
    size = (max(1, round(frame.shape[1] * height / frame.shape[0])), height)
    small: NDArray[np.uint8] = np.asarray(picture.resize(size, resample=1))  # Lanczos
    return small


def _episode(number: int, episode: Episode, meta: StoreMeta, problems: Sequence[Problem]) -> dict[str, Any]:
    facts = [f"episode {number}", f"{len(episode)} steps", f"{len(episode) / meta.control_rate:.1f} s"]
    facts += [episode.outcome, f"by {episode.expert}"]
    facts += [] if episode.seed is None else [f"seed {episode.seed}"]
    facts += [] if episode.call is None else [str(episode.call)]
    return {
        "episode": number,
        "length": len(episode),
        "text": episode.text,
        "outcome": episode.outcome,
        "facts": ", ".join(facts),
        "state": _base64(np.ascontiguousarray(episode.state, "<f4").tobytes()),
        "action": _base64(np.ascontiguousarray(episode.action, "<f4").tobytes()),
        "cameras": {name: _sprites(rows) for name, rows in episode.images.items()},
        "problems": [problem.to_json() for problem in problems if problem.episode == number],
    }


def _sprites(rows: Rows) -> dict[str, Any]:
    """A camera's pictures on sheets, as the page's function `cell` finds them again."""
    image_module = require("PIL.Image", "video")
    stride = -(-rows.shape[0] // MOST_FRAMES)
    steps = range(0, rows.shape[0], stride)
    sheets: list[str] = []
    height = width = 0
    for first in range(0, len(steps), ACROSS * ACROSS):
        frames = [
            shrunk(np.asarray(rows[step : step + 1])[0], PAGE_HEIGHT) for step in steps[first:][: ACROSS**2]
        ]
        height, width = frames[0].shape[:2]
        down = -(-len(frames) // ACROSS)
        sheet = np.zeros((down * height, ACROSS * width, 3), np.uint8)
        for place, frame in enumerate(frames):
            y, x = place // ACROSS * height, place % ACROSS * width
            sheet[y : y + height, x : x + width] = frame
        stream = io.BytesIO()
        image_module.fromarray(sheet).save(stream, "WEBP", quality=QUALITY)
        sheets.append(f"data:image/webp;base64,{_base64(stream.getvalue())}")
    return {
        "width": width,
        "height": height,
        "columns": ACROSS,
        "sheet_size": ACROSS * ACROSS,
        "stride": stride,
        "count": len(steps),
        "sheets": sheets,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def parse_episodes(text: str | None, count: int, most: int) -> list[int]:
    """Read "0-5", "3" or "0-2,7"; None is the first `most`.

    Raises:
        InputError: it is none of these, or there is no such episode.
    """
    if text is None:
        return list(range(min(count, most)))
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(f"Episodes are given as in 0-5 or 0-2,7, not {text!r}.")
        numbers += range(int(first), int(last if dash else first) + 1)
        if numbers and max(numbers) >= count:
            raise InputError(f"There are the episodes 0 to {count - 1}, not {max(numbers)}.")
    if not numbers:
        raise InputError(f"Episodes are given as in 0-5 or 0-2,7, not {text!r}.")
    return list(dict.fromkeys(numbers))


def output_file(path: Path) -> Path:
    """The page's file: the path itself if it ends in .html, else index.html in that folder."""
    return path if path.suffix.lower() in (".html", ".htm") else path / "index.html"
