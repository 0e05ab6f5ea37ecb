"""Visual meshes with fewer faces, made once and kept in a cache folder.

A software renderer is bound by faces: robosuite's Panda has 167,000, of which an 84 px picture shows almost
none. Only meshes that physics never sees are replaced: those of shapes that collide with nothing and weigh
nothing, without a picture wrapped around them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robot_skills.errors import require

Vertices: TypeAlias = NDArray[np.float32]
Faces: TypeAlias = NDArray[np.int32]

#: Faces that are left: this share, but not fewer than this many, below which the hand, which the wrist camera
#: sees from near, loses its shape.
SHARE, FEWEST = 0.15, 2000
#: Smaller files are left alone; they hold fewer faces than that anyway.
SMALL_FILE = 40_000
#: Part of the cache key: raise it when the method changes.
METHOD = b"2"


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/robot-skills/meshes`, or the same in `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "robot-skills" / "meshes"


def low_poly_visuals(xml: str) -> str:
    """Point the visual meshes of a MuJoCo model at low-poly copies; physics stays as it was to the last bit.

    Args:
        xml: MJCF whose mesh files are absolute paths; others are left alone.

    Returns:
        The same MJCF with other mesh files.

    Raises:
        InputError: fast-simplification or MuJoCo is not installed.
    """
    root = ElementTree.fromstring(xml)
    keep = {name for name, visual in _mesh_uses(root) if not visual}
    for mesh in root.iterfind("./asset/mesh"):
        file = Path(mesh.get("file", ""))
        if mesh.get("name") not in keep and file.is_absolute() and file.stat().st_size >= SMALL_FILE:
            mesh.set("file", str(low_poly(file)))
    return ElementTree.tostring(root, encoding="unicode")


def low_poly(file: Path) -> Path:
    """A low-poly copy of a mesh file, from the cache or made now.

    Returns:
        A binary STL in the cache folder, in the frame and units of the file, named by its content.
    """
    name = hashlib.sha256(METHOD + file.read_bytes()).hexdigest()[:32]
    copy = cache_folder() / f"{name}.stl"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        _write_stl(copy, *simplify(*read_mesh(file)[1:]))
    return copy


def simplify(vertices: Vertices, faces: Faces) -> tuple[Vertices, Faces]:
    """Collapse edges in the order of the error they make (Garland and Heckbert 1997).

    Args:
        vertices: (V, 3); those at the same place are welded first, or cracks would open between them.
        faces: (F, 3) indices into them.
    """
    places, where = np.unique(vertices.round(7), axis=0, return_inverse=True)
    vertices, faces = places.astype(np.float32), where.reshape(-1)[faces].astype(np.int32)
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    faces = faces[whole]
    wanted = max(FEWEST, int(SHARE * len(faces)))
    if wanted < len(faces):
        library = require("fast_simplification", "robosuite")
        vertices, faces = library.simplify(vertices, faces, target_reduction=1.0 - wanted / len(faces))
    return vertices, faces


def _mesh_uses(root: ElementTree.Element) -> Iterator[tuple[str, bool]]:
    """For each shape made of a mesh: the mesh, and whether it is there for the eye alone."""
    wrapped = wrapped_materials(root)
    compiler = root.find("compiler")
    guess_mass = compiler is not None and compiler.get("inertiafromgeom") == "true"
    for body in root.iter():
        weighed = body.find("inertial") is not None and not guess_mass
        for geom in body.findall("geom"):
            if (name := geom.get("mesh")) is not None:
                touches_nothing = geom.get("contype") == "0" == geom.get("conaffinity")
                weighs_nothing = weighed or geom.get("mass") == "0"
                plain = geom.get("type") == "mesh" and geom.get("material") not in wrapped
                yield name, touches_nothing and weighs_nothing and plain


def wrapped_materials(root: ElementTree.Element) -> set[str | None]:
    """Materials with a flat picture, which needs the texture coordinates of the whole mesh."""
    flat = {t.get("name") for t in root.iterfind("./asset/texture") if t.get("type", "cube") == "2d"}
    return {
        material.get("name")
        for material in root.iterfind("./asset/material")
        if material.get("texture") in flat or material.find("layer") is not None
    }


def read_mesh(file: Path) -> tuple[Any, Vertices, Faces]:
    """Read any mesh that MuJoCo reads, with MuJoCo, and undo its move to the principal axes.

    Returns:
        A `mujoco.MjModel` of it alone, vertices (V, 3) and faces (F, 3) in the frame and units of the file.
    """
    mujoco = require("mujoco", "robosuite")
    mesh = ElementTree.Element("mujoco")
    ElementTree.SubElement(ElementTree.SubElement(mesh, "asset"), "mesh", name="mesh", file=str(file))
    ElementTree.SubElement(ElementTree.SubElement(mesh, "worldbody"), "geom", type="mesh", mesh="mesh")
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(mesh, encoding="unicode"))
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.mesh_quat[0])
    vertices = model.mesh_vert @ rotation.reshape(3, 3).T + model.mesh_pos[0]
    return model, vertices.astype(np.float32), model.mesh_face.astype(np.int32)


def _write_stl(file: Path, vertices: Vertices, faces: Faces) -> None:
    triangle = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])
    triangles = np.zeros(len(faces), triangle)
    triangles["corners"] = vertices[faces]
    handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(bytes(80) + np.uint32(len(faces)).tobytes() + triangles.tobytes())
        os.replace(temporary, file)  # whole or not at all, whoever else makes it at the same time
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
