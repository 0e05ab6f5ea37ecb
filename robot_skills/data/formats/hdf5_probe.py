"""Whether HDF5's library can walk through a file, found out in a process that may hang or crash.

Over some damaged files the library loops for ever (a global heap that was overwritten with zeros) or kills
the process, and nothing in the process can stop it. So a helper process looks through a file's structure
and attributes first. It is started once and asked for each file; when it dies over one, that file is bad.

    python -m robot_skills.data.formats.hdf5_probe     a path a line on standard input, an answer a line
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from robot_skills.data.formats.border import FOREIGN

#: Processor seconds that one object may take; a disk that is slow to answer takes none.
PATIENCE = 3.0
#: Groups in groups that are followed.
DEEPEST = 12

Key = tuple[str, int, int, int]


class Prober:
    """Asks the helper process; of each process its own, and of files that did not change only once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[str] | None = None
        self._owner = 0
        self._sound: dict[Key, bool] = {}

    def sound(self, path: Path) -> bool:
        """Whether the library gets through a file, be it with errors that it reports.

        Raises:
            OSError: there is no such file, or the helper cannot be started.
        """
        key = _key(path)
        with self._lock:
            if key not in self._sound:
                self._sound[key] = self._ask(key[0])
            return self._sound[key]

    def trust(self, path: Path) -> None:
        """Take a file for sound: it has just been written."""
        with self._lock:
            self._sound[_key(path)] = True

    def _ask(self, path: str) -> bool:
        if self._helper is None or self._owner != os.getpid() or self._helper.poll() is not None:
            search = os.pathsep.join(filter(None, sys.path))
            self._helper, self._owner = (
                subprocess.Popen(
                    [sys.executable, "-m", __name__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env={**os.environ, "PYTHONPATH": search},
                ),
                os.getpid(),
            )
        helper = self._helper
        assert helper.stdin is not None
        assert helper.stdout is not None
        try:
            helper.stdin.write(os.fsencode(path).hex() + "\n")
            helper.stdin.flush()
            answer = helper.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer != "ok\n":
            self._stop(helper)
        return answer == "ok\n"

    def _stop(self, helper: subprocess.Popen[str]) -> None:
        helper.kill()
        helper.wait()
        for pipe in (helper.stdin, helper.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._helper = None


def _key(path: Path) -> Key:
    status = path.stat()
    return str(path.resolve()), status.st_ino, status.st_size, status.st_mtime_ns


#: The process's own.
PROBER = Prober()


def walk(group: Any, h5py: Any, depth: int = 0) -> None:
    """Touch what reading touches: names, attributes, shapes, the index of the chunks, texts."""
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)  # its signal ends the process, whatever the library does
    _touch_attributes(group)
    if isinstance(group, h5py.Dataset):
        _ = group.shape, group.dtype, group.is_virtual
        if group.chunks:
            group.id.get_num_chunks()
        if group.dtype.kind == "O":
            group[()]
        return
    for name in list(group) if depth < DEEPEST else ():
        with contextlib.suppress(*FOREIGN):
            if isinstance(group.get(name, getlink=True), h5py.HardLink):
                walk(group[name], h5py, depth + 1)


def _touch_attributes(item: Any) -> None:
    for name in list(item.attrs):
        with contextlib.suppress(*FOREIGN):
            _ = item.attrs[name]


def serve() -> None:
    """Answer until standard input ends."""
    import h5py

    for line in sys.stdin:
        with contextlib.suppress(*FOREIGN), h5py.File(os.fsdecode(bytes.fromhex(line.strip())), "r") as file:
            walk(file, h5py)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write("ok\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
