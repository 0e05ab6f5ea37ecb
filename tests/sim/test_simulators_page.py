"""Every Python snippet of docs/simulators.md runs, where its simulator is installed."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "simulators.md").read_text()
SNIPPETS = dict(re.findall(r"\n## ([\w-]+)\n\n```python\n(.*?)```", PAGE, flags=re.DOTALL))
PACKAGES = {"Push-T": "gym_pusht", "robosuite": "robosuite", "MetaWorld": "metaworld", "LIBERO": "libero"}


@pytest.mark.parametrize("simulator", PACKAGES)
def test_the_snippet_runs(simulator: str) -> None:
    pytest.importorskip(PACKAGES[simulator])
    if simulator == "robosuite":
        pytest.importorskip("fast_simplification")
    exec(compile(SNIPPETS[simulator], "simulators.md", "exec"), {"__name__": "__main__"})
