"""Which weights of a run are kept: those that do best on validation seeds, while it trains.

Validation seeds are for choosing and test seeds for reporting: the rate of the weights that were chosen is
the best of several draws, and flatters them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from robot_skills.errors import InputError
from robot_skills.policies.policy import Policy
from robot_skills.training.evaluation import EvalReport
from robot_skills.training.recipe import Evaluation

FILE = "chosen.safetensors"


class Evaluator(Protocol):
    """Runs a trained folder's policy: what a simulator offers to the trainer, which knows none."""

    def __call__(self, folder: Path, seeds: Sequence[int], workers: int) -> EvalReport:
        """One episode a seed, in `workers` processes."""


@dataclass(frozen=True)
class Chosen:
    """The weights that were kept, and how they did.

    Attributes:
        step: of the last phase.
        successes, episodes: on validation seeds.
        first_seed: of them.
        keep: "best" of all evaluations, or "last".
    """

    step: int
    successes: int
    episodes: int
    first_seed: int
    keep: str


class Selection:
    """Evaluates weights as training goes, and keeps those that the recipe asks for.

    Args:
        settings: the recipe's `evaluate`.
        evaluator: runs episodes.
        folder: of the run; `chosen.safetensors` is kept in it.
    """

    def __init__(self, settings: Evaluation, evaluator: Evaluator, folder: Path) -> None:
        self._settings, self._evaluator, self._folder = settings, evaluator, folder

    def evaluate(self, policy: Policy, step: int) -> EvalReport:
        """Evaluate a policy as its folder would act, and keep its weights if they are the ones to keep.

        Args:
            policy: with the averaged weights.
            step: of the last phase.
        """
        settings = self._settings
        seeds = range(settings.first_seed, settings.first_seed + settings.episodes)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".evaluate.") as scratch:
            policy.save_pretrained(Path(scratch))
            report = self._evaluator(Path(scratch), seeds, settings.workers)
        new = Chosen(step, report.successes, len(report.results), settings.first_seed, settings.keep)
        known = self.chosen()
        # Of two that did alike the later one: it has learned longer.
        if known is None or settings.keep == "last" or new.successes >= known.successes:
            self._keep(policy, new)
        return report

    def chosen(self) -> Chosen | None:
        """What is kept so far; None before the first evaluation.

        Raises:
            InputError: the file is damaged.
        """
        path = self._folder / FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                header = file.metadata() or {}
            return Chosen(**json.loads(header["chosen"]))
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged: {error}. Delete it, or train in another folder.") from error

    def load(self, policy: Policy) -> Chosen | None:
        """Give a policy the weights that are kept."""
        chosen = self.chosen()
        if chosen is not None:
            cast(nn.Module, policy).load_state_dict(load_file(self._folder / FILE))
        return chosen

    def _keep(self, policy: Policy, chosen: Chosen) -> None:
        # Copies: safetensors refuses tensors that share memory (tied weights).
        state: dict[str, Any] = cast(nn.Module, policy).state_dict()
        tensors = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}
        new = self._folder / f".{FILE}.new"
        save_file(tensors, new, metadata={"chosen": json.dumps(asdict(chosen))})
        new.replace(self._folder / FILE)
