"""robomimic's and LIBERO's files: as others write them, there and back."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from robot_skills.data.formats import format_named, open_source
from robot_skills.data.formats.base import DataError, Source, WriteOptions
from robot_skills.errors import InputError
from robot_skills.robot import OSC_POSE
from tests.robot_skills.data.formats.foreign import LIFT, MODEL, write_libero, write_robomimic
from tests.robot_skills.data.formats.stores import assert_same


def there_and_back(path: Path, folder: Path) -> tuple[Source, Path]:
    """Convert a file to a native store, and that to a file of the first format."""
    source = open_source(path)
    name = "libero" if "libero" in path.name else "robomimic"
    episodes = [source.read(index) for index in range(len(source))]
    format_named("native").write(source.meta, episodes, folder / "store", WriteOptions())
    native = open_source(folder / "store")
    assert_same(native, source.meta, episodes)
    again = folder / f"again_{path.name}"
    options = WriteOptions(compress=True)
    format_named(name).write(
        native.meta, (native.read(index) for index in range(len(native))), again, options
    )
    return native, again


def assert_same_file(again: Path, arrays: dict[str, Any], demos: tuple[str, ...]) -> None:
    """Every array of the first file is in the second: by value, shape and type. The last rows of `next_obs`
    are not."""
    with h5py.File(again) as file:
        for place, rows in arrays.items():
            _, _, demo, rest = place.split("/", 3)
            found = file[f"data/demo_{demos.index(demo)}/{rest}"]
            kept = slice(None, -1) if rest.startswith("next_obs") else slice(None)
            assert found.dtype == rows.dtype, place
            assert found.shape == rows.shape, place
            assert found[()][kept].tobytes() == rows[kept].tobytes(), place


def test_a_robomimic_file_there_and_back(tmp_path: Path) -> None:
    arrays = write_robomimic(tmp_path / "lift.hdf5")
    source, again = there_and_back(tmp_path / "lift.hdf5", tmp_path)
    demos = ("demo_0", "demo_5", "demo_10")
    assert_same_file(again, arrays, demos)
    with h5py.File(again) as file:
        assert json.loads(file["data"].attrs["env_args"]) == LIFT
        assert file["data"].attrs["total"] == 18
        assert file["data/demo_2"].attrs["model_file"] == MODEL
        assert file["mask/train"][()].tolist() == [b"demo_0", b"demo_1"]
        assert file["mask/valid"][()].tolist() == [b"demo_2"]
    meta = source.meta
    assert meta.cameras == {"agentview": (8, 8), "robot0_eye_in_hand": (8, 8)}
    assert meta.action == OSC_POSE
    assert meta.control_rate == 20.0
    assert meta.info["source"]["env_args"] == LIFT
    for index, demo in enumerate(demos):
        episode = source.read(index)
        keys = ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos")
        state = np.concatenate([arrays[f"/data/{demo}/obs/{key}"] for key in keys], 1)
        assert np.array_equal(episode.state, state.astype(np.float32))
        assert meta.state_names == tuple(
            f"{key}.{i}" for key, width in zip(keys, (3, 4, 2), strict=True) for i in range(width)
        )
        assert np.array_equal(episode.action, arrays[f"/data/{demo}/actions"].astype(np.float32))
        assert np.array_equal(episode.extras["sim.state"], arrays[f"/data/{demo}/states"])
        assert np.array_equal(episode.extras["observation.object"], arrays[f"/data/{demo}/obs/object"])
        assert np.array_equal(episode.images["agentview"], arrays[f"/data/{demo}/obs/agentview_image"])
        assert (episode.outcome, episode.end.tolist()) == (
            "succeeded",
            [0.0] * (len(episode) - 1) + [1.0],
        )
        assert episode.attributes["model_file"] == MODEL
        assert episode.attributes["demo"] == demo
        assert episode.attributes["filter_keys"] == (["valid"] if index == 2 else ["train"])


def test_what_follows_from_next_obs_is_said(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    assert any(line.startswith("next_obs:") for line in open_source(tmp_path / "lift.hdf5").not_carried)


def test_next_obs_is_obs_one_step_later(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    _, again = there_and_back(tmp_path / "lift.hdf5", tmp_path)
    with h5py.File(again, "r", swmr=True, libver="latest") as file:  # as robomimic opens it
        for demo in file["data"].values():
            assert set(demo["next_obs"]) == set(demo["obs"])
            for key in demo["obs"]:
                now, then = demo["obs"][key][()], demo["next_obs"][key]
                assert then.is_virtual
                assert np.array_equal(then[:-1], now[1:])
                assert np.array_equal(then[-1], now[-1])


def test_libero_s_images_are_turned_right_and_back(tmp_path: Path) -> None:
    arrays = write_libero(tmp_path / "libero.hdf5")
    source, again = there_and_back(tmp_path / "libero.hdf5", tmp_path)
    assert_same_file(again, arrays, ("demo_0", "demo_1"))
    episode = source.read(1)
    assert np.array_equal(episode.images["agentview"], arrays["/data/demo_1/obs/agentview_rgb"][:, ::-1])
    assert episode.text == "put the bowl on the plate"
    assert source.meta.cameras == {"agentview": (8, 8), "eye_in_hand": (8, 8)}
    assert source.meta.action == OSC_POSE
    assert np.array_equal(episode.extras["demo.robot_states"], arrays["/data/demo_1/robot_states"])
    with h5py.File(tmp_path / "libero.hdf5") as first, h5py.File(again) as second:
        for name, value in first["data"].attrs.items():
            ours = second["data"].attrs[name]
            assert json.loads(ours) == json.loads(value) if name == "env_args" else ours == value
        for name, value in first["data/demo_1"].attrs.items():
            assert np.array_equal(second["data/demo_1"].attrs[name], value)


def test_libero_s_convention_is_what_the_file_says(tmp_path: Path) -> None:
    arrays = write_libero(tmp_path / "libero.hdf5", macros_image_convention="opencv")
    source, again = there_and_back(tmp_path / "libero.hdf5", tmp_path)
    assert np.array_equal(source.read(0).images["agentview"], arrays["/data/demo_0/obs/agentview_rgb"])
    assert_same_file(again, arrays, ("demo_0", "demo_1"))


def test_from_libero_to_robomimic_images_stand_upright(tmp_path: Path) -> None:
    arrays = write_libero(tmp_path / "libero.hdf5")
    source = open_source(tmp_path / "libero.hdf5")
    target = tmp_path / "robomimic.hdf5"
    format_named("robomimic").write(source.meta, [source.read(0)], target, WriteOptions())
    with h5py.File(target) as file:
        upright = arrays["/data/demo_0/obs/agentview_rgb"][:, ::-1]
        assert np.array_equal(file["data/demo_0/obs/agentview_image"], upright)
        assert json.loads(file["data/demo_0"].attrs["ep_meta"])["lang"] == "put the bowl on the plate"
        assert json.loads(file["data"].attrs["env_args"])["env_name"] == "Libero_Floor"


@pytest.mark.parametrize(
    ("controller", "names", "relative", "limit"),
    [
        ({"type": "OSC_POSE", "input_type": "delta"}, OSC_POSE.names, OSC_POSE.relative, 1.0),
        (
            {"type": "BASIC", "body_parts": {"arms": {"right": {"type": "OSC_POSE"}}}},
            OSC_POSE.names,
            OSC_POSE.relative,
            1.0,
        ),
        ({"type": "OSC_POSE", "output_max": 0.1}, None, OSC_POSE.relative, 1.0),
        ({"type": "OSC_POSE", "control_delta": False}, None, (False,) * 7, np.inf),
        ({"type": "JOINT_VELOCITY"}, None, (True,) * 6 + (False,), np.inf),
        (None, OSC_POSE.names, OSC_POSE.relative, 1.0),  # all in [-1, 1]
    ],
)
def test_what_the_actions_mean(
    controller: Any, names: Any, relative: tuple[bool, ...], limit: float, tmp_path: Path
) -> None:
    environment = {"env_name": "Lift", "type": 1, "env_kwargs": {"controller_configs": controller}}
    write_robomimic(tmp_path / "lift.hdf5", env_args=json.dumps(environment))
    space = open_source(tmp_path / "lift.hdf5").meta.action
    assert space.names == (names or tuple(f"action.{index}" for index in range(7)))
    assert space.relative == relative
    assert space.high == (limit,) * 7


def test_an_unknown_controller_beyond_one_has_no_limits(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5", env_args=None)
    with h5py.File(tmp_path / "lift.hdf5", "r+") as file:
        file["data/demo_10/actions"][3, 2] = 1.5
    space = open_source(tmp_path / "lift.hdf5").meta.action
    assert space.high == (np.inf,) * 7
    assert space.relative == (False,) * 7


def test_failures_are_known_by_their_mark(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    with h5py.File(tmp_path / "lift.hdf5", "r+") as file:
        file["data/demo_0"].attrs["success"] = False
        file["data/demo_0"].attrs["seed"] = 17
        file["data/demo_5/rewards"][...] = 0
    source = open_source(tmp_path / "lift.hdf5")
    first, second, third = (source.read(index) for index in range(3))
    assert (first.outcome, first.end.sum(), first.seed) == ("failed", 0.0, 17)
    assert (second.outcome, second.end.sum(), second.seed) == ("unknown", 1.0, None)
    assert (third.outcome, third.end.sum()) == ("succeeded", 1.0)


def test_attributes_of_any_kind_are_kept_as_plain_values(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5", version=np.int32(3), tags=["a", "é"], scale=np.float32(0.5))
    with h5py.File(tmp_path / "lift.hdf5", "r+") as file:
        file["data"].attrs["first"] = file["data/demo_0"].ref
        file["data"].attrs["nothing"] = h5py.Empty("f4")
        file["data/demo_0"].attrs["operator"] = np.bytes_(b"anna")
    source, _ = there_and_back(tmp_path / "lift.hdf5", tmp_path)
    found = source.meta.info["source"]["attributes"]
    assert (found["version"], found["tags"], found["scale"], found["nothing"]) == (3, ["a", "é"], 0.5, None)
    assert isinstance(found["first"], str)
    assert source.read(0).attributes["operator"] == "anna"


def test_without_known_keys_the_state_is_all_that_is_not_simulator_state(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    with h5py.File(tmp_path / "lift.hdf5", "r+") as file:
        for demo in file["data"].values():
            for key in ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos"):
                del demo["obs"][key]
    meta = open_source(tmp_path / "lift.hdf5").meta
    assert meta.state_names == tuple(f"robot0_joint_pos.{index}" for index in range(7))
    assert "observation.object" in meta.extras


def test_masks_added_to_our_file_by_others_are_read(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    _, again = there_and_back(tmp_path / "lift.hdf5", tmp_path)
    with h5py.File(again, "r+") as file:
        file["mask/best"] = np.array([b"demo_1"])
    source = open_source(again)
    assert source.read(1).attributes["filter_keys"] == ["best", "train"]
    assert source.read(0).attributes["filter_keys"] == ["train"]


def _read_in_child(source: Source, results: Any) -> None:
    results.put([source.read(index).images["agentview"][0:5].sum() for index in range(3)])


def test_handles_survive_a_fork(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    source = open_source(tmp_path / "lift.hdf5")
    expected = [source.read(index).images["agentview"][0:5].sum() for index in range(3)]
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    children = [context.Process(target=_read_in_child, args=(source, results)) for _ in range(3)]
    for child in children:
        child.start()
    assert [results.get(timeout=60) for _ in children] == [expected] * 3
    for child in children:
        child.join(60)


DAMAGE = {
    "no num_samples that fits": lambda file: file["data/demo_5"].attrs.__setitem__("num_samples", 9),
    "no actions": lambda file: file["data/demo_5"].pop("actions"),
    "no observation": lambda file: file["data/demo_5/obs"].pop("robot0_eef_pos"),
    "no image": lambda file: file["data/demo_5/obs"].pop("agentview_image"),
    "a feature of another length": lambda file: replace_array(file, "data/demo_5/states", np.zeros((3, 32))),
    "an image of another size": lambda file: replace_array(
        file, "data/demo_5/obs/agentview_image", np.zeros((7, 4, 4, 3), np.uint8)
    ),
    "an observation of another width": lambda file: replace_array(
        file, "data/demo_5/obs/robot0_eef_pos", np.zeros((7, 2))
    ),
    "text for numbers": lambda file: replace_array(file, "data/demo_5/actions", np.array([b"a"] * 7)),
}


def replace_array(file: h5py.File, place: str, rows: Any) -> None:
    del file[place]
    file[place] = rows


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_demonstration_is_named_and_the_others_are_read(damage: str, tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    with h5py.File(tmp_path / "lift.hdf5", "r+") as file:
        DAMAGE[damage](file)
    source = open_source(tmp_path / "lift.hdf5")
    assert len(source.read(0)) == 5
    assert len(source.read(2)) == 6
    with pytest.raises(DataError) as caught:
        source.read(1)
    assert caught.value.problem.episode == 1
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_bad_input(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    whole = (tmp_path / "lift.hdf5").read_bytes()
    for share in (0.02, 0.3, 0.9):
        (tmp_path / "cut.hdf5").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"cut\.hdf5.*Copy the data set again|copy the data set again"):
            open_source(tmp_path / "cut.hdf5")


def test_a_changed_byte_in_our_file_is_found(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    _, again = there_and_back(tmp_path / "lift.hdf5", tmp_path)
    with h5py.File(again, "r+") as file:
        file["data/demo_0/obs/agentview_image"][2, 3, 3, 1] ^= 1
        file["data/demo_1/actions"][2, 3] += 1e-9
        file["data/demo_2"].attrs["model_file"] = MODEL + " "
    source = open_source(again)
    first = source.read(0)
    with pytest.raises(DataError, match=r"episode 0: .*images of agentview changed"):
        [first.images["agentview"][start : start + 2] for start in range(0, 5, 2)]
    for index, what in ((1, "action.float64 changed"), (2, "checksum differs")):
        with pytest.raises(DataError, match=f"episode {index}: .*{what}"):
            source.read(index)


def test_our_file_without_its_description_is_not_taken_for_somebody_else_s(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "lift.hdf5")
    _, again = there_and_back(tmp_path / "lift.hdf5", tmp_path)
    with h5py.File(again, "r+") as file:
        del file["data"].attrs["robot_skills"]
    with pytest.raises(DataError, match="its description cannot be read"):
        open_source(again)


def test_a_file_over_which_the_library_hangs_is_bad_input(tmp_path: Path) -> None:
    """The heap that holds texts is overwritten with zeros: HDF5 1.14 looks for the end of it for ever."""
    write_libero(tmp_path / "libero.hdf5")
    data = bytearray((tmp_path / "libero.hdf5").read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 16 : heap + 4096] = bytes(4080)
    (tmp_path / "libero.hdf5").write_bytes(data)
    with pytest.raises(DataError, match="hangs or crashes"):
        open_source(tmp_path / "libero.hdf5")
