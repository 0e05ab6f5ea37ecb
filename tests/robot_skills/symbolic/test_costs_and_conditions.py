"""Costs of calls, and effects that come about only under a condition."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import Atom, Formula, parse
from robot_skills.scene_graph import Entity, SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.composition import ChainError, compose, refuted
from robot_skills.symbolic.invariants import exclusive_pair
from robot_skills.symbolic.model import ground
from robot_skills.symbolic.regression import chain_back
from robot_skills.symbolic.search import Verdict, search, search_in_order
from robot_skills.symbolic.verification import verify
from tests.planners.conftest import make_scene


def card(name: str, needs: list[str], effects: list[str], success: str, when: Sequence[object] = ()) -> Skill:
    return Skill.from_json(
        {
            "name": name, "summary": "", "parameters": {"object": "graspable"}, "preconditions": needs,
            "effects": effects, "success": success, "text": "{object}", "timeout": 1.0, "when": when,
        }
    )  # fmt: skip


#: A kitchen sink: rinsing cleans, and wets what is not wrapped; drying dries what is wet; wrapping wraps.
WASHING = {
    skill.name: skill
    for skill in (
        card("rinse", [], ["clean(object)"], "clean(object)",
             [{"if": "not wrapped(object)", "then": ["wet(object)"]}]),
        card("dry", ["wet(object)"], ["not wet(object)"], "not wet(object)",
             [{"if": "soapy(object)", "then": ["not clean(object)", "not soapy(object)"]}]),
        card("wrap", [], ["wrapped(object)"], "wrapped(object)"),
        card("unwrap", ["wrapped(object)"], ["not wrapped(object)"], "not wrapped(object)",
             [{"if": "wet(object) and not clean(object)", "then": ["soapy(object)"]}]),
    )
}  # fmt: skip
FLUENTS = ("clean", "wet", "wrapped", "soapy")


def kitchen(facts: frozenset[str], things: tuple[str, ...] = ("cup",)) -> SceneGraph:
    entities = tuple(Entity(name, "cup", frozenset({"graspable"})) for name in things)
    return SceneGraph(entities, frozenset(Atom(fact, ("cup",)) for fact in facts))


def cheapest(
    goal: Formula, scene: SceneGraph, skills: Mapping[str, Skill], cost: Mapping[str, float]
) -> float:
    """Uniform-cost search on the scene graphs themselves; infinite without a plan."""
    order = itertools.count()
    queue, closed = [(0.0, next(order), scene)], set()
    while queue:
        spent, _, graph = heapq.heappop(queue)
        if graph.holds(goal):
            return spent
        if graph.facts in closed:
            continue
        closed.add(graph.facts)
        for skill in skills.values():
            for call in skill.groundings(graph):
                if not skill.unmet(call, graph):
                    after = skill.after(call, graph)
                    heapq.heappush(queue, (spent + cost[skill.name], next(order), after))
    return math.inf


literal = st.tuples(st.sampled_from(FLUENTS), st.booleans()).map(
    lambda pair: f"{'' if pair[1] else 'not '}{pair[0]}(cup)"
)


@given(
    facts=st.frozensets(st.sampled_from(FLUENTS)),
    goal=st.lists(literal, min_size=1, max_size=4).map(" and ".join),
    costs=st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=4, max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_conditional_effects_and_costs_agree_with_a_search_of_the_cards(
    facts: frozenset[str], goal: str, costs: list[float]
) -> None:
    scene, wanted = kitchen(facts), parse(goal)
    prices = dict(zip(WASHING, costs, strict=True))
    model = ground(WASHING, scene, lambda call: prices[call.skill])
    result, least = search(model, wanted), cheapest(wanted, scene, WASHING, prices)
    assert (result.verdict is Verdict.FOUND) == math.isfinite(least)
    backwards = chain_back(model, wanted)
    assert (backwards is None) == math.isinf(least)
    if result.verdict is Verdict.FOUND and backwards is not None:
        assert verify(result.plan, wanted, scene, WASHING).ok
        assert verify(backwards, wanted, scene, WASHING).ok
        assert result.cost == pytest.approx(sum(prices[call.skill] for call in result.plan))
        assert least <= result.cost + 1e-9
        assert result.cost <= 1.5 * least + 1e-9


@given(
    facts=st.frozensets(st.sampled_from(FLUENTS)),
    walk=st.lists(st.integers(min_value=0, max_value=99), max_size=12),
)
@settings(max_examples=100, deadline=None)
def test_compiled_conditional_effects_are_the_cards(facts: frozenset[str], walk: list[int]) -> None:
    graph = kitchen(facts)
    model = ground(WASHING, graph)
    state = model.initial
    for number in walk:
        allowed = [action for action in model.actions if action.condition.holds(state)]
        assert {action.call for action in allowed} == {
            call
            for skill in WASHING.values()
            for call in skill.groundings(graph)
            if not skill.unmet(call, graph)
        }
        action = allowed[number % len(allowed)]
        graph, state = WASHING[action.call.skill].after(action.call, graph), action.after(state)
        true = {atom for bit, atom in enumerate(model.fluents) if state >> bit & 1}
        assert true == {fact for fact in graph.facts if fact in model.index}


def test_a_conditional_effect_is_avoided_where_it_does_harm() -> None:
    goal = parse("clean(cup) and not wet(cup) and wrapped(cup)")
    result = search(ground(WASHING, kitchen(frozenset())), goal)
    assert [call.skill for call in result.plan] == ["wrap", "rinse"]


def test_the_replay_looks_a_condition_up_before_the_step() -> None:
    plan = [SkillCall("rinse", {"object": "cup"})]
    assert verify(plan, parse("wet(cup)"), kitchen(frozenset()), WASHING).ok
    assert not verify(plan, parse("wet(cup)"), kitchen(frozenset({"wrapped"})), WASHING).ok


def test_what_a_conditional_effect_adds_excludes_nothing() -> None:
    """`wet` and `wrapped` may be true together, though no step makes both so."""
    model = ground(WASHING, kitchen(frozenset()))
    assert exclusive_pair(parse("wet(cup) and wrapped(cup)"), model) is None
    assert search(model, parse("wet(cup) and wrapped(cup)")).verdict is Verdict.FOUND


def test_card_with_conditions_survives_its_file() -> None:
    for skill in WASHING.values():
        assert Skill.from_json(skill.to_json()) == skill


@pytest.mark.parametrize(
    "when", [[{"if": "wet(object)"}], ["wet(object)"], [{"if": "wet(object)", "then": "clean(object)"}]]
)
def test_a_damaged_condition_is_refused(when: list[object]) -> None:
    with pytest.raises(InputError, match="conditional effect"):
        card("rinse", [], ["clean(object)"], "clean(object)", when)


def test_a_chain_keeps_conditional_effects_that_are_decided() -> None:
    steps = [SkillCall("wrap", {"object": "object"}), SkillCall("rinse", {"object": "object"})]
    chain = compose("wash", steps, WASHING)
    assert parse("wet(object)") not in chain.effects
    scene = kitchen(frozenset())
    assert refuted(chain, SkillCall("wash", {"object": "cup"}), steps, WASHING, scene) is None


def test_a_chain_whose_effects_hang_on_the_scene_has_no_card() -> None:
    steps = [SkillCall("rinse", {"object": "object"}), SkillCall("wrap", {"object": "object"})]
    with pytest.raises(ChainError, match="wrapped"):
        compose("wash", steps, WASHING)


@pytest.fixture(scope="module")
def skills() -> Mapping[str, Skill]:
    return SkillLibrary.open().skills


def test_the_cheaper_of_two_ways_is_taken(skills: Mapping[str, Skill]) -> None:
    """A skill that opens with the elbow takes one step; where it costs five, the hand is emptied first."""
    elbow = replace(skills["open"], name="elbow", preconditions=(parse("not open(target)"),))
    cards = {**skills, "elbow": elbow}
    scene = make_scene(("red block", "blue block"), ["holding(red block)"])
    goal = parse("open(drawer)")
    for price, first in ((0.5, ["elbow"]), (5.0, ["place", "open"])):
        model = ground(cards, scene, lambda call, price=price: price if call.skill == "elbow" else 1.0)
        result = search_in_order(model, goal)
        assert [call.skill for call in result.plan] == first
        assert result.cost == pytest.approx(min(price, 2.0))


def test_order_of_mention_yields_to_cost(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(("red block",), ["in(red block, drawer)", "open(drawer)"])
    model = ground(skills, scene, lambda call: 1.0 if call.skill == "close" else 2.0)
    result = search_in_order(model, parse("pressed(button) and closed(drawer)"))
    assert [call.skill for call in result.plan] == ["press", "close"]
    assert result.cost == pytest.approx(3.0)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_cost_is_a_positive_number(skills: Mapping[str, Skill], price: float) -> None:
    with pytest.raises(InputError, match="cost"):
        ground(skills, make_scene(("red block",)), lambda call: price)


def test_thirty_steps_over_fifteen_things_are_found_and_verified(skills: Mapping[str, Skill]) -> None:
    colours = ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "white", "pink", "grey"]
    blocks, balls = [f"{c} block" for c in colours], [f"{c} ball" for c in colours[:5]]
    towers = [f"on({a}, {b})" for a, b in zip(blocks[5:], blocks[:5], strict=True)]
    scene = make_scene((*blocks, *balls), towers)
    goal = parse(
        " and ".join(f"on({a}, {b})" for a, b in itertools.pairwise(blocks))
        + " and "
        + " and ".join(f"in({ball}, drawer)" for ball in balls)
        + " and closed(drawer) and pressed(button)"
    )
    result = search_in_order(ground(skills, scene), goal, budget=5_000)
    assert result.verdict is Verdict.FOUND
    assert 30 <= len(result.plan) <= 36
    assert verify(result.plan, goal, scene, skills).ok
