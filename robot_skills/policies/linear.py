"""Linear layers, and convolutions over short sequences, that use a processor's full width.

PyTorch multiplies float32 matrices with MKL, which leaves half of AVX-512 unused where the maker is not
Intel: 100 against 220 GFLOP/s for oneDNN's on one core of an AMD EPYC. PyTorch has oneDNN for convolutions,
and for those lays out the weights anew in every call, which over a chunk of actions costs more than the
products: a U-Net of 250 M weights takes 240 ms a pass that way, 65 ms as products of the weights as they lie.

Both classes have the parameters and, but for rounding, the results of PyTorch's; on other devices, in other
precisions and where oneDNN is not there they are PyTorch's.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: oneDNN's x @ weight.T + bias for float32 matrices, contiguous or transposed; None: MKL's is no worse.
_PRODUCT: Any = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    else None
)
#: Multiplications below which a call of oneDNN takes longer than it saves (11 x 128 x 512 are even).
LEAST = 1 << 20


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As `torch.nn.functional.linear`."""
    if _PRODUCT is None or not _suits(x, weight):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled():
        product: Tensor = _Product.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return product
    return _product(x, weight, bias)


def _suits(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.dim() > 1
        and x.numel() * len(weight) >= LEAST
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()  # the compiler takes this product of frozen weights alone
    )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    # With weights in neither rows nor columns, such as a slice of tokens, it takes 1000 times as long.
    if not (weight.is_contiguous() or weight.t().is_contiguous()):
        weight = weight.contiguous()
    product: Tensor = _PRODUCT(x, weight, bias, "none", [], "")
    return product


class _Product(torch.autograd.Function):
    """`_product` and its derivatives, which are products too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        rows = gradient.reshape(-1, gradient.shape[-1])
        return (
            _product(gradient, weight.t()) if for_x else None,
            _product(rows.t(), x.reshape(-1, x.shape[-1]).t()) if for_weight else None,
            rows.sum(0) if for_bias else None,
        )


class Linear(nn.Linear):
    """As `torch.nn.Linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return linear(input, self.weight, self.bias)


def _short(x: Tensor, layer: nn.Conv1d | nn.ConvTranspose1d) -> bool:
    """Whether a batch has fewer steps than the layer has channels: laying out weights is most of the work."""
    return x.device.type == "cpu" and x.shape[0] * x.shape[2] <= layer.stride[0] * layer.out_channels


class Conv1d(nn.Conv1d):
    """As `torch.nn.Conv1d`, without groups or dilation."""

    def __init__(self, start: int, end: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(start, end, kernel, stride, padding)

    def forward(self, input: Tensor) -> Tensor:
        """(B, in, T) to (B, out, T')."""
        if not _short(input, self):
            return super().forward(input)
        padding = self.padding[0]
        assert isinstance(padding, int)
        padded = F.pad(input, (padding, padding)) if padding else input
        windows = padded.unfold(2, self.kernel_size[0], self.stride[0]).transpose(1, 2)
        return linear(windows.flatten(2), self.weight.flatten(1), self.bias).transpose(1, 2)


class DoublingConv1d(nn.ConvTranspose1d):
    """`torch.nn.ConvTranspose1d` with kernel 4, stride 2 and padding 1, which doubles the length."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__(start, end, 4, 2, 1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, in, T) to (B, out, 2 T)."""
        if output_size is not None or not _short(input, self):
            return super().forward(input, output_size)
        # Step t of the input counts for the steps 2t - 1 to 2t + 2 of the output, one share each.
        shares = linear(input.transpose(1, 2), self.weight.flatten(1).t(), None)
        first, second, third, fourth = shares.view(*shares.shape[:2], -1, 4).unbind(-1)
        even = second + F.pad(fourth[:, :-1], (0, 0, 1, 0))
        odd = third + F.pad(first[:, 1:], (0, 0, 0, 1))
        out = torch.stack([even, odd], dim=2).flatten(1, 2)
        if self.bias is not None:
            out = out + self.bias
        return out.transpose(1, 2)
