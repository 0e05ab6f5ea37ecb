"""Arbitrary data sets to convert, and what it means that two are the same."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import Source
from robot_skills.data.meta import Feature, StoreMeta
from robot_skills.robot import OSC_POSE, STATE_NAMES, ActionSpace
from robot_skills.skill import SkillCall

DTYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
#: Names that a converter could stumble over, among others.
NAMES = ("front", "agentview", "a.b", "x_image", "img", "state", "action.float64", "observation.object")
EXTRAS = (
    *("sim.state", "next.reward", "next.done", "action.float64", "observation.front_image", "a.b", "img"),
    *("observation.robot0_eef_pos", "observation.state", "state.float64", "state.x", "robot_skills", "x-1"),
)
STATES = (
    STATE_NAMES,
    ("robot0_eef_pos.0", "robot0_eef_pos.1", "robot0_eef_pos.2", "robot0_gripper_qpos.0"),
    ("x", "x", ""),
    (),
    ("a.0", "a.1", "b.0", "a.2"),
    ("état/1", "π"),
)
TEXTS = st.one_of(
    st.sampled_from(
        ["", "push the T", "pousse le carré", "红色方块 🟥", 'say "go"\n\t\\', "nul\0 inside", "x" * 5000]
    ),
    st.text(max_size=20),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def action_spaces() -> st.SearchStrategy[ActionSpace]:
    limits = st.sampled_from([(-1.0, 1.0), (-math.inf, math.inf), (0.0, 512.0), (-math.inf, 0.1)])
    made = st.lists(st.tuples(st.text(max_size=5), st.booleans(), limits), min_size=1, max_size=4).map(
        lambda rows: ActionSpace(
            tuple(row[0] for row in rows),
            tuple(row[1] for row in rows),
            tuple(row[2][0] for row in rows),
            tuple(row[2][1] for row in rows),
        )
    )
    return st.one_of(st.just(OSC_POSE), made)


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[StoreMeta, list[Episode]]:
    """A store's description and one to three episodes."""
    sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))
    shapes = st.lists(st.integers(0, 3), max_size=2).map(tuple)
    extras = st.dictionaries(
        st.sampled_from(EXTRAS), st.builds(Feature, st.sampled_from(DTYPES), shapes), max_size=4
    )
    meta = StoreMeta(
        cameras=draw(st.dictionaries(st.sampled_from(NAMES), sizes, max_size=2)),
        control_rate=draw(st.sampled_from([20.0, 10.0, 29.97, 1 / 3])),
        state_names=draw(st.sampled_from(STATES)),
        action=draw(action_spaces()),
        extras=draw(extras),
        info=draw(st.one_of(st.just({}), st.dictionaries(TEXTS, JSON, max_size=2))),
    )
    return meta, [draw(episodes(meta)) for _ in range(draw(st.integers(1, 3)))]


@st.composite
def episodes(draw: st.DrawFn, meta: StoreMeta) -> Episode:
    """An episode that fits a description."""
    length, rng = draw(st.integers(1, 6)), np.random.default_rng(draw(st.integers(0, 2**32)))
    low, high = (np.clip(limit, -1e3, 1e3) for limit in (meta.action.low, meta.action.high))
    target = rng.normal(size=(length, 3)).astype(np.float32)
    return Episode(
        images={
            name: numbers(rng, Feature("|u1", (*size, 3)), length) for name, size in meta.cameras.items()
        },
        state=numbers(rng, Feature("<f4", (len(meta.state_names),)), length),
        action=rng.uniform(low, high, (length, meta.action.size)).astype(np.float32),
        end=rng.integers(0, 2, length).astype(np.float32),
        target=draw(st.sampled_from([target, np.full((length, 3), np.nan, np.float32)])),
        text=draw(TEXTS),
        call=draw(st.sampled_from([None, SkillCall("pick", {"object": "cube rouge é"}), SkillCall("press")])),
        scene=draw(st.dictionaries(TEXTS, JSON, max_size=2)),
        seed=draw(st.one_of(st.none(), st.integers(0, 2**40))),
        expert=draw(st.sampled_from(["unknown", "human", ""])),
        outcome=draw(st.sampled_from(["succeeded", "failed", "timed_out", "unknown"])),
        extras={name: numbers(rng, feature, length) for name, feature in meta.extras.items()},
        attributes=draw(attributes()),
    )


def attributes() -> st.SearchStrategy[dict[str, Any]]:
    """Attributes, some of them such as other formats have."""
    known = st.sampled_from(["model_file", "init_state", "filter_keys", "num_samples", "robot_skills", "a/b"])
    lists = st.lists(st.floats(allow_nan=False), max_size=4) | st.lists(st.integers(-5, 5), max_size=4)
    return st.dictionaries(known | TEXTS, JSON | lists | st.just(["train"]), max_size=3)


def numbers(rng: np.random.Generator, feature: Feature, length: int) -> np.ndarray:
    """(length, ...) numbers of a feature: any bits for integers, ordinary and special ones for floats."""
    dtype, shape = np.dtype(feature.dtype), (length, *feature.shape)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.1, -0.0, rng.normal(size=shape) / 3).astype(dtype)


def assert_same(source: Source, meta: StoreMeta, made: list[Episode]) -> None:
    """Every field of every episode is what was made, by value and by type."""
    assert source.meta.to_json() == json.loads(json.dumps(meta.to_json()))
    assert len(source) == len(made)
    for index, episode in enumerate(made):
        found = source.read(index)
        assert_same_episode(found, episode)
        found.check(source.meta)


def assert_same_episode(found: Episode, made: Episode) -> None:
    """As `assert_same`, of one episode."""
    assert found.to_json() == made.to_json()
    assert set(found.images) == set(made.images)
    assert set(found.extras) == set(made.extras)
    pairs = [(getattr(found, name), getattr(made, name)) for name in ("state", "action", "end", "target")]
    pairs += [(found.extras[name], made.extras[name]) for name in made.extras]
    pairs += [(found.images[name][0 : len(made)], made.images[name]) for name in made.images]
    for ours, theirs in pairs:
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


def fresh(folder: Path, name: str) -> Path:
    """A path that nothing lies at, however often a property is tried."""
    return folder / f"{len(list(folder.iterdir()))}-{name}"
