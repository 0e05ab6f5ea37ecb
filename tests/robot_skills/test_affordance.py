from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_skills.affordance import (
    STRENGTH,
    TRIES,
    Affordances,
    Context,
    Count,
    Tries,
    brier,
    context,
    reliability,
)
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary, fingerprint
from robot_skills.logic import parse
from robot_skills.skill import SkillCall
from robot_skills.symbolic.closed_loop import plan_to
from tests.planners.conftest import make_scene

SKILLS = SkillLibrary.open().skills
SCENE = make_scene(
    ("large red block", "small green ball", "blue bowl"), ["holding(large red block)", "open(drawer)"]
)
CONTEXTS = st.tuples(st.sampled_from("ab"), st.sampled_from("cd"), st.sampled_from("ef"))
RECORDS = st.lists(st.tuples(CONTEXTS, st.booleans(), st.just(1.5)), min_size=1, max_size=40)


def tried(skill: str, **counts: tuple[int, int]) -> dict[str, Tries]:
    """Tries by what the first property begins with: block_bowl=(successes, tries)."""
    return {
        skill: Tries(
            "", "", {(words.replace("_", " "),): Count(s, n, 1.0) for words, (s, n) in counts.items()}
        )
    }


def test_a_context_goes_from_general_to_particular() -> None:
    call = SkillCall.parse("place(object=large red block, relation=in, target=drawer)")
    assert context(SKILLS["place"], call, SCENE) == (
        "block drawer in",
        "large -",
        "in hand; open",
        "spacious",
    )
    call = SkillCall.parse("push(object=small green ball, direction=left)")
    assert context(SKILLS["push"], call, SCENE) == ("ball left", "small", "on table", "spacious")
    full = make_scene(("red block", "green block"), ["in(red block, drawer)", "on(green block, red block)"])
    call = SkillCall.parse("close(target=drawer)")
    assert context(SKILLS["close"], call, full)[2] == "1 in"
    call = SkillCall.parse("pick(object=red block)")
    assert context(SKILLS["pick"], call, full)[2] == "in drawer, 1 on"


def test_the_estimate_is_that_of_the_formula() -> None:
    tries = Tries("", "", {("a", "c"): Count(3, 4, 8.0), ("a", "d"): Count(1, 6, 12.0)})
    root = (4 + 1) / (10 + 2)
    first = (4 + STRENGTH * root) / (10 + STRENGTH)
    assert tries.chance(()) == pytest.approx(root)
    assert tries.chance(("a",)) == pytest.approx(first)
    assert tries.chance(("a", "c")) == pytest.approx((3 + STRENGTH * first) / (4 + STRENGTH))
    assert tries.chance(("a", "never seen")) == pytest.approx(first)
    assert tries.chance(("never seen", "c")) == pytest.approx(root)
    assert tries.seconds == 2.0


@given(RECORDS, CONTEXTS)
def test_a_success_raises_the_chance_and_a_failure_lowers_it(
    record: list[tuple[Context, bool, float]], where: Context
) -> None:
    now = Tries.of("", "", record).chance(where)
    assert 0 < now < 1
    assert Tries.of("", "", [*record, (where, True, 1.0)]).chance(where) > now
    assert Tries.of("", "", [*record, (where, False, 1.0)]).chance(where) < now


@given(record=RECORDS)
def test_counts_add_up_whatever_the_order_and_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory, record: list[tuple[Context, bool, float]]
) -> None:
    tries = Tries.of("0a1b", "a command", record)
    assert tries.counts == Tries.of("", "", record[::-1]).counts
    assert tries.totals[()].tries == len(record)
    path = tmp_path_factory.mktemp("tries") / TRIES
    tries.save(path)
    assert Tries.load(path).counts == tries.counts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format_version": 2}',
        '{"format_version": 1, "weights": "", "made_by": "", "counts": []}',
        '{"format_version": 1, "weights": "", "made_by": "", "counts": [{"context": [], "successes": 3, '
        '"tries": 2, "seconds": 1}]}',
    ],
)
def test_a_damaged_record_is_refused_with_its_name(text: str, tmp_path: Path) -> None:
    (tmp_path / TRIES).write_text(text)
    with pytest.raises(InputError, match=r"tries.json is no record of tries"):
        Tries.load(tmp_path / TRIES)


def test_the_shipped_records_are_of_the_shipped_weights() -> None:
    library = SkillLibrary.open()
    for name in library.skills:
        record = Tries.load(library.folder / name / TRIES)
        assert record.weights == fingerprint(library.home(name))
        assert record.totals[()].tries >= 20
        seeds = [int(word) for word in record.made_by.split() if word.isdigit() and len(word) > 5]
        assert seeds
        assert all(900_000 <= seed < 1_000_000 for seed in seeds)


def test_a_record_of_other_weights_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    library = SkillLibrary.open()
    copy = tmp_path / "lib"
    for name in library.skills:
        (copy / name).mkdir(parents=True)
        for file in (library.folder / name).iterdir():
            (copy / name / file.name).symlink_to(file)
    (copy / "five").symlink_to(library.folder / "five")
    data = json.loads((copy / "pick" / TRIES).read_text())
    (copy / "pick" / TRIES).unlink()
    (copy / "pick" / TRIES).write_text(json.dumps(data | {"weights": "another"}))
    with caplog.at_level(logging.WARNING):
        own = Affordances.open(SkillLibrary.open(copy))
    assert "other weights than those of pick" in caplog.text
    scene = make_scene(("red block",))
    pick, press = SkillCall("pick", {"object": "red block"}), SkillCall("press", {"target": "button"})
    assert own.chance(pick, scene) == 0.5
    assert own.expected_success([pick], scene) is None
    chance = own.expected_success([press], scene)
    assert chance is not None
    assert chance > 0.9
    both = Affordances.open(library)
    assert both.expected_success([press, pick], scene) == pytest.approx(
        both.chance(press, scene) * both.chance(pick, scene), abs=0.02
    )


def test_a_composite_works_when_all_of_its_steps_do() -> None:
    steps = [SkillCall.parse(f"push(object=red block, direction={way})") for way in ("left", "back")]
    tries = tried("push", block_left=(8, 10), block_back=(1, 10))
    alone = Affordances(SKILLS, tries)
    scene = make_scene(("red block",))
    chained = Affordances(SKILLS, tries, lambda call: steps if call.skill == "press" else (call,))
    call = SkillCall("press", {"target": "button"})
    product = math.prod(alone.chance(step, scene) for step in steps)
    assert chained.chance(call, scene) == pytest.approx(product)
    assert chained.expected_success([call], scene) == pytest.approx(product)


@pytest.mark.parametrize(("ball", "block", "wanted"), [(9, 1, "green ball"), (1, 9, "red block")])
def test_the_planner_prefers_the_sure_way(ball: int, block: int, wanted: str) -> None:
    tries = tried("pick", ball=(ball, 10), block=(block, 10))
    scene = make_scene(("red block", "green ball"))
    cost = Affordances(SKILLS, tries).cost(scene)
    plan = plan_to(parse("holding(red block) or holding(green ball)"), scene, SKILLS, cost=cost)
    assert plan is not None
    assert [call.args["object"] for call in plan] == [wanted]


def test_what_is_in_the_way_goes_where_it_can_be_had_again() -> None:
    """Bowls are a little surer than the table here, and nothing is taken out of a bowl."""
    tries = tried("place", block_bowl_in=(99, 100), block_table_on=(93, 100))
    scene = make_scene(("red block", "green block", "blue bowl"), ["on(green block, red block)"])
    affordances = Affordances(SKILLS, tries)
    cost = affordances.cost(scene)
    bowl, table = (
        SkillCall("place", {"object": "green block", "relation": how, "target": where})
        for how, where in (("in", "blue bowl"), ("on", "table"))
    )
    assert affordances.chance(bowl, scene) > affordances.chance(table, scene)
    assert cost(bowl) > cost(table) > 0
    plan = plan_to(parse("holding(red block)"), scene, SKILLS, cost=cost)
    assert plan is not None
    assert table in plan


def test_without_any_tries_all_calls_cost_the_same() -> None:
    cost = Affordances(SKILLS, {}).cost(SCENE)
    assert {cost(call) for skill in SKILLS.values() for call in skill.groundings(SCENE)} == {1.0}


def test_scores_of_predictions() -> None:
    pairs = [(0.9, True), (0.8, False), (0.2, False), (1.0, True)]
    assert brier(pairs) == pytest.approx((0.01 + 0.64 + 0.04 + 0.0) / 4)
    assert reliability(pairs, (0.0, 0.5, 0.85, 1.0)) == [
        (0.0, 0.5, 1, 0, 0.2),
        (0.5, 0.85, 1, 0, 0.8),
        (0.85, 1.0, 2, 2, pytest.approx(0.95)),
    ]
    with pytest.raises(ValueError, match="one prediction"):
        brier([])


def test_counts_are_checked() -> None:
    for wrong in ((3, 2, 1.0), (-1, 2, 1.0), (0, 0, 1.0), (1, 2, -1.0)):
        with pytest.raises(InputError, match="successes"):
            Count(*wrong)
