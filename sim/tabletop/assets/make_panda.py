"""Make the low-poly Panda beside this file from the one in `pybullet_data`.

TinyRenderer's time goes with the number of vertices, so every link is drawn as the convex hull of its
support points in a few dozen directions (2 % of the faces), and only what can touch something collides:
links 5 to 7, the hand, and the fingers as flat-padded boxes.

    python -m sim.tabletop.assets.make_panda
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pybullet_data
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

HERE = Path(__file__).parent
SOURCE = Path(pybullet_data.getDataPath()) / "franka_panda"
DIRECTIONS = 26
COLLIDING = {"panda_link5", "panda_link6", "panda_link7", "panda_hand"}
#: A box (size, centre) stands for a finger: its inner face is the pad, at y = 0 of the finger's frame.
FINGER_SIZE, FINGER_CENTRE = (0.022, 0.014, 0.050), (0.0, 0.007, 0.029)


def read_vertices(path: Path) -> NDArray[np.float64]:
    """Vertices of an OBJ file, (N, 3)."""
    rows = re.findall(r"^v\s+(\S+)\s+(\S+)\s+(\S+)", path.read_text(), flags=re.MULTILINE)
    return np.array(rows, float)


def fibonacci_sphere(count: int) -> NDArray[np.float64]:
    """Nearly even directions on the unit sphere, (count, 3)."""
    index = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * index / count), np.pi * (1 + 5**0.5) * index
    return np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], 1)


def low_poly(vertices: NDArray[np.float64]) -> str:
    """An OBJ text of the hull of the support points of a vertex cloud."""
    support = np.unique((fibonacci_sphere(DIRECTIONS) @ vertices.T).argmax(1))
    points = vertices[support]
    hull = ConvexHull(points)
    lines = [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in points]
    for face, plane in zip(hull.simplices, hull.equations, strict=True):
        a, b, c = points[face]
        turned = np.cross(b - a, c - a) @ plane[:3] < 0
        i, j, k = (face[::-1] if turned else face) + 1
        n = len([line for line in lines if line.startswith("vn")]) + 1
        lines += ["vn {:.4f} {:.4f} {:.4f}".format(*plane[:3]), f"f {i}//{n} {j}//{n} {k}//{n}"]
    return "\n".join(lines) + "\n"


def box(tag: str, size: tuple[float, ...], centre: tuple[float, ...]) -> ElementTree.Element:
    """A <visual> or <collision> element that holds a box."""
    element = ElementTree.Element(tag)
    ElementTree.SubElement(element, "origin", rpy="0 0 0", xyz=" ".join(map(str, centre)))
    geometry = ElementTree.SubElement(element, "geometry")
    ElementTree.SubElement(geometry, "box", size=" ".join(map(str, size)))
    return element


def main() -> None:
    """Write panda.urdf and one OBJ a link."""
    tree = ElementTree.parse(SOURCE / "panda.urdf")
    root = tree.getroot()
    for link in root.findall("link"):
        name = link.attrib["name"]
        visual, collision = link.find("visual"), link.find("collision")
        if visual is None or collision is None:
            continue
        if name.endswith("finger"):
            side = 1.0 if "left" in name else -1.0
            centre = (0.0, side * FINGER_CENTRE[1], FINGER_CENTRE[2])
            link.remove(visual)
            link.remove(collision)
            link.extend([box("visual", FINGER_SIZE, centre), box("collision", FINGER_SIZE, centre)])
            continue
        mesh = collision.find("geometry/mesh")
        assert mesh is not None
        file = Path(mesh.attrib["filename"]).name
        (HERE / f"panda_{file}").write_text(low_poly(read_vertices(SOURCE / "meshes" / "collision" / file)))
        for part in (visual, collision):
            shape = part.find("geometry/mesh")
            assert shape is not None
            shape.attrib["filename"] = f"panda_{file}"
        if name not in COLLIDING:
            link.remove(collision)
    ElementTree.indent(tree)
    notice = "Made by make_panda.py from pybullet_data's franka_panda (Apache-2.0, Franka Emika GmbH)."
    body = ElementTree.tostring(root, encoding="unicode")
    (HERE / "panda.urdf").write_text(f'<?xml version="1.0"?>\n<!-- {notice} -->\n{body}\n')


if __name__ == "__main__":
    main()
