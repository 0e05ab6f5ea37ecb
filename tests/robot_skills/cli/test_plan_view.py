from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.planner import PlanResult
from robot_skills.cli.plan_view import Story, page
from robot_skills.cli.scene_picture import picture
from robot_skills.logic import Atom, parse
from robot_skills.scene_graph import Entity, SceneGraph
from robot_skills.skill import Outcome, Skill, SkillCall, Status
from robot_skills.symbolic.closed_loop import Event, run_command
from robot_skills.symbolic.journal import Journal, foreseen
from tests.planners.conftest import make_scene, skills  # noqa: F401  (a fixture)

OBJECTS = ("red block", "green block", "blue cylinder", "yellow ball", "white bowl")


class Page(HTMLParser):
    """What a browser makes of it: tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == [], "every element ends"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta" and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)
        self.attributes += attrs

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "elements end in the order in which they began"

    def handle_data(self, data: str) -> None:
        self.text += data


def planned(command: str, goal: str, *calls: str) -> PlanResult:
    return PlanResult(command, parse(goal), tuple(map(SkillCall.parse, calls)), True, None, None, 0.1)


@pytest.fixture
def story(skills: Mapping[str, Skill]) -> Story:  # noqa: F811
    scene = make_scene(OBJECTS)
    result = planned("put it in", "in(red block, white bowl)", "pick(object=red block)",
                     "place(object=red block, relation=in, target=white bowl)")  # fmt: skip
    return Story(result, scene, foreseen(result.plan, scene, skills))


def test_the_page_shows_each_step_with_what_it_changes(story: Story) -> None:
    shown = Page(page(story))
    assert shown.tags.count("section") == 2
    assert shown.tags.count("svg") == 5
    for said in ("put it in", "in(red block, white bowl)", 'pick(object="red block")', "holding(red block)"):
        assert said in shown.text
    assert "What the plan promises" in shown.text


def test_a_run_is_told_with_its_outcomes_and_new_plans(skills: Mapping[str, Skill]) -> None:  # noqa: F811
    scene = make_scene(OBJECTS)
    tries = iter([Status.FAILED, Status.SUCCEEDED])

    def execute(call: SkillCall) -> Outcome:
        nonlocal scene
        status = next(tries)
        if status is Status.SUCCEEDED:
            scene = skills[call.skill].after(call, scene)
        return Outcome(call, status, "It slipped." if status is Status.FAILED else "Over.", 7, 0.5)

    journal = Journal(lambda: scene)
    result = planned("open it", "open(drawer)", "open(target=drawer)")
    before = scene
    done = run_command(
        parse("open(drawer)"), result.plan, skills, journal.look, execute, on_event=journal.note
    )
    assert done.success
    steps = [entry for entry in journal.entries if entry.outcome]
    assert [step.outcome.status for step in steps if step.outcome] == [Status.FAILED, Status.SUCCEEDED]
    assert steps[0].changes() == ((), ())
    assert steps[1].changes() == ((Atom("open", ("drawer",)),), ())
    assert any(entry.trouble for entry in journal.entries)
    told = Story(result, before, journal.entries, True, done.reason, "I opened the drawer.", "films/a b.mp4")
    shown = Page(page(told))
    for said in ("Done.", "I opened the drawer.", "It slipped.", "Not as it should be.", "7 control steps"):
        assert said in shown.text
    assert ("href", "films/a b.mp4") in shown.attributes


HOSTILE = st.text(min_size=1, max_size=30) | st.sampled_from(
    ["<script>alert(1)</script>", '"><img src=x onerror=y>', "</style><script>", "]]>", "<!--", "&lt;",
     "javascript:x"]
)  # fmt: skip


@given(HOSTILE, HOSTILE, HOSTILE)
def test_names_and_words_never_become_tags(name: str, command: str, reason: str) -> None:
    plain = make_scene(OBJECTS)
    table = plain.entity("table")
    thing = Entity(name, "block", frozenset({"graspable", "support"}), {"colour": name})
    scene = SceneGraph((thing, table), frozenset({Atom("on", (name, "table"))}))
    card = make_call(name)
    result = PlanResult(command, Atom("holding", (name,)), (card,), True, None, None, 0.1, note=reason)
    held = scene.apply([Atom("holding", (name,))])
    journal = Journal(lambda: scene)
    journal.look()
    journal.note(Event("step", "", card))
    journal.note(Event("outcome", "", card, Outcome(card, Status.FAILED, reason, 1, 0.1)))
    journal.note(Event("replan", reason, plan=(card,)))
    shown = Page(page(Story(result, held, journal.entries, False, reason, reason, name)))
    assert not {"script", "img", "iframe", "object", "link", "form"} & set(shown.tags)
    assert not any(key.startswith("on") for key, _ in shown.attributes)
    assert shown.tags.count("style") == 1


def make_call(name: str) -> SkillCall:
    return SkillCall("pick", {"object": name})


@pytest.mark.parametrize(
    "facts",
    [
        [],
        ["on(red block, green block)", "on(blue cylinder, red block)"],
        ["in(red block, drawer)", "in(yellow ball, white bowl)", "open(drawer)"],
        ["holding(red block)", "ajar(drawer)", "pressed(button)"],
    ],
)
def test_a_picture_is_svg_with_each_thing_once(facts: list[str]) -> None:
    scene = make_scene(OBJECTS, facts)
    tree = ElementTree.fromstring(picture(scene, frozenset({"red block"})))
    titles = [title.text for title in tree.iter("title")]
    assert sorted(map(str, titles)) == sorted(e.name for e in scene.entities if e.kind != "table")
    marked = [group for group in tree.iter("g") if "marked" in group.get("class", "")]
    assert [group.findtext("title") for group in marked] == ["red block"]
    view = [float(part) for part in tree.get("viewBox", "").split()]
    for shape in tree.iter("rect"):
        assert -1 <= float(shape.get("x", "0")) <= view[2]
        assert -1 <= float(shape.get("y", "0")) <= view[3]


def test_many_things_stand_in_rows_that_fit_a_phone() -> None:
    names = [
        f"{colour} {kind}" for colour in ("red", "green", "blue") for kind in ("block", "ball", "cylinder")
    ]
    tower = [f"on({above}, {below})" for above, below in pairwise(names[:6])]
    for facts in ([], tower):
        tree = ElementTree.fromstring(picture(make_scene(names, facts)))
        _, _, width, height = (float(part) for part in tree.get("viewBox", "").split())
        assert width <= 400
        shapes = [shape for group in tree.iter("g") for shape in group if shape.tag == "rect"]
        assert all(float(shape.get("y", "0")) >= 0 for shape in shapes)
        assert all(float(shape.get("y", "0")) + float(shape.get("height", "0")) <= height for shape in shapes)
        floors = [float(line.get("y1", "0")) for line in tree.iter("line")]
        assert len(floors) == -(-(len(names) + 3 - len(facts)) // 4)
        assert floors == sorted(floors)


def test_the_page_says_how_sure_the_plan_is(story: Story) -> None:
    assert "works at its first try" not in page(story)
    sure = replace(story, result=replace(story.result, expected_success=0.931))
    assert "Chance that each step works at its first try: 93%" in Page(page(sure)).text


def test_a_page_asks_nothing_of_the_network(story: Story, tmp_path: Path) -> None:
    text = page(story)
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text
