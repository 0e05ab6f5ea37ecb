"""A robomimic file, written here by a scripted rollout, is played again in the simulator."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("robosuite")
pytest.importorskip("h5py")
import h5py

from sim.robosuite_lift import LiftExpert
from sim.robosuite_world import RobosuiteWorld

STEPS = 45


def record(world: RobosuiteWorld, file: Path, seeds: range) -> None:
    """Write episodes as robomimic lays them out: the state before each action, the actions, the model."""
    with h5py.File(file, "w") as target:
        data = target.create_group("data")
        data.attrs["env_args"] = json.dumps(
            {"env_name": "Lift", "type": 1, "env_kwargs": {"robots": "Panda"}}
        )
        for index, seed in enumerate(seeds):
            world.reset(seed)
            expert = LiftExpert(world)
            states, actions = [], []
            for _ in range(STEPS):
                states.append(world.state())
                actions.append(expert.action())
                world.act(actions[-1])
            demo = data.create_group(f"demo_{index}")
            demo.create_dataset("states", data=np.array(states))
            demo.create_dataset("actions", data=np.array(actions))
            demo.create_dataset("dones", data=np.eye(1, STEPS, STEPS - 1, dtype=np.int64)[0])
            demo.attrs["num_samples"], demo.attrs["model_file"] = STEPS, world.model_xml


def test_a_robomimic_file_plays_again(tmp_path: Path) -> None:
    world = RobosuiteWorld("Lift", cameras={})
    record(world, tmp_path / "lift.hdf5", range(700_000, 700_002))
    world.close()
    world = RobosuiteWorld("Lift", cameras={})
    lifted = []
    with h5py.File(tmp_path / "lift.hdf5") as source:
        for demo in source["data"].values():
            states, actions = demo["states"][:], demo["actions"][:]
            world.reset_to(states[0], demo.attrs["model_file"])
            replayed = []
            for action in actions:
                replayed.append(world.state())
                world.act(action)
            np.testing.assert_allclose(replayed, states, rtol=0, atol=1e-9)
            lifted.append(world.success())
    world.close()
    assert any(lifted)
