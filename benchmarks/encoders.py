"""Milliseconds of one core for a forward pass of each vision encoder, without gradients.

python benchmarks/encoders.py

Time of the thread on the processor, so that what else runs beside it hardly counts; the best of several.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from report import write_report

from robot_skills.policies.vision import VisionConfig, vision_encoder

ENCODERS: dict[str, dict[str, Any]] = {
    "cnn": {},
    "cnn, map": {"output": "map"},
    "resnet18": {"kind": "resnet18"},
    "resnet18, three stages": {"kind": "resnet18", "stages": 3},
    "resnet18, two stages": {"kind": "resnet18", "stages": 2},
    "vit, 4 x 128": {"kind": "vit"},
    "vit, 3 x 96": {"kind": "vit", "width": 96, "layers": 3},
    "open_clip, the small CLIP": {"kind": "open_clip", "model": "tabletop"},
}
TEXT, WIDTH = 64, 128


@torch.inference_mode()
def milliseconds(settings: dict[str, Any], side: int, batch: int) -> float:
    """Of one forward pass."""
    torch.manual_seed(0)
    patch = {"patch": 12} if settings.get("kind") == "vit" and side == 84 else {}
    encoder = vision_encoder(VisionConfig(**settings, **patch), TEXT, WIDTH, side).eval()
    pixels, text = torch.randn(batch, 3, side, side), torch.randn(batch, TEXT)
    taken = []
    for _ in range(20 if batch == 1 else 5):
        began = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
        encoder(pixels, text)
        taken.append(time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) - began)
    return 1000 * min(taken)


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for name, settings in ENCODERS.items():
        encoder = vision_encoder(VisionConfig(**settings), TEXT, WIDTH, 64)
        trained = sum(parameter.numel() for parameter in encoder.parameters())
        times = [milliseconds(settings, side, batch) for side in (64, 84) for batch in (1, 64)]
        rows.append((name, f"{trained:,}", encoder.tokens, *(f"{value:.2f}" for value in times)))
    write_report(
        "encoders",
        "Vision encoders: milliseconds of a forward pass",
        ("encoder", "parameters", "tokens", "64 px, 1", "64 px, batch 64", "84 px, 1", "84 px, batch 64"),
        rows,
        "One thread, float32. A ViT has 8 px patches at 64 px and 12 px patches at 84 px. The small CLIP is "
        "frozen, and sees 84 px pictures at its own 64 px.",
    )


if __name__ == "__main__":
    main()
