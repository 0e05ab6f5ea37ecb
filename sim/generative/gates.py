"""The twelve gates: what a proposed task has to stand up to before anybody learns from it.

Each gate is a question with a number behind it; a task falls at the first that it fails, with the reason. The
gates on one task are a pure function of the task (`examine`); novelty, which is about the others, is asked
where those are known (`novelty.Archive`). The failures that each gate was made for were seen in released
systems; `docs/generate.md` names them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from robot_skills.errors import InputError
from robot_skills.logic import Formula, parse
from robot_skills.robot import ACTION_SIZE
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.verification import verify
from robot_skills.training.statistics import wilson_interval
from sim.generative.decomposition import decompose, steps_of
from sim.generative.goal_state import realise, variants
from sim.generative.keyposes import keyposes
from sim.generative.placement import PlacementError
from sim.generative.schema import check_schema
from sim.generative.static import static_state
from sim.generative.task import Step, Task
from sim.generative.trial import Trial, attempt, replay
from sim.tabletop.oracle import scene_graph
from sim.tabletop.world import TabletopWorld

GATES = (
    "schema", "novelty", "determinism", "settles", "unsolved", "satisfiable", "near_misses", "reachable",
    "solvable", "holds", "replay", "coverage",
)  # fmt: skip
#: Episodes of a task are numbered: these are looked at by the gates before `solvable`, ...
LOOKED_AT = 6
#: ... or up to so many, until every branch of a condition has come up; ...
MOST_LOOKED_AT = 16
#: ... and these, which no gate has seen, are solved.
FIRST_FRESH = 1_000


@dataclass(frozen=True)
class Strictness:
    """The numbers behind the gates.

    Attributes:
        scenes: that settle, are looked at for determinism, keyposes and goal states.
        initial: scenes in which the goal must not hold at the beginning; 0 of 200 bounds the share of solved
            beginnings below 2 % (95 %, Wilson).
        random: scenes in which random motion of 2 s must not reach the goal either.
        penetration: how deep things may be in each other at the beginning, m.
        drift: how far a thing may move in the first second, m.
        speed: how fast a thing may be after it, m/s.
        trials: fresh scenes in which the task is tried.
        solved: what the lower end of the 95 % interval of the success rate must reach.
        replays: successful trials that are replayed; all must come out the same to the bit.
        coverage: share of the places at which things began that some success began at.
    """

    scenes: int = LOOKED_AT
    initial: int = 200
    random: int = 6
    penetration: float = 0.001
    drift: float = 0.005
    speed: float = 0.01
    trials: int = 20
    solved: float = 0.5
    replays: int = 3
    coverage: float = 0.8


@dataclass
class Verdict:
    """What the gates found.

    Attributes:
        gate: at which the task fell; None when it passed them all.
        reason: why, one line.
        steps: how its first scene is solved.
        successes: of the fresh trials.
        trials: how many there were.
        interval: of the success rate, 95 %, Wilson.
        control_steps: of a successful trial, on average.
        coverage: share of the places at which things began that some success began at.
        seconds: processor time by gate.
    """

    gate: str | None = None
    reason: str = ""
    steps: tuple[Step, ...] = ()
    successes: int = 0
    trials: int = 0
    interval: tuple[float, float] = (0.0, 1.0)
    control_steps: float = 0.0
    coverage: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Whether no gate was failed."""
        return self.gate is None


def examine(
    world: TabletopWorld, task: Task, skills: Mapping[str, Skill], strictness: Strictness | None = None
) -> Verdict:
    """Ask every gate but novelty about a task.

    Args:
        world: any; it is reset.
        task: what is asked about.
        skills: the cards.
        strictness: the numbers behind the gates.
    """
    examination = Examination(world, task, skills, strictness or Strictness())
    for gate, ask in QUESTIONS.items():
        began = time.process_time()
        try:
            reason = ask(examination)
        except PlacementError as error:  # whichever gate draws the scene for which there is no room
            gate, reason = "settles", str(error)
        examination.verdict.seconds[gate] = round(time.process_time() - began, 4)
        if reason is not None:
            examination.verdict.gate, examination.verdict.reason = gate, reason
            break
    return examination.verdict


@dataclass
class Examination:
    """One task before the gates, and what they have found out so far."""

    world: TabletopWorld
    task: Task
    skills: Mapping[str, Skill]
    strictness: Strictness
    verdict: Verdict = field(default_factory=Verdict)
    trials: list[Trial] = field(default_factory=list)

    def graph(self) -> SceneGraph:
        """The facts of the world as it is."""
        return scene_graph(self.world.state(), self.task.tolerances)

    def begin(self, episode: int) -> tuple[SceneGraph, Formula]:
        """Bring the world to the start of an episode; the facts there, and the goal."""
        self.world.reset(self.task.scene(episode))
        graph = self.graph()
        return graph, self.task.goal.given(graph)

    def episodes(self, count: int) -> Iterator[int]:
        """So many episodes, and then more until every branch of a condition has come up."""
        left = set(map(str, self.task.goal.branches()))
        for episode in range(MOST_LOOKED_AT):
            if episode >= count and not left:
                return
            _, goal = self.begin(episode)
            left.discard(str(goal))
            yield episode

    def plan(self, episode: int) -> tuple[SceneGraph, Formula, tuple[SkillCall, ...] | None]:
        """The same, with a plan."""
        graph, goal = self.begin(episode)
        return graph, goal, decompose(goal, graph, self.skills)


def schema(exam: Examination) -> str | None:
    """Is it well-typed, do its words and its formula say what its goal says, are its numbers sane."""
    try:
        check_schema(exam.task)
    except InputError as error:
        return str(error)
    return None


def determinism(exam: Examination) -> str | None:
    """Is the state after a reset, and after a second of stillness, the same to the bit each time."""
    found = []
    for _ in range(2):
        exam.begin(0)
        digests = [exam.world.digest()]
        _rest(exam.world)
        found.append((*digests, exam.world.digest()))
    return None if found[0] == found[1] else "The same seed gives another state."


def settles(exam: Examination) -> str | None:
    """Does every scene stand still, nothing in anything else, and is what the recipe says so."""
    limits = exam.strictness
    for episode in range(limits.scenes):
        graph, _ = exam.begin(episode)
        depth = exam.world.penetration()
        if depth > limits.penetration:
            return f"Things are {1000 * depth:.1f} mm in each other in episode {episode}."
        before = {name: body.position for name, body in exam.world.state().bodies.items()}
        _rest(exam.world)
        for name, body in exam.world.state().bodies.items():
            drift = float(np.linalg.norm(body.position - before[name]))
            if drift > limits.drift:
                return f"The {name} moves {1000 * drift:.0f} mm by itself in episode {episode}."
        if exam.world.speed() > limits.speed:
            return f"Something moves at {exam.world.speed():.3f} m/s by itself in episode {episode}."
        for now in (graph, exam.graph()):
            untrue = next(_untrue(exam.task, now), None)
            if untrue is not None:
                return f"{untrue} is not so in episode {episode}."
    return None


def unsolved(exam: Examination) -> str | None:
    """Is there something to do: at the beginning, after stillness, and after random motion."""
    task, limits = exam.task, exam.strictness
    solved = 0
    for episode in range(limits.initial):
        graph = scene_graph(static_state(task.scene(episode)), task.tolerances)
        solved += graph.holds(task.goal.given(graph))
    _, high = wilson_interval(solved, limits.initial)
    if solved:
        return f"{solved} of {limits.initial} beginnings are solved (up to {high:.0%})."
    for episode in range(limits.random):
        graph, goal = exam.begin(episode)
        if graph.holds(goal):
            return f"Solved at the beginning of episode {episode}."
        _rest(exam.world)
        if exam.graph().holds(goal):
            return f"It solves itself in episode {episode}."
        rng = np.random.default_rng([task.seed, episode, 5])
        for _ in range(20):
            action = rng.uniform(-1.0, 1.0, ACTION_SIZE).astype(np.float32)
            action[3:6] = 0.0
            exam.world.act(action)
            if exam.graph().holds(goal):
                return f"Random motion solves it in episode {episode}."
    return None


def satisfiable(exam: Examination) -> str | None:
    """Is there a plan, and is the goal true, and stays so, where it is made true by hand."""
    seen: set[str] = set()
    for episode in exam.episodes(exam.strictness.scenes):
        graph, goal, plan = exam.plan(episode)
        seen.add(str(goal))
        if plan is None:
            return f"No skills lead to {goal} in episode {episode}."
        if not exam.verdict.steps:
            exam.verdict.steps = steps_of(plan, exam.skills)
        realise(exam.world, verify(plan, goal, graph, exam.skills).final)
        if not exam.graph().holds(goal):
            return f"The goal does not hold where it was brought about by hand, in episode {episode}."
        _rest(exam.world)
        if not exam.graph().holds(goal):
            return f"The goal does not last where it was brought about by hand, in episode {episode}."
    for branch in exam.task.goal.branches():
        if str(branch) not in seen:
            return f"{exam.task.goal.condition} never comes out so that {branch} is asked for."
    return None


def near_misses(exam: Examination) -> str | None:
    """Is the goal false where it is nearly reached, and true where it is reached a little differently."""
    for episode in exam.episodes(min(3, exam.strictness.scenes)):
        graph, goal, plan = exam.plan(episode)
        if plan is None:
            return f"No skills lead to {goal} in episode {episode}."
        realise(exam.world, verify(plan, goal, graph, exam.skills).final)
        rng = np.random.default_rng([exam.task.seed, episode, 6])
        for variant in variants(exam.world.state(), goal, exam.graph(), rng):
            found = scene_graph(variant.state, exam.task.tolerances).holds(goal)
            if found != variant.expected:
                return f"The goal is {'true' if found else 'false'} with {variant.name}."
    return None


def reachable(exam: Examination) -> str | None:
    """Is there room for the hand, and do the joints reach, where the plan's steps act."""
    for episode in exam.episodes(min(3, exam.strictness.scenes)):
        _, _, plan = exam.plan(episode)
        if plan is None:
            return f"No skills lead to the goal in episode {episode}."
        for call, point, ignored in keyposes(plan, exam.world.state()):
            hits = exam.world.arm_hits(point) - ignored
            if hits:
                where = ", ".join(f"{value:.2f}" for value in point)
                return f"{call} at ({where}) meets {', '.join(sorted(hits))} in episode {episode}."
    return None


def solvable(exam: Examination) -> str | None:
    """Do the experts solve it in full physics, on scenes that no gate has seen, often enough."""
    limits, verdict = exam.strictness, exam.verdict
    for number in range(limits.trials):
        trial = attempt(exam.world, exam.task, FIRST_FRESH + number, exam.skills)
        exam.trials.append(trial)
        verdict.successes, verdict.trials = verdict.successes + trial.success, number + 1
        best = verdict.successes + limits.trials - verdict.trials
        if wilson_interval(best, limits.trials)[0] < limits.solved:
            break  # even if all that are left succeeded
    verdict.interval = wilson_interval(verdict.successes, verdict.trials)
    lengths = [len(trial.actions) for trial in exam.trials if trial.success]
    verdict.control_steps = round(float(np.mean(lengths)), 1) if lengths else 0.0
    if verdict.trials < limits.trials or verdict.interval[0] < limits.solved:
        failed = next(trial for trial in exam.trials if not trial.success)
        return f"{verdict.successes} of {verdict.trials} attempts succeed; one ended: {failed.reason}"
    return None


def holds(exam: Examination) -> str | None:
    """Does the goal go on holding for half a second after release and retreat."""
    short = [trial.episode for trial in exam.trials if trial.success and not trial.held]
    kept = exam.verdict.successes - len(short)
    if wilson_interval(kept, exam.verdict.trials)[0] < exam.strictness.solved:
        return f"{len(short)} of {exam.verdict.successes} successes do not last."
    return None


def replayed(exam: Examination) -> str | None:
    """Do the actions lead to the same end again, to the bit."""
    good = [trial for trial in exam.trials if trial.success and trial.held]
    for trial in good[: exam.strictness.replays]:
        reached, same = replay(exam.world, exam.task, trial)
        if not (reached and same):
            return f"Episode {trial.episode} ends differently when its actions are replayed."
    return None


def coverage(exam: Examination) -> str | None:
    """Are there successes wherever things may begin, or only in a corner of it."""
    names = exam.task.goal.names()
    tried, done = set(), set()
    for trial in exam.trials:
        cells = set(_cells(trial, names))
        tried |= cells
        if trial.success and trial.held:
            done |= cells
    exam.verdict.coverage = round(len(done) / len(tried), 3) if tried else 1.0
    if exam.verdict.coverage < exam.strictness.coverage:
        return f"Successes began at {len(done)} of {len(tried)} places where things began."
    return None


QUESTIONS: Mapping[str, Callable[[Examination], str | None]] = {
    "schema": schema,
    "determinism": determinism,
    "settles": settles,
    "unsolved": unsolved,
    "satisfiable": satisfiable,
    "near_misses": near_misses,
    "reachable": reachable,
    "solvable": solvable,
    "holds": holds,
    "replay": replayed,
    "coverage": coverage,
}
#: Side of a cell in which coverage is counted, m.
CELL = 0.11


def _rest(world: TabletopWorld, steps: int = 10) -> None:
    for _ in range(steps):
        world.act(world.arm.still())


def _untrue(task: Task, graph: SceneGraph) -> Iterator[str]:
    """What the recipe says of the beginning, and is not so."""
    for relation in task.recipe.relations:
        if relation.name in ("in", "on"):
            text = f"{relation.name}({', '.join(relation.things)})"
            if not graph.holds(parse(text)):
                yield text
    for name, standing in task.recipe.standings.items():
        said = {"open": "open", "closed": "closed", "ajar": "ajar", "lit": "pressed"}.get(standing)
        if said is not None and not graph.holds(parse(f"{said}({name})")):
            yield f"{said}({name})"
    for thing in task.recipe.things:
        if not any(fact.predicate in ("in", "on") and fact.args[0] == thing.name for fact in graph.facts):
            yield f"a place of {thing.name}"


def _cells(trial: Trial, names: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """In which cell of the table each of the things began."""
    state = static_state(trial.scene)
    for name in names:
        position = state.bodies[name].position if name in state.bodies else state.handles.get(name)
        if position is not None:
            yield name, int(position[0] // CELL), int(position[1] // CELL)
