"""`robot-skills serve`: another process joins the cluster, and Ctrl-C ends it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.robot_skills.small_policy import make_library

COMMAND = str(Path(sys.executable).with_name("robot-skills"))


def test_another_process_joins_what_is_served(tmp_path: Path) -> None:
    library, ready = make_library(tmp_path / "lib", ("press",)), tmp_path / "serve.json"
    serve = [COMMAND, "serve", "--library", str(library)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([*serve, "--json", str(ready)], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 180
        while not ready.exists():
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        report = json.loads(ready.read_text())
        assert list(report["skills"]) == ["press"]
        assert report["address"] in (tmp_path / "log").read_text()
        join = [*serve, "--address", report["address"], "--stop"]
        joined = subprocess.run(join, capture_output=True, text=True, check=False)
        assert joined.returncode == 0, joined.stderr
        assert joined.stdout.splitlines()[-1] == "Stopped: press."
    finally:
        server.send_signal(signal.SIGINT)
        code = server.wait(60)
    assert code == 0, (tmp_path / "log").read_text()
