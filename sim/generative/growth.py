"""Skills from skills: chains that recur in accepted tasks' plans are practised, and kept when they work.

The cycle of BOSS (Zhang et al., "Bootstrap your own skills", CoRL 2023) with what verification adds to it. A
chain is a stretch of a plan whose steps have things in common, that begins and ends with an empty hand, and
that occurs in several tasks. Which are practised first is said by how much they would shorten plans, and by
a language model where one proposes (`sim.generative.judgement`). A chain's card follows from its steps' cards
(`robot_skills.symbolic.composition`). It is practised in full physics on scenes that nothing has seen, and
kept when it works in 90 % of 20, the effects on its card included. One that does not work with everything is
practised with one kind of thing: two things in one narrow drawer are too many, in a box they are not. One
task in five is held out: it lends no chain, and shows whether plans get shorter.

A folder of generated tasks gets

    growth.jsonl    one line for each chain that was practised, and what came of it; before it, where a
                    language model was asked, a line for what it said of the chain
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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from robot_skills.data.files import write_text
from robot_skills.library import SkillLibrary
from robot_skills.skill import Skill
from robot_skills.symbolic.closed_loop import plan_to
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from robot_skills.training.statistics import wilson_interval
from sim.generative.chains import Chain, Rules, mine
from sim.generative.generation import read_tasks
from sim.generative.judgement import MOST, Judge, Judgement, in_order
from sim.generative.practice import Practice, Practiser
from sim.generative.task import Task
from sim.tabletop.oracle import scene_graph
from sim.tabletop.world import TabletopWorld

RECORDS, SUMMARY, LIBRARY = "growth.jsonl", "growth.json", "library"
#: One task in so many is held out.
HELD_OUT = 5
#: Once every chain was practised, a task is generated for so many that there are, and chains are sought anew.
MORE = 8


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


def grow(
    folder: Path,
    console: Console,
    *,
    deadline: float,
    more: Callable[[int], int] | None = None,
    workers: int = 2,
    local: bool = False,
    rules: Rules | None = None,
    judge: Judge | None = None,
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
        judge: asks a language model which chains make sense: their order, and words for those that are kept.
        command: what was typed, for the cards.

    Raises:
        InputError: the folder holds no generated tasks.
        UnavailableError: the language model cannot be reached.
    """
    began, rules = time.monotonic(), rules or Rules()
    base = SkillLibrary.open()
    tasks = read_tasks(folder)
    known = read_practices(folder)
    keeper = _Keeper(folder, base, command, judge)
    while True:
        chains = mine(split(tasks)[0], base.skills, rules, {name: each.kept for name, each in known.items()})
        chains = keeper.judged(chains, console, deadline)
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
    """What was practised in a folder, by signature."""
    records = (each for each in _records(folder) if "judge" not in each)
    return {each["signature"]: Practice(**{**each, "tasks": tuple(each["tasks"])}) for each in records}


def read_judgements(folder: Path, judge: str) -> dict[str, Judgement]:
    """What a model said of chains of a folder, by signature."""
    records = (each for each in _records(folder) if each.get("judge") == judge)
    return {each["signature"]: Judgement(**each) for each in records}


class _Keeper:
    """Writes what was judged and practised, and makes a skill of what is to be kept."""

    def __init__(self, folder: Path, base: SkillLibrary, command: str, judge: Judge | None) -> None:
        self._folder, self._base, self._command = folder, base, command
        library = SkillLibrary.open(folder / LIBRARY, new=True)
        # Where weights are shared, the folder that holds them comes first.
        folders = [path for name in base.skills for path in (base.home(name), base.folder / name)]
        for source in dict.fromkeys(folders):
            place = library.folder / source.name
            if not place.exists():  # copied beside its place, then given its name: never half a skill
                copy = shutil.copytree(source, library.folder / f".{source.name}", dirs_exist_ok=True)
                copy.rename(place)
        write_text(folder / RECORDS, "".join(json.dumps(each) + "\n" for each in _records(folder)))
        self._judge = judge
        self._judgements = {} if judge is None else read_judgements(folder, judge.name)

    def judged(self, chains: Sequence[Chain], console: Console, deadline: float) -> list[Chain]:
        """Chains in the order in which they are to be practised; those that are new are judged first."""
        new = [chain for chain in chains if chain.signature not in self._judgements]
        if self._judge is None or not new or time.monotonic() >= deadline:
            return in_order(chains, self._judgements)
        with JobProgress(console, "judging", len(new), "chains") as progress:
            for chain in new:
                if time.monotonic() >= deadline:
                    break
                self._judgements[chain.signature] = self._judge.judge(chain)
                self._note(self._judgements[chain.signature])
                progress.advance(1, "")
        return in_order(chains, self._judgements)

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
            practice = replace(practice, name=name)
            judgement = self._judgements.get(practice.signature)
            card = _worded(chain.card(name, self._base.skills), judgement)
            readme = _readme(practice, card, self._command, judgement)
            library.add_composite(card, chain.steps, f"{readme}\n{mark}\n")
        elif there:
            practice = replace(practice, name=there[0])
        self._note(practice)
        return practice

    def _note(self, record: Practice | Judgement) -> None:
        with (self._folder / RECORDS).open("a") as file:
            file.write(json.dumps(asdict(record)) + "\n")


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


def _records(folder: Path) -> list[dict[str, Any]]:
    """The lines of a folder's `growth.jsonl`; half a line that a killed run left is passed over."""
    path = folder / RECORDS
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _worded(card: Skill, judgement: Judgement | None) -> Skill:
    """A card whose summary begins with what the chain is for, where a model said so."""
    if judgement is None or not judgement.words:
        return card
    return replace(card, summary=f"{judgement.words.capitalize()}: {card.summary}")


def _readme(practice: Practice, card: Skill, command: str, judgement: Judgement | None) -> str:
    low, high = wilson_interval(practice.successes, practice.trials)
    said = (
        ""
        if judgement is None or judgement.sensible is None
        else (f" Judged {judgement.sensible} of {MOST} for sense by {judgement.judge}.")
    )
    families = Counter(name.partition("-")[0] for name in practice.tasks)
    return "\n".join(
        [
            f"# {practice.name}", "", card.summary, "",
            f"Worked in {practice.successes} of {practice.trials} scenes that nothing had seen (95 % "
            f"interval {low:.0%} to {high:.0%}), its steps carried out by scripted experts, which read "
            "simulator state. How well trained policies do it is not said here.", "",
            f"Found in the plans of {len(practice.tasks)} generated tasks: "
            f"{', '.join(f'{name} {count}' for name, count in families.most_common())}.{said} Made by", "",
            f"    {command}", "",
        ]
    )  # fmt: skip
