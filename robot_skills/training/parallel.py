"""The same function on many items, over processes (Ray actors) or here; results come in the items' order."""

from __future__ import annotations

import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeAlias, TypeVar

from robot_skills.errors import require

T = TypeVar("T")
R = TypeVar("R")
#: Makes, in its process, what is called on each item; it must be picklable.
Factory: TypeAlias = Callable[[], Callable[[T], R]]

#: How often an item is tried whose process dies.
TRIES = 3
#: Results waiting for an earlier one, for each worker: bounds memory.
WAITING = 4

log = logging.getLogger(__name__)


class WorkerDiedError(RuntimeError):
    """The process died each time it worked on an item."""


def map_in_order(
    factory: Factory[T, R],
    items: Iterable[T],
    workers: int,
    local: bool = False,
    lost: Callable[[T, str], R] | None = None,
) -> Generator[R, None, None]:
    """Call a function on every item and yield the results in the items' order.

    A process that dies is replaced and its item tried again. An error that the function raises ends the map.

    Args:
        factory: makes the function, once in each process.
        items: may be endless; taken a little ahead of the results.
        workers: processes.
        local: call it here instead, one item after the other, without Ray.
        lost: gives the result of an item whose process died `TRIES` times, from the item and the reason;
            None raises `WorkerDiedError`.

    Raises:
        InputError: Ray is not installed and `local` is False.
    """
    if local:
        function = factory()
        yield from (function(item) for item in items)
        return
    with _cluster(workers) as ray:
        pool = _Pool(ray, factory, lost)
        try:
            yield from pool.run(items, workers)
        finally:
            pool.close()


@contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    """Ray: the cluster that this process is connected to, or one of its own for the time."""
    ray = require("ray", "ray")
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        # Ray makes its workers 15 nicer than the raylet: beside any other job they hardly get to run.
        _system_config={"worker_niceness": 0},
    )
    try:
        yield ray
    finally:
        ray.shutdown()


class _Worker(Generic[T, R]):
    """The actor. The function is made at the first call, so that its errors come back as they are."""

    def __init__(self, factory: Factory[T, R]) -> None:
        self._factory = factory
        self._function: Callable[[T], R] | None = None

    def call(self, item: T) -> R:
        if self._function is None:
            self._function = self._factory()
        return self._function(item)


class _Pool(Generic[T, R]):
    """Actors, and which item each one works on."""

    def __init__(self, ray: Any, factory: Factory[T, R], lost: Callable[[T, str], R] | None) -> None:
        self._ray, self._factory, self._lost = ray, factory, lost
        self._actor_class = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Worker)
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, int, T, int]] = {}  # reference -> actor, number, item, try

    def run(self, items: Iterable[T], workers: int) -> Iterator[R]:
        self._idle = [self._actor_class.remote(self._factory) for _ in range(workers)]
        queue = deque[tuple[int, T, int]]()
        source = enumerate(items)
        results: dict[int, R] = {}
        for wanted in itertools.count():
            while wanted not in results:
                while self._idle:
                    if not queue and len(results) < WAITING * workers:
                        queue.extend((number, item, 1) for number, item in itertools.islice(source, 1))
                    if not queue:
                        break
                    self._submit(*queue.popleft())
                if not self._busy:
                    return
                self._collect(results, queue)
            yield results.pop(wanted)

    def close(self) -> None:
        for actor in [*self._idle, *(actor for actor, *_ in self._busy.values())]:
            self._ray.kill(actor)

    def _submit(self, number: int, item: T, tries: int) -> None:
        actor = self._idle.pop()
        self._busy[actor.call.remote(item)] = actor, number, item, tries

    def _collect(self, results: dict[int, R], queue: deque[tuple[int, T, int]]) -> None:
        """Wait for one item to end: with a result, an error, or the death of its process."""
        (reference,), _ = self._ray.wait(list(self._busy), num_returns=1)
        actor, number, item, tries = self._busy.pop(reference)
        try:
            results[number] = self._ray.get(reference)
            self._idle.append(actor)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        # Ray ends a process too, where memory runs out, whoever has taken it.
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError) as error:
            log.warning("The process that worked on %s died (try %d of %d).", item, tries, TRIES)
            self._idle.append(self._actor_class.remote(self._factory))
            reason = f"its process died {TRIES} times"
            if tries < TRIES:
                queue.appendleft((number, item, tries + 1))
            elif self._lost is not None:
                results[number] = self._lost(item, reason)
            else:
                raise WorkerDiedError(f"Item {item}: {reason}.") from error
