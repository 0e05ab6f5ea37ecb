"""Growing skills from the plans of tasks: what recurs is practised, what works is kept, and a run resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from robot_skills.cli.main import main
from robot_skills.library import PRETRAINED, SkillLibrary
from robot_skills.skill import Skill, SkillCall
from sim.generative.chains import Chain, Rules, mine, name_of
from sim.generative.decomposition import decompose, steps_of
from sim.generative.goal import Clause, Goal
from sim.generative.grammar import Proposal
from sim.generative.growth import (
    RECORDS,
    Growth,
    grow,
    plan_lengths,
    read_judgements,
    read_practices,
    split,
)
from sim.generative.judgement import Judge
from sim.generative.practice import practise
from sim.generative.recipe import Furniture, SceneRecipe, Thing
from sim.generative.task import Provenance, Task, make_task
from sim.tabletop.oracle import scene_graph
from sim.tabletop.world import TabletopWorld

RULES = Rules(practice=2)
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def skills() -> Mapping[str, Skill]:
    return SkillLibrary.open().skills


@pytest.fixture(scope="module")
def tasks(skills: Mapping[str, Skill]) -> list[Task]:
    """Five tasks: a block into a box that is then closed, of five colours; the last is held out."""
    world = TabletopWorld({})
    made = []
    for number, colour in enumerate(("red", "blue", "green", "yellow", "purple")):
        block = f"{colour} block"
        clauses = (Clause("put", (block,), ("white box",), "in"), Clause("close", ("white box",)))
        things, box = (Thing("block", colour),), (Furniture("box", "white"),)
        recipe = SceneRecipe(things, box, ("drawer", "button"), {"white box": "closed"})
        proposal = Proposal(Goal("lidded", clauses), recipe)
        task = make_task(proposal, 40 + number, Provenance("test", 0, number))
        world.reset(task.scene(0))
        plan = decompose(task.goal.formula, scene_graph(world.state()), skills)
        assert plan is not None
        made.append(replace(task, steps=steps_of(plan, skills)))
    world.close()
    return made


def folder_of(tasks: list[Task], path: Path) -> Path:
    for task in tasks:
        (path / "tasks").mkdir(parents=True, exist_ok=True)
        task.save(path / "tasks")
    return path


def grown(folder: Path, seconds: float = 600.0, judge: Judge | None = None) -> Growth:
    return grow(folder, QUIET, deadline=time.monotonic() + seconds, local=True, rules=RULES, judge=judge)


def test_whole_chains_that_hang_together_and_recur_are_found(
    tasks: list[Task], skills: Mapping[str, Skill]
) -> None:
    chains = mine(tasks, skills, RULES, {})
    assert [chain.name for chain in chains] == ["open_put_in_close", "open_put_in", "put_in_close", "put_in"]
    assert all(len(chain.tasks) == 5 for chain in chains)
    assert [chain.saved for chain in chains] == [15, 10, 10, 5]
    assert mine(tasks[:1], skills, RULES, {}) == []
    assert Chain.parse(chains[0].signature).steps == chains[0].steps


def test_what_did_not_work_is_looked_at_for_one_kind(tasks: list[Task], skills: Mapping[str, Skill]) -> None:
    bowls = []
    for number in (5, 6):
        things = (Thing("ball", "red"), Thing("bowl", "green"))
        goal = Goal("single", (Clause("put", ("red ball",), ("green bowl",), "in"),))
        task = make_task(
            Proposal(goal, SceneRecipe(things, (), ("drawer", "button"))),
            number,
            Provenance("test", 0, number),
        )
        plan = map(
            SkillCall.parse,
            ("pick(object=red ball)", "place(object=red ball, relation=in, target=green bowl)"),
        )
        bowls.append(replace(task, steps=steps_of(tuple(plan), skills), seed=number))
    every = [*tasks, *bowls]
    general = {chain.name: chain for chain in mine(every, skills, RULES, {})}
    kept = {general[n].signature: True for n in general if n != "put_in"}
    failed = kept | {general["put_in"].signature: False}
    narrow = mine(every, skills, RULES, failed)
    assert {(chain.name, chain.only) for chain in narrow} >= {("put_in_box", ("target", "box"))}
    box = next(chain for chain in narrow if chain.name == "put_in_box")
    assert Chain.parse(box.signature).only == box.only
    assert box.card("x", skills).parameters["target"] == "container|support&box"
    assert mine(every, skills, RULES, failed | {box.signature: True}) == [
        chain for chain in narrow if chain is not box
    ]


def test_practice_counts_what_worked_and_what_did_not(tasks: list[Task], skills: Mapping[str, Skill]) -> None:
    world = TabletopWorld({})
    chain = next(c for c in mine(tasks, skills, RULES, {}) if c.name == "open_put_in_close")
    found = practise(world, chain, skills, RULES)
    assert (found.kept, found.successes, found.trials) == (True, 2, 2)
    # The card of an open that changes nothing: the end does not show what it promises.
    false = skills["open"].to_json() | {"effects": ["pressed(target)", "open(target)", "not ajar(target)"]}
    broken = practise(world, chain, {**skills, "open": Skill.from_json(false)}, RULES)
    assert (broken.kept, broken.successes) == (False, 0)
    assert "pressed(white box)" in broken.reason
    world.close()


def test_what_works_is_kept_in_a_library_of_its_own_and_shortens_held_out_plans(
    tasks: list[Task], tmp_path: Path
) -> None:
    shipped = sorted(path.name for path in PRETRAINED.iterdir())
    folder = folder_of(tasks, tmp_path / "out")
    before = grown(folder, 0.0)
    assert (before.practised, list(before.held_out.values())) == ((), [(4, 4)])
    result = grown(folder)
    assert len(result.kept) == len(result.practised) == 4
    assert list(result.held_out) == [task.name for task in split(tasks)[1]]
    assert list(result.held_out.values()) == [(4, 1)]
    library = SkillLibrary.open(folder / "library")
    assert set(library.composites) == {each.name for each in result.kept}
    assert all(library.trained(name) for name in library.skills)
    assert sorted(path.name for path in PRETRAINED.iterdir()) == shipped
    assert json.loads((folder / "growth.json").read_text())["held_out_steps"] == {"before": 4, "after": 1}
    # Again: nothing is practised twice, and half a line of a killed run does no harm.
    records = (folder / RECORDS).read_text()
    with (folder / RECORDS).open("a") as file:
        file.write('{"signature": "pi')
    assert grown(folder).practised == result.practised
    assert (folder / RECORDS).read_text() == records
    # Stopped between the skill and its line: it is not made a second time.
    (folder / RECORDS).write_text("".join(records.splitlines(keepends=True)[:-1]))
    assert [each.name for each in grown(folder).kept] == [each.name for each in result.kept]
    assert set(SkillLibrary.open(folder / "library").composites) == set(library.composites)
    assert len(read_practices(folder)) == 4


class Tidy:
    """A model that finds leaving things open sensible, and has words for what it puts in."""

    name = "tidy"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def write(
        self, prompt: str, grammar: str, schema: Mapping[str, Any], seed: int, temperature: float
    ) -> str:
        chain = prompt.rpartition("Skill: ")[2]
        self.asked.append(chain)
        if chain.startswith("open") and "close" in chain:
            return "I would rather not say."
        return '{"sensible": 1}' if "close" in chain else '{"sensible": 5, "for": "store a thing"}'


def test_a_model_says_what_is_practised_first_and_a_stopped_run_goes_on_the_same(
    tasks: list[Task], tmp_path: Path
) -> None:
    folder, model = folder_of(tasks, tmp_path / "out"), Tidy()
    whole = grown(folder, judge=Judge(model))
    # 10 steps saved times 5, 15 times the middle for want of an answer, 5 times 5, 10 times 1.
    names = ["open_put_in", "open_put_in_close", "put_in", "put_in_close"]
    assert [each.name for each in whole.practised] == names
    assert len(model.asked) == 4
    said = read_judgements(folder, "tidy")
    by_name = {each.name: said[each.signature] for each in whole.practised}
    assert [by_name[name].sensible for name in names] == [5, None, 5, 1]
    library = SkillLibrary.open(folder / "library")
    assert library.skills["put_in"].summary.startswith("Store a thing: pick object, then place")
    assert library.skills["put_in_close"].summary.startswith("pick object")
    assert "Judged 1 of 5 for sense by tidy." in (library.folder / "put_in_close" / "README.md").read_text()
    # Stopped when one chain was practised: the rest comes in the same order, and nobody is asked again.
    lines = (folder / RECORDS).read_text().splitlines(keepends=True)
    assert [("judge" in json.loads(line)) for line in lines] == [True] * 4 + [False] * 4
    again = folder_of(tasks, tmp_path / "again")
    (again / RECORDS).write_text("".join(lines[:5]) + lines[5][:30])
    silent = Tidy()
    assert [each.signature for each in grown(again, judge=Judge(silent)).practised] == [
        each.signature for each in whole.practised
    ]
    assert silent.asked == []
    # What one model said does not count for another, nor without one.
    assert read_judgements(folder, "other") == {}
    (again / RECORDS).write_text("".join(lines[:4]))
    assert grown(again, 0.0).practised == ()
    assert len(read_judgements(again, "tidy")) == 4


def test_more_tasks_are_asked_for_when_all_chains_were_practised(tasks: list[Task], tmp_path: Path) -> None:
    folder = folder_of(tasks[:1], tmp_path / "out")
    asked: list[int] = []

    def more(count: int) -> int:
        asked.append(count)
        folder_of(tasks[:2], folder)
        return 2

    rules = replace(RULES, longest=2)
    result = grow(folder, QUIET, deadline=time.monotonic() + 600, more=more, local=True, rules=rules)
    assert asked == [2, 3]
    assert [each.name for each in result.kept] == ["put_in"]


def test_plan_lengths_of_nothing_are_nothing(skills: Mapping[str, Skill]) -> None:
    assert plan_lengths([], skills, skills) == {}


def test_names_say_what_a_chain_does() -> None:
    steps = map(
        SkillCall.parse,
        (
            "press(target=target)", "pick(object=object)", "place(object=object, relation=on, target=table)",
            "push(object=object, direction=left)",
        ),
    )  # fmt: skip
    assert name_of(tuple(steps)) == "press_put_on_table_push_left"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--grow"], "give it --hours or --minutes"),
        (["--minutes", "5"], "go with --grow"),
        (["--grow", "--minutes", "-1"], "0 or more"),
        (["--grow", "--hours", "nan"], "0 or more"),
        (["--grow", "--hours", "1", "--failures", "push"], "two jobs"),
    ],
)
def test_options_that_do_not_suit(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "-o", str(tmp_path / "x"), "--local", *options]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
