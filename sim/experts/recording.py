"""Long recordings: several skills in a row on one scene, shown by the experts without a break.

What a person would record who tidies a table and never says where one skill ends and the next begins. Where
they do is known here, and is kept for scoring only.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.library import SkillLibrary
from robot_skills.robot import Float, Image
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from sim.experts.demonstration import HOLD, LIMIT, nearness
from sim.experts.expert import Expert, expert_for
from sim.tabletop import predicates
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import AREA, BUTTON_RADIUS, Scene
from sim.tabletop.state import Body, State
from sim.tabletop.tasks import PUSH_AHEAD, PUSH_BEHIND
from sim.tabletop.world import TabletopWorld

#: Skills in a recording, fewest and most.
SKILLS = (3, 6)
#: Steps for which the arm rests between two skills, fewest and most: a person hesitates, or does not.
PAUSE = (0, 3)
#: Streams of random numbers of a seed; demonstrations of single skills have 1, 77 and 78.
CHOICE_STREAM, NOISE_STREAM = 91, 92
#: Room that the open hand needs around a thing, m.
FINGER_ROOM = 0.03


@dataclass(frozen=True)
class Part:
    """One skill of a recording: rows `start` to `stop` - 1."""

    call: SkillCall
    text: str
    start: int
    stop: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"call": self.call.to_json(), "text": self.text, "start": self.start, "stop": self.stop}


@dataclass(frozen=True)
class Recording:
    """What was seen and what should have been done, N control steps; as in `Demonstration`.

    Attributes:
        images: camera -> (N, H, W, 3) uint8.
        state: (N, 10) float32.
        action: (N, 7) float32, the experts' clean actions.
        target: (N, 3) float32, where the present skill's argument is (simulator state).
        parts: the skills, in order; they cover all rows.
        success: whether every skill reached its goal.
        reason: which one did not, and how.
    """

    images: dict[str, Image]
    state: Float
    action: Float
    target: Float
    parts: tuple[Part, ...]
    scene: dict[str, Any]
    seed: int
    success: bool
    reason: str


def record(world: TabletopWorld, seed: int, noise: float, skills: tuple[int, int] = SKILLS) -> Recording:
    """Record the experts at 3 to 6 skills in a row; the seed fixes everything.

    The number of skills is drawn, then each skill in turn: one of those that may be done in the scene as it
    is (the skill cards' preconditions, and room for the hand), all skills alike, then its arguments. Nothing
    that is done is undone at once: a thing that was just put down is not picked up next.

    Args:
        world: any; it is reset.
        seed: of the scene, the choices and the noise.
        noise: as in `demonstrate`.
        skills: fewest and most.
    """
    rng = np.random.default_rng([seed, CHOICE_STREAM])
    noises = np.random.default_rng([seed, NOISE_STREAM])
    scene = Scene.sample([seed, CHOICE_STREAM])
    world.reset(scene)
    frames: list[dict[str, Any]] = []
    parts: list[Part] = []
    reason, count = "", int(rng.integers(skills[0], skills[1] + 1))
    while len(parts) < count and not reason:
        call = draw_call(world.state(), rng, [part.call for part in parts])
        if call is None:
            reason = "no skill is left to do"
            break
        last = len(parts) == count - 1
        start, pause = len(frames), HOLD - 1 if last else int(rng.integers(PAUSE[0], PAUSE[1] + 1))
        world.begin_command()
        frames += _show(world, expert_for(call), pause, noise * noises.uniform(0.3, 1.0), noises)
        skill = _skills()[call.skill]
        parts.append(Part(call, skill.language(call), start, len(frames)))
        if not scene_graph(world.state()).holds(skill.goal(call)):
            reason = f"{call.skill}: goal not reached"
    stack = {key: np.stack([frame[key] for frame in frames]) for key in frames[0]} if frames else {}
    return Recording(
        images={name: stack[name] for name in world.spec.cameras if name in stack},
        state=stack.get("state", np.zeros((0, len(world.spec.state_names)), np.float32)),
        action=stack.get("action", np.zeros((0, 7), np.float32)),
        target=stack.get("aim", np.zeros((0, 3))).astype(np.float32),
        parts=tuple(parts),
        scene=scene.to_json(),
        seed=seed,
        success=not reason,
        reason=reason,
    )


def draw_call(state: State, rng: np.random.Generator, before: list[SkillCall]) -> SkillCall | None:
    """A skill call that may be carried out now; None if there is none."""
    graph = scene_graph(state)
    options: dict[str, list[SkillCall]] = {}
    for name, skill in sorted(_skills().items()):
        calls = [call for call in _possible(skill, graph) if _sensible(call, state, before)]
        if calls:
            options[name] = calls
    if not options:
        return None
    chosen = options[sorted(options)[int(rng.integers(len(options)))]]
    return chosen[int(rng.integers(len(chosen)))]


@functools.cache
def _skills() -> Mapping[str, Skill]:
    """The packaged cards: when a skill may be done, and when it has succeeded."""
    return SkillLibrary.open().skills


def _possible(skill: Skill, graph: SceneGraph) -> Iterator[SkillCall]:
    for call in skill.groundings(graph):
        if not skill.unmet(call, graph) and not graph.holds(skill.goal(call)):
            yield call


def _sensible(call: SkillCall, state: State, before: list[SkillCall]) -> bool:
    """Whether the hand has room for it, and it does not undo what was just done."""
    name, last = call.args.get("object", ""), before[-1] if before else None
    if last is not None and call.skill == "pick" and last.args.get("object") == name:
        return False
    if last is not None and {call.skill, last.skill} == {"open", "close"} and call.args == last.args:
        return False
    if call.skill == "pick":
        return _room_around(state.bodies[name], state)
    if call.skill == "push":
        return _room_to_push(state.bodies[name], call.args["direction"], state)
    # The door's and the drawer's way is never blocked: objects stand clear of both.
    return call.skill != "place" or call.args["target"] != "drawer" or predicates.is_open(state, "drawer")


def _others(body: Body, state: State) -> list[tuple[NDArray[np.float64], float]]:
    """Middle and radius of everything else that stands on the table."""
    footprint = {"block": 0.62}
    others = [
        (other.position[:2], footprint.get(other.kind, 0.5) * other.width)
        for other in state.bodies.values()
        if other.name != body.name
    ]
    return [*others, (state.handles["button"][:2], BUTTON_RADIUS)]


def _room_around(body: Body, state: State) -> bool:
    gaps = [float(np.linalg.norm(place - body.position[:2])) - size for place, size in _others(body, state)]
    (x_low, x_high), (y_low, y_high) = AREA
    x, y = body.position[:2]
    inside = x_low - 0.03 < x < x_high + 0.03 and y_low - 0.03 < y < y_high + 0.03
    return inside and body.up[2] > 0.9 and min(gaps) > body.width / 2 + FINGER_ROOM


def _room_to_push(body: Body, direction: str, state: State) -> bool:
    """As `sim.tabletop.tasks` asks of a scene, of things as they stand now."""
    heading, centre = predicates.HEADINGS[direction], body.position[:2]
    radius = body.width * (0.62 if body.kind == "block" else 0.5)
    (x_low, x_high), (y_low, y_high) = AREA
    for x, y in (centre + (PUSH_AHEAD + radius) * heading, centre - PUSH_BEHIND * heading):
        if not (x_low - 0.02 < x < x_high + 0.02 and y_low < y < y_high):
            return False
    for place, size in _others(body, state):
        along = float(np.clip((place - centre) @ heading, -PUSH_BEHIND, PUSH_AHEAD))
        if np.linalg.norm(place - centre - along * heading) < size + radius + 0.02:
            return False
    return True


def _show(
    world: TabletopWorld, expert: Expert, pause: int, scale: float, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Run one expert until its skill is over, and `pause` steps more."""
    frames: list[dict[str, Any]] = []
    over = 0
    while over < pause + 1 and len(frames) < LIMIT:
        state, seen = world.state(), world.observe()
        action, ended = expert.act(state)
        aim = expert.target(state)
        over = over + 1 if ended or over else 0
        frames.append({**seen.images, "state": seen.state, "action": action, "aim": aim})
        executed = action.copy()
        if over == 0:
            executed[:3] += rng.normal(0.0, scale * nearness(state.tool - aim), 3)
        world.act(np.clip(executed, -1.0, 1.0))
    return frames
