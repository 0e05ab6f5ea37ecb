"""LeRobot's own training step and inference, in LeRobot's own environment, timed on demand.

python lerobot_policies.py DATA POLICY SETTINGS THREADS: DATA is a data set of LeRobot's, POLICY "act" or
"diffusion", SETTINGS a JSON object of its config. Each line of the input is a question, each line of the
output its answer, in JSON (`own_policies.py` answers the same ones):

    {"ask": "about"}                                            {"parameters": ..., "version": ...}
    {"ask": "train", "batch": 8, "loading": true, "steps": 2}   {"seconds": ...} for the steps
    {"ask": "act", "chunks": 2}                                 {"chunk": ..., "action": ...} seconds each

Data set, policy, processors, optimizer, loader and update are made by the functions that `lerobot-train`
calls, in its order; "loading" false repeats one batch that is in memory.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "peers"))

import lerobot
import lerobot_video  # noqa: F401  (before the rest of LeRobot)
import numpy as np
import torch
from accelerate import Accelerator
from lerobot.configs.default import DatasetConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.datasets.factory import make_dataset
from lerobot.datasets.sampler import EpisodeAwareSampler
from lerobot.datasets.utils import cycle
from lerobot.optim.factory import make_optimizer_and_scheduler
from lerobot.policies.factory import make_policy, make_policy_config, make_pre_post_processors
from lerobot.policies.utils import prepare_observation_for_inference
from lerobot.scripts.lerobot_train import update_policy
from lerobot.utils.logging_utils import AverageMeter, MetricsTracker

#: Seconds of rest of the loader's processes after which what they prepare ahead is ready.
QUIET = 0.3


class Trained:
    """A policy of LeRobot's in training, as `lerobot.scripts.lerobot_train.train` makes it."""

    def __init__(self, data: str, policy: str, settings: dict[str, Any]) -> None:
        chosen = make_policy_config(policy, device="cpu", push_to_hub=False, **settings)
        self.config = TrainPipelineConfig(
            dataset=DatasetConfig("local/recordings", root=data, video_backend="pyav"), policy=chosen
        )
        self.config.optimizer = chosen.get_optimizer_preset()
        self.config.scheduler = chosen.get_scheduler_preset()
        self.accelerator = Accelerator(step_scheduler_with_optimizer=False, cpu=True)
        self.data = make_dataset(self.config)
        self.policy = make_policy(cfg=chosen, ds_meta=self.data.meta)
        self.preprocess, self.postprocess = make_pre_post_processors(
            policy_cfg=chosen, dataset_stats=self.data.meta.stats
        )
        optimizer, schedule = make_optimizer_and_scheduler(self.config, self.policy)
        self.policy, self.optimizer, self.schedule = self.accelerator.prepare(
            self.policy, optimizer, schedule
        )
        self.batches: dict[int, Any] = {}

    def loader(self, batch: int) -> Any:
        """Batches without end, prepared by the processes that LeRobot starts by default."""
        drop = getattr(self.config.policy, "drop_n_last_frames", None)
        sampler = None
        if drop is not None:
            episodes = self.data.meta.episodes
            first, end = episodes["dataset_from_index"], episodes["dataset_to_index"]
            sampler = EpisodeAwareSampler(first, end, drop_n_last_frames=drop, shuffle=True)
        loader = torch.utils.data.DataLoader(
            self.data, num_workers=self.config.num_workers, batch_size=batch, shuffle=sampler is None,
            sampler=sampler, pin_memory=False, drop_last=False, prefetch_factor=2,
        )  # fmt: skip
        return cycle(self.accelerator.prepare(loader))

    def train(self, batch: int, loading: bool, steps: int) -> dict[str, float]:
        """Seconds of so many steps."""
        if batch not in self.batches:
            source = self.loader(batch)
            self.batches[batch] = (source, next(source))
        source, kept = self.batches[batch]
        names = ("loss", "grad_norm", "lr", "update_s", "dataloading_s")
        meters = {name: AverageMeter(name, ":.3f") for name in names}
        tracker = MetricsTracker(
            batch, self.data.num_frames, self.data.num_episodes, meters, accelerator=self.accelerator
        )
        rest()
        began = time.perf_counter()
        for _ in range(steps):
            given = self.preprocess(next(source) if loading else dict(kept))
            tracker, _ = update_policy(
                tracker, self.policy, given, self.optimizer, self.config.optimizer.grad_clip_norm,
                accelerator=self.accelerator, lr_scheduler=self.schedule,
            )  # fmt: skip
            tracker.step()
        seconds = time.perf_counter() - began
        rest()
        return {"seconds": seconds}

    def act(self, chunks: int) -> dict[str, float]:
        """Median seconds of a call that computes a chunk, and a call's mean over all actions of a chunk."""
        inputs = self.policy.config.input_features
        image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
        seen = {
            name: np.zeros(feature.shape, np.float32) if len(feature.shape) == 1 else image
            for name, feature in inputs.items()
        }
        self.policy.eval()
        first, each = [], []
        for _ in range(chunks):
            self.policy.reset()
            spent = [self._action(seen) for _ in range(self.policy.config.n_action_steps)]
            first.append(spent[0])
            each.append(sum(spent) / len(spent))
        return {"chunk": float(np.median(first)), "action": float(np.median(each))}

    def _action(self, seen: dict[str, Any]) -> float:
        """One turn of LeRobot's control loop (`lerobot.utils.control_utils.predict_action`)."""
        began = time.perf_counter()
        with torch.inference_mode():
            given = prepare_observation_for_inference(dict(seen), torch.device("cpu"), "", "")
            self.postprocess(self.policy.select_action(self.preprocess(given)))
        return time.perf_counter() - began


def rest() -> None:
    """Wait until the loader's processes have nothing left to do: they would be in the next figure."""
    import psutil

    children = psutil.Process().children()
    spent = -1.0
    while children:
        now = sum(sum(child.cpu_times()[:2]) for child in children)
        if now == spent:
            return
        spent = now
        time.sleep(QUIET)


def main() -> None:
    """Answer questions until there are none."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what LeRobot prints is not an answer
    data, policy, settings, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    trained = Trained(data, policy, json.loads(settings))
    for line in sys.stdin:
        asked = json.loads(line)
        what = asked.pop("ask")
        if what == "about":
            size = sum(parameter.numel() for parameter in trained.policy.parameters())
            answer: dict[str, Any] = {"parameters": size, "version": lerobot.__version__}
        else:
            answer = {"train": trained.train, "act": trained.act}[what](**asked)
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)  # without waiting for the loader's processes, which end with this one


if __name__ == "__main__":
    main()
