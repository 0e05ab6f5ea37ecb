"""LIBERO's HDF5 files as a format among the others: robomimic's layout with a task's language and goal.

Further attributes of `data`: `problem_info` (JSON, holds `language_instruction`), `bddl_file_name`,
`bddl_file_content` (the goal), `macros_image_convention`; of a demonstration: `init_state`. Images lie as
OpenGL draws them, lowest row first; they are turned right when read and turned back when written. Actions
are robosuite's OSC_POSE, gripper -1 open and +1 closed, as in the store.
"""

from __future__ import annotations

from pathlib import Path

from robot_skills.data.formats.hdf5 import Hdf5File, is_hdf5
from robot_skills.data.formats.robomimic_source import Flavour
from robot_skills.data.formats.robomimic_writer import format_of
from robot_skills.errors import InputError

FLAVOUR = Flavour("libero", "LIBERO HDF5", "_rgb", upside_down=True)
#: What only LIBERO says of a file.
MARKS = ("problem_info", "bddl_file_name", "bddl_file_content")


def recognise(path: Path) -> bool:
    """Whether it is an HDF5 file whose `data` has one of `MARKS`."""
    if not (path.is_file() and is_hdf5(path)):
        return False
    try:
        return any(mark in Hdf5File(path).attributes("data") for mark in MARKS)
    except InputError:
        return False


FORMAT = format_of(FLAVOUR, recognise)
