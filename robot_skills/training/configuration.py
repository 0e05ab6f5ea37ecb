"""Frozen dataclasses from plain mappings (a YAML file, `config.json`), with errors that name the key."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from robot_skills.errors import InputError, unknown

T = TypeVar("T")


def read_yaml(path: Path | str, kind: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Args:
        path: the file.
        kind: what it should be, as in "training recipe".

    Raises:
        InputError: it is missing, not YAML, or not a mapping.
    """
    path = Path(path)
    if not path.is_file():
        near = sorted(str(found) for found in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise unknown(kind, str(path), near) if near else InputError(f"There is no {kind} {path}.")
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} is not a {kind}: it holds no `key: value` lines.")
    return data


def from_mapping(cls: type[T], data: Mapping[str, Any], where: str) -> T:
    """Build a dataclass, converting lists to tuples, numbers as needed, and nested mappings.

    Args:
        cls: the dataclass.
        data: field -> value.
        where: how to name the place in errors, as in "datasets/train_pick.yaml".

    Raises:
        InputError: a key is unknown or missing, or a value is of the wrong type or out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in data:
        if key not in fields:
            raise unknown(f"key (in {where})", str(key), fields)
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in data.items()}
    missing = dataclasses.MISSING
    for name, field in fields.items():
        if name not in values and field.default is missing and field.default_factory is missing:
            raise InputError(f"{where} lacks the key {name!r}.")
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error


def to_mapping(value: Any) -> Any:
    """The inverse of `from_mapping`: plain values that JSON and YAML can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_mapping(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, Mapping):
        return {str(key): to_mapping(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_mapping(item) for item in value]
    return value


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Convert one value to its annotation, or say what it should be."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(args, value, where)
    if dataclasses.is_dataclass(hint):
        if isinstance(value, Mapping):
            return from_mapping(typing.cast(type, hint), value, where)
        raise InputError(f"{where} should hold keys and values, not {value!r}.")
    if origin is typing.Literal:
        if value not in args:
            raise unknown(f"value (of {where})", str(value), (str(arg) for arg in args))
        return value
    if origin is tuple:
        return _convert_tuple(args, value, where)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise InputError(f"{where} should hold keys and values, not {value!r}.")
        inner = args[1] if len(args) == 2 else Any
        return {str(key): _convert(inner, item, f"{where}.{key}") for key, item in value.items()}
    return _convert_scalar(hint, value, where)


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    first, *others = (option for option in options if option is not type(None))
    try:
        return _convert(first, value, where)
    except InputError:
        if not others:
            raise
        return _convert_union(tuple(others), value, where)


def _convert_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise InputError(f"{where} should be a list, not {value!r}.")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_convert(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(args):
        raise InputError(f"{where} should be a list of {len(args)}, not {value!r}.")
    return tuple(
        _convert(arg, item, f"{where}[{i}]") for i, (arg, item) in enumerate(zip(args, value, strict=True))
    )


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    if hint is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3, without a point, as text
        except ValueError:
            pass
    elif hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise InputError(f"{where} should be {names.get(hint, hint)}, not {value!r}.")
