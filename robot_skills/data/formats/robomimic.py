"""robomimic's HDF5 files as a format among the others."""

from __future__ import annotations

from pathlib import Path

from robot_skills.data.formats import libero
from robot_skills.data.formats.hdf5 import Hdf5File, is_hdf5
from robot_skills.data.formats.robomimic_source import Flavour
from robot_skills.data.formats.robomimic_writer import format_of
from robot_skills.errors import InputError

FLAVOUR = Flavour(
    "robomimic", "robomimic HDF5 (also MimicGen's and Isaac Lab's)", "_image", upside_down=False
)


def recognise(path: Path) -> bool:
    """Whether it is an HDF5 file with a group `data`, and not LIBERO's."""
    if not (path.is_file() and is_hdf5(path)):
        return False
    try:
        return bool(Hdf5File(path).children("data")) and not libero.recognise(path)
    except InputError:
        return path.suffix in (".hdf5", ".h5")  # damaged: its reader says how


FORMAT = format_of(FLAVOUR, recognise)
