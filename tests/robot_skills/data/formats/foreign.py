"""Files as other people's programs write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

CONTROLLER = {
    "type": "OSC_POSE",
    "control_delta": True,
    "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
    "kp": 150,
}
MODEL = "<mujoco>" + "<body/>" * 2000 + "</mujoco>"
LIFT = {
    "env_name": "Lift",
    "env_version": "1.4.1",
    "type": 1,
    "env_kwargs": {"robots": ["Panda"], "control_freq": 20, "controller_configs": CONTROLLER},
}


def write_robomimic(path: Path, lengths: tuple[int, ...] = (5, 7, 6), **changes: Any) -> dict[str, Any]:
    """A file as robomimic's `dataset_states_to_obs.py` writes it, in float64; returns its arrays by place.

    Args:
        path: of the file.
        lengths: of the demonstrations.
        changes: of attributes of `data`; None leaves one out.
    """
    rng, arrays = np.random.default_rng(0), {}
    attributes = {"total": sum(lengths), "env_args": json.dumps(LIFT), **changes}
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for name, value in attributes.items():
            if value is not None:
                data.attrs[name] = value
        for index, length in enumerate(lengths):
            demo = data.create_group(f"demo_{index * 5}")  # 0, 5, 10: as text, 10 comes before 5
            demo.attrs["num_samples"] = length
            demo.attrs["model_file"] = MODEL
            for place, rows in robomimic_arrays(rng, length).items():
                demo[place] = rows
                arrays[f"{demo.name}/{place}"] = rows
        demos = [f"demo_{index * 5}".encode() for index in range(len(lengths))]
        file["mask/train"] = np.array(demos[:-1])
        file["mask/valid"] = np.array(demos[-1:])
    return arrays


def robomimic_arrays(rng: np.random.Generator, length: int) -> dict[str, Any]:
    widths = {"robot0_eef_pos": 3, "robot0_eef_quat": 4, "robot0_gripper_qpos": 2, "robot0_joint_pos": 7}
    seen = {key: rng.normal(size=(length + 1, width)) for key, width in {**widths, "object": 10}.items()}
    for camera in ("agentview", "robot0_eye_in_hand"):
        seen[f"{camera}_image"] = rng.integers(0, 255, (length + 1, 8, 8, 3), np.uint8)
    seen["agentview_depth"] = rng.random((length + 1, 8, 8, 1), np.float32)
    rewards = np.zeros(length)
    rewards[-1] = 1.0
    return {
        "actions": rng.uniform(-1, 1, (length, 7)),
        "states": rng.normal(size=(length, 32)),
        "rewards": rewards,
        "dones": rewards.astype(np.int64),
        **{f"obs/{key}": rows[:-1] for key, rows in seen.items()},
        **{f"next_obs/{key}": rows[1:] for key, rows in seen.items()},
    }


def write_libero(path: Path, lengths: tuple[int, ...] = (5, 6), **changes: Any) -> dict[str, Any]:
    """A file as LIBERO's `create_dataset.py` writes it; returns its arrays by place."""
    rng, arrays = np.random.default_rng(1), {}
    info = {"problem_name": "libero_floor", "language_instruction": "put the bowl on the plate"}
    attributes: dict[str, Any] = {
        "env_name": "Libero_Floor",
        "problem_info": json.dumps(info),
        "macros_image_convention": "opengl",
        "bddl_file_name": "bddl_files/libero_goal/put.bddl",
        "bddl_file_content": "(define (problem LIBERO) (:goal (And (On bowl_1 plate_1))))",
        "env_args": json.dumps({**LIFT, "env_name": "Libero_Floor"}),
        "num_demos": len(lengths),
        "total": sum(lengths),
        **changes,
    }
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for name, value in attributes.items():
            if value is not None:
                data.attrs[name] = value
        for index, length in enumerate(lengths):
            demo = data.create_group(f"demo_{index}")
            found = libero_arrays(rng, length)
            demo.attrs["num_samples"] = length
            demo.attrs["model_file"] = MODEL
            demo.attrs["init_state"] = found["states"][0]
            for place, rows in found.items():
                demo[place] = rows
                arrays[f"{demo.name}/{place}"] = rows
    return arrays


def libero_arrays(rng: np.random.Generator, length: int) -> dict[str, Any]:
    ee, last = rng.normal(size=(length, 6)), np.zeros(length, np.uint8)
    last[-1] = 1
    return {
        "actions": rng.uniform(-1, 1, (length, 7)),
        "states": rng.normal(size=(length, 40)),
        "robot_states": rng.normal(size=(length, 9)),
        "rewards": last,
        "dones": last,
        "obs/ee_states": ee,
        "obs/ee_pos": ee[:, :3],
        "obs/ee_ori": ee[:, 3:],
        "obs/gripper_states": rng.normal(size=(length, 2)),
        "obs/joint_states": rng.normal(size=(length, 7)),
        "obs/agentview_rgb": rng.integers(0, 255, (length, 8, 8, 3), np.uint8),
        "obs/eye_in_hand_rgb": rng.integers(0, 255, (length, 8, 8, 3), np.uint8),
    }
