"""The transports against a real ROS 2 Jazzy node: run by `ros.sh`, which makes its environment."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest

from tests.peers import ros_processes as ros

pytestmark = pytest.mark.skipif(
    not ros.PYTHON, reason="run tests/peers/ros.sh, which makes ROS's environment"
)
_domains = itertools.count(60 + os.getpid() % 20)
CHECKS = ("topics", "latched", "order", "services", "actions", "offered", "flood")


@pytest.fixture
def domain() -> int:
    return next(_domains)


def conformance(
    python: str, environment: dict[str, str], settings: dict[str, object]
) -> dict[str, str | None]:
    """Check -> None, or what went wrong."""
    command = [python, str(ros.HERE / "ros_conformance.py"), json.dumps(settings)]
    done = subprocess.run(
        command, env=environment, cwd=ros.ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_rosbridge(domain: int) -> None:
    with ros.node(domain), ros.rosbridge(domain) as (url, _):
        environment = {**os.environ, "PYTHONPATH": str(ros.ROOT)}
        found = conformance(sys.executable, environment, {"kind": "rosbridge", "url": url})
    assert found == dict.fromkeys(CHECKS)
