"""Ways in which files get damaged, each a function of a path and a random generator."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: Changes the data set at a path (a file or a folder); returns what it did.
Damage = Callable[[Path, random.Random], str]


def files(path: Path, *suffixes: str) -> list[Path]:
    """The files of a data set, in order, of some suffixes."""
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [p for p in found if p.name != ".lock" and (not suffixes or p.name.endswith(suffixes))]


def some(path: Path, chance: random.Random, *suffixes: str) -> Path | None:
    """One of them that holds something; small files are as likely as large ones."""
    found = [p for p in files(path, *suffixes) if p.stat().st_size]
    return chance.choice(found) if found else None


def truncate(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    size = chance.randrange(file.stat().st_size)
    os.truncate(file, size)
    return f"{file.name} cut to {size} bytes"


def flip(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    content = bytearray(file.read_bytes())
    places = [chance.randrange(len(content)) for _ in range(chance.choice((1, 1, 4, 32)))]
    for place in places:
        content[place] ^= 1 << chance.randrange(8)
    file.write_bytes(content)
    return f"{file.name}: bits flipped at {places}"


def zero(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    content = bytearray(file.read_bytes())
    start = chance.randrange(len(content))
    stop = min(len(content), start + chance.choice((16, 512, 4096)))
    content[start:stop] = bytes(stop - start)
    file.write_bytes(content)
    return f"{file.name}: bytes {start} to {stop} are 0"


def delete(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    file.unlink()
    return f"{file.name} deleted"


def empty(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    file.write_bytes(b"")
    return f"{file.name} emptied"


def swap(path: Path, chance: random.Random) -> str:
    names = files(path)
    if len(names) < 2:
        return flip(path, chance)
    one = chance.choice(names)
    other = chance.choice(
        [p for p in names if p != one and p.suffix == one.suffix] or [p for p in names if p != one]
    )
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    return f"{one.name} and {other.name} swapped"


def double(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    file.write_bytes(file.read_bytes() * 2)
    return f"{file.name} twice over"


def garbage(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    file.write_bytes(chance.randbytes(file.stat().st_size))
    return f"{file.name} is random"


def insert(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    content = file.read_bytes()
    place = chance.randrange(len(content))
    file.write_bytes(content[:place] + chance.randbytes(7) + content[place:])
    return f"{file.name}: 7 bytes put in at {place}"


def loop(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    file.unlink()
    file.symlink_to(file)
    return f"{file.name} points to itself"


def folder(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    file.unlink()
    file.mkdir()
    return f"{file.name} is a folder"


def forbid(path: Path, chance: random.Random) -> str:
    file = some(path, chance)
    assert file is not None
    file.chmod(0)
    return f"{file.name} may not be read"


def text(path: Path, chance: random.Random) -> str:
    """JSON that is none, or not what it should be."""
    file = some(path, chance, *JSON)
    if file is None:
        return garbage(path, chance)
    content = chance.choice(
        ["{", "null", "[]", "3", '"x"', "{}", "[" * 50_000, "\ufeff{}", "{}\n{}\n", "NaN"]
    )
    file.write_text(content)
    return f"{file.name} holds {content[:8]}"


JSON = (".json", ".jsonl", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


def json_value(path: Path, chance: random.Random) -> str:
    """One value of a JSON file dropped, or replaced by another."""
    file = some(path, chance, *JSON)
    if file is None:
        return zero(path, chance)
    lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    number = chance.randrange(len(lines))
    data = json.loads(lines[number])
    places = list(_places(data))
    if not places:
        return text(path, chance)
    holder, key = chance.choice(places)
    value = chance.choice([..., None, -1, 0, 10**30, 1e400, "x", [], {}, True, float("nan"), [1] * 5, 2.5])
    where = f"{file.name}, line {number}: {key!r}"
    if value is ...:
        del holder[key]
    else:
        holder[key] = value
    lines[number] = json.dumps(data)
    file.write_text("\n".join(lines) + "\n")
    return f"{where} is {value!r}"


def lines(path: Path, chance: random.Random) -> str:
    """A line dropped, doubled or moved."""
    file = some(path, chance, ".jsonl")
    if file is None:
        return truncate(path, chance)
    content = file.read_text().splitlines(keepends=True)
    number, way = chance.randrange(len(content)), chance.choice(("dropped", "doubled", "moved"))
    line = content.pop(number)
    if way == "doubled":
        content[number:number] = [line, line]
    elif way == "moved":
        content.insert((number + 1) % (len(content) + 1), line)
    file.write_text("".join(content))
    return f"{file.name}: line {number} {way}"


def stray(path: Path, chance: random.Random) -> str:
    """A copy of a file under another name, as file managers leave it."""
    file = some(path, chance)
    assert file is not None
    if path.is_file():
        return double(path, chance)
    shutil.copyfile(file, file.with_name(f"Copy of {file.name}"))
    return f"a copy of {file.name} beside it"


def hdf5(path: Path, chance: random.Random) -> str:
    """An object of an HDF5 file dropped, cut, doubled, of another type, renamed; or an attribute changed."""
    import h5py

    if not path.is_file() or path.suffix not in (".hdf5", ".h5"):
        return json_value(path, chance)
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = chance.choice(names)
        node = file[name]
        way = chance.choice(("drop", "attribute", "rename", "replace"))
        if way == "attribute" and len(node.attrs):
            key = chance.choice(sorted(node.attrs))
            node.attrs[key] = chance.choice([-1, "x", 10**6, 2.5, ""])
            return f"{name}@{key} changed"
        if way == "rename":
            file.move(name, f"{name}_")
            return f"{name} renamed"
        if way == "replace" and isinstance(node, h5py.Dataset) and node.shape:
            value = node[()]
            change = chance.choice(
                (lambda v: v[:-1], lambda v: v.astype("f2"), lambda v: v[..., None], lambda v: v[:0])
            )
            attributes = dict(node.attrs)
            del file[name]
            file[name] = change(value)
            file[name].attrs.update(attributes)
            return f"{name} is now {file[name].dtype} {file[name].shape}"
        del file[name]
        return f"{name} dropped"


def parquet(path: Path, chance: random.Random) -> str:
    """A Parquet file with a column less, a row less, or its rows in another order."""
    import pyarrow.parquet as pq

    file = some(path, chance, ".parquet")
    if file is None:
        return swap(path, chance)
    table = pq.read_table(file)
    way = chance.choice(("column", "row", "order", "first"))
    if way == "column" and table.num_columns > 1:
        table = table.drop_columns([chance.choice(table.column_names)])
    elif way == "row" or table.num_rows < 2:
        table = table.slice(0, max(0, table.num_rows - 1))
    elif way == "first":
        table = table.slice(1)
    else:
        table = table.take(list(range(table.num_rows))[::-1])
    pq.write_table(table, file)
    return f"{file.name}: {way} changed"


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(items):
        yield data, key
        yield from _places(value)


DAMAGES: dict[str, Damage] = {
    damage.__name__: damage
    for damage in (
        *(truncate, flip, zero, delete, empty, swap, double, garbage, insert, loop, folder, forbid, text),
        *(json_value, lines, stray, hdf5, parquet),
    )
}
