"""Skills from skills: chains that recur in accepted tasks' plans are practised, and kept when they work.

The cycle of BOSS (Zhang et al., "Bootstrap your own skills", CoRL 2023) with what verification adds to it. A
chain is a stretch of a plan whose steps have things in common, that begins and ends with an empty hand, and
that occurs in several tasks. Its card follows from its steps' cards (`robot_skills.symbolic.composition`).
It is practised in full physics on scenes that nothing has seen, and kept when it works in 90 % of 20, the
effects on its card included. One that does not work with everything is practised with one kind of thing:
two things in one narrow drawer are too many, in a box they are not. One task in five is held out: it lends
no chain, and shows whether plans get shorter.

A folder of generated tasks gets

    growth.jsonl    one line for each chain that was practised, and what came of it
    growth.json     how many were kept, and the plans of the held-out tasks before and after
    library/        the primitives and the composites: a skill library like any other
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from robot_skills.composite import carry_out
from robot_skills.data.files import write_text
from robot_skills.library import SkillLibrary
from robot_skills.logic import Atom, Formula, Not, bind
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.closed_loop import plan_to
from robot_skills.symbolic.composition import bound, lift, refuted
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from robot_skills.training.statistics import wilson_interval
from sim.generative.chains import Chain, Rules, mine
from sim.generative.decomposition import decompose
from sim.generative.generation import read_tasks
from sim.generative.placement import PlacementError
from sim.generative.solvers import Scripted
from sim.generative.task import Task
from sim.generative.trial import HOLD, Player
from sim.tabletop.oracle import scene_graph
from sim.tabletop.world import TabletopWorld

RECORDS, SUMMARY, LIBRARY = "growth.jsonl", "growth.json", "library"
#: Episodes of a task from here on are practised on: no gate, demonstration or benchmark has looked at them.
FIRST_PRACTISED = 50_000
#: One task in so many is held out.
HELD_OUT = 5
#: Once every chain was practised, a task is generated for so many that there are, and chains are sought anew.
MORE = 8


@dataclass(frozen=True)
class Practice:
    """What came of practising a chain: a line of `growth.jsonl`.

    Attributes:
        signature: of the chain.
        name: of the skill that it became, or would have become.
        tasks: in whose plans it was found.
        successes: scenes in which every step worked, the end lasted, and the effects were those of the card.
        trials: scenes in which it began.
        drawn: scenes that were looked at for that: in the others the plan does not hold the chain, or a step
            before it failed.
        kept: whether it is a skill now.
        reason: of the first failure, or why there was nothing to try.
        seconds: processor time.
    """

    signature: str
    name: str
    tasks: tuple[str, ...]
    successes: int
    trials: int
    drawn: int
    kept: bool
    reason: str
    seconds: float


@dataclass(frozen=True)
class Growth:
    """What a run came to, runs before it into the same folder included.

    Attributes:
        folder: of the grown library.
        practised: every chain, in the order in which they were practised.
        held_out: for each held-out task, the steps of its plan before and after.
        seconds: wall time of this run.
    """

    folder: Path
    practised: tuple[Practice, ...]
    held_out: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def kept(self) -> tuple[Practice, ...]:
        """The chains that are skills now."""
        return tuple(each for each in self.practised if each.kept)

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        before, after = (sum(pair[index] for pair in self.held_out.values()) for index in (0, 1))
        return {
            "library": str(self.folder),
            "practised": len(self.practised),
            "kept": [each.name for each in self.kept],
            "held_out_tasks": len(self.held_out),
            "held_out_shorter": sum(new < old for old, new in self.held_out.values()),
            "held_out_steps": {"before": before, "after": after},
            "seconds": round(self.seconds, 1),
        }


def split(tasks: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """The tasks that lend chains, and the held-out ones: one in `HELD_OUT`, by the number of its proposal."""
    held_out = [task for task in tasks if task.provenance.number % HELD_OUT == HELD_OUT - 1]
    return [task for task in tasks if task not in held_out], held_out


def practise(world: TabletopWorld, chain: Chain, skills: Mapping[str, Skill], rules: Rules) -> Practice:
    """Practise a chain on unseen scenes of the tasks that lent it; each step is tried once.

    Args:
        world: any; it is reset.
        chain: what is practised.
        skills: the cards of the primitives.
        rules: how often, and how often it must work.
    """
    began = time.process_time()
    card = chain.card(chain.name, skills)
    results: list[str | None] = []
    allowed = rules.practice - _needed(rules)
    drawn = 0
    for draw in range(rules.draws * rules.practice):
        if len(results) == rules.practice or sum(each is not None for each in results) > allowed:
            break
        task = chain.tasks[draw % len(chain.tasks)]
        drawn += 1
        beginning = _begin(world, task, FIRST_PRACTISED + draw // len(chain.tasks), chain, skills)
        if beginning is not None:
            player, names = beginning
            results.append(_try(world, player, task, SkillCall(card.name, names), card, chain.steps, skills))
    successes = results.count(None)
    reason = next((each for each in results if each is not None), "")
    return Practice(
        chain.signature, card.name, tuple(task.name for task in chain.tasks), successes, len(results), drawn,
        len(results) == rules.practice and successes >= _needed(rules),
        reason or ("" if len(results) == rules.practice else "It begins in too few scenes."),
        round(time.process_time() - began, 2),
    )  # fmt: skip


@dataclass(frozen=True)
class Practiser:
    """Makes, in its process, a world and the function that practises a chain in it."""

    rules: Rules

    def __call__(self) -> Callable[[Chain], Practice]:
        """Build the world."""
        from robot_skills.cli.console import silence

        with silence():
            world = TabletopWorld({})
        skills = SkillLibrary.open().skills
        return lambda chain: practise(world, chain, skills, self.rules)


def grow(
    folder: Path,
    console: Console,
    *,
    deadline: float,
    more: Callable[[int], int] | None = None,
    workers: int = 2,
    local: bool = False,
    rules: Rules | None = None,
    command: str = "",
) -> Growth:
    """Practise the chains of a folder of tasks until time is up, and keep what works as skills.

    What a chain comes to does not depend on time or workers; time says how far down the list it goes. A run
    that was stopped, or has more time now, goes on where the last one was.

    Args:
        folder: of generated tasks.
        console: where progress is shown.
        deadline: by `time.monotonic`; a chain that is being practised then is left for the next run.
        more: generates up to so many accepted tasks once every chain was practised, and says how many there
            are; None: what is there is all.
        workers: processes.
        local: practise in this process, without Ray.
        rules: what makes a chain a skill.
        command: what was typed, for the cards.

    Raises:
        InputError: the folder holds no generated tasks.
    """
    began, rules = time.monotonic(), rules or Rules()
    base = SkillLibrary.open()
    tasks = read_tasks(folder)
    known = read_practices(folder)
    keeper = _Keeper(folder, base, command)
    while True:
        chains = mine(split(tasks)[0], base.skills, rules, {name: each.kept for name, each in known.items()})
        total = len(known) + len(chains)
        with JobProgress(console, "chains", total, "chains", len(known)) as progress:
            for practice in _practised(chains, rules, workers, local, deadline):
                known[practice.signature] = keeper.keep(practice)
                kept = sum(each.kept for each in known.values())
                progress.advance(1, f"{kept} kept")
        if chains and time.monotonic() < deadline:
            continue
        there = len(tasks)
        if more is None or time.monotonic() >= deadline or more(there + there // MORE + 1) <= there:
            break
        tasks = read_tasks(folder)
    grown = SkillLibrary.open(folder / LIBRARY)
    lengths = plan_lengths(split(tasks)[1], base.skills, grown.skills)
    result = Growth(folder / LIBRARY, tuple(known.values()), lengths, time.monotonic() - began)
    write_text(folder / SUMMARY, json.dumps(result.to_json(), indent=2) + "\n")
    return result


def plan_lengths(
    tasks: Sequence[Task], before: Mapping[str, Skill], after: Mapping[str, Skill]
) -> dict[str, tuple[int, int]]:
    """For each task the calls of the planner's plan in its first scene, with either set of skills."""
    if not tasks:
        return {}
    from robot_skills.cli.console import silence

    with silence():
        world = TabletopWorld({})
    found = {}
    for task in tasks:
        world.reset(task.scene(0))
        graph = scene_graph(world.state(), task.tolerances)
        plans = [plan_to(task.goal.given(graph), graph, skills) for skills in (before, after)]
        if plans[0] is not None:
            assert plans[1] is not None, "more skills cannot make a goal impossible"
            found[task.name] = (len(plans[0]), len(plans[1]))
    world.close()
    return found


def read_practices(folder: Path) -> dict[str, Practice]:
    """What was practised in a folder, by signature; half a line that a killed run left is passed over."""
    path = folder / RECORDS
    lines = path.read_text().splitlines() if path.exists() else []
    records = (json.loads(line) for line in lines if line.endswith("}"))
    return {each["signature"]: Practice(**{**each, "tasks": tuple(each["tasks"])}) for each in records}


class _Keeper:
    """Writes what was practised, and makes a skill of what is to be kept."""

    def __init__(self, folder: Path, base: SkillLibrary, command: str) -> None:
        self._folder, self._base, self._command = folder, base, command
        library = SkillLibrary.open(folder / LIBRARY, new=True)
        # Where weights are shared, the folder that holds them comes first.
        folders = [path for name in base.skills for path in (base.home(name), base.folder / name)]
        for source in dict.fromkeys(folders):
            place = library.folder / source.name
            if not place.exists():  # copied beside its place, then given its name: never half a skill
                copy = shutil.copytree(source, library.folder / f".{source.name}", dirs_exist_ok=True)
                copy.rename(place)
        records = read_practices(folder).values()
        write_text(folder / RECORDS, "".join(_line(each) for each in records))

    def keep(self, practice: Practice) -> Practice:
        """Note a practice; its name gets a number where another chain has it."""
        library = SkillLibrary.open(self._folder / LIBRARY)
        chain = Chain.parse(practice.signature)
        mark = f"<!-- {practice.signature} -->"
        readmes = {name: library.folder / name / "README.md" for name in library.composites}
        there = [name for name, path in readmes.items() if mark in path.read_text()]
        if practice.kept and not there:  # there already: a run was stopped before it could note it
            name, number = practice.name, 1
            while name in library.skills:
                number += 1
                name = f"{practice.name}_{number}"
            practice = Practice(**{**asdict(practice), "name": name, "tasks": practice.tasks})
            card = chain.card(name, self._base.skills)
            library.add_composite(card, chain.steps, _readme(practice, card, self._command) + f"\n{mark}\n")
        elif there:
            practice = Practice(**{**asdict(practice), "name": there[0], "tasks": practice.tasks})
        with (self._folder / RECORDS).open("a") as file:
            file.write(_line(practice))
        return practice


def _practised(
    chains: Sequence[Chain], rules: Rules, workers: int, local: bool, deadline: float
) -> Iterator[Practice]:
    """What came of each chain, in order, until time is up."""
    if not chains or time.monotonic() >= deadline:
        return
    with contextlib.closing(map_in_order(Practiser(rules), chains, workers, local)) as practices:
        for practice in practices:
            yield practice
            if time.monotonic() >= deadline:
                return


def _begin(
    world: TabletopWorld, task: Task, episode: int, chain: Chain, skills: Mapping[str, Skill]
) -> tuple[Player, dict[str, str]] | None:
    """Bring a world to where the chain begins in the plan of an episode; None when it begins nowhere."""
    try:
        world.reset(task.scene(episode))
    except PlacementError:
        return None
    graph = scene_graph(world.state(), task.tolerances)
    plan = decompose(task.goal.given(graph), graph, skills) or ()
    length = len(chain.steps)
    for first in range(len(plan) - length + 1):
        steps, names = lift(plan[first : first + length], skills)
        if steps == chain.steps and _suits(chain, names, graph):
            break
    else:
        return None
    player = Player(world, task, skills, Scripted(), lambda action: None)
    for call in plan[:first]:
        player.play(call)
        if not _done(world, task, call, skills):
            return None
    return player, names


def _suits(chain: Chain, names: Mapping[str, str], scene: SceneGraph) -> bool:
    """Whether what the chain would be called with is of its kind."""
    return chain.only is None or scene.entity(names[chain.only[0]]).kind == chain.only[1]


def _try(
    world: TabletopWorld, player: Player, task: Task, call: SkillCall, card: Skill,
    steps: Sequence[SkillCall], skills: Mapping[str, Skill],
) -> str | None:  # fmt: skip
    """Carry the chain out from where the world is; None when all of it worked, else why not."""
    before = scene_graph(world.state(), task.tolerances)
    unmet = card.unmet(call, before)
    if unmet:
        return f"Where it is to begin the card lacks {' and '.join(map(str, unmet))}."
    wrong = refuted(card, call, steps, skills, before)
    if wrong is not None:
        return wrong
    outcome = carry_out(
        call, bound(steps, call.args), player.play, lambda step: _done(world, task, step, skills)
    )
    if not scene_graph(world.state(), task.tolerances).holds(card.goal(call)):
        return f"{call}: {outcome.reason}"
    for _ in range(HOLD):
        player.still()
        after = scene_graph(world.state(), task.tolerances)
        promised = (bind(effect, call.args) for effect in card.effects)
        lacking = [each for each in promised if not _shown(each, after)]
        if lacking or not after.holds(card.goal(call)):
            return f"{call}: the end does not last, or lacks {', '.join(map(str, lacking)) or card.success}."
    return None


def _shown(effect: Formula, scene: SceneGraph) -> bool:
    """Whether a scene shows an effect; what a chain deletes for any argument, it may add for one."""
    if isinstance(effect, Not) and isinstance(effect.part, Atom) and "*" in effect.part.args:
        return True
    return scene.holds(effect)


def _done(world: TabletopWorld, task: Task, call: SkillCall, skills: Mapping[str, Skill]) -> bool:
    return scene_graph(world.state(), task.tolerances).holds(skills[call.skill].goal(call))


def _needed(rules: Rules) -> int:
    """Successes that keep a chain: the share, rounded up."""
    return -int(-rules.kept * rules.practice // 1)


def _line(practice: Practice) -> str:
    return json.dumps(asdict(practice)) + "\n"


def _readme(practice: Practice, card: Skill, command: str) -> str:
    low, high = wilson_interval(practice.successes, practice.trials)
    families = Counter(name.partition("-")[0] for name in practice.tasks)
    return "\n".join(
        [
            f"# {practice.name}", "", card.summary, "",
            f"Worked in {practice.successes} of {practice.trials} scenes that nothing had seen (95 % "
            f"interval {low:.0%} to {high:.0%}), its steps carried out by scripted experts, which read "
            "simulator state. How well trained policies do it is not said here.", "",
            f"Found in the plans of {len(practice.tasks)} generated tasks: "
            f"{', '.join(f'{name} {count}' for name, count in families.most_common())}. Made by", "",
            f"    {command}", "",
        ]
    )  # fmt: skip
