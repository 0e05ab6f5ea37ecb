"""Adapters between torch and llama.cpp: the LoRA matrices of a Llama network as a GGUF file.

llama.cpp adds `alpha / rank * B A` to a weight (tensors `NAME.lora_a`, `NAME.lora_b`). Its rotary
embedding pairs neighbouring channels where transformers pairs the two halves of a head, so the rows of B for
queries and keys change places as the rows of their weights do (`LlamaModel.permute` in llama.cpp's
convert_hf_to_gguf.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import InputError, require

#: The layers that are adapted: transformers' name -> llama.cpp's.
LAYERS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip

Matrix = NDArray[np.float32]


def interleaved(rows: Matrix, heads: int) -> Matrix:
    """Rows of a query's or key's B, (heads * d, rank), in llama.cpp's order."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def halved(rows: Matrix, heads: int) -> Matrix:
    """The inverse of `interleaved`."""
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def read_adapter(path: Path, heads: tuple[int, int]) -> dict[tuple[int, str], tuple[Matrix, Matrix]]:
    """The matrices of an adapter that `write_adapter` wrote: (layer, name in `LAYERS`) -> A, B.

    Raises:
        InputError: there is no such file, or it is no adapter.
    """
    gguf = require("gguf", "finetune")
    if not path.is_file():
        raise InputError(f"There is no adapter {path}.")
    try:
        tensors = {each.name: np.array(each.data, np.float32) for each in gguf.GGUFReader(path).tensors}
        matrices = {}
        for layer in range(1 + max(int(name.split(".")[1]) for name in tensors)):
            for name, theirs in LAYERS.items():
                down, up = (tensors[f"blk.{layer}.{theirs}.weight.lora_{side}"] for side in "ab")
                if name.endswith(("q_proj", "k_proj")):
                    up = halved(up, heads[name.endswith("k_proj")])
                matrices[layer, name] = (down, up)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path} is no adapter of LoRA on every linear layer: {error}.") from error
    return matrices


def write_adapter(
    path: Path,
    matrices: Mapping[tuple[int, str], tuple[Matrix, Matrix]],
    alpha: float,
    heads: tuple[int, int],
) -> None:
    """Write an adapter in half precision.

    Args:
        path: the `.gguf` file.
        matrices: (layer, name in `LAYERS`) -> A (rank, in), B (out, rank).
        alpha: of LoRA.
        heads: of queries, and of keys and values.
    """
    gguf = require("gguf", "finetune")
    temporary = path.with_suffix(".part")
    writer = gguf.GGUFWriter(str(temporary), "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for (layer, name), (down, up) in sorted(matrices.items()):
        if name.endswith(("q_proj", "k_proj")):
            up = interleaved(up, heads[name.endswith("k_proj")])
        stem = f"blk.{layer}.{LAYERS[name]}.weight"
        writer.add_tensor(f"{stem}.lora_a", np.ascontiguousarray(down.astype(np.float16)))
        writer.add_tensor(f"{stem}.lora_b", np.ascontiguousarray(up.astype(np.float16)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    temporary.replace(path)
