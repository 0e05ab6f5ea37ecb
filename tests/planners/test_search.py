from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping

import pytest

from robot_skills.logic import Formula, parse
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.invariants import exclusive_pair
from robot_skills.symbolic.model import ground
from robot_skills.symbolic.search import Verdict, search, search_in_order
from robot_skills.symbolic.verification import verify
from tests.planners.conftest import make_scene

BLOCKS = ("red block", "green block", "blue cylinder")
FULL = ("red block", "green block", "blue block", "blue cylinder", "yellow ball", "red ball", "blue bowl")


def brute_force(goal: Formula, scene: SceneGraph, skills: Mapping[str, Skill]) -> int | None:
    """Breadth-first on the scene graphs themselves: the length of a shortest plan, None without one."""
    queue, seen = deque([(scene, 0)]), {scene.facts}
    while queue:
        graph, depth = queue.popleft()
        if graph.holds(goal):
            return depth
        for skill in skills.values():
            for call in skill.groundings(graph):
                if not skill.unmet(call, graph):
                    after = skill.after(call, graph)
                    if after.facts not in seen:
                        seen.add(after.facts)
                        queue.append((after, depth + 1))
    return None


def random_goal(rng: random.Random, names: list[str]) -> str:
    thing, other = rng.sample(names, 2)
    atoms = [
        f"on({thing}, {other})", f"on({thing}, table)", f"in({thing}, drawer)", f"holding({thing})",
        "open(drawer)", "closed(drawer)", "hand_empty", f"clear({thing})", f"not on({thing}, {other})",
    ]  # fmt: skip
    joint = rng.choice([" and ", " and ", " or "])
    return joint.join(rng.sample(atoms, rng.randint(1, 3)))


@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_brute_force_on_small_scenes(seed: int, skills: Mapping[str, Skill]) -> None:
    rng = random.Random(seed)
    facts = rng.choice(
        [[], ["on(red block, green block)"], ["holding(red block)"], ["in(red block, drawer)"]]
    )
    facts = facts + rng.choice([[], ["open(drawer)"], ["ajar(drawer)"]])
    scene = make_scene(BLOCKS, facts, fixtures=("drawer", "table"))
    few = {name: skill for name, skill in skills.items() if name != "push"}  # 4 ** 3 times fewer states
    goal = parse(random_goal(rng, list(BLOCKS)))
    result = search(ground(few, scene), goal)
    shortest = brute_force(goal, scene, few)
    assert (result.verdict is Verdict.FOUND) == (shortest is not None), goal
    if shortest is not None:
        assert verify(result.plan, goal, scene, skills).ok
        assert len(result.plan) == shortest


@pytest.mark.parametrize("seed", range(3))
def test_compiled_actions_are_the_cards(seed: int, skills: Mapping[str, Skill]) -> None:
    """Along random walks the model allows exactly what the cards allow, and promises the same facts."""
    rng = random.Random(seed)
    graph = make_scene(FULL, ["on(red block, green block)", "ajar(drawer)"])
    model = ground(skills, graph)
    state = model.initial
    for _ in range(25):
        allowed = {action.call: action for action in model.actions if action.condition.holds(state)}
        from_cards = {
            call
            for skill in skills.values()
            for call in skill.groundings(graph)
            if not skill.unmet(call, graph)
        }
        assert set(allowed) == from_cards
        call = rng.choice(sorted(from_cards, key=str))
        graph, state = skills[call.skill].after(call, graph), allowed[call].after(state)
        true = {atom for number, atom in enumerate(model.fluents) if state >> number & 1}
        assert true == {fact for fact in graph.facts if fact in model.index}


def test_drawer_is_opened_first_and_closed_last(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(FULL)
    result = search_in_order(ground(skills, scene), parse("in(red block, drawer) and closed(drawer)"))
    assert [call.skill for call in result.plan] == ["open", "pick", "place", "close"]


def test_long_plan_is_found_and_verified(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(FULL)
    goal = parse(" and ".join(f"in({name}, drawer)" for name in FULL[:6]) + " and closed(drawer)")
    result = search_in_order(ground(skills, scene), goal)
    assert len(result.plan) == 14
    assert verify(result.plan, goal, scene, skills).ok


def test_what_is_in_the_way_goes_to_the_table(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(FULL, ["on(red block, green block)"])
    result = search(ground(skills, scene), parse("moved(green block, left)"))
    assert result.plan[1] == SkillCall("place", {"object": "red block", "relation": "on", "target": "table"})


@pytest.mark.parametrize(
    ("goal", "order"),
    [
        ("pressed(button) and open(door)", ["press", "open"]),
        ("open(door) and pressed(button)", ["open", "press"]),
        ("in(red ball, blue bowl) and pressed(button)", ["pick", "place", "press"]),
    ],
)
def test_order_of_mention_is_kept_where_it_is_free(
    goal: str, order: list[str], skills: Mapping[str, Skill]
) -> None:
    result = search_in_order(ground(skills, make_scene(FULL)), parse(goal))
    assert [call.skill for call in result.plan] == order


def test_order_of_mention_yields_to_a_shorter_plan(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(BLOCKS)
    goal = parse("on(red block, green block) and on(green block, blue cylinder)")
    assert len(search_in_order(ground(skills, scene), goal).plan) == 4


@pytest.mark.parametrize(
    "goal",
    [
        "on(red ball, yellow ball)",
        "in(red block, blue bowl) and on(red block, table)",
        "on(red block, green block) and on(green block, red block)",
        "not pressed(button)",
    ],
)
def test_impossible_is_proved(goal: str, skills: Mapping[str, Skill]) -> None:
    scene = make_scene(
        ("red block", "green block", "red ball", "yellow ball", "blue bowl"), ["pressed(button)"]
    )
    assert search(ground(skills, scene), parse(goal)).verdict is Verdict.IMPOSSIBLE


def test_a_spent_budget_is_not_called_impossible(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(FULL)
    result = search(
        ground(skills, scene), parse("on(red block, green block) and on(green block, red block)"), budget=50
    )
    assert result.verdict is Verdict.BUDGET


def test_goal_that_holds_needs_no_step(skills: Mapping[str, Skill]) -> None:
    result = search(ground(skills, make_scene(BLOCKS)), parse("closed(drawer) and hand_empty"))
    assert (result.verdict, result.plan) == (Verdict.FOUND, ())


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        (
            ["open(target=drawer)", "pick(object=red block)"],
            "At the end the goal lacks in(red block, drawer)",
        ),
        (
            ["pick(object=red block)", "place(object=red block, relation=in, target=drawer)"],
            "needs free(drawer)",
        ),
        (["place(object=red block, relation=on, target=table)"], "needs holding(red block)"),
        (["pick(object=purple block)"], "Unknown object 'purple block'"),
        (["open(target=red block)"], "is not openable"),
        (["fly(object=red block)"], "no skill is called 'fly'"),
        (["pick()"], "Step 1"),
    ],
)
def test_verifier_names_the_fault(calls: list[str], says: str, skills: Mapping[str, Skill]) -> None:
    plan = [SkillCall.parse(call) for call in calls]
    verification = verify(plan, parse("in(red block, drawer)"), make_scene(BLOCKS), skills)
    assert not verification.ok
    assert says in str(verification.problem)


def test_verifier_catches_every_left_out_step(skills: Mapping[str, Skill]) -> None:
    scene, goal = make_scene(BLOCKS), parse("in(red block, drawer) and closed(drawer)")
    plan = search(ground(skills, scene), goal).plan
    assert verify(plan, goal, scene, skills).ok
    for left_out in range(len(plan)):
        assert not verify(plan[:left_out] + plan[left_out + 1 :], goal, scene, skills).ok


@pytest.mark.parametrize(
    ("goal", "pair"),
    [
        ("holding(red block) and holding(yellow ball)", True),
        ("in(red block, drawer) and pressed(button) and on(red block, table)", True),
        ("in(red block, drawer) and holding(red block)", True),
        ("in(red block, drawer) and in(green block, drawer)", False),
        ("moved(red block, left) and on(red block, table)", False),
        ("moved(red block, left) and moved(red block, right)", False),
        ("open(drawer) and open(door)", False),
    ],
)
def test_what_excludes_each_other_is_proved(goal: str, pair: bool, skills: Mapping[str, Skill]) -> None:
    model = ground(skills, make_scene(FULL))
    assert (exclusive_pair(parse(goal), model) is not None) == pair
    result = search(model, parse(goal))
    assert result.verdict is (Verdict.IMPOSSIBLE if pair else Verdict.FOUND)
    assert not (pair and result.expanded)
