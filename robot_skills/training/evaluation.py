"""Success rates over fixed seeds: the same table whatever the number of workers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from robot_skills.errors import InputError
from robot_skills.skill import SkillCall, Status
from robot_skills.training.parallel import Factory, map_in_order
from robot_skills.training.progress import JobProgress, duration
from robot_skills.training.statistics import wilson_interval

#: How the table says that an episode ended; any other way is told by its reason.
_ENDINGS = {
    Status.SUCCEEDED.value: "said it was over",
    Status.FAILED.value: "said it was over, and was wrong",
    Status.TIMED_OUT.value: "timed out",
}


@dataclass(frozen=True)
class EpisodeResult:
    """How one episode went.

    Attributes:
        success: whether the goal holds at its end: what counts, whatever the policy says.
        status: how the skill call ended, a value of `Status`.
        steps: control steps.
        seconds: of robot time.
        call: the skill call, as text.
    """

    seed: int
    success: bool
    status: str
    reason: str
    steps: int
    seconds: float
    call: str


@dataclass(frozen=True)
class EvalReport:
    """A success rate and what it is made of.

    Attributes:
        seconds: wall time of the evaluation.
        results: ordered by seed.
    """

    name: str
    results: tuple[EpisodeResult, ...]
    seconds: float

    @property
    def successes(self) -> int:
        """Episodes whose goal holds at the end."""
        return sum(result.success for result in self.results)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the success rate."""
        return wilson_interval(self.successes, len(self.results))

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {
            "name": self.name,
            "episodes": len(self.results),
            "successes": self.successes,
            "success_rate": round(self.successes / max(len(self.results), 1), 4),
            "interval": [round(bound, 4) for bound in self.interval],
            "first_seed": self.results[0].seed if self.results else None,
            "per_episode": [asdict(result) for result in self.results],
            "seconds": round(self.seconds, 1),
        }

    def headline(self) -> str:
        """The rate in one line: "47 of 50 (94 %, 95 % interval 84 to 98 %)"."""
        rate = 100 * self.successes / max(len(self.results), 1)
        low, high = (100 * bound for bound in self.interval)
        return (
            f"{self.successes} of {len(self.results)} ({rate:.0f} %, 95 % interval {low:.0f} to {high:.0f} %)"
        )

    def by_argument(self) -> list[tuple[str, str, int, int]]:
        """Successes by what the skill was called with: (argument, value, successes, episodes)."""
        counts: dict[tuple[str, str], list[bool]] = {}
        for result in self.results:
            for name, value in SkillCall.parse(result.call).args.items() if result.call else ():
                counts.setdefault((name, value), []).append(result.success)
        return [(*key, sum(counts[key]), len(counts[key])) for key in sorted(counts)]

    def ending(self, result: EpisodeResult) -> str:
        """How an episode ended, in the table."""
        return _ENDINGS.get(result.status, result.reason)

    def show(self, console: Console) -> None:
        """Print a row for each episode, a summary by argument, and the rate."""
        table = Table("seed", "call", "result", "s", "how it ended", box=None, pad_edge=False)
        for result in self.results:
            mark = "[green]success[/]" if result.success else "[red]failure[/]"
            how = self.ending(result)
            table.add_row(str(result.seed), escape(result.call), mark, f"{result.seconds:.1f}", escape(how))
        console.print(table)
        summary = Table("argument", "value", "successes", box=None, pad_edge=False)
        for name, value, successes, episodes in self.by_argument():
            summary.add_row(escape(name), escape(value), f"{successes} of {episodes}")
        if summary.row_count:
            console.print("", summary)
        console.print(f"\n{self.name}: {self.headline()} in {duration(self.seconds)}", highlight=False)


def evaluate(
    name: str,
    factory: Factory[int, EpisodeResult],
    seeds: Sequence[int],
    workers: int,
    local: bool,
    console: Console,
) -> EvalReport:
    """Run one episode a seed.

    An episode whose process dies is run again in a new one; if that keeps happening it counts as a failure.

    Args:
        name: of what is evaluated.
        factory: makes, in each process, the function from seed to result; picklable.
        seeds: one episode each.
        workers: processes.
        local: run here, without Ray; the results are the same.
        console: where progress is shown.

    Raises:
        InputError: there is nothing to run.
    """
    if not seeds or workers < 1:
        raise InputError(
            f"An evaluation has at least 1 episode and 1 worker, not {len(seeds)} and {workers}."
        )
    began = time.monotonic()
    results: list[EpisodeResult] = []
    successes = 0
    with JobProgress(console, f"{name}: episodes", len(seeds), "episodes") as progress:
        for result in map_in_order(factory, seeds, min(workers, len(seeds)), local, _lost):
            results.append(result)
            successes += result.success
            progress.advance(1, f"{successes} of {len(results)} succeeded")
    results.sort(key=lambda result: result.seed)
    return EvalReport(name, tuple(results), time.monotonic() - began)


def _lost(seed: int, reason: str) -> EpisodeResult:
    return EpisodeResult(seed, False, Status.ABORTED.value, reason, 0, 0.0, "")
