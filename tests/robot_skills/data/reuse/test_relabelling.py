"""Relabelling: the right segments are chained, say the right thing, and end where the chain does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from robot_skills.cli.main import main
from robot_skills.data.episode import Episode
from robot_skills.data.reuse.relabelling import (
    RelabelConfig,
    crossings,
    join,
    joint_instruction,
    neighbours,
    phrase,
    relabel,
)
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.skill import SkillCall
from tests.robot_skills.data.reuse.motions import SIZE, play, write

QUIET = Console(quiet=True)


def segments(recording: int, skills: list[str], seed: int) -> list[Episode]:
    """A recording of skills in a row, cut in the right places, as `data segment` writes them."""
    whole, parts = play(skills, seed, noise=0.02), []
    for number, skill in enumerate(skills):
        rows = slice(15 * number, 15 * number + 15)
        parts.append(
            replace(
                whole,
                images={"front": whole.images["front"][rows]},
                state=whole.state[rows],
                action=whole.action[rows],
                end=np.r_[np.zeros(13), 1.0, 1.0].astype(np.float32),
                target=whole.target[rows],
                text=skill,
                attributes={"source_episode": recording, "source_rows": [rows.start, rows.stop]},
            )
        )
    return parts


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    three, two = segments(0, ["right", "up", "circle"], 0), segments(1, ["up", "right"], 1)
    # The second recording's segments come first, and out of order: where they come from decides.
    return write(tmp_path / "segments", [two[1], two[0], *three])


def test_every_run_of_neighbours_is_chained(store: EpisodeStore) -> None:
    runs = [chain.segments for chain in neighbours(store, RelabelConfig())]
    assert sorted(runs) == [(1, 0), (2, 3), (2, 3, 4), (3, 4)]
    assert sorted(chain.segments for chain in neighbours(store, RelabelConfig(longest=2))) == [
        (1, 0),
        (2, 3),
        (3, 4),
    ]


def test_a_gap_or_a_failure_breaks_a_run(tmp_path: Path) -> None:
    parts = segments(0, ["right", "up", "circle"], 0)
    late = replace(parts[1], attributes={"source_episode": 0, "source_rows": [19, 30]})
    store = write(tmp_path / "a", [parts[0], late, parts[2]])
    assert [chain.segments for chain in neighbours(store, RelabelConfig())] == [(1, 2)]
    failed = replace(parts[1], outcome="failed")
    store = write(tmp_path / "b", [parts[0], failed, parts[2]])
    assert neighbours(store, RelabelConfig()) == []
    # `data retrieve` names its source in another way, and two prior sets have episodes of the same number.
    named = [
        replace(part, attributes={"source": {"store": name, "episode": 0, "rows": rows}})
        for part, name, rows in zip(parts, "112", ([0, 15], [15, 30], [30, 45]), strict=True)
    ]
    store = write(tmp_path / "c", named)
    assert [chain.segments for chain in neighbours(store, RelabelConfig())] == [(0, 1)]


def test_a_chain_is_its_segments_one_after_another(store: EpisodeStore) -> None:
    chain = next(chain for chain in neighbours(store, RelabelConfig()) if len(chain.segments) == 3)
    made, whole = join(store, chain), play(["right", "up", "circle"], 0, noise=0.02)
    assert made.text == "right, then up, then circle"
    assert np.array_equal(made.state, whole.state)
    assert np.array_equal(made.action, whole.action)
    assert np.array_equal(made.images["front"], whole.images["front"])
    assert np.flatnonzero(made.end).tolist() == [43, 44]  # the ends inside are gone
    assert made.call is None


def test_crossings_pass_the_stated_tests(tmp_path: Path) -> None:
    """One segment ends at the origin; others begin there, elsewhere, or there in another picture."""

    def segment(start: list[float], text: str, colour: int = 100, steps: int = 10) -> Episode:
        state = np.linspace(start, [0.0, 0.0] if text == "come" else [3.0, 4.0], steps).astype(np.float32)
        return Episode(
            images={"front": np.full((steps, *SIZE, 3), colour, np.uint8)},
            state=state,
            action=np.zeros((steps, 2), np.float32),
            end=np.zeros(steps, np.float32),
            target=np.full((steps, 3), np.nan, np.float32),
            text=text,
        )

    there, near, far, dark = [0.0, 0.0], [0.1, 0.1], [2.0, 2.0], 10
    episodes = [
        segment([5, 5], "come"),
        segment(far, "far"),
        segment(there, "dark", dark),
        segment(near, "near"),
        segment(there, "there"),
        segment([0, 0], "come"),  # the same instruction again is no new one
    ]
    store = write(tmp_path / "store", episodes)
    both = RelabelConfig(across=True, partners=5, picture_distance=0.1)
    found = {chain.segments: chain.distance for chain in crossings(store, both) if chain.segments[0] == 0}
    assert list(found) == [(0, 4), (0, 3)]  # the nearest first
    std = store.state.std(axis=0)
    assert found[0, 3] == pytest.approx(np.sqrt(np.mean((np.array(near) / std) ** 2)), rel=1e-4)
    assert [c.segments for c in crossings(store, replace(both, partners=1)) if c.segments[0] == 0] == [(0, 4)]
    blind = replace(both, picture_distance=1.0)
    assert (0, 2) in [chain.segments for chain in crossings(store, blind)]
    assert all(chain.distance <= 0.25 for chain in crossings(store, blind))


def test_nothing_is_written_twice(store: EpisodeStore, tmp_path: Path) -> None:
    again = write(
        tmp_path / "again", [*(store.read(n) for n in range(5)), *(store.read(n) for n in range(5))]
    )
    report = relabel(again, tmp_path / "chains", RelabelConfig(longest=2), QUIET)
    made = EpisodeStore.open(tmp_path / "chains")
    marks = {(made.view(n).text, made.view(n).action.tobytes()) for n in range(len(made.episodes))}
    assert len(marks) == len(made.episodes) == report.chains
    over = relabel(
        write(tmp_path / "more", [*(store.read(n) for n in range(5)), *(made.read(n) for n in range(2))]),
        tmp_path / "chains2",
        RelabelConfig(longest=2),
        QUIET,
    )
    assert over.duplicates == 2  # they were in the store already


@pytest.mark.parametrize(
    ("said", "joint"),
    [
        (["open the drawer", "press the button"], "open the drawer, then press the button"),
        (["right", "right", "up"], "right, then up"),
        (["pick up the red block", "put the red block in the drawer"], "put the red block in the drawer"),
        (
            ["pick up the red block", "put the blue ball in the drawer"],
            "pick up the red block, then put the blue ball in the drawer",
        ),
        (["Open it.", "  close it"], "Open it, then close it"),
    ],
)
def test_joint_instructions(said: list[str], joint: str) -> None:
    assert joint_instruction(said) == joint


def test_every_packaged_skill_has_words() -> None:
    arguments = {"object": "red block", "target": "drawer", "relation": "in", "direction": "left"}
    for name, skill in SkillLibrary.open().skills.items():
        call = SkillCall(name, {key: arguments[key] for key in skill.parameters})
        words = phrase(call)
        assert words.startswith(("pick up", "put", "push", "open", "close", "press"))
        assert all(value in words for value in call.args.values())
    assert phrase(SkillCall("wipe", {"target": "table"})) == "wipe table"


def test_a_summariser_of_ones_own(store: EpisodeStore, tmp_path: Path) -> None:
    relabel(store, tmp_path / "chains", RelabelConfig(), QUIET, lambda said: f"{len(said)} things")
    texts = {record.text for record in EpisodeStore.open(tmp_path / "chains").episodes}
    assert texts == {"2 things", "3 things"}


def test_the_verb(store: EpisodeStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: Any = tmp_path / "told.json"
    words = ["data", "relabel", str(store.folder), "-o", str(tmp_path / "chains")]
    assert main([*words, "--json", str(told)]) == 0
    result = json.loads(told.read_text())
    assert (result["chains"], result["across"], result["texts"]) == (4, 0, 4)
    assert "4 chains" in capsys.readouterr().out
    assert main(words) == 2
    lonely = write(tmp_path / "lonely", [play(["up"], 0)])
    assert main(["data", "relabel", str(lonely.folder), "-o", str(tmp_path / "none")]) == 2
    assert "no segments to chain" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    with pytest.raises(InputError, match="longest"):
        RelabelConfig(longest=1)
