"""Messages a user can act on."""

from __future__ import annotations

import pytest

from robot_skills.errors import InputError, require, unknown


def test_an_unknown_name_comes_with_the_valid_ones_and_the_nearest() -> None:
    message = str(unknown("skill", "pikc", ["place", "pick", "push"]))
    assert message == "Unknown skill 'pikc'; valid: pick, place, push. Did you mean 'pick'?"
    assert "Did you mean" not in str(unknown("skill", "zzz", ["pick"]))
    assert "(none)" in str(unknown("skill", "pick", []))


def test_a_missing_module_names_its_extra() -> None:
    with pytest.raises(InputError, match=r"pip install 'robot-skills\[ray\]'"):
        require("a_module_nobody_has", "ray")
    assert require("json", "ray").dumps([]) == "[]"


def test_a_module_that_is_there_and_broken_is_not_called_missing(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    (tmp_path / "broken_inside.py").write_text("import a_module_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="a_module_nobody_has"):
        require("broken_inside", "ray")
