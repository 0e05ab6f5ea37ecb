"""Low-poly copies of meshes that carry a picture, and smaller copies of the pictures.

LIBERO's things are scans of 15,000 to 66,000 faces with pictures of up to 4096 px, where a robot's camera
sees a few dozen pixels. Edges are collapsed as in `sim.low_poly`; each new corner then takes the place in the
picture of the nearest old one on the same patch of it, so that nothing is smeared across the picture's seams.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import require
from sim.low_poly import SMALL_FILE, Faces, Vertices, cache_folder, read_mesh, simplify, wrapped_materials

#: Pixels of a picture's longer side that are left.
PICTURE = 512
#: Part of the cache key: raise it when the method changes.
METHOD = b"textured 1"


def low_poly_textured(xml: str) -> str:
    """Point the textured visual meshes of a MuJoCo model, and their pictures, at smaller copies.

    Only meshes whose shapes touch nothing and lie in a group that inertia is not computed from: physics stays
    as it was to the last bit.

    Args:
        xml: MJCF whose files are absolute paths; others are left alone.
    """
    root = ElementTree.fromstring(xml)
    keep = {name for name, visual in _uses(root) if not visual}
    used = {name for name, _ in _uses(root)}
    for mesh in root.iterfind("./asset/mesh"):
        file, name = Path(mesh.get("file", "")), mesh.get("name")
        if name in used - keep and file.is_absolute() and file.stat().st_size >= SMALL_FILE:
            mesh.set("file", str(low_poly(file)))
    for texture in root.iterfind("./asset/texture[@file]"):
        file = Path(texture.get("file", ""))
        if texture.get("type") == "2d" and file.is_absolute() and file.stat().st_size >= SMALL_FILE:
            texture.set("file", str(small_picture(file)))
    return ElementTree.tostring(root, encoding="unicode")


def low_poly(file: Path) -> Path:
    """A low-poly copy of a textured mesh file, from the cache or made now, in MuJoCo's MSH format."""
    return _cached(file, ".msh", lambda part: _write_msh(part, *simplify_textured(*_read(file))))


def small_picture(file: Path) -> Path:
    """A copy of a picture with at most `PICTURE` pixels a side, from the cache or made now."""

    def write(part: Path) -> None:
        image = require("PIL.Image", "robosuite").open(file).convert("RGB")
        image.thumbnail((PICTURE, PICTURE))
        image.save(part, "PNG")

    return _cached(file, ".png", write)


def simplify_textured(
    vertices: Vertices, faces: Faces, texture: Vertices, texture_faces: Faces
) -> tuple[Vertices, Vertices, Faces]:
    """Collapse edges, and look up where each new corner lies in the picture.

    Args:
        vertices: (V, 3).
        faces: (F, 3) indices into them.
        texture: (T, 2) places in the picture.
        texture_faces: (F, 3) indices into them.

    Returns:
        (3 G, 3) vertices, (3 G, 2) places in the picture and (G, 3) faces: no two faces share a vertex.
    """
    trees = require("scipy.spatial", "robosuite").cKDTree
    new_vertices, new_faces = simplify(vertices, faces)
    patches = _patches(texture, texture_faces)
    middles = trees(vertices[faces].mean(axis=1))
    patch = patches[middles.query(new_vertices[new_faces].mean(axis=1))[1]]
    corners = new_vertices[new_faces].astype(np.float32)
    places = np.zeros((*corners.shape[:2], 2), np.float32)
    for number in np.unique(patch):
        old = patches == number
        _, nearest = trees(vertices[faces[old]].reshape(-1, 3)).query(corners[patch == number])
        places[patch == number] = texture[texture_faces[old]].reshape(-1, 2)[nearest]
    indices = np.arange(corners.shape[0] * 3, dtype=np.int32).reshape(-1, 3)
    return corners.reshape(-1, 3), places.reshape(-1, 2), indices


def _patches(texture: Vertices, faces: Faces) -> NDArray[Any]:
    """Number the connected patches of the picture: (F,), one number a face."""
    sparse = require("scipy.sparse", "robosuite")
    _, where = np.unique(texture.round(6), axis=0, return_inverse=True)
    faces = where.reshape(-1)[faces]
    size = int(faces.max()) + 1
    rows, columns = faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel()
    edges = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (size, size))
    numbers: NDArray[Any] = require("scipy.sparse.csgraph", "robosuite").connected_components(edges)[1]
    patches: NDArray[Any] = numbers[faces[:, 0]]
    return patches


def _read(file: Path) -> tuple[Vertices, Faces, Vertices, Faces]:
    model, vertices, faces = read_mesh(file)
    return vertices, faces, np.asarray(model.mesh_texcoord), np.asarray(model.mesh_facetexcoord)


def _uses(root: ElementTree.Element) -> Iterator[tuple[str, bool]]:
    """For each shape made of a mesh: the mesh, and whether it is a textured one for the eye alone."""
    wrapped, compiler = wrapped_materials(root), root.find("compiler")
    counted = "0 5" if compiler is None else compiler.get("inertiagrouprange", "0 5")
    lowest, highest = (int(group) for group in counted.split())
    for geom in root.iter("geom"):
        if (name := geom.get("mesh")) is not None:
            touches_nothing = geom.get("contype") == "0" == geom.get("conaffinity")
            weighs_nothing = not lowest <= int(geom.get("group", "0")) <= highest
            shown = geom.get("type") == "mesh" and geom.get("material") in wrapped
            yield name, touches_nothing and weighs_nothing and shown


def _write_msh(file: Path, vertices: Vertices, texture: Vertices, faces: Faces) -> None:
    sizes = np.array([len(vertices), 0, len(texture), len(faces)], "<i4")
    arrays = (sizes, vertices.astype("<f4"), texture.astype("<f4"), faces.astype("<i4"))
    file.write_bytes(b"".join(array.tobytes() for array in arrays))


def _cached(file: Path, ending: str, write: Callable[[Path], None]) -> Path:
    name = hashlib.sha256(METHOD + file.read_bytes()).hexdigest()[:32]
    copy = cache_folder() / f"{name}{ending}"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent) as scratch:
            write(Path(scratch) / "part")
            os.replace(Path(scratch) / "part", copy)  # whole or not at all
    return copy
