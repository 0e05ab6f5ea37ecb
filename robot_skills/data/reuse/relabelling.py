"""Relabelling: neighbouring segments chained into longer demonstrations with a joint instruction.

After SPRINT (Zhang et al., ICRA 2024, arXiv 2306.11886), which joins neighbouring instructions with a
language model, and chains across trajectories where one ends as another begins. Here a template joins them
("open the drawer, then put the red block in the drawer"); any other function of the instructions may take its
place. A chain across episodes shows a world that changes at the seam wherever the two scenes differ: how far
apart the robot's states and the pictures may be says how much of that is put up with.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from robot_skills.data.episode import Episode, EpisodeRecord
from robot_skills.data.new_store import new_store
from robot_skills.data.reuse.subtrajectories import Scaling
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from robot_skills.policies.settings import check_range
from robot_skills.skill import SkillCall
from robot_skills.training.progress import JobProgress

#: How the skill calls of the packaged skills are put as an instruction; others by name and arguments.
PHRASES: Mapping[str, str] = {
    "pick": "pick up the {object}",
    "place": "put the {object} {relation} the {target}",
    "push": "push the {object} {direction}",
    "open": "open the {target}",
    "close": "close the {target}",
    "press": "press the {target}",
}
Summariser = Callable[[Sequence[str]], str]
#: Ends that are compared with beginnings at a time.
BLOCK = 1024


@dataclass(frozen=True)
class RelabelConfig:
    """Which segments are chained.

    Attributes:
        longest: segments of a chain, at most.
        gap: steps that may be missing between two segments of one episode.
        across: whether segments of different episodes are chained, too, one after another.
        state_distance: root mean square difference of normalised state features (standard deviations) up to
            which the end of a segment counts as the beginning of another. A quarter of a standard deviation
            is about 2 cm of position on the tabletop.
        picture_distance: mean absolute difference of pixels (of 1) in every camera, up to which it does. On
            the tabletop a control step changes the front picture by .01 (median of 300), another scene by
            .056, and in 99 of 100 pairs by .026 or more.
        partners: segments that one is continued with across episodes, at most, the nearest first.
    """

    longest: int = 3
    gap: int = 2
    across: bool = False
    state_distance: float = 0.25
    picture_distance: float = 0.02
    partners: int = 1

    def __post_init__(self) -> None:
        check_range("longest", self.longest, 2)
        check_range("partners", self.partners, 1)
        for name in ("gap", "state_distance", "picture_distance"):
            check_range(name, getattr(self, name), 0)


@dataclass(frozen=True)
class Chain:
    """Segments to be joined.

    Attributes:
        segments: their episodes in the store, in order, at least two.
        distance: 0 within one recording, else the state distance at the seam.
    """

    segments: tuple[int, ...]
    distance: float = 0.0


@dataclass(frozen=True)
class RelabelReport:
    """What a relabelling came to.

    Attributes:
        chains: written, of them `across` across episodes.
        duplicates: left out, as the same actions with the same text were there already.
        texts: joint instructions, each counted once.
    """

    folder: str
    segments: int
    chains: int
    across: int
    duplicates: int
    texts: int
    steps: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        return dict(vars(self))


def relabel(
    store: EpisodeStore,
    folder: Path,
    config: RelabelConfig,
    console: Console,
    summarise: Summariser | None = None,
) -> RelabelReport:
    """Write chains of a store's segments into a new store.

    A chain has the arrays of its segments one after another, the joint instruction as its text, `end` only
    where its last segment has it, no skill call, and the attribute `chain`: the segments' numbers and texts,
    and the state distance at the seam.

    Args:
        store: of segments, as `data segment`, `data retrieve` and `collect` write them.
        folder: of the new store; it appears whole, or not at all.
        config: which segments are chained.
        console: where progress is shown.
        summarise: instructions to the joint one; `joint_instruction` without.

    Raises:
        InputError: nothing can be chained, or the folder is taken.
    """
    began = time.monotonic()
    chains, within = _chains(store, config)
    seen = {_fingerprint(store.view(record.episode)) for record in store.episodes}
    texts, written, across, duplicates = set(), 0, 0, 0
    info = {"relabelled_from": str(store.folder), "relabelling": vars(config)}
    with new_store(folder, store.meta, info) as made:
        with JobProgress(console, "chains", len(chains), "chains") as progress:
            for number, chain in enumerate(chains):
                episode = join(store, chain, summarise or joint_instruction)
                mark = _fingerprint(episode)
                if mark in seen:
                    duplicates += 1
                else:
                    seen.add(mark)
                    made.append(episode)
                    texts.add(episode.text)
                    written += 1
                    across += number >= within
                progress.advance()
        steps = made.frames
    return RelabelReport(
        folder=str(folder),
        segments=len(store.episodes),
        chains=written,
        across=across,
        duplicates=duplicates,
        texts=len(texts),
        steps=steps,
        seconds=time.monotonic() - began,
    )


# Which segments ---------------------------------------------------------------------------------------


def _chains(store: EpisodeStore, config: RelabelConfig) -> tuple[list[Chain], int]:
    """Every chain, those within a recording first, and how many these are."""
    chains = neighbours(store, config)
    within = len(chains)
    if config.across:
        chains += crossings(store, config)
    if not chains:
        raise InputError(
            f"{store.folder} holds no segments to chain: none of its episodes names neighbours of one "
            "recording as its source"
            + (", and none ends where another begins." if config.across else "; chain --across episodes?")
        )
    return chains, within


def neighbours(store: EpisodeStore, config: RelabelConfig) -> list[Chain]:
    """Every run of 2 to `longest` segments that follow each other in one recording."""
    recordings: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
    for record in store.episodes:
        origin = source_of(record)
        if origin is not None and record.outcome == "succeeded":
            recording, start, stop = origin
            recordings.setdefault(recording, []).append((start, stop, record.episode))
    chains = []
    for parts in recordings.values():
        parts.sort()
        for first in range(len(parts)):
            for last in range(first + 1, min(first + config.longest, len(parts))):
                if not 0 <= parts[last][0] - parts[last - 1][1] <= config.gap:
                    break
                chains.append(Chain(tuple(part[2] for part in parts[first : last + 1])))
    return chains


def crossings(store: EpisodeStore, config: RelabelConfig) -> list[Chain]:
    """Pairs of segments of different recordings and with different texts, one ending where the other begins.

    The end of A is close to the start of B when the root mean square difference of the normalised state
    features of A's last row and B's first is at most `state_distance`, and in every camera the mean absolute
    difference of the two pictures at most `picture_distance`.
    """
    records = [record for record in store.episodes if record.outcome == "succeeded"]
    scaling = Scaling.of([store])
    lasts = scaling.state(store.state[[record.rows.stop - 1 for record in records]])
    firsts = scaling.state(store.state[[record.start for record in records]])
    beginnings = torch.from_numpy(firsts)
    chains = []
    for start in range(0, len(records), BLOCK):
        ends = torch.from_numpy(lasts[start : start + BLOCK])
        table = torch.cdist(ends, beginnings).numpy() / np.sqrt(lasts.shape[1])
        for row, record in enumerate(records[start : start + BLOCK]):
            near = np.flatnonzero(table[row] <= config.state_distance)
            found = 0
            for place in near[np.argsort(table[row, near], kind="stable")]:
                other = records[int(place)]
                if found < config.partners and _may_follow(store, record, other, config):
                    chains.append(Chain((record.episode, other.episode), float(table[row, place])))
                    found += 1
    return chains


def _may_follow(
    store: EpisodeStore, record: EpisodeRecord, other: EpisodeRecord, config: RelabelConfig
) -> bool:
    """Whether another recording's segment shows something else, and the same picture at the seam."""
    same = record.episode == other.episode or instruction(record) == instruction(other)
    origin, next_origin = source_of(record), source_of(other)
    if same or (origin is not None and next_origin is not None and origin[0] == next_origin[0]):
        return False
    for camera in store.meta.cameras:
        images = store.images(camera)
        last, first = images[record.rows.stop - 1], images[other.start]
        if np.abs(last.astype(np.float32) - first).mean() / 255 > config.picture_distance:
            return False
    return True


def source_of(record: EpisodeRecord) -> tuple[tuple[str, int], int, int] | None:
    """The recording a segment was cut out of and its rows there, where its attributes say so."""
    known = record.attributes
    source = known.get("source")
    if isinstance(source, Mapping):
        number, rows, name = source.get("episode"), source.get("rows"), str(source.get("store", ""))
    else:
        number, rows, name = known.get("source_episode"), known.get("source_rows"), ""
    if not isinstance(number, int) or not isinstance(rows, (list, tuple)) or len(rows) != 2:
        return None
    return (name, number), int(rows[0]), int(rows[1])


# What a chain says ------------------------------------------------------------------------------------


def instruction(record: EpisodeRecord | Episode) -> str:
    """A segment as an instruction: its skill call in words, or else its text."""
    return record.text if record.call is None else phrase(record.call)


def phrase(call: SkillCall) -> str:
    """A skill call in words: "open the drawer"."""
    template = PHRASES.get(call.skill)
    if template is None:
        return " ".join([call.skill, *(str(value) for value in call.args.values())])
    return template.format(**call.args)


def joint_instruction(instructions: Sequence[str]) -> str:
    """Instructions joined in order: "open the drawer, then press the button".

    What is said twice in a row, as of a segment cut in two, is said once; a picking up that ends in a putting
    down of the same thing is the putting down: "put the red block in the drawer".
    """
    kept: list[str] = []
    for text in instructions:
        text = text.strip().rstrip(".")
        if kept and kept[-1] == text:
            continue
        thing = kept[-1].removeprefix("pick up ") if kept and kept[-1].startswith("pick up ") else None
        if thing is not None and text.startswith(f"put {thing} "):
            kept.pop()
        kept.append(text)
    return ", then ".join(text for text in kept if text)


def join(store: EpisodeStore, chain: Chain, summarise: Summariser = joint_instruction) -> Episode:
    """The episode that a chain makes."""
    parts = [store.view(number) for number in chain.segments]
    first, last = parts[0], parts[-1]
    said = [instruction(part) for part in parts]
    ends = [np.zeros_like(part.end) for part in parts[:-1]]
    attributes = {
        "chain": {
            "segments": list(chain.segments),
            "instructions": said,
            "state_distance": round(chain.distance, 6),
        },
        **({"continues": True} if last.attributes.get("continues") else {}),
    }
    return replace(
        first,
        images={name: np.concatenate([part.images[name] for part in parts]) for name in first.images},
        extras={name: np.concatenate([part.extras[name] for part in parts]) for name in first.extras},
        state=np.concatenate([part.state for part in parts]),
        action=np.concatenate([part.action for part in parts]),
        end=np.concatenate([*ends, last.end]),
        target=np.concatenate([part.target for part in parts]),
        text=summarise(said),
        call=None,
        expert=", ".join(dict.fromkeys(part.expert for part in parts)),
        attributes=attributes,
    )


def _fingerprint(episode: Episode) -> tuple[str, bytes]:
    """The same for demonstrations of the same actions from the same states with the same text."""
    digest = hashlib.sha256()
    for array in (episode.state, episode.action):
        digest.update(np.ascontiguousarray(array).tobytes())
    return episode.text, digest.digest()
