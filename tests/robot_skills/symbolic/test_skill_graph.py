from __future__ import annotations

import json
from pathlib import Path

import pytest

from robot_skills.cli.main import main
from robot_skills.library import SkillLibrary
from robot_skills.symbolic.model import ground
from robot_skills.symbolic.skill_graph import edges
from tests.planners.conftest import make_scene


def test_edges_are_what_the_cards_say() -> None:
    found = {(edge.giver, edge.taker): edge.supplies for edge in edges(SkillLibrary.open().skills)}
    assert found["pick", "place"] == ("holding", "free")
    assert found["open", "place"] == ("free",)
    assert found["place", "push"] == ("hand empty", "on")
    assert found["close", "open"] == ("not open",)
    assert ("press", "pick") not in found
    assert not any(giver == taker for giver, taker in found)


def test_every_call_that_a_step_makes_possible_has_its_edge() -> None:
    """In a scene: where a call cannot be made, and can after another, an edge leads from that one to it."""
    skills = SkillLibrary.open().skills
    found = {(edge.giver, edge.taker) for edge in edges(skills)}
    scene = make_scene(("red block", "blue block", "white bowl"), ["on(red block, blue block)", "open(door)"])
    model = ground(skills, scene)
    states, seen = [model.initial], {model.initial}
    for _ in range(60):
        state = states.pop(0)
        for first in model.actions:
            if not first.condition.holds(state):
                continue
            after = first.after(state)
            for second in model.actions:
                if second.condition.holds(after) and not second.condition.holds(state):
                    pair = first.call.skill, second.call.skill
                    assert pair[0] == pair[1] or pair in found
            if after not in seen:
                seen.add(after)
                states.append(after)


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture, told = tmp_path / "skills.png", tmp_path / "skills.json"
    assert main(["skills", "graph", "-o", str(picture), "--json", str(told)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000
    assert {"from": "pick", "to": "place", "supplies": ["holding", "free"]} in json.loads(told.read_text())[
        "edges"
    ]


def test_a_picture_has_a_kind_that_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["skills", "graph", "-o", str(tmp_path / "skills.txt")]) == 2
    assert ".png" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
