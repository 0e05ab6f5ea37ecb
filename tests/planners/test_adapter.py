"""Adapters as files: what torch learned is what llama.cpp is given, and can be gone on from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planners.adapter import LAYERS, halved, interleaved, read_adapter, write_adapter
from robot_skills.errors import InputError

HEADS = (6, 2)


def test_rows_change_places_as_llama_cpp_rotates_them_and_come_back() -> None:
    """Six channels a head: the halves (0, 1, 2) and (3, 4, 5) become the pairs (0, 3), (1, 4), (2, 5)."""
    rows = np.arange(12.0, dtype=np.float32)[:, None]
    assert interleaved(rows, 2)[:, 0].tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    assert np.array_equal(halved(interleaved(rows, 2), 2), rows)


def test_round_trip(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    rng = np.random.default_rng(0)
    wide = {"q_proj": 24, "k_proj": 8}
    matrices = {
        (layer, name): (
            rng.normal(size=(2, 10)).astype(np.float16).astype(np.float32),
            rng.normal(size=(wide.get(name.rpartition(".")[2], 12), 2)).astype(np.float16).astype(np.float32),
        )
        for layer in range(2)
        for name in LAYERS
    }
    write_adapter(tmp_path / "one.gguf", matrices, 4.0, HEADS)
    found = read_adapter(tmp_path / "one.gguf", HEADS)
    assert found.keys() == matrices.keys()
    for key, pair in matrices.items():
        for mine, theirs in zip(found[key], pair, strict=True):
            assert np.array_equal(mine, theirs)


def test_the_shipped_adapter_is_of_every_layer() -> None:
    pytest.importorskip("gguf")
    found = read_adapter(Path("planners/reader.gguf"), (9, 3))
    assert len(found) == 30 * len(LAYERS)
    assert {a.shape[0] for a, _ in found.values()} == {b.shape[1] for _, b in found.values()} == {5}


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    with pytest.raises(InputError, match="no adapter"):
        read_adapter(tmp_path / "none.gguf", HEADS)
    (tmp_path / "text.gguf").write_text("no such thing" * 10)
    with pytest.raises(InputError, match="no adapter"):
        read_adapter(tmp_path / "text.gguf", HEADS)
