"""Samples a second of robomimic's SequenceDataset, in robomimic's own environment.

python robomimic_loading.py FILE BATCH FRAMES: one image, state and action a sample, which reads least;
low-dimensional arrays are in memory, as its image configurations have it.
"""

import json
import sys
import time

import h5py
import numpy as np
import torch
from robomimic.utils import obs_utils
from robomimic.utils.dataset import SequenceDataset
from torch.utils.data import default_collate

path, batch, frames = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
with h5py.File(path, "r") as file:
    keys = list(file["data/demo_0/obs"])
images = [key for key in keys if key.endswith("_image")]
low_dim = [key for key in keys if key not in images]
obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"rgb": images, "low_dim": low_dim}})
data = SequenceDataset(
    hdf5_path=path, obs_keys=keys, dataset_keys=["actions"], frame_stack=1, seq_length=1,
    hdf5_cache_mode="low_dim", hdf5_use_swmr=False, load_next_obs=False,
)  # fmt: skip
rows = np.random.default_rng(1).integers(0, len(data), frames)
for timed in (rows[:batch], rows):  # the first round warms up
    began = time.process_time()
    for start in range(0, len(timed), batch):
        default_collate([data[int(row)] for row in timed[start : start + batch]])
print(json.dumps({"frames_per_second": len(rows) / (time.process_time() - began)}))
