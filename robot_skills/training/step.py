"""One step of a phase: gather, forward, backward, clip, AdamW, average; it never waits for the device."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from robot_skills.errors import InputError
from robot_skills.policies.policy import Batch, Metrics, Policy, Stage
from robot_skills.training.average import Average
from robot_skills.training.feed import Feed, parts_of
from robot_skills.training.graph import Answer, GraphedStep
from robot_skills.training.recipe import TrainRecipe
from robot_skills.training.schedule import one_cycle
from robot_skills.training.team import Team

log = logging.getLogger(__name__)

#: Gives the loss of a phase on a batch, as `Policy.loss` does.
Loss = Callable[[str, Batch], tuple[Tensor, Metrics]]


class StageRun:
    """What one phase optimises with, and how.

    Args:
        policy: after `begin_stage`: what then requires a gradient is optimised.
        stage: the phase.
        recipe: how.
        feed: what gives the batches.
        team: the processes that learn together.

    Attributes:
        optimizer: AdamW; its state goes into the checkpoint.
        average: the averaged weights.
        loss: what gives the loss.

    Raises:
        InputError: the batch cannot be cut in as many parts as the recipe accumulates over.
    """

    def __init__(self, policy: Policy, stage: Stage, recipe: TrainRecipe, feed: Feed, team: Team) -> None:
        if stage.batch_size % recipe.accumulate:
            raise InputError(
                f"accumulate ({recipe.accumulate}) divides the batch of every phase; {stage.name!r} has "
                f"{stage.batch_size}."
            )
        module = cast(nn.Module, policy)
        self.stage, self._recipe, self._feed, self._module = stage, recipe, feed, module
        self._device = next(module.parameters()).device
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.average = Average(module, recipe.ema_decay)
        graphed = recipe.step == "graph" and can_graph(self._device, feed, team)
        rate: float | Tensor = stage.learning_rate
        self._share: float | Tensor = 0.0
        if graphed:  # what changes from step to step is read from where a graph can find it
            rate = torch.tensor(stage.learning_rate, device=self._device)
            self._share = torch.zeros((), device=self._device)
        self.optimizer = torch.optim.AdamW(
            self._parameters, rate, weight_decay=stage.weight_decay, fused=True, capturable=graphed
        )
        self._team, self._joined = team, team.join(policy)
        self.loss: Loss = self._joined
        if recipe.step == "compile":
            self.loss = CompiledLoss(self._joined, getattr(policy, "prepare", None))
        self._autocast = autocast(recipe.precision, self._device)
        self._work: Callable[[Any], Answer] = self._once
        if graphed:
            # The first steps run uncaptured on purpose: no warning about it.
            self.optimizer._warned_capturable_if_run_uncaptured = True
            self._work = GraphedStep(self._once, self._device)

    def __call__(self, item: Any, step: int) -> Answer:
        """Do step number `step` (from 0) on an item of the feed.

        Returns:
            The loss, a 0-d tensor, and what the policy logs; neither has been waited for.
        """
        rate = one_cycle(step, self.stage.steps, self.stage.learning_rate, self._recipe.warmup)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        share = self.average.share(step + 1)
        if isinstance(self._share, Tensor):
            self._share.fill_(share)
        else:
            self._share = share
        return self._work(item)

    def end(self) -> None:
        """Leave the averaged weights in the policy, and no gradients."""
        self.optimizer.zero_grad(set_to_none=True)
        self.average.apply()

    def _once(self, item: Any) -> Answer:
        self._module.train()
        self.optimizer.zero_grad(set_to_none=True)
        parts = parts_of(self._feed.batch(item), self._recipe.accumulate)
        with self._team.apart(self._joined):
            answers = [self._learn(part, len(parts)) for part in parts[:-1]]
        answers.append(self._learn(parts[-1], len(parts)))
        nn.utils.clip_grad_norm_(self._parameters, self._recipe.gradient_clip)
        self.optimizer.step()
        self.average.update(self._share)
        return mean_answer(answers)

    def _learn(self, batch: Batch, parts: int) -> Answer:
        """Add a part's gradient."""
        with self._autocast():
            loss, metrics = self.loss(self.stage.name, batch)
        (loss if parts == 1 else loss / parts).backward()  # type: ignore[no-untyped-call]
        return loss.detach(), metrics


class CompiledLoss:
    """A policy's loss through `torch.compile`; as it is where that does not work, said once.

    Args:
        loss: the loss.
        prepare: makes tensors of words, outside of what is compiled: that would be compiled anew for each
            text.
    """

    def __init__(self, loss: Loss, prepare: Callable[[Batch], Batch] | None = None) -> None:
        self._plain, self._compiled = loss, cast(Loss, torch.compile(loss))
        self._prepare, self._worked = prepare, False

    @property
    def compiled(self) -> bool:
        """Whether it is compiled, as far as is known."""
        return self._compiled is not self._plain

    def __call__(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """The loss of a phase."""
        if self._prepare is not None:
            batch = self._prepare(batch)
        if self._worked:
            return self._compiled(name, batch)
        try:
            answer = self._compiled(name, batch)
        except Exception as error:
            if "dynamo" not in type(error).__module__ and "inductor" not in type(error).__module__:
                raise
            reason = str(error).strip().partition("\n")[0]
            log.warning("torch.compile does not work here (%s); the loss is computed as it is.", reason)
            self._compiled = self._plain
            answer = self._plain(name, batch)
        self._worked = True
        return answer


class LossWatch:
    """Losses that nobody has looked at yet: looking waits for the device, so it is done now and then."""

    def __init__(self, stage: Stage, first_step: int) -> None:
        self._stage, self._next = stage, first_step + 1
        self._waiting: list[Tensor] = []
        self.last = math.nan

    def add(self, loss: Tensor) -> None:
        """Note the loss of the next step."""
        self._waiting.append(loss)

    def look(self) -> None:
        """See that all were finite, and keep the last.

        Raises:
            FloatingPointError: one was not.
        """
        if not self._waiting:
            return
        values = torch.stack(self._waiting).tolist()
        first, self._next = self._next, self._next + len(values)
        self._waiting.clear()
        for step, value in enumerate(values, start=first):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"The loss of stage {self._stage.name!r} is {value} at step {step} (steps {first} to "
                    f"{self._next - 1} were looked at together): lower its learning_rate (now "
                    f"{self._stage.learning_rate:g})."
                )
        self.last = values[-1]


def can_graph(device: torch.device, feed: Feed, team: Team) -> bool:
    """Whether steps can be captured as a CUDA graph; says why not, but on a CPU."""
    if device.type != "cuda":
        return False
    if not feed.captured:
        log.warning("A CUDA graph needs the data on the GPU (data_on_gpu): steps are done as they are.")
    elif team.size > 1:
        log.warning("A CUDA graph holds one process's work: in a team, steps are done as they are.")
    return feed.captured and team.size == 1


def autocast(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """Makes the context in which a loss is computed.

    Args:
        precision: "float32"; "bfloat16"; or "auto": bfloat16 on a device that computes with it.
        device: what computes.
    """
    if precision == "float32" or (precision == "auto" and not computes_bfloat16(device)):
        return contextlib.nullcontext
    return functools.partial(_bfloat16, device.type)


@contextlib.contextmanager
def _bfloat16(device: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast(device, torch.bfloat16))
        if device == "cpu":
            # The backward pass of PyTorch's fused attention takes up to nine times as long in bfloat16.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, which PyTorch otherwise imitates, slowly.

    Of processors these are AVX512-BF16 (AMD since Zen 4, Intel since Cooper Lake) and AMX.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known: Mapping[str, object] = {}
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # not in every release
        known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def mean_answer(answers: Sequence[Answer]) -> Answer:
    """The mean over parts of one size."""
    if len(answers) == 1:
        return answers[0]
    metrics = {name: sum(answer[1][name] for answer in answers) / len(answers) for name in answers[0][1]}
    return torch.stack([loss for loss, _ in answers]).mean(), metrics


def to_floats(metrics: Mapping[str, Tensor | float]) -> dict[str, float]:
    """Numbers a person can read: waits for the device, once for all of them."""
    tensors = {name: value for name, value in metrics.items() if isinstance(value, Tensor)}
    read = torch.stack([value.float() for value in tensors.values()]).tolist() if tensors else []
    known = dict(zip(tensors, read, strict=True))
    return {name: known[name] if name in known else float(value) for name, value in metrics.items()}
