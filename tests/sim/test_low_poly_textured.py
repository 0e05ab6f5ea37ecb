"""Low-poly copies of textured meshes: nothing is smeared across the seams of their picture."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fast_simplification")
pytest.importorskip("mujoco")
from sim.low_poly_textured import low_poly, low_poly_textured, simplify_textured, small_picture


def dice(cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A cube of side 2 whose faces are grids of cells; side s lies in [s / 6, (s + 1) / 6] of the picture."""
    vertices, faces, texture = [], [], []
    line = np.linspace(-1.0, 1.0, cells + 1)
    a, b = (grid.ravel() for grid in np.meshgrid(line, line, indexing="ij"))
    corner = np.arange(cells * (cells + 1)).reshape(cells, cells + 1)[:, :-1].ravel()
    for side in range(6):
        axis, sign = side // 2, 1.0 - 2.0 * (side % 2)
        places = np.insert(np.stack([a, b], 1), axis, sign, axis=1)
        triangles = [[0, cells + 1, 1], [1, cells + 1, cells + 2]]
        first = side * (cells + 1) ** 2
        faces += [corner[:, None] + np.array(triangle) + first for triangle in triangles]
        vertices.append(places)
        texture.append(np.stack([(side + 0.05 + 0.9 * (a + 1) / 2) / 6, (b + 1) / 2], 1))
    all_faces = np.concatenate(faces).astype(np.int32)
    return (
        np.concatenate(vertices).astype(np.float32),
        all_faces,
        np.concatenate(texture).astype(np.float32),
        all_faces,
    )


def test_faces_keep_to_their_side_of_the_picture() -> None:
    vertices, faces, texture, texture_faces = dice(40)
    corners, places, new_faces = simplify_textured(vertices, faces, texture, texture_faces)
    assert len(new_faces) < len(faces) / 4
    sides = np.floor(places[new_faces][..., 0] * 6)
    assert (sides == sides[:, :1]).all()
    assert set(sides[:, 0]) == set(range(6))
    middles = corners[new_faces].mean(axis=1)
    normal = sides[:, 0].astype(int) // 2
    on_side = np.abs(middles[np.arange(len(middles)), normal]) > 0.99
    assert on_side.mean() > 0.95
    # And there at the right place, to a few cells.
    expected = (np.delete(corners[new_faces[0]], normal[0], axis=1)[:, 1] + 1) / 2
    np.testing.assert_allclose(places[new_faces[0], 1], expected, atol=0.1)


def test_copies_are_made_of_what_only_the_eye_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mujoco = pytest.importorskip("mujoco")
    images = pytest.importorskip("PIL.Image")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    vertices, faces, texture, _ = dice(40)
    mesh, picture = tmp_path / "dice.obj", tmp_path / "dice.png"
    mesh.write_text(
        "".join(f"v {x} {y} {z}\n" for x, y, z in vertices)
        + "".join(f"vt {u} {v}\n" for u, v in texture)
        + "".join("f " + " ".join(f"{i + 1}/{i + 1}" for i in face) + "\n" for face in faces)
    )
    noise = np.random.default_rng(0).integers(0, 256, (700, 1400, 3), dtype=np.uint8)
    images.fromarray(noise).save(picture)

    def scene(group: int) -> str:
        return f"""<mujoco><compiler inertiagrouprange="0 0"/><asset>
            <mesh name="dice" file="{mesh}"/><texture name="t" type="2d" file="{picture}"/>
            <material name="m" texture="t"/></asset><worldbody><body><freejoint/>
            <geom type="sphere" size="1" group="0"/>
            <geom type="mesh" mesh="dice" material="m" contype="0" conaffinity="0" group="{group}"/>
            </body></worldbody></mujoco>"""

    before = mujoco.MjModel.from_xml_string(scene(1))
    after = mujoco.MjModel.from_xml_string(low_poly_textured(scene(1)))
    assert after.nmeshface < before.nmeshface / 4
    assert (after.tex_height[0], after.tex_width[0]) == (256, 512)
    np.testing.assert_array_equal(after.body_inertia, before.body_inertia)
    weighed = low_poly_textured(scene(0))  # its mesh counts for the inertia: it stays
    assert str(mesh) in weighed
    assert low_poly(mesh) == low_poly(mesh)
    assert small_picture(picture).suffix == ".png"
