from __future__ import annotations

from collections.abc import Callable, Mapping

from robot_skills.logic import parse, parse_atom
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, Skill, SkillCall, Status
from robot_skills.symbolic.closed_loop import Event, RunResult, plan_to, run_command
from tests.planners.conftest import make_scene

GOAL = parse("in(red block, drawer) and closed(drawer)")
OBJECTS = ("red block", "green block")


class ToyWorld:
    """A symbolic world: skills do what their cards say, except at the steps where a mishap is due."""

    def __init__(
        self,
        scene: SceneGraph,
        skills: Mapping[str, Skill],
        mishaps: Mapping[int, Callable[[SceneGraph], SceneGraph] | Status] | None = None,
    ) -> None:
        self.scene, self.skills, self.mishaps, self.steps = scene, skills, dict(mishaps or {}), 0

    def execute(self, call: SkillCall) -> Outcome:
        assert not self.skills[call.skill].unmet(call, self.scene), (
            f"{call} was run without its preconditions"
        )
        mishap = self.mishaps.get(self.steps)
        self.steps += 1
        if isinstance(mishap, Status):
            return Outcome(call, mishap, "as the test wants it", 3, 0.1)
        self.scene = mishap(self.scene) if mishap else self.skills[call.skill].after(call, self.scene)
        return Outcome(call, Status.SUCCEEDED, "done", 10, 0.5)

    def run(self, on_event: Callable[[Event], None] = lambda event: None, max_replans: int = 3) -> RunResult:
        plan = plan_to(GOAL, self.scene, self.skills)
        assert plan is not None
        return run_command(
            GOAL,
            plan,
            self.skills,
            lambda: self.scene,
            self.execute,
            max_replans=max_replans,
            on_event=on_event,
        )


def changed(*effects: str) -> Callable[[SceneGraph], SceneGraph]:
    def change(scene: SceneGraph) -> SceneGraph:
        return scene.apply([parse(effect) for effect in effects])

    return change


def names(result: RunResult) -> list[str]:
    return [outcome.call.skill for outcome in result.outcomes]


def test_a_plan_that_works_is_carried_out_once(skills: Mapping[str, Skill]) -> None:
    result = ToyWorld(make_scene(OBJECTS), skills).run()
    assert (result.success, result.replans) == (True, 0)
    assert names(result) == ["open", "pick", "place", "close"]
    assert set(result.to_json()) == {"outcomes", "replans", "success"}


def test_a_failed_pick_is_tried_again(skills: Mapping[str, Skill]) -> None:
    result = ToyWorld(make_scene(OBJECTS), skills, {1: Status.FAILED}).run()
    assert (result.success, result.replans) == (True, 1)
    assert names(result) == ["open", "pick", "pick", "place", "close"]
    assert result.outcomes[1].status is Status.FAILED


def test_a_drawer_that_slides_shut_is_opened_again(skills: Mapping[str, Skill]) -> None:
    """Pick reports success, but meanwhile the drawer closed: the arm must put the block down to open it."""
    shut = changed("holding(red block)", "not on(red block, table)", "not open(drawer)")
    result = ToyWorld(make_scene(OBJECTS), skills, {1: shut}).run()
    assert (result.success, result.replans) == (True, 1)
    assert names(result) == ["open", "pick", "place", "open", "pick", "place", "close"]


def test_a_dropped_block_is_noticed_though_the_skill_says_it_succeeded(skills: Mapping[str, Skill]) -> None:
    dropped = changed("not holding(red block)", "on(red block, green block)")
    seen: list[Event] = []
    result = ToyWorld(make_scene(OBJECTS), skills, {2: dropped}).run(seen.append)
    assert (result.success, result.replans) == (True, 1)
    assert any("yet the scene does not show it" in event.text for event in seen)


def test_a_skill_that_timed_out_but_worked_is_not_repeated(skills: Mapping[str, Skill]) -> None:
    world = ToyWorld(make_scene(OBJECTS), skills)

    def slow(call: SkillCall) -> Outcome:
        done = world.execute(call)
        return Outcome(call, Status.TIMED_OUT, "late", done.steps, done.seconds)

    plan = plan_to(GOAL, world.scene, skills)
    assert plan is not None
    result = run_command(GOAL, plan, skills, lambda: world.scene, slow)
    assert (result.success, result.replans, len(result.outcomes)) == (True, 0, 4)


def test_it_gives_up_after_three_new_plans(skills: Mapping[str, Skill]) -> None:
    seen: list[Event] = []
    result = ToyWorld(make_scene(OBJECTS), skills, dict.fromkeys(range(9), Status.FAILED)).run(seen.append)
    assert (result.success, result.replans, len(result.outcomes)) == (False, 3, 4)
    assert "Gave up after 3 new plans" in result.reason
    assert [event.kind for event in seen].count("replan") == 3
    assert seen[-1].kind == "end"


def test_it_says_when_the_goal_has_become_impossible(skills: Mapping[str, Skill]) -> None:
    """The block falls into a bowl, from where no skill takes it out."""
    lost = changed("in(red block, blue bowl)", "not holding(red block)")
    result = ToyWorld(make_scene((*OBJECTS, "blue bowl")), skills, {2: lost}).run()
    assert (result.success, result.replans) == (False, 0)
    assert "No plan leads to" in result.reason


def test_it_stops_when_stopped(skills: Mapping[str, Skill]) -> None:
    for status in (Status.PREEMPTED, Status.ABORTED):
        result = ToyWorld(make_scene(OBJECTS), skills, {1: status}).run()
        assert (result.success, result.replans, len(result.outcomes)) == (False, 0, 2)
        assert status.value in result.reason


def test_help_from_outside_saves_steps(skills: Mapping[str, Skill]) -> None:
    helped = changed("open(drawer)", "in(red block, drawer)", "not on(red block, table)")
    result = ToyWorld(make_scene(OBJECTS), skills, {0: helped}).run()
    assert (result.success, names(result)) == (True, ["open", "close"])


def test_no_plan_when_there_is_none(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(("red ball", "yellow ball"))
    assert plan_to(parse_atom("on(red ball, yellow ball)"), scene, skills) is None
    assert plan_to(parse_atom("on(red ball, table)"), scene, skills) == ()
