"""Generation from one command: propose in rounds, examine in parallel, keep in order, count what fell.

A folder of generated tasks holds

    generation.json   seed and numbers of the gates, fixed for the folder
    proposals.jsonl   one line for each proposal in order: what it was, at which gate it fell and why
    tasks/NAME.yaml   the accepted tasks
    funnel.json       how many fell at each gate, and what it cost
    README.md         the same for people

What is proposed depends on what was accepted in earlier rounds, never on who finished first: 1 or N workers
give the same tasks, and a run that was stopped goes on where it was.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from robot_skills.data.files import write_text
from robot_skills.errors import InputError, UnavailableError
from robot_skills.library import SkillLibrary
from robot_skills.training.configuration import to_mapping
from robot_skills.training.parallel import map_in_order
from robot_skills.training.progress import JobProgress
from sim.generative.gates import GATES, Strictness, Verdict, examine
from sim.generative.grammar import Proposal, propose
from sim.generative.novelty import Archive, Embed
from sim.generative.schema import check_schema
from sim.generative.task import Provenance, Task, make_task
from sim.tabletop.world import TabletopWorld

SETTINGS, PROPOSALS, TASKS, FUNNEL = "generation.json", "proposals.jsonl", "tasks", "funnel.json"
#: Proposals that are made before the outcome of the first of them counts.
ROUND = 32
#: Proposals for each task wanted, after which the run gives up.
PATIENCE = 20


class Proposer(Protocol):
    """Where goals come from."""

    @property
    def name(self) -> str:
        """For the tasks' provenance."""
        ...

    def propose(self, seed: int, number: int, archive: Archive) -> Proposal:
        """The proposal of a number, given what there is; the same arguments give the same proposal.

        Raises:
            UnavailableError: whoever proposes cannot be reached; the run ends.
            InputError: what was proposed is no goal; it counts as fallen at the first gate.
        """
        ...


class GrammarProposer:
    """Draws from the grammar, weighted by what is rare and can be done."""

    name = "grammar"

    def propose(self, seed: int, number: int, archive: Archive) -> Proposal:
        """See `Proposer`."""
        return propose(seed, number, archive.weights())


@dataclass(frozen=True)
class Record:
    """A proposal and what became of it: a line of `proposals.jsonl`.

    Attributes:
        gate: at which it fell; None when it was accepted.
        seconds: processor time by gate, and under "propose" that of proposing it.
    """

    number: int
    name: str
    family: str
    description: str
    gate: str | None
    reason: str
    successes: int = 0
    trials: int = 0
    control_steps: float = 0.0
    coverage: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Funnel:
    """How many proposals fell at each gate, and what all of it cost.

    Attributes:
        rejected: gate -> proposals that fell there, in the order in which the gates are asked.
        accepted: tasks that passed them all.
        seconds: processor time by gate.
    """

    rejected: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GATES, 0))
    accepted: int = 0
    seconds: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record) -> None:
        """Count a proposal."""
        if record.gate is None:
            self.accepted += 1
        else:
            self.rejected[record.gate] += 1
        self.seconds.update(record.seconds)

    @property
    def proposed(self) -> int:
        """All proposals."""
        return self.accepted + sum(self.rejected.values())

    @property
    def cost(self) -> float | None:
        """Processor seconds for each accepted task, those spent on what fell included."""
        return sum(self.seconds.values()) / self.accepted if self.accepted else None

    def rows(self) -> Iterator[tuple[str, int, int, float]]:
        """(gate, proposals that reached it, that fell there, processor seconds) in order."""
        left = self.proposed
        for gate in GATES:
            yield gate, left, self.rejected[gate], self.seconds[gate]
            left -= self.rejected[gate]

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {
            "proposed": self.proposed,
            "accepted": self.accepted,
            "funnel": dict(self.rejected),
            "cpu_seconds": {name: round(value, 2) for name, value in self.seconds.items()},
            "cpu_seconds_per_accepted": None if self.cost is None else round(self.cost, 3),
        }


@dataclass(frozen=True)
class Generation:
    """What a run came to, runs before it into the same folder included."""

    folder: Path
    funnel: Funnel
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {"folder": str(self.folder), **self.funnel.to_json(), "seconds": round(self.seconds, 1)}


@dataclass(frozen=True)
class Examiner:
    """Makes, in its process, a world and the function that examines a task in it."""

    strictness: Strictness

    def __call__(self) -> Callable[[Task], Verdict]:
        """Build the world."""
        from robot_skills.cli.console import silence

        with silence():
            world = TabletopWorld({})
        skills = SkillLibrary.open().skills
        return lambda task: examine(world, task, skills, self.strictness)


def generate(
    count: int,
    folder: Path,
    embed: Embed,
    console: Console,
    *,
    seed: int = 0,
    workers: int = 2,
    local: bool = False,
    proposer: Proposer | None = None,
    strictness: Strictness | None = None,
    deadline: float = math.inf,
    command: str = "",
) -> Generation:
    """Generate until so many tasks are accepted, or `PATIENCE` proposals a task have not sufficed.

    Args:
        count: accepted tasks wanted in the folder, those of earlier runs included.
        folder: new, or that of a run to go on with.
        embed: sentences to unit vectors, for novelty.
        console: where progress is shown.
        seed: of the run.
        workers: processes.
        local: examine in this process, without Ray.
        proposer: where goals come from; the grammar by default.
        strictness: the numbers behind the gates.
        deadline: by `time.monotonic`; nothing more is judged after it.
        command: what was typed, for the folder's card.

    Raises:
        InputError: the folder holds something else, or a generation with other settings.
    """
    began = time.monotonic()
    source, limits = proposer or GrammarProposer(), strictness or Strictness()
    known = _open(folder, {"seed": seed, "proposer": source.name, "strictness": to_mapping(limits)})
    run, over = _Run(folder, Archive(embed), source, seed, known), False
    with JobProgress(console, "tasks", count, "tasks", min(count, _accepted(known))) as progress:
        patience = PATIENCE * count + ROUND
        while run.funnel.accepted < count and run.funnel.proposed < patience and not over:
            with contextlib.closing(run.round(Examiner(limits), workers, local)) as records:
                for record in records:
                    if record.gate is None and record.number not in known:
                        progress.advance(1, f"{run.funnel.proposed} proposed")
                    over = record.number not in known and time.monotonic() >= deadline
                    if run.funnel.accepted == count or over:
                        break
    result = Generation(folder, run.funnel, time.monotonic() - began)
    write_text(folder / FUNNEL, json.dumps(run.funnel.to_json(), indent=2) + "\n")
    write_text(folder / "README.md", card(result, run.archive, command))
    return result


class _Run:
    """A generation on its way."""

    def __init__(
        self, folder: Path, archive: Archive, proposer: Proposer, seed: int, known: Mapping[int, Record]
    ) -> None:
        self.archive, self.funnel = archive, Funnel()
        self._folder, self._proposer, self._seed, self._known = folder, proposer, seed, known
        self._next = 0

    def round(self, examiner: Examiner, workers: int, local: bool) -> Generator[Record, None, None]:
        """Propose a round, examine what is new, and give the outcomes in order."""
        entries = [self._propose(number) for number in range(self._next, self._next + ROUND)]
        self._next += ROUND
        wanted = [task for task, record in entries if task is not None and record.number not in self._known]
        map_here = local or not wanted
        with contextlib.closing(map_in_order(examiner, wanted, workers, map_here)) as verdicts:
            for task, proposed in entries:
                record = self._known.get(proposed.number, proposed)
                if task is not None and proposed.number not in self._known:
                    task, record = _judged(task, proposed, next(verdicts))
                self._keep(task, record)
                yield record

    def _propose(self, number: int) -> tuple[Task | None, Record]:
        """The task of a number when it is well-typed and new, and what is known of it so far."""
        began = time.process_time()
        try:
            proposal = self._proposer.propose(self._seed, number, self.archive)
            provenance = Provenance(self._proposer.name, self._seed, number)
            task = make_task(proposal, 100_000 * self._seed + number, provenance)
            check_schema(task)
        except UnavailableError:  # says nothing of the proposal: it is asked for again by the next run
            raise
        except InputError as error:
            spent = {"propose": round(time.process_time() - began, 4)}
            return None, Record(number, "", "", "", "schema", str(error), seconds=spent)
        spent = {"propose": round(time.process_time() - began, 4)}
        began = time.process_time()
        found = self.archive.admit(task)
        spent["novelty"] = round(time.process_time() - began, 4)
        gate = None if found is None else "novelty"
        record = Record(
            number, task.name, task.goal.family, task.description, gate, found or "", seconds=spent
        )
        return (task if found is None else None), record

    def _keep(self, task: Task | None, record: Record) -> None:
        self.funnel.add(record)
        if record.gate is None:
            self.archive.accepted[record.family] += 1
        if record.number not in self._known:
            if record.gate is None and task is not None:
                task.save(self._folder / TASKS)
            with (self._folder / PROPOSALS).open("a") as file:
                file.write(json.dumps(asdict(record)) + "\n")


def _judged(task: Task, proposed: Record, verdict: Verdict) -> tuple[Task, Record]:
    """The task with its steps, and the record with the verdict."""
    record = replace(
        proposed,
        gate=verdict.gate,
        reason=verdict.reason,
        successes=verdict.successes,
        trials=verdict.trials,
        control_steps=verdict.control_steps,
        coverage=verdict.coverage,
        seconds={**proposed.seconds, **verdict.seconds},
    )
    return replace(task, steps=verdict.steps), record


def _accepted(known: Mapping[int, Record]) -> int:
    return sum(record.gate is None for record in known.values())


def _open(folder: Path, settings: dict[str, Any]) -> dict[int, Record]:
    """Make the folder, or read what a run before has left there."""
    path = folder / SETTINGS
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"{folder} holds something else: name a new folder.")
        (folder / TASKS).mkdir(parents=True)
        write_text(path, json.dumps(settings, indent=2) + "\n")
        return {}
    before = json.loads(path.read_text())
    changed = sorted(key for key in {*settings, *before} if settings.get(key) != before.get(key))
    if changed:
        raise InputError(
            f"{folder} was generated otherwise ({', '.join(changed)} differ): name a new folder."
        )
    records = read_records(folder)
    lines = "".join(json.dumps(asdict(record)) + "\n" for record in records)
    write_text(folder / PROPOSALS, lines)  # without half a line that a killed run left behind
    return {record.number: record for record in records}


def read_records(folder: Path) -> list[Record]:
    """The proposals of a folder, in order."""
    path = folder / PROPOSALS
    lines = path.read_text().splitlines() if path.exists() else []
    return [Record(**json.loads(line)) for line in lines if line.endswith("}")]


def read_tasks(folder: Path | str) -> list[Task]:
    """The accepted tasks of a folder, in the order in which they were proposed.

    Raises:
        InputError: it holds none.
    """
    tasks = [Task.load(path) for path in sorted((Path(folder) / TASKS).glob("*.yaml"))]
    if not tasks:
        raise InputError(f"{folder} holds no generated tasks: robot-skills generate --count 20 -o {folder}")
    return sorted(tasks, key=lambda task: task.provenance.number)


def card(result: Generation, archive: Archive, command: str) -> str:
    """The `README.md` of generated tasks."""
    funnel = result.funnel
    cost = "no" if funnel.cost is None else f"{funnel.cost:.1f}"
    lines = [
        f"# {result.folder.name}",
        "",
        f"{funnel.accepted} accepted of {funnel.proposed} proposed tasks, {cost} processor seconds for each "
        "accepted one. Made by",
        "",
        f"    {command}",
        "",
        "| gate | reached | fell | processor seconds |",
        "|---|---|---|---|",
        *(f"| {gate} | {left} | {fell} | {spent:.1f} |" for gate, left, fell, spent in funnel.rows()),
        "",
        "| family | accepted | well-typed proposals |",
        "|---|---|---|",
        *(
            f"| {name} | {archive.accepted[name]} | {tried} |"
            for name, tried in sorted(archive.tried.items())
        ),
    ]
    return "\n".join(lines) + "\n"
