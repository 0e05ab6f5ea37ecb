"""Progress of a long job: a bar in a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

#: Seconds over which the rate is averaged, and between two lines where there is no terminal.
WINDOW, LINE_EVERY = 20.0, 15.0


class JobProgress:
    """Shows how far a job is, how fast it goes and how long it will take.

    Args:
        console: where to show it.
        title: what is done, as in "pick: policy".
        total: steps.
        unit: of what the rate counts, as in "samples".
        done: steps done before, by a run that is being resumed.
    """

    def __init__(self, console: Console, title: str, total: int, unit: str, done: int = 0) -> None:
        self._console, self._title, self._total, self._unit = console, title, total, unit
        self._done = done
        self._amount = 0.0
        self._marks: list[tuple[float, int, float]] = []
        self._last_line = 0.0
        self._bar: Progress | None = None

    def __enter__(self) -> JobProgress:
        now = time.monotonic()
        self._marks, self._last_line = [(now, self._done, 0.0)], now
        if self._console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self._bar = Progress(*columns, console=self._console, refresh_per_second=4)
            self._task = self._bar.add_task(
                escape(self._title), total=self._total, completed=self._done, note=""
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, amount: float = 1.0, note: str = "", steps: int = 1) -> None:
        """Count steps that handled `amount` units; `note` is shown beside the rate."""
        self._done += steps
        self._amount += amount
        now = time.monotonic()
        if now - self._marks[-1][0] > 1.0 or self._done >= self._total:
            self._marks.append((now, self._done, self._amount))
            while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW:
                self._marks.pop(0)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, note=escape(f"{self._speed()}  {note}"))
        elif now - self._last_line > LINE_EVERY or self._done >= self._total:
            self._last_line = now
            line = f"{self._title}: {self._done}/{self._total}  {self._speed()}  {note}"
            self._console.print(escape(line.rstrip()), highlight=False, soft_wrap=True)

    def _speed(self) -> str:
        (then, done, amount), (now, now_done, now_amount) = self._marks[0], self._marks[-1]
        if now_done == done or now <= then:
            return ""
        left = max(self._total - self._done, 0) * (now - then) / (now_done - done)
        return f"{(now_amount - amount) / (now - then):.3g} {self._unit}/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 45 s, 12 min 05 s, 2 h 03 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
