"""Memory that a step frees is not fetched from the system again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: Frees and takes 64 MB ten times, and says how many pages the system had to give out for it.
STEPS = """
import resource, torch
from robot_skills.training.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def steps():
    before = faults()
    for _ in range(10):
        torch.ones(16 << 20)
    return faults() - before

first = steps()
assert keep_freed_memory()
steps()
print(first, steps())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc")
def test_pages_are_given_out_once() -> None:
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < before / 10
