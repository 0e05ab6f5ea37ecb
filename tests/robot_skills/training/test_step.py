"""Parts of a step that the tests of the loop do not see: compiling, looking at losses, precision."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from robot_skills.policies.policy import Stage
from robot_skills.training.step import CompiledLoss, LossWatch, autocast, mean_answer, to_floats

STAGE = Stage("policy", 100, 8, 1e-3)


class BackendError(Exception):
    """What a compiler's backend raises."""

    __module__ = "torch._dynamo.exc"


def raising(error: Exception) -> Callable[..., Callable[..., Any]]:
    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            raise error

        return call

    return compile_


def loss(name: str, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
    return batch["value"] * 2, {}


def test_a_loss_that_does_not_compile_is_computed_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "compile", raising(BackendError("no compiler\nand much more")))
    compiled = CompiledLoss(loss, lambda batch: {**batch, "value": batch["value"] + 1})  # type: ignore[typeddict-item,misc]
    with caplog.at_level(logging.WARNING):
        answers = [compiled("policy", {"value": torch.tensor(3.0)})[0].item() for _ in range(3)]  # type: ignore[typeddict-item,typeddict-unknown-key]
    assert answers == [8.0, 8.0, 8.0]
    assert not compiled.compiled
    assert [record.message for record in caplog.records] == [
        "torch.compile does not work here (no compiler); the loss is computed as it is."
    ]


def test_a_mistake_in_the_policy_is_no_fault_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", raising(ValueError("no such stage")))
    with pytest.raises(ValueError, match="no such stage"):
        CompiledLoss(loss)("policy", {"value": torch.tensor(3.0)})  # type: ignore[typeddict-item,typeddict-unknown-key]


def test_losses_are_looked_at_together_and_the_step_is_named() -> None:
    watch = LossWatch(STAGE, first_step=20)
    for value in (1.0, 2.0):
        watch.add(torch.tensor(value))
    watch.look()
    assert watch.last == 2.0
    for value in (3.0, float("nan"), float("nan")):
        watch.add(torch.tensor(value))
    with pytest.raises(FloatingPointError, match=r"is nan at step 24 \(steps 23 to 25 .* \(now 0.001\)"):
        watch.look()


@pytest.mark.parametrize("able", [False, True])
def test_precision_is_float32_unless_asked_for_or_the_device_has_it(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able})
    one = torch.ones(2, 2)
    for precision, dtype in (
        ("float32", torch.float32),
        ("auto", torch.bfloat16 if able else torch.float32),
        ("bfloat16", torch.bfloat16),
    ):
        with autocast(precision, torch.device("cpu"))():
            assert (one @ one).dtype == dtype


def test_numbers_are_read_in_order_and_parts_are_averaged() -> None:
    parts = [
        (torch.tensor(1.0), {"a": torch.tensor(2.0), "b": 3.0}),
        (torch.tensor(3.0), {"a": 4.0, "b": 5.0}),
    ]
    mean, metrics = mean_answer(parts)
    assert mean.item() == 2.0
    assert to_floats(metrics) == {"a": 3.0, "b": 4.0}
