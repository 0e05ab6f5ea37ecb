"""The replay buffer of diffusion policy as a format among the others."""

from __future__ import annotations

from pathlib import Path

from robot_skills.data.formats.base import Format
from robot_skills.data.formats.replay_buffer import ENDS, NAME, ReplayBufferSource
from robot_skills.data.formats.replay_buffer_writer import write
from robot_skills.data.formats.zarr_v2 import ZipKeys


def recognise(path: Path) -> bool:
    """Whether there is a `meta/episode_ends` of zarr, in a folder or a zip file."""
    if path.is_dir():
        return (path / ENDS / ".zarray").is_file()
    if not (path.is_file() and path.suffix == ".zip"):
        return False
    try:
        return ZipKeys(path).get(f"{ENDS}/.zarray") is not None
    except Exception:  # whatever it is, it is none of ours
        return False


FORMAT = Format(
    name=NAME,
    title="replay buffer of diffusion policy (zarr; a folder or .zarr.zip)",
    recognise=recognise,
    open=ReplayBufferSource,
    write=write,
)
