"""LeRobotDataset by others: features in native terms, damage found, and the six episodes of a real robot."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_skills.data.formats.base import DataError, Source, WriteOptions
from robot_skills.data.formats.lerobot import own, v21, v30
from robot_skills.data.formats.lerobot.video import VideoWriter
from robot_skills.errors import InputError

pq = pytest.importorskip("pyarrow.parquet")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("av")

from tests.robot_skills.data.formats.test_lerobot import simple_meta, smooth_episode  # noqa: E402

FORMATS = {2: v21.FORMAT, 3: v30.FORMAT}
G1 = Path(__file__).parents[5] / "shared/data/g1_bottle_lerobot_v21"
TABLE = {2: "data/chunk-000/episode_000001.parquet", 3: "data/chunk-000/file-000.parquet"}
VIDEO = {
    2: "videos/chunk-000/observation.images.front/episode_000001.mp4",
    3: "videos/observation.images.front/chunk-000/file-000.mp4",
}


@pytest.fixture(params=[2, 3], ids=["v2.1", "v3.0"])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def root(tmp_path: Path, version: int) -> Path:
    """A small data set as LeRobot itself would have written it: nothing of ours beside it."""
    meta = simple_meta()
    episodes = [smooth_episode(meta, 12), smooth_episode(meta, 15, 1.0)]
    FORMATS[version].write(meta, episodes, tmp_path / "set", WriteOptions(codec="h264"))
    for path in (tmp_path / "set/meta").glob("robot_skills*"):
        if path.is_file():
            path.unlink()
    return tmp_path / "set"


def change_info(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = root / "meta/info.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))


def change_table(path: Path, change: Callable[[dict[str, list[Any]]], object]) -> None:
    table = pq.read_table(path)
    columns = table.to_pydict()
    change(columns)
    pq.write_table(pa.table(columns, table.schema), path)


def read_all(source: Source) -> None:
    for index in range(len(source)):
        for rows in source.read(index).images.values():
            rows[:]


def test_features_in_native_terms(root: Path, version: int) -> None:
    source = FORMATS[version].open(root)
    assert source.meta.cameras == {"front": (48, 64)}
    assert source.meta.state_names == ("x", "y", "z")
    assert source.meta.action.names == ("x", "y")
    assert not any(source.meta.action.relative)
    assert np.isinf(source.meta.action.high).all()
    assert source.meta.control_rate == 10
    assert source.meta.info["source"]["codebase_version"] == f"v{version}.{1 if version == 2 else 0}"
    assert set(source.meta.extras) == {"end.column", "target.column", "next.done", "next.success"}
    episode = source.read(1)
    episode.check(source.meta)
    assert episode.end.tolist() == [0.0] * 14 + [1.0]
    assert np.isnan(episode.target).all()
    assert episode.images["front"][:].shape == (15, 48, 64, 3)


def test_stored_statistics(root: Path, version: int) -> None:
    source = FORMATS[version].open(root)
    for index in range(2):
        stored, episode = source.stored_statistics(index), source.read(index)
        for name in ("state", "action", "next.done"):
            rows = episode.rows(name).reshape(len(episode), -1).astype(float)
            for key in ("mean", "std", "min", "max"):
                np.testing.assert_allclose(stored[name][key], getattr(rows, key)(axis=0), rtol=1e-5)
    assert set(source.stored_statistics(None)) == (set(stored) if version == 3 else set())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ("a", "b")),
        ([["a", "b"]], ("a", "b")),
        ({"motors": ["a", "b"]}, ("a", "b")),
        ({"b": 1, "a": 0}, ("a", "b")),
        (None, ("action.0", "action.1")),
        (["a"], ("action.0", "action.1")),
        (["a", "a"], ("action.0", "action.1")),
    ],
)
def test_names_of_every_kind(root: Path, version: int, names: Any, expected: tuple[str, ...]) -> None:
    change_info(root, lambda info: info["features"]["action"].update(names=names))
    assert FORMATS[version].open(root).meta.action.names == expected


def test_depth_is_reported(root: Path, version: int) -> None:
    def depth(info: dict[str, Any]) -> None:
        info["features"]["observation.images.front"]["info"]["video.is_depth_map"] = True

    change_info(root, depth)
    source = FORMATS[version].open(root)
    assert source.meta.cameras == {}
    assert any("depth" in line for line in source.not_carried)
    read_all(source)


def test_numbers_beyond_float32_travel_along(root: Path, version: int) -> None:
    def finer(columns: dict[str, Any]) -> None:
        columns["action"] = [[1 / 3, 2.0**-40]] * len(columns["action"])

    for path in root.glob("data/*/*.parquet"):
        columns = pq.read_table(path).to_pydict()
        finer(columns)
        schema = pq.read_schema(path)
        place = schema.get_field_index("action")
        schema = schema.set(place, pa.field("action", pa.list_(pa.float64(), 2)))
        pq.write_table(pa.table(columns, schema), path)
    change_info(root, lambda info: info["features"]["action"].update(dtype="float64"))
    episode = FORMATS[version].open(root).read(1)
    assert episode.extras["action.float64"].tolist() == [[1 / 3, 2.0**-40]] * 15
    np.testing.assert_array_equal(episode.action, episode.extras["action.float64"].astype(np.float32))


def test_several_tasks_in_an_episode(root: Path, version: int) -> None:
    tasks = {"task_index": [0, 1], "task": ["reach", "grasp"]}
    if version == 2:
        lines = ({"task_index": index, "task": task} for index, task in enumerate(tasks["task"]))
        (root / "meta/tasks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:  # pandas leaves an index without a name so
        pq.write_table(
            pa.table({"task_index": [0, 1], "__index_level_0__": tasks["task"]}), root / "meta/tasks.parquet"
        )
    count = 15 if version == 2 else 27
    change_table(root / TABLE[version], lambda table: table.update(task_index=[0] * (count - 11) + [1] * 11))
    source = FORMATS[version].open(root)
    episode = source.read(1)
    assert episode.text == "grasp"
    assert episode.attributes["tasks"][:2] == ["grasp", "reach"]
    assert any("tasks" in line for line in source.not_carried)


def cut(share: float) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def out_of_step(path: Path) -> None:
    def later(columns: dict[str, list[Any]]) -> None:
        columns["timestamp"][-3:] = [stamp + 0.02 for stamp in columns["timestamp"][-3:]]

    change_table(path, later)


def fewer_rows(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.slice(0, len(table) - 2), path)


def swapped_rows(path: Path) -> None:
    table = pq.read_table(path)
    order = [*range(len(table) - 2), len(table) - 1, len(table) - 2]
    pq.write_table(table.take(order), path)


def without_action(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["action"]), path)


def empty_cell(path: Path) -> None:
    change_table(path, lambda columns: columns["observation.state"].__setitem__(-1, None))


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (cut(0.5), "damaged"),
        (cut(0.0), "damaged"),
        (Path.unlink, "missing"),
        (out_of_step, "timestamps"),
        (fewer_rows, "length"),
        (swapped_rows, "index"),
        (without_action, "missing"),
        (empty_cell, "damaged"),
    ],
)
def test_damaged_table(root: Path, version: int, damage: Callable[[Path], None], kind: str) -> None:
    damage(root / TABLE[version])
    source = FORMATS[version].open(root)
    with pytest.raises(DataError) as error:
        read_all(source)
    problem = error.value.problem
    assert problem.kind == kind
    assert problem.episode == (1 if version == 2 or kind in ("timestamps", "index") else 0)
    assert "\n" not in str(error.value)
    if kind == "timestamps":
        assert problem.frame == 12


def shorter_video(path: Path) -> None:
    """A video of 9 frames where the table has more."""
    writer = VideoWriter(path, (48, 64), Fraction(10), "h264", 30)
    writer.append(np.zeros((9, 48, 64, 3), np.uint8))
    writer.close()


@pytest.mark.parametrize(
    ("damage", "kind"),
    [(cut(0.3), "damaged"), (cut(0.8), "truncated"), (Path.unlink, "missing"), (shorter_video, "video")],
)
def test_damaged_video(root: Path, version: int, damage: Callable[[Path], None], kind: str) -> None:
    damage(root / VIDEO[version])
    with pytest.raises(DataError) as error:
        read_all(FORMATS[version].open(root))
    problem = error.value.problem
    assert problem.kind in (kind, "truncated", "damaged") if kind == "damaged" else problem.kind == kind
    assert problem.episode == (1 if version == 2 else 0)
    if kind == "video":
        assert problem.frame == 9


def test_wrong_rate_and_wrong_description(root: Path, version: int) -> None:
    change_info(root, lambda info: info.update(fps=15))
    with pytest.raises(DataError) as error:
        read_all(FORMATS[version].open(root))
    assert error.value.problem.kind == "timestamps"
    change_info(root, lambda info: info.update(fps=0))
    with pytest.raises(InputError, match="fps"):
        FORMATS[version].open(root)
    change_info(root, lambda info: info.update(fps=10, total_frames=3))
    with pytest.raises(InputError, match="total_frames 3"):
        FORMATS[version].open(root)
    change_info(
        root, lambda info: info.update(total_frames=27, data_path="../../{episode_index}{file_index}")
    )
    with pytest.raises(InputError):
        read_all(FORMATS[version].open(root))
    change_info(root, lambda info: info.update(codebase_version="v1.6"))
    with pytest.raises(InputError, match=r"v1\.6"):
        FORMATS[version].open(root)
    (root / "meta/info.json").write_text('{"codebase_version": ')
    with pytest.raises(InputError, match=r"info\.json"):
        FORMATS[version].open(root)


def test_own_exports_are_sealed(tmp_path: Path, version: int) -> None:
    """A changed byte anywhere is found; without our description the rest is a plain LeRobotDataset."""
    meta = simple_meta()
    FORMATS[version].write(meta, [smooth_episode(meta, 12)], tmp_path / "set", WriteOptions())
    files = [path for path in (tmp_path / "set").rglob("*") if path.is_file()]
    rng = np.random.default_rng(version)
    for path in files:
        content = path.read_bytes()
        for _ in range(5):
            changed = bytearray(content)
            place = int(rng.integers(len(changed)))
            changed[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            if path.name == Path(own.OWN).name and bytes(changed).split() == content.split():
                continue
            with pytest.raises(InputError):
                read_all(FORMATS[version].open(tmp_path / "set"))
        path.write_bytes(content)
    (tmp_path / "set" / own.OWN).unlink()
    read_all(FORMATS[version].open(tmp_path / "set"))


@pytest.mark.skipif(not G1.is_dir(), reason="the real robot's episodes are not there")
def test_real_robot() -> None:
    source = v21.FORMAT.open(G1)
    assert [len(source.read(index)) for index in range(len(source))] == [290, 421, 372, 342, 362, 386]
    assert source.not_carried == ()
    episode = source.read(3)
    episode.check(source.meta)
    assert episode.text == "Pick up the yellow bottle on the table."
    stats = json.loads((G1 / "meta/episodes_stats.jsonl").read_text().splitlines()[3])["stats"]
    np.testing.assert_allclose(stats["action"]["max"], episode.action.max(axis=0))
    images = episode.images["cam_high"][100:103]
    np.testing.assert_allclose(
        images.mean(axis=(0, 1, 2)) / 255,
        np.ravel(stats["observation.images.cam_high"]["mean"]),
        atol=0.05,
    )
    np.testing.assert_array_equal(source.read(3).images["cam_high"][102], images[2])
