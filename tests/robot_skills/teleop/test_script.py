"""Key scripts: what is pressed when, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.teleop.keys import Pressed, motion
from robot_skills.teleop.script import ScriptedWindow, read_script


def play(path: Path, text: str) -> list[Pressed]:
    path.write_text(text)
    window, steps = ScriptedWindow(read_script(path, 10.0)), []
    while not (pressed := window.poll()).closed:
        steps.append(pressed)
    return steps


def test_lines_follow_one_another(tmp_path: Path) -> None:
    steps = play(tmp_path / "keys.txt", "# a comment\n\nw+d x2  # two keys\nspace\nwait x2\nSpace\nspace\n")
    assert [sorted(step.down) for step in steps] == [["d", "w"]] * 2 + [["space"], [], []] + [["space"]] * 2
    assert [step.events for step in steps] == [("d", "w"), (), ("space",), (), (), ("space",), ("space",)]


def test_a_time_begins_a_line_while_another_is_held(tmp_path: Path) -> None:
    steps = play(tmp_path / "keys.txt", "w x5\n0.2 space\nq\n")
    assert [sorted(step.down) for step in steps] == [["w"], ["w"], ["space", "w"], ["q", "w"], ["w"]]
    assert [step.events for step in steps] == [("w",), (), ("space",), ("q",), ()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("w x2\n\nretrun", r"keys.txt, line 3: Unknown key 'retrun'"),
        ("spce", r"line 1: .*Did you mean 'space'"),
        ("w+wait", r"line 1: Unknown key 'wait'"),
        ("w x0", r"line 1: keys are held for at least one control step"),
        ("w 3", r"line 1: expected \[SECONDS\] KEY\[\+KEY\] \[xSTEPS\], as in 'w\+d x3', not 'w 3'"),
        ("w\n1.0", r"line 2: expected .* not '1.0'"),
        ("-1 w", r"line 1: a time is 0 s or more, not -1"),
        ("nan w", r"line 1: a time is 0 s or more, not nan"),
        ("w x20\n1.5 w", r"line 2: 'w' is down at that time already, by line 1"),
        ("1.0 w x5\n0.8 w x3", r"line 2: 'w' is down at that time already, by line 1"),
        ("# nothing", r"keys.txt presses no key"),
    ],
)
def test_a_wrong_line_is_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        play(tmp_path / "keys.txt", text)


def test_files_that_are_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.txt cannot be read"):
        read_script(tmp_path / "missing.txt", 10.0)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match=r"picture\.png cannot be read"):
        read_script(tmp_path / "picture.png", 10.0)


def test_keys_move_in_the_action_convention() -> None:
    np.testing.assert_allclose(motion({"s", "a", "q"}), [0.4, -0.4, 0.4, 0, 0, 0])
    np.testing.assert_allclose(motion({"c", "shift"}), [0, 0, 0, 0, 0, 0.05])
    np.testing.assert_array_equal(motion({"w", "s", "space", "enter"}), np.zeros(6))
