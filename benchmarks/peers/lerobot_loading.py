"""Samples a second of LeRobot's own LeRobotDataset, in LeRobot's own environment.

python lerobot_loading.py FOLDER BATCH FRAMES: one image, state and 16 actions a sample, decoded by PyAV.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "peers"))

import lerobot_video  # noqa: F401  (before LeRobot)
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from torch.utils.data import default_collate

path, batch, frames = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
rate = json.loads((path / "meta" / "info.json").read_text())["fps"]
chunk = {"action": [step / rate for step in range(16)]}
data = LeRobotDataset("local/recordings", root=path, delta_timestamps=chunk, video_backend="pyav")
rows = np.random.default_rng(1).integers(0, len(data), frames)
for timed in (rows[:batch], rows):  # the first round warms up
    began = time.process_time()
    for start in range(0, len(timed), batch):
        default_collate([data[int(row)] for row in timed[start : start + batch]])
print(json.dumps({"frames_per_second": len(rows) / (time.process_time() - began)}))
