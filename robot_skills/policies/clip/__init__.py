"""open_clip models by name: those that open_clip knows, and the small one that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot_skills.errors import InputError
from robot_skills.policies.torchvision_shim import import_open_clip

#: Name -> folder of the models that come with the package.
SHIPPED = {"tabletop": Path(__file__).parents[2] / "pretrained_clip"}


def load_clip(model: str, pretrained: str = "") -> Any:
    """An open_clip model in evaluation mode, on the CPU.

    Args:
        model: a name of open_clip's, `local-dir:FOLDER`, or "tabletop".
        pretrained: a tag, or a checkpoint's path; empty: random weights, or those of the folder.

    Raises:
        InputError: there is no such model, or its weights cannot be loaded.
    """
    name = f"local-dir:{SHIPPED[model]}" if model in SHIPPED else model
    try:
        loaded = import_open_clip().create_model(name, pretrained=pretrained or None)
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(f"open_clip cannot load {model!r}: {error}") from error
    return loaded.eval()


def load_tokenizer(model: str) -> Any:
    """The tokenizer of an open_clip model: texts to (N, context) int64."""
    name = f"local-dir:{SHIPPED[model]}" if model in SHIPPED else model
    return import_open_clip().get_tokenizer(name)
