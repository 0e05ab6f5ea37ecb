"""LIBERO's task files as scenes, and instructions read by the names in them; the file here is our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from planners.naming import NamedProposer, settled
from planners.planner import Planner
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import parse
from sim.libero_scenes import LiberoTask, bddl_files, read_names, read_task

CARDS = Path(__file__).parents[2] / "datasets" / "libero_skills"
REGIONS = {
    "bowl_front": (0.10, 0.15), "bowl_middle": (-0.05, 0.20), "bowl_back": (-0.15, 0.05),
    "plate_init": (0.0, 0.0), "cabinet_init": (0.0, -0.3), "stove_init": (-0.3, 0.2),
    "plate_right": (0.0, 0.15), "mug_init": (0.2, -0.2), "pan_init": (-0.2, -0.2),
}  # fmt: skip


def bddl(goal: str = "(On akita_black_bowl_2 plate_1)") -> str:
    spots = "".join(
        f"({name}_region (:target kitchen_table) (:ranges (({x} {y} {x} {y}))))"
        for name, (x, y) in REGIONS.items()
    )
    return f"""
    (define (problem Kitchen) (:domain robosuite) (:language Put it there)
      (:regions {spots} (top_region (:target wooden_cabinet_1)) (cook_region (:target flat_stove_1)))
      (:fixtures kitchen_table - kitchen_table wooden_cabinet_1 - wooden_cabinet flat_stove_1 - flat_stove)
      (:objects akita_black_bowl_1 akita_black_bowl_2 akita_black_bowl_3 - akita_black_bowl plate_1 - plate
        porcelain_mug_1 - porcelain_mug chefmate_8_frypan_1 - chefmate_8_frypan)
      (:init (On akita_black_bowl_1 kitchen_table_bowl_front_region)
        (On akita_black_bowl_2 kitchen_table_bowl_middle_region)
        (On akita_black_bowl_3 kitchen_table_bowl_back_region) (On plate_1 kitchen_table_plate_init_region)
        (On wooden_cabinet_1 kitchen_table_cabinet_init_region)
        (On flat_stove_1 kitchen_table_stove_init_region)
        (On porcelain_mug_1 kitchen_table_mug_init_region) (On chefmate_8_frypan_1 flat_stove_1_cook_region)
        (Turnon flat_stove_1))
      (:goal (And {goal})))
    """


@pytest.fixture(scope="module")
def names() -> Mapping[str, Any]:
    return read_names(CARDS / "names.yaml")


@pytest.fixture
def task(tmp_path: Path, names: Mapping[str, Any]) -> LiberoTask:
    file = tmp_path / "KITCHEN_SCENE2_put_the_middle_black_bowl_on_the_plate.bddl"
    file.write_text(bddl())
    return read_task("libero_90", file, names)


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner(SkillLibrary.open(CARDS).skills, NamedProposer())


def test_a_file_becomes_a_scene(task: LiberoTask) -> None:
    assert task.instruction == "put the middle black bowl on the plate"
    assert task.language == "Put it there"
    assert str(task.goal) == "on(black bowl 2, plate)"
    assert {"on(frying pan, stove)", "pressed(stove)", "at(black bowl 1, front)"} <= set(
        map(str, task.scene.facts)
    )
    assert {"fits(white mug, in, top drawer of the cabinet)", "fits(white mug, on, stove)"} <= set(
        map(str, task.scene.facts)
    )
    assert not any(fact.args[0] == "stove" for fact in task.scene.facts if fact.predicate in ("on", "fits"))


@pytest.mark.parametrize(
    ("command", "goal"),
    [
        ("put the middle black bowl on the plate", "on(black bowl 2, plate)"),
        ("put the black bowl at the back on the plate", "on(black bowl 3, plate)"),
        ("take the black bowl next to the plate and put it on the stove", "on(black bowl 3, stove)"),
        ("open the top drawer and put the white mug in it", "open(top drawer of the cabinet) and "
         "in(white mug, top drawer of the cabinet)"),
        ("pick up the mug and place it to the right of the plate", "on(white mug, right of the plate)"),
        ("turn off the stove", "not pressed(stove)"),
        ("put the pan on top of the cabinet", "on(frying pan, top of the cabinet)"),
        ("put the mug on the drawer that is at the top", None),
        ("put the black bowl on the plate", None),
        ("juggle the plates", None),
    ],
)  # fmt: skip
def test_instructions_are_read_by_the_names(
    task: LiberoTask, planner: Planner, command: str, goal: str | None
) -> None:
    result = planner.plan(command, task.scene)
    assert result.verified == (goal is not None)
    if goal is not None:
        assert str(result.goal) == goal
    else:
        assert result.refused or result.question


def test_of_several_the_reader_asks(task: LiberoTask, planner: Planner) -> None:
    result = planner.plan("put the black bowl on the plate", task.scene)
    assert result.question is not None
    assert all(f"black bowl {number}" in result.question for number in (1, 2, 3))


def test_all_of_a_kind_are_meant_by_their_plural(task: LiberoTask, planner: Planner) -> None:
    result = planner.plan("put all black bowls in the top drawer and close it", task.scene)
    assert result.verified
    assert sum(call.skill == "place" for call in result.plan) == 3
    assert result.plan[-1].skill == "close"


def test_in_and_on_are_settled_by_what_fits(task: LiberoTask) -> None:
    assert settled(parse("in(white mug, plate)"), task.scene) == parse("on(white mug, plate)")
    assert settled(parse("not on(white mug, top drawer of the cabinet)"), task.scene) == parse(
        "not in(white mug, top drawer of the cabinet)"
    )


def test_a_type_without_a_name_is_refused(tmp_path: Path, names: Mapping[str, Any]) -> None:
    file = tmp_path / "task.bddl"
    file.write_text(bddl().replace("porcelain_mug", "porcelain_mugg"))
    with pytest.raises(InputError, match="Did you mean 'porcelain_mug'"):
        read_task("libero_90", file, names)


def test_the_installed_tasks_are_all_read(names: Mapping[str, Any]) -> None:
    try:
        files = list(bddl_files())
    except InputError:
        pytest.skip("LIBERO is not installed")
    tasks = [read_task(suite, path, names) for suite, path in files]
    assert len(tasks) == 130
    assert len({task.name for task in tasks}) == 130
