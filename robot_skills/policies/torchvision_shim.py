"""Lets `open_clip` be imported beside a torchvision whose compiled extension does not load.

torchvision's wheels are built for one CUDA build of torch each. Next to a CPU build their extension
fails to load, and `import torchvision` then stops at the fake kernels of two operators that nobody
declared. Declaring the schemas is enough: neither operator is called by text towers.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

#: Operators that torchvision registers fake kernels for when it is imported.
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # a Library's operators live as long as the object


def import_open_clip() -> ModuleType:
    """Import `open_clip`, declaring torchvision's missing operators only if its extension did not."""
    return import_declaring("open_clip")


def import_declaring(name: str) -> ModuleType:
    """Import a module that imports torchvision, or torchvision itself, in the same way."""
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::" not in str(error) or _declared:
            raise
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    _declared.append(library)
    return importlib.import_module(name)
