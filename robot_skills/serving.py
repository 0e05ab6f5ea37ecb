"""Skills as Ray actors: each policy in a process of its own, on this machine or on a cluster.

An actor's call is one inference: nothing moves in it, so when its process dies the same input is asked
again once Ray has restarted it, and no motion is repeated. The executor waits meanwhile, as it does for any
chunk. This is the only module that imports Ray, and only when a cluster is started.

The messages are tuples of strings and of small arrays (two 64 px images are 25 KB), which travel inside the
call; Ray puts arrays above 100 KB into its object store, and hands them out read-only.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import InputError, JobError, require
from robot_skills.execution import Pending
from robot_skills.library import SkillLibrary, fingerprint
from robot_skills.policies.policy import Chunk, Correction, PolicyInput
from robot_skills.robot import Float, Image, Observation

log = logging.getLogger(__name__)

NAMESPACE = "robot_skills"
#: Times the same input is asked again after the actor's process died under it.
ATTEMPTS = 3
#: Seconds for an actor to come up or come back: 5 when the machine is free, mostly for importing torch, and
#: many times that when it is busy.
PATIENCE = 180.0
#: Seconds between two looks at whether an actor is back.
POLL = 0.05

Message: TypeAlias = tuple[dict[str, Image], Float, float, Float, str, str]
#: The fields of a `Chunk`.
Answer: TypeAlias = tuple[Float, Float, Correction | None, NDArray[np.int64] | None]


def actor_name(skill: str) -> str:
    """What the actor of a skill is called in the namespace `robot_skills`."""
    return f"skill {skill}"


class SkillServer:
    """What runs in the actor's process: one policy.

    Args:
        skill: name, for the reports.
        folder: the trained folder, on a path that the actor's machine can read.
        threads: torch's threads. Said explicitly, since Ray sets OMP_NUM_THREADS to 1 in an actor that
            reserves no CPU.
    """

    def __init__(self, skill: str, folder: str, threads: int) -> None:
        import torch

        from robot_skills.policies.registry import load_policy

        torch.set_num_threads(threads)
        self._skill, self._weights = skill, fingerprint(Path(folder))
        self._policy = load_policy(Path(folder))
        self._threads, self._began, self._calls, self._busy = threads, time.time(), 0, False

    def describe(self) -> tuple[tuple[str, ...], int, int]:
        """The policy's cameras, history and number of actions to play."""
        return self._policy.cameras, self._policy.history, self._policy.execute

    def predict(self, message: Message) -> Answer:
        """One inference."""
        images, state, at, history, text, skill = message
        # Copies, because what arrives is read-only and torch wants to share memory it may write to.
        writable = {camera: np.array(image) for camera, image in images.items()}
        given = PolicyInput(Observation(writable, np.array(state), at), np.array(history), text, skill)
        self._busy = True
        try:
            (chunk,) = self._policy.predict([given])
        finally:
            self._busy = False
            self._calls += 1
        actions, end = (np.asarray(numbers, np.float32) for numbers in (chunk.actions, chunk.end))
        return actions, end, chunk.correction, chunk.codes

    def health(self) -> dict[str, Any]:
        """How the actor is; answers while an inference runs."""
        return {
            "skill": self._skill,
            "pid": os.getpid(),
            "weights": self._weights,
            "calls": self._calls,
            "busy": self._busy,
            "threads": self._threads,
            "seconds": round(time.time() - self._began, 3),
        }


class ActorChunks:
    """The policy in an actor, as a source of chunks.

    Args:
        actor: handle of a `SkillServer`.
        skill: name, for the messages.
        patience: seconds to wait for a dead actor's return.
    """

    def __init__(self, actor: Any, skill: str, *, patience: float = PATIENCE) -> None:
        self._actor, self._skill, self._patience = actor, skill, patience
        cameras, self._history, self._execute = _result(actor.describe.remote(), skill, patience)
        self._cameras = tuple(cameras)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The policy's cameras."""
        return self._cameras

    @property
    def history(self) -> int:
        """The policy's length of history."""
        return int(self._history)

    @property
    def execute(self) -> int:
        """How many actions of its chunk the policy wants played."""
        return int(self._execute)

    def request(self, given: PolicyInput) -> Pending:
        """Send the input to the actor."""
        seen = given.observation
        images = {camera: seen.images[camera] for camera in self._cameras}
        return _Asked(
            self._actor,
            self._skill,
            (images, seen.state, seen.time, given.history, given.text, given.skill),
            self._patience,
        )

    def health(self, timeout: float = 10.0) -> dict[str, Any]:
        """The actor's report about itself.

        Raises:
            JobError: it did not come in time; the actor is down, or starting.
        """
        report: dict[str, Any] = _result(_health(self._actor), self._skill, timeout)
        return report


class _Asked:
    """A chunk that an actor was asked for; asked again if the actor's process dies under it."""

    def __init__(self, actor: Any, skill: str, message: Message, patience: float) -> None:
        self._actor, self._skill, self._message, self._patience = actor, skill, message, patience
        self._answer = actor.predict.remote(message)
        self._asked = 1
        self._lost: float | None = None  # when the actor was found dead; None while it is alive
        self._back: Any = None  # its answer to being asked how it is

    def result(self, timeout: float | None = None) -> Chunk:
        until = None if timeout is None else time.monotonic() + timeout
        while (chunk := self._look(until)) is None:
            pass
        return chunk

    def _look(self, until: float | None) -> Chunk | None:
        """The chunk; None when the actor had to be given time to come back."""
        errors = require("ray.exceptions", "ray")
        try:
            if self._lost is not None:
                self._ask_again(until)
            return Chunk(*_get(self._answer, until))
        except errors.ActorUnavailableError:
            self._wait_for_restart(until)
            return None
        except errors.RayTaskError as error:
            raise JobError(f"The policy of {self._skill!r} failed: {_cause(error)}") from error
        except errors.ActorDiedError as error:
            raise JobError(f"The actor of {self._skill!r} is gone: {_cause(error)}") from error

    def _ask_again(self, until: float | None) -> None:
        if self._back is None:
            self._back = _health(self._actor)
        _get(self._back, until)
        self._lost, self._back = None, None
        self._asked += 1
        self._answer = self._actor.predict.remote(self._message)

    def _wait_for_restart(self, until: float | None) -> None:
        now = time.monotonic()
        if self._lost is None:
            if self._asked >= ATTEMPTS:
                raise JobError(f"The actor of {self._skill!r} died {ATTEMPTS} times under one inference.")
            log.warning("The actor of %r died; waiting for its restart.", self._skill)
            self._lost = now
        if now - self._lost > self._patience:
            raise JobError(f"The actor of {self._skill!r} did not come back in {self._patience:g} s.")
        self._back = None
        if until is not None and now + POLL > until:
            time.sleep(max(0.0, until - now))
            raise TimeoutError
        time.sleep(POLL)


def _get(answer: Any, until: float | None) -> Any:
    """Wait for a Ray answer until a moment of the monotonic clock.

    Raises:
        TimeoutError: it is not there (Ray's own error for that is one).
    """
    ray = require("ray", "ray")
    return ray.get(answer, timeout=None if until is None else max(0.0, until - time.monotonic()))


def _health(actor: Any) -> Any:
    return actor.health.options(concurrency_group="health").remote()


def _result(answer: Any, skill: str, timeout: float) -> Any:
    """Wait for a Ray answer that nothing is lost with.

    Raises:
        JobError: it did not come, with the last line of why.
    """
    errors = require("ray.exceptions", "ray")
    try:
        return _get(answer, time.monotonic() + timeout)
    except TimeoutError:
        raise JobError(f"The actor of {skill!r} did not answer in {timeout:g} s.") from None
    except errors.RayError as error:
        raise JobError(f"The actor of {skill!r} does not answer: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """One line out of Ray's account, which holds the traceback of the other process."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return f"{type(cause).__name__}: {cause}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@dataclass
class _Runtime:
    """The Ray runtime of this process, and whether it is ours to shut down."""

    ray: Any
    owned: bool
    address: str


def start_ray(address: str | None = None) -> _Runtime:
    """Start Ray on this machine, or join the cluster at an address ("auto" finds one on this machine).

    Raises:
        InputError: Ray is not installed, did not start, or no cluster answers there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray's workers run at niceness 15 by default: on a busy machine a robot would wait minutes for a chunk.
    os.environ.setdefault("RAY_worker_niceness", "0")
    loaded = "ray" in sys.modules
    if address and _has_token() and not loaded:
        # A cluster that finds a token asks for it, and one that `robot-skills serve` starts makes one; who
        # joins has to say that it brings it along.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    ray = require("ray", "ray")
    owned = not ray.is_initialized()
    if owned:
        _knock(address)
        if address and loaded:
            _bring_token()
        # The actors reserve no CPU (one skill moves at a time), so one worker to start with is enough.
        own = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
        try:
            ray.init(
                address=address or "local",
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else own),
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            what = f"No Ray cluster answers at {address}" if address else "Ray did not start on this machine"
            raise InputError(f"{what}: {_cause(error)} --local runs the skills without Ray.") from error
    return _Runtime(ray, owned, str(ray.get_runtime_context().gcs_address))


def _bring_token() -> None:
    """Say that a token is brought along, where Ray has been loaded, and has read what was said, already.

    In the environment alone, only clusters that this process starts would hear of it, and ask it for what it
    does not bring.
    """
    try:
        from ray._private.authentication import authentication_token_setup as setup
    except ImportError:  # a Ray that knows no tokens, or keeps them elsewhere
        return
    setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _has_token() -> bool:
    """Whether Ray's authentication token lies in one of the places that Ray looks in."""
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(given) or (Path.home() / ".ray" / "auth_token").is_file()


def _knock(address: str | None) -> None:
    """Check that somebody listens at host:port, which Ray itself takes minutes to find out.

    Raises:
        InputError: nobody does.
    """
    host, colon, port = (address or "").rpartition(":")
    if not colon or "//" in host:  # None, "auto", or a scheme of Ray's that means something else
        return
    try:
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except (OSError, ValueError) as error:
        raise InputError(f"No Ray cluster answers at {address}: {error}.") from error


class Cluster:
    """The skills of a library as actors. Use it as a context manager, or close it.

    Args:
        library: where the weights are.
        address: of a Ray cluster; None starts Ray on this machine. Actors that `robot-skills serve` has
            started there are used, others are started.
        threads: torch's threads in each actor. One by default: the networks are small, and the result is
            then bit for bit that of a policy in this process with one thread.
        detached: the actors outlive this process, as the cluster at `address` does.

    Raises:
        InputError: Ray does not start, or no cluster answers.
    """

    def __init__(
        self, library: SkillLibrary, *, address: str | None = None, threads: int = 1, detached: bool = False
    ) -> None:
        self._library, self._threads, self._detached = library, threads, detached
        self._runtime = start_ray(address)
        #: By the name of the folder of weights: skills that share one are served by one actor.
        self._actors: dict[str, Any] = {}
        self._started: set[str] = set()
        self._sources: dict[str, ActorChunks] = {}

    @property
    def address(self) -> str:
        """Where other processes join this cluster."""
        return self._runtime.address

    def start(self, names: Iterable[str]) -> None:
        """Have the actors of these skills up, all at once.

        Raises:
            InputError: an unknown or untrained skill, or an actor that serves other weights.
            JobError: an actor did not come up.
        """
        folders = {name: self._library.weights(name) for name in names if name not in self._sources}
        for folder in folders.values():
            if folder.name not in self._actors:
                self._actors[folder.name] = self._find(folder.name) or self._launch(folder.name, folder)
        for name, folder in folders.items():
            source = ActorChunks(self._actors[folder.name], name)
            served, wanted = source.health(PATIENCE)["weights"], fingerprint(folder)
            if served != wanted:
                raise InputError(
                    f"The actor of {name!r} at {self.address} serves other weights ({served}) than {folder} "
                    f"holds ({wanted}); restart robot-skills serve."
                )
            self._sources[name] = source

    def chunks(self, name: str) -> ActorChunks:
        """The actor of a skill as a source of chunks, started if it was not.

        Raises:
            InputError: an unknown or untrained skill.
            JobError: the actor did not come up.
        """
        self.start([name])
        return self._sources[name]

    def health(self) -> Mapping[str, dict[str, Any]]:
        """The report of every actor in use."""
        return {name: source.health() for name, source in self._sources.items()}

    def pid(self, name: str) -> int:
        """The process of a skill's actor."""
        return int(self.chunks(name).health(PATIENCE)["pid"])

    def close(self) -> None:
        """End what was started, except detached actors: the runtime if it was ours, the actors otherwise."""
        if self._runtime.owned:
            self._runtime.ray.shutdown()  # ends our actors, unless they are detached
        elif not self._detached:
            self.stop(self._started)
        self._started.clear()

    def stop(self, names: Iterable[str]) -> list[str]:
        """End the actors of these skills, whoever started them, and name those there were."""
        known = self._library.skills
        homes = {name: self._library.home(name).name if name in known else name for name in names}
        found = {home: actor for home in set(homes.values()) if (actor := self._find(home)) is not None}
        for actor in found.values():
            self._runtime.ray.kill(actor)
        return [name for name, home in homes.items() if home in found]

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _find(self, name: str) -> Any:
        try:
            return self._runtime.ray.get_actor(actor_name(name), NAMESPACE)
        except ValueError:  # there is none
            return None

    def _launch(self, name: str, folder: Path) -> Any:
        remote = self._runtime.ray.remote(concurrency_groups={"health": 1})(SkillServer)
        self._started.add(name)
        return remote.options(
            name=actor_name(name),
            namespace=NAMESPACE,
            lifetime="detached" if self._detached else None,
            num_cpus=0,
            max_restarts=-1,  # without end: a policy that died is loaded again
            max_task_retries=0,  # whoever asked decides, see `_Asked`
        ).remote(name, str(folder.resolve()), self._threads)
