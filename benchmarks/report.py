"""One table a benchmark, committed with the hardware named: `results/NAME.md`."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def hardware() -> str:
    """The processor and the number of cores, as Linux names them."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores"


def write_report(
    name: str, title: str, header: Sequence[str], rows: Iterable[Sequence[object]], note: str = ""
) -> None:
    """Print a table and write it, with the command that made it, to `results/NAME.md`."""
    lines = [f"# {title}", "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    lines += ["", note, "", f"`{command}` on {hardware()}, Python {platform.python_version()}."]
    text = "\n".join(lines) + "\n"
    RESULTS.mkdir(exist_ok=True)
    temporary = RESULTS / f".{name}.md"
    temporary.write_text(text)
    temporary.replace(RESULTS / f"{name}.md")
    print(text)
