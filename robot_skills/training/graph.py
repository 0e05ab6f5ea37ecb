"""A training step captured once as a CUDA graph, and replayed: a small policy's kernels launched as one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

log = logging.getLogger(__name__)

#: Steps done before the capture, so that what is made at first use (cuBLAS handles, gradients' memory,
#: the optimizer's state) is there.
WARM_UP = 3
#: What a step answers: its loss, 0-d and detached, and the policy's numbers.
Answer: TypeAlias = tuple[Tensor, Mapping[str, Tensor | float]]


class GraphedStep:
    """Does a step as it is `WARM_UP` times, captures it, and replays it from then on.

    What the step reads besides its item (learning rate, share of the average) has to lie in tensors that
    stay where they are, and what it changes too. Random numbers come from the default generator, which a
    graph takes along. If it cannot be captured it goes on as before, and says so once.

    Args:
        work: the step; its item is a tensor of always the same shape, on the device.
        device: a GPU.
    """

    def __init__(self, work: Callable[[Tensor], Answer], device: torch.device) -> None:
        self._work, self._device = work, device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._done, self._failed = 0, False
        #: The graph, the item it reads, and the answer it writes.
        self._graph: tuple[torch.cuda.CUDAGraph, Tensor, Answer] | None = None

    def __call__(self, item: Tensor) -> Answer:
        """Do one step."""
        if self._failed:
            return self._work(item)
        if self._done < WARM_UP:
            self._done += 1
            return self._aside(item)
        if self._graph is None and not self._capture(item):
            return self._work(item)
        assert self._graph is not None, "captured above"
        graph, static, (loss, metrics) = self._graph
        static.copy_(item, non_blocking=True)
        graph.replay()
        return loss.clone(), metrics  # the next replay writes over it

    def _aside(self, item: Tensor) -> Answer:
        """A step on the stream that is captured later, as the capture wants it."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            answer = self._work(item)
        current.wait_stream(self._stream)
        return answer

    def _capture(self, item: Tensor) -> bool:
        """Record a step without doing it; whether that worked."""
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        torch.cuda.synchronize(self._device)
        random, stream = generator.get_state(), torch.cuda.current_stream(self._device)
        static = item.clone()
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads (TensorBoard's writer) may do as they like meanwhile.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                answer = self._work(static)
        except Exception as error:  # whatever the policy does that a graph cannot hold
            self._failed = True
            cause: BaseException = error
            while cause.__context__ is not None:  # ending a broken capture fails too, and says less
                cause = cause.__context__
            reason = str(cause).strip().partition("\n")[0] or type(cause).__name__
            log.warning("The step could not be captured as a CUDA graph (%s); it goes on as it is.", reason)
            torch.cuda.set_stream(stream)  # the end of a broken capture leaves the one it was on
            # A generator that a broken capture left waiting for its end is of no more use.
            fresh = torch.Generator(self._device)
            generator.graphsafe_set_state(fresh.graphsafe_get_state())
            generator.set_state(random)
            return False
        self._graph = graph, static, answer
        return True
