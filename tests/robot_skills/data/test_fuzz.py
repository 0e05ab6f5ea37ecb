"""Damaged files of every format: a clear error, the content as it was, or the undamaged episodes.

Each case is a format, a damage and a seed, and is the same every time. What this project wrote carries
checksums in every format, so that no change of a value passes unseen. Files of others have none: there some
damages cannot be told from data in principle (`UNSEEN`), and all others are held to the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_skills.data.episode import Episode
from robot_skills.data.formats import FORMATS, format_named
from robot_skills.data.formats.base import DataError, Source, WriteOptions
from robot_skills.data.formats.description import OWN
from robot_skills.data.meta import StoreMeta
from robot_skills.errors import InputError
from tests.robot_skills.data.damage import DAMAGES
from tests.robot_skills.data.formats import foreign

SIZE, EPISODES = (32, 32), 4
META = StoreMeta(cameras={"front": SIZE}, control_rate=10.0)
NAMES = {"robomimic": "data.hdf5", "libero": "data.hdf5", "zarr": "data.zarr"}
#: A case takes milliseconds; whoever needs this long hangs.
LIMIT = 20.0
#: More than 200 in all, and at least 40 of each format, whatever the number of formats.
SEEDS = int(os.environ.get("ROBOT_SKILLS_FUZZ_SEEDS", "3"))

CASES = [
    (name, damage, 1000 * number + seed)
    for number, damage in enumerate(DAMAGES)
    for name in FORMATS
    for seed in range(SEEDS)
]


def episode(seed: int) -> Episode:
    """A smooth little recording; pictures that survive a codec are not needed: each format keeps its own."""
    chance = np.random.default_rng(seed)
    length = 6 + seed
    state = np.cumsum(chance.normal(0, 0.01, (length, 10)), axis=0).astype(np.float32)
    return Episode(
        images={"front": chance.integers(0, 256, (length, *SIZE, 3), dtype=np.uint8)},
        state=state,
        action=chance.uniform(-1, 1, (length, 7)).astype(np.float32),
        end=np.r_[np.zeros(length - 1), 1.0].astype(np.float32),
        target=np.zeros((length, 3), np.float32),
        text="pick the red block",
        seed=seed,
        expert="fuzz",
    )


@dataclass
class Found:
    """What was read: of each episode a fingerprint of all and one of its numbers; None: damaged."""

    meta: StoreMeta
    said: list[str]
    whole: list[str | None] = field(default_factory=list)
    numbers: list[str | None] = field(default_factory=list)


def fingerprint(episode: Episode, source: Source) -> str:
    """Of all that an episode says, its images included."""
    digest = hashlib.sha1()
    for name, feature in sorted(source.meta.arrays().items()):
        rows = np.ascontiguousarray(episode.rows(name)[0 : len(episode)])
        digest.update(f"{name} {feature.dtype} {rows.dtype} {rows.shape}".encode() + rows.tobytes())
    for value in (episode.text, episode.seed, episode.expert, episode.outcome, episode.call):
        digest.update(repr(value).encode())
    for mapping in (episode.scene, episode.attributes):
        digest.update(repr(sorted(mapping.items())).encode())
    return digest.hexdigest()


def read(path: Path, name: str) -> Found:
    """Read everything."""
    source = format_named(name).open(path)
    found = Found(source.meta, [str(problem) for problem in getattr(source, "problems", list)()])
    for index in range(len(source)):
        whole = numbers = None
        try:
            episode = source.read(index)
            whole = fingerprint(episode, source)
            numbers = hashlib.sha1(episode.state.tobytes() + episode.action.tobytes()).hexdigest()
        except DataError as error:
            found.said.append(str(error))
        found.whole.append(whole)
        found.numbers.append(numbers)
    return found


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise AssertionError(f"no answer after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Found]]:
    """A data set of each format, and what is read from it."""
    made = {}
    for name in FORMATS:
        path = tmp_path_factory.mktemp(name.replace(".", "_")) / NAMES.get(name, "data")
        options = WriteOptions(codec="h264")
        format_named(name).write(META, (episode(seed) for seed in range(EPISODES)), path, options)
        found = read(path, name)
        assert len(found.whole) == EPISODES
        assert None not in found.whole
        assert not found.said
        made[name] = path, found
    return made


@pytest.mark.parametrize(("name", "damage", "seed"), CASES, ids=[f"{n}-{d}-{s}" for n, d, s in CASES])
def test_damage_is_named_or_does_not_matter(
    name: str, damage: str, seed: int, undamaged: dict[str, tuple[Path, Found]], tmp_path: Path
) -> None:
    original, right = undamaged[name]
    path = tmp_path / original.name
    (shutil.copytree if original.is_dir() else shutil.copyfile)(original, path)
    done = DAMAGES[damage](path, random.Random(seed))
    try:
        with time_limit(LIMIT):
            found = read(path, name)
    except InputError as error:
        found = Found(right.meta, [str(error)])
    assert not any("\n" in line for line in found.said), done
    # Every episode that was read is one of the undamaged ones, in its place or in their order. Without our
    # own description a file is anybody's: it is read by its format's rules, and the numbers are the same.
    anybodys = OWN in done and not found.said
    kept, known = (
        (found.numbers, right.numbers)
        if anybodys
        else ([w for w in found.whole if w is not None], right.whole)
    )
    places = [known.index(value) if value in known else -1 for value in kept]
    assert -1 not in places, f"{done}: other values were read and nothing was said"
    assert places == sorted(set(places)), f"{done}: episodes come twice, or in another order"
    assert len(kept) == EPISODES or found.said, f"{done}: episodes are missing and nothing was said"
    assert found.meta == right.meta or anybodys or not kept or found.said, f"{done}: the description changed"


#: Damages of files without checksums after which other values may be read: bytes among raw numbers, and a
#: description that is still a possible one. Packed numbers (zlib, Blosc) and videos mostly show theirs.
UNSEEN = {
    "flip": "a bit of a raw number",
    "garbage": "raw numbers, all of them",
    "delete": "an array, with its name, that need not be there",
    "zero": "raw numbers, or an HDF5 name",
    "insert": "raw numbers moved by some bytes",
    "swap": "two files of the same kind",
    "json_value": "another possible value",
    "hdf5": "an attribute or an array that need not be there",
    "parquet": "fewer rows where nothing else counts them",
}


def write_robomimic(path: Path) -> None:
    foreign.write_robomimic(path)


def write_libero(path: Path) -> None:
    foreign.write_libero(path)


def write_zarr(path: Path) -> None:
    """A replay buffer without our description."""
    format_named("zarr").write(META, (episode(seed) for seed in range(EPISODES)), path, WriteOptions())
    for entry in (*path.glob(f"meta/{OWN}*"), *path.glob(f"data/{OWN}*")):
        shutil.rmtree(entry)
    attributes = json.loads((path / ".zattrs").read_text())
    (path / ".zattrs").write_text(json.dumps({k: v for k, v in attributes.items() if k != OWN}))


def write_lerobot(path: Path, name: str = "lerobot") -> None:
    """A LeRobot data set without our description."""
    options = WriteOptions(codec="h264")
    format_named(name).write(META, (episode(seed) for seed in range(EPISODES)), path, options)
    (path / "meta" / f"{OWN}.json").unlink()


def write_lerobot21(path: Path) -> None:
    write_lerobot(path, "lerobot-v2.1")


FOREIGN: dict[str, Callable[[Path], None]] = {
    "robomimic": write_robomimic,
    "libero": write_libero,
    "zarr": write_zarr,
    "lerobot": write_lerobot,
    "lerobot-v2.1": write_lerobot21,
}


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Found]]:
    """A data set of each foreign format as others write it, and what is read from it."""
    made = {}
    for name, write in FOREIGN.items():
        path = tmp_path_factory.mktemp(f"other_{name}") / NAMES.get(name, "data")
        write(path)
        found = read(path, name)
        assert None not in found.whole
        made[name] = path, found
    return made


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FOREIGN)
def test_damage_of_files_without_checksums(
    name: str, damage: str, others: dict[str, tuple[Path, Found]], tmp_path: Path
) -> None:
    original, right = others[name]
    path = tmp_path / original.name
    (shutil.copytree if original.is_dir() else shutil.copyfile)(original, path)
    for seed in range(int(os.environ.get("ROBOT_SKILLS_FUZZ_SEEDS", "1"))):
        done = DAMAGES[damage](path, random.Random(f"{name} {damage} {seed}"))
        try:
            with time_limit(LIMIT):
                found = read(path, name)
        except InputError as error:
            found = Found(right.meta, [str(error)])
        assert not any("\n" in line for line in found.said), done
        kept = [value for value in found.whole if value is not None]
        silent = not found.said and (kept != right.whole or found.meta != right.meta)
        assert not silent or damage in UNSEEN, f"{done}: something else was read and nothing was said"
        if original.is_dir():
            shutil.rmtree(path)
        elif path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        (shutil.copytree if original.is_dir() else shutil.copyfile)(original, path)
