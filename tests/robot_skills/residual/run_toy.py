"""A run of practice in a process of its own, for tests that kill it: FOLDER BASE DEMONSTRATIONS WORKERS."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.robot_skills.residual.runs import refine

if __name__ == "__main__":
    folder, base, demonstrations, workers = sys.argv[1:]
    refine(Path(folder), Path(base), Path(demonstrations), workers=int(workers), resume=True)
