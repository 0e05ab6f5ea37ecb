from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from robot_skills.errors import InputError
from robot_skills.execution import Step
from robot_skills.skill import SkillCall
from sim.experts.expert import expert_for
from sim.tabletop import predicates
from sim.tabletop.faults import EARLIEST, LATEST, MOVED, FaultyTabletop, Injected, Mishap, free_place, mishaps
from sim.tabletop.scene import AREA
from sim.tabletop.tasks import Task, sample_task
from sim.tabletop.world import TabletopWorld


def seeds_of(skill: str, mishap: Mishap, world: TabletopWorld) -> Iterator[tuple[Task, FaultyTabletop]]:
    """Episodes of a skill in which a mishap is drawn, ready to begin."""
    for seed in range(40):
        task = sample_task(skill, seed)
        task.start(world)
        faulty = FaultyTabletop(world, 1.0, seed)
        faulty.begin(task.call)
        if faulty.injected[0].mishap is mishap:
            yield task, faulty


def play(faulty: FaultyTabletop, world: TabletopWorld, call: SkillCall, steps: int = 60) -> list[str]:
    """Let the expert carry a call out, through the mishaps; what was said, which ends it."""
    expert = expert_for(call)
    for number in range(steps):
        action, over = expert.act(world.state())
        faulty.act(action)
        step = Step(number, 0.1 * number, world.observe(()), action, float(over))
        said = faulty.on_step(step)
        if said or over:
            faulty.end()
            return [said] if said else []
    faulty.end()
    return []


def test_the_grip_fails_once_the_thing_is_held(world: TabletopWorld) -> None:
    task, faulty = next(seeds_of("place", Mishap.DROP, world))
    name = task.call.args["object"]
    assert predicates.holding(world.state(), name)
    still = world.arm.still()
    for _ in range(LATEST + 8):
        faulty.act(still)
    assert not predicates.holding(world.state(), name)


def test_a_pick_that_loses_its_thing_for_a_moment_has_had_it(world: TabletopWorld) -> None:
    task, faulty = next(seeds_of("pick", Mishap.DROP, world))
    name, held = task.call.args["object"], []
    expert = expert_for(task.call)
    for _ in range(40):
        faulty.act(expert.act(world.state())[0])
        held.append(predicates.holding(world.state(), name))
    first = held.index(True)
    assert False in held[first:]
    assert held[-1]  # the expert takes it again: the grip fails once


def test_somebody_moves_the_thing_and_nothing_else(world: TabletopWorld) -> None:
    task, faulty = next(seeds_of("pick", Mishap.MOVE, world))
    name, before = task.call.args["object"], world.state()
    still = world.arm.still()
    for _ in range(LATEST + 2):
        faulty.act(still)
    after = world.state()
    for other, body in before.bodies.items():
        far = float(np.linalg.norm((after.bodies[other].position - body.position)[:2]))
        assert (MOVED[0] - 0.01 < far < MOVED[1] + 0.01) if other == name else far < 0.003
    assert predicates.on(after, name, "table")


def test_what_was_opened_slides_shut_again(world: TabletopWorld) -> None:
    task, faulty = next(seeds_of("open", Mishap.SHUT, world))
    play(faulty, world, task.call)
    assert predicates.is_closed(world.state(), task.call.args["target"])


def test_the_drawer_slides_shut_before_the_thing_is_in_it(world: TabletopWorld) -> None:
    found = (pair for pair in seeds_of("place", Mishap.SHUT, world))
    task, faulty = next(found)
    assert predicates.is_open(world.state(), "drawer")
    still = world.arm.still()
    for _ in range(LATEST + 21):
        faulty.act(still)
    state = world.state()
    assert predicates.is_closed(state, "drawer")
    assert predicates.holding(state, task.call.args["object"])


def test_a_skill_that_stops_too_early_says_that_it_is_over(world: TabletopWorld) -> None:
    task, faulty = next(seeds_of("push", Mishap.STOP, world))
    said = play(faulty, world, task.call)
    assert said == ["The policy says it is over, and the goal is not reached."]


def test_without_mishaps_it_is_the_world_to_the_bit(world: TabletopWorld) -> None:
    task, digests = sample_task("pick", 3), []
    for faulty in (True, False):
        task.start(world)
        robot = FaultyTabletop(world, 0.0, 3)
        robot.begin(task.call)
        expert = expert_for(task.call)
        for _ in range(12):
            (robot if faulty else world).act(expert.act(world.state())[0])
        robot.end()
        assert robot.injected == []
        digests.append(world.digest())
    assert digests[0] == digests[1]


def test_what_is_drawn_is_fixed_by_seed_and_number(world: TabletopWorld) -> None:
    task = sample_task("place", 5)

    def drawn(seed: int, calls: int = 40) -> list[Injected]:
        task.start(world)
        faulty = FaultyTabletop(world, 0.3, seed)
        for _ in range(calls):
            faulty.begin(task.call)
            faulty.end()
        return faulty.injected

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert drawn(1, 20) == [each for each in drawn(1) if each.number < 20]
    numbers = [each.number for seed in range(20) for each in drawn(seed)]
    assert 0.25 < len(numbers) / 800 < 0.35
    assert all(EARLIEST <= each.step <= LATEST for each in drawn(3))


def test_what_can_go_wrong_hangs_on_the_call(world: TabletopWorld) -> None:
    task = sample_task("pick", 0)
    task.start(world)
    state, name = world.state(), task.call.args["object"]
    table = SkillCall("place", {"object": name, "relation": "on", "target": "table"})
    drawer = SkillCall("place", {"object": name, "relation": "in", "target": "drawer"})
    assert mishaps(SkillCall("press", {"target": "button"}), state) == (Mishap.STOP,)
    assert mishaps(table, state) == (Mishap.STOP, Mishap.DROP)
    assert mishaps(drawer, state) == (Mishap.STOP, Mishap.DROP, Mishap.SHUT)
    assert set(mishaps(task.call, state)) == {Mishap.STOP, Mishap.DROP, Mishap.MOVE}
    for seed in range(20):
        place = free_place(name, state, np.random.default_rng(seed))
        assert place is not None
        assert all(low < at < high for at, (low, high) in zip(place, AREA, strict=False))
    with pytest.raises(InputError, match="between 0 and 1"):
        FaultyTabletop(world, 1.5, 0)
