from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import Formula, parse, parse_atom
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Outcome, Skill, SkillCall, Status
from robot_skills.symbolic.closed_loop import Costs, Event, RunResult, plan_to, run_command
from robot_skills.symbolic.diagnosis import Answer, Budgets, Failure
from robot_skills.symbolic.model import same_for_all
from robot_skills.symbolic.question import Ask, Choice, Question
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

    def run(
        self,
        on_event: Callable[[Event], None] = lambda event: None,
        budgets: Budgets | None = None,
        goal: Formula = GOAL,
        ask: Ask | None = None,
        costs: Costs = lambda scene: same_for_all,
    ) -> RunResult:
        plan = plan_to(goal, self.scene, self.skills)
        assert plan is not None
        return run_command(
            goal,
            plan,
            self.skills,
            lambda: self.scene,
            self.execute,
            budgets=budgets,
            ask=ask,
            costs=costs,
            on_event=on_event,
        )


def changed(*effects: str) -> Callable[[SceneGraph], SceneGraph]:
    def change(scene: SceneGraph) -> SceneGraph:
        return scene.apply([parse(effect) for effect in effects])

    return change


def names(result: RunResult) -> list[str]:
    return [outcome.call.skill for outcome in result.outcomes]


def told(result: RunResult) -> list[tuple[Failure, Answer]]:
    return [(what.failure, answer) for what, answer in result.diagnoses]


def test_a_plan_that_works_is_carried_out_once(skills: Mapping[str, Skill]) -> None:
    result = ToyWorld(make_scene(OBJECTS), skills).run()
    assert (result.success, result.replans) == (True, 0)
    assert names(result) == ["open", "pick", "place", "close"]
    assert set(result.to_json()) == {"outcomes", "replans", "success", "diagnoses"}
    assert result.diagnoses == ()


def test_a_failed_pick_is_tried_again(skills: Mapping[str, Skill]) -> None:
    result = ToyWorld(make_scene(OBJECTS), skills, {1: Status.FAILED}).run()
    assert (result.success, result.replans) == (True, 0)
    assert told(result) == [(Failure.EFFECT_MISSING, Answer.RESUME)]
    assert names(result) == ["open", "pick", "pick", "place", "close"]
    assert result.outcomes[1].status is Status.FAILED


def test_a_drawer_that_slides_shut_is_opened_again(skills: Mapping[str, Skill]) -> None:
    """Pick reports success, but meanwhile the drawer closed: the arm must put the block down to open it."""
    shut = changed("holding(red block)", "not on(red block, table)", "not open(drawer)")
    result = ToyWorld(make_scene(OBJECTS), skills, {1: shut}).run()
    assert (result.success, result.replans) == (True, 1)
    assert told(result) == [(Failure.PRECONDITION_LOST, Answer.REPLAN)]
    assert names(result) == ["open", "pick", "place", "open", "pick", "place", "close"]


def test_a_dropped_block_is_noticed_though_the_skill_says_it_succeeded(skills: Mapping[str, Skill]) -> None:
    dropped = changed("not holding(red block)", "on(red block, green block)")
    seen: list[Event] = []
    result = ToyWorld(make_scene(OBJECTS), skills, {2: dropped}).run(seen.append)
    assert (result.success, result.replans) == (True, 0)
    assert told(result) == [(Failure.SLIPPED, Answer.RESUME)]
    assert names(result) == ["open", "pick", "place", "pick", "place", "close"]
    assert any("yet the scene does not show it" in event.text for event in seen)
    (diagnosed,) = (event for event in seen if event.kind == "diagnosis")
    assert "The red block slipped: it is on the green block." in diagnosed.text


def test_a_skill_that_timed_out_but_worked_is_not_repeated(skills: Mapping[str, Skill]) -> None:
    world = ToyWorld(make_scene(OBJECTS), skills)

    def slow(call: SkillCall) -> Outcome:
        done = world.execute(call)
        return Outcome(call, Status.TIMED_OUT, "late", done.steps, done.seconds)

    plan = plan_to(GOAL, world.scene, skills)
    assert plan is not None
    result = run_command(GOAL, plan, skills, lambda: world.scene, slow)
    assert (result.success, result.replans, len(result.outcomes)) == (True, 0, 4)


def test_it_gives_up_when_its_budgets_are_spent(skills: Mapping[str, Skill]) -> None:
    """A drawer that never opens: tried twice more, no other skill can help, three new plans."""
    seen: list[Event] = []
    result = ToyWorld(make_scene(OBJECTS), skills, dict.fromkeys(range(9), Status.FAILED)).run(seen.append)
    assert (result.success, result.replans, len(result.outcomes)) == (False, 3, 6)
    assert "Gave up after 3 new plans" in result.reason
    assert [event.kind for event in seen].count("replan") == 3
    assert [answer for _, answer in result.diagnoses] == [
        *[Answer.RESUME] * 2, *[Answer.REPLAN] * 3, Answer.ABORT,
    ]  # fmt: skip
    assert seen[-1].kind == "end"


def test_without_budgets_the_first_failure_ends_it(skills: Mapping[str, Skill]) -> None:
    world = ToyWorld(make_scene(OBJECTS), skills, {0: Status.FAILED})
    result = world.run(budgets=Budgets(0, 0, 0, 0))
    assert (result.success, len(result.outcomes)) == (False, 1)
    with pytest.raises(InputError, match="retries is 0 or more"):
        Budgets(retries=-1)


def test_a_thing_that_cannot_be_grasped_is_pushed_first(skills: Mapping[str, Skill]) -> None:
    """Two tries of a pick do not end; a push changes where the thing lies and nothing that the plan needs."""
    late = dict.fromkeys((1,), Status.TIMED_OUT)
    result = ToyWorld(make_scene(OBJECTS), skills, late).run()
    assert told(result) == [(Failure.TIMED_OUT, Answer.DETOUR)]
    assert names(result) == ["open", "pick", "push", "pick", "place", "close"]
    assert result.outcomes[2].call.args["object"] == "red block"
    assert result.success


def test_what_cannot_be_placed_is_put_down_and_taken_anew(skills: Mapping[str, Skill]) -> None:
    result = ToyWorld(make_scene(OBJECTS), skills, {2: Status.TIMED_OUT}).run()
    assert names(result) == ["open", "pick", "place", "place", "pick", "place", "close"]
    assert result.outcomes[3].call.args == {"object": "red block", "relation": "on", "target": "table"}
    assert (result.success, result.replans) == (True, 0)


def test_what_is_held_from_the_start_can_be_put_down_too(skills: Mapping[str, Skill]) -> None:
    """The plan holds no pick to go back to: one is planned."""
    scene = make_scene(OBJECTS, ["holding(red block)", "open(drawer)"])
    result = ToyWorld(scene, skills, {0: Status.TIMED_OUT}).run()
    assert told(result) == [(Failure.TIMED_OUT, Answer.DETOUR)]
    assert names(result) == ["place", "place", "pick", "place", "close"]
    assert result.outcomes[1].call.args["target"] == "table"


def test_detours_are_chosen_by_what_they_cost(skills: Mapping[str, Skill]) -> None:
    def costs(scene: SceneGraph) -> Callable[[SkillCall], float]:
        return lambda call: 0.5 if call.args.get("direction") == "back" else 1.0

    result = ToyWorld(make_scene(OBJECTS), skills, {1: Status.TIMED_OUT}).run(costs=costs)
    assert result.outcomes[2].call.args["direction"] == "back"


def test_the_wrong_thing_is_put_down(skills: Mapping[str, Skill]) -> None:
    wrong = changed("holding(green block)", "not on(green block, table)")
    result = ToyWorld(make_scene(OBJECTS), skills, {1: wrong}).run()
    assert told(result) == [(Failure.WRONG_THING, Answer.REPLAN)]
    assert names(result) == ["open", "pick", "place", "pick", "place", "close"]
    assert result.outcomes[2].call.args["object"] == "green block"
    assert result.success


def test_help_is_asked_for_and_taken(skills: Mapping[str, Skill]) -> None:
    """A block in a bowl is out of reach of the skills, and not of a person."""
    lost = changed("in(red block, blue bowl)", "not holding(red block)")
    world = ToyWorld(make_scene((*OBJECTS, "blue bowl")), skills, {2: lost})
    asked: list[Question] = []

    def take_it_out(question: Question) -> Choice:
        asked.append(question)
        world.scene = changed("on(red block, table)", "not in(red block, *)")(world.scene)
        return Choice.AGAIN

    result = world.run(ask=take_it_out)
    assert result.success
    assert told(result) == [(Failure.NOT_POSSIBLE, Answer.ASK)]
    assert "it is in the blue bowl" in asked[0].text


@pytest.mark.parametrize(
    ("choice", "questions", "reason"),
    [
        (Choice.AGAIN, 3, "No plan leads to in(red block, drawer) and closed(drawer) from here."),
        (Choice.LEAVE, 1, "No plan leads to in(red block, drawer) and closed(drawer) from here."),
        (None, 1, "look again and try again, do the rest without it or leave it?"),
    ],
)
def test_a_question_that_does_not_help_ends_the_run(
    skills: Mapping[str, Skill], choice: Choice | None, questions: int, reason: str
) -> None:
    """Three questions are asked at most, and one that nobody answers is the reason."""
    lost = changed("in(red block, blue bowl)", "not holding(red block)")
    asked: list[Question] = []

    def answer(question: Question) -> Choice | None:
        asked.append(question)
        return choice

    result = ToyWorld(make_scene((*OBJECTS, "blue bowl")), skills, {2: lost}).run(ask=answer)
    assert not result.success
    assert told(result) == [
        *[(Failure.NOT_POSSIBLE, Answer.ASK)] * questions,
        (Failure.NOT_POSSIBLE, Answer.ABORT),
    ]
    assert len(asked) == questions
    assert reason in result.reason


def test_the_rest_is_done_where_the_whole_cannot_be(skills: Mapping[str, Skill]) -> None:
    """The block is out of reach in the bowl; the drawer can be closed, and that is not taken for success."""
    lost = changed("in(red block, blue bowl)", "not holding(red block)")
    world = ToyWorld(make_scene((*OBJECTS, "blue bowl")), skills, {2: lost})
    result = world.run(ask=lambda question: Choice.REST)
    assert names(result) == ["open", "pick", "place", "close"]
    assert world.scene.holds(parse("closed(drawer)"))
    assert (result.success, result.replans) == (False, 0)
    assert result.reason == "The rest is done. At the end the goal lacks in(red block, drawer)."


def test_the_rest_is_offered_where_there_is_one(skills: Mapping[str, Skill]) -> None:
    lost = changed("in(red block, blue bowl)", "not holding(red block)")
    scene = make_scene((*OBJECTS, "blue bowl"))
    offered: list[tuple[Choice, ...]] = []

    def answer(question: Question) -> Choice:
        offered.append(question.options)
        return Choice.LEAVE

    for goal in ("in(red block, drawer)", "in(red block, drawer) and open(drawer)"):
        ToyWorld(scene, skills, {2: lost}).run(ask=answer, goal=parse(goal))
    assert offered == [(Choice.AGAIN, Choice.LEAVE)] * 2, "an open drawer is open already"


def test_another_try_is_granted_with_all_that_may_be_tried(skills: Mapping[str, Skill]) -> None:
    """A pick that fails until the person has said three times that it should go on."""
    asked: list[Question] = []

    def answer(question: Question) -> Choice:
        asked.append(question)
        if len(asked) == 2:
            world.mishaps.clear()
        return Choice.AGAIN

    world = ToyWorld(make_scene(OBJECTS), skills, dict.fromkeys(range(1, 200), Status.FAILED))
    result = world.run(ask=answer)
    assert result.success
    assert len(asked) == 2
    assert "Gave up after 3 new plans." in asked[0].text
    assert "Gave up after 6 new plans." in asked[1].text
    assert result.replans == 6


def test_looking_again_once_things_are_at_rest_is_enough(skills: Mapping[str, Skill]) -> None:
    """The block is still falling into the drawer when place says that it is over."""
    world = ToyWorld(
        make_scene(OBJECTS), skills, {2: changed("not holding(red block)", "not on(red block, *)")}
    )

    def settle(holding: bool) -> None:
        assert not holding
        if world.steps == 3:
            world.scene = changed("in(red block, drawer)")(world.scene)

    plan = plan_to(GOAL, world.scene, skills)
    assert plan is not None
    result = run_command(GOAL, plan, skills, lambda: world.scene, world.execute, withdraw=settle)
    assert (result.success, told(result)) == (True, [(Failure.EFFECT_MISSING, Answer.LOOK)])
    assert names(result) == ["open", "pick", "place", "close"]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 12), st.sampled_from(["failed", "late", "slip", "shut", "help"])))
def test_whatever_happens_it_ends_and_tells_the_truth(what: dict[int, str]) -> None:
    """Mishaps at any steps: it ends within its budgets, never runs a step that cannot begin, and knows."""
    cards = SkillLibrary.open().skills
    mishaps: dict[str, Callable[[SceneGraph], SceneGraph] | Status] = {
        "failed": Status.FAILED,
        "late": Status.TIMED_OUT,
        "slip": lambda scene: _slipped(scene),
        "shut": changed("not open(drawer)"),
        "help": changed("in(red block, drawer)", "not on(red block, *)", "not holding(red block)"),
    }
    world = ToyWorld(make_scene(OBJECTS), cards, {step: mishaps[name] for step, name in what.items()})
    result = world.run()
    assert result.success == world.scene.holds(GOAL)
    assert len(result.outcomes) < 40
    assert result.success or len(what) > 2


def _slipped(scene: SceneGraph) -> SceneGraph:
    held = [fact.args[0] for fact in scene.facts if fact.predicate == "holding"]
    return changed(*(text for thing in held for text in (f"not holding({thing})", f"on({thing}, table)")))(
        scene
    )


def test_it_says_when_the_goal_has_become_impossible(skills: Mapping[str, Skill]) -> None:
    """The block falls into a bowl, from where no skill takes it out."""
    lost = changed("in(red block, blue bowl)", "not holding(red block)")
    result = ToyWorld(make_scene((*OBJECTS, "blue bowl")), skills, {2: lost}).run()
    assert (result.success, result.replans) == (False, 0)
    assert "No plan leads to" in result.reason
    assert told(result) == [(Failure.NOT_POSSIBLE, Answer.ABORT)]


def test_it_stops_when_stopped(skills: Mapping[str, Skill]) -> None:
    for status in (Status.PREEMPTED, Status.ABORTED):
        result = ToyWorld(make_scene(OBJECTS), skills, {1: status}).run()
        assert (result.success, result.replans, len(result.outcomes)) == (False, 0, 2)
        assert status.value in result.reason
        assert told(result) == [(Failure.STOPPED, Answer.ABORT)]


def test_help_from_outside_saves_steps(skills: Mapping[str, Skill]) -> None:
    helped = changed("open(drawer)", "in(red block, drawer)", "not on(red block, table)")
    result = ToyWorld(make_scene(OBJECTS), skills, {0: helped}).run()
    assert (result.success, names(result)) == (True, ["open", "close"])


def test_no_plan_when_there_is_none(skills: Mapping[str, Skill]) -> None:
    scene = make_scene(("red ball", "yellow ball"))
    assert plan_to(parse_atom("on(red ball, yellow ball)"), scene, skills) is None
    assert plan_to(parse_atom("on(red ball, table)"), scene, skills) == ()
