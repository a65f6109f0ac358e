"""Meshes: the surface in µm, the right way up, with the image's colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from trimesh.visual import ColorVisuals

from zstackd_config.errors import InputError, StackError
from zstackd_stacking.files.mesh import grid_size, write_mesh
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image

PIXEL_UM = 2.0


def ramp(height: int = 30, width: int = 40) -> FloatMap:
    """Heights of 10 µm at the left to 49 µm at the right, and 100 µm more in the top half."""
    heights = np.tile(np.arange(10, 10 + width, dtype=np.float32), (height, 1))
    heights[: height // 2] += 100
    return heights


def image(dtype: type = np.uint8, *, colour: bool = True) -> Image:
    top = np.iinfo(dtype).max
    pixels = as_image(np.zeros((30, 40, 3), dtype))
    pixels[:15] = (0, 0, top)  # red above
    pixels[15:] = (top, 0, 0)  # blue below
    return pixels if colour else as_image(pixels[..., 0])


def read(path: Path) -> trimesh.Trimesh:
    mesh = trimesh.load_mesh(path, process=False)
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_ply_is_the_surface_in_um_with_the_image_s_colours(tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "surface.ply"
    write_mesh(path, ramp(), image(dtype), pixel_size_um=PIXEL_UM)
    mesh = read(path)
    assert len(mesh.vertices) == 1200
    assert len(mesh.faces) == 2 * 29 * 39
    low, high = mesh.bounds
    np.testing.assert_allclose(low, (1, 1, 10))
    np.testing.assert_allclose(high, (79, 59, 149))
    upper = mesh.vertices[:, 1] > 30
    np.testing.assert_allclose(mesh.vertices[upper, 2], mesh.vertices[upper, 0] / 2 + 109.5)
    assert isinstance(mesh.visual, ColorVisuals)
    colours = np.asarray(mesh.visual.vertex_colors)
    assert set(map(tuple, colours[upper].tolist())) == {(255, 0, 0, 255)}
    assert set(map(tuple, colours[~upper].tolist())) == {(0, 0, 255, 255)}


def test_every_face_looks_up(tmp_path: Path) -> None:
    path = tmp_path / "surface.ply"
    write_mesh(path, ramp(), image(colour=False), pixel_size_um=PIXEL_UM)
    assert np.asarray(read(path).face_normals)[:, 2].min() > 0


def test_a_glb_has_micrometres_under_a_node_that_makes_them_metres_with_y_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "surface.glb"
    write_mesh(path, ramp(), image(), pixel_size_um=PIXEL_UM)
    scene = trimesh.load_scene(path)
    (mesh,) = scene.geometry.values()
    np.testing.assert_allclose(mesh.bounds, [(1, 1, 10), (79, 59, 149)])
    np.testing.assert_allclose(scene.bounds, [(1e-6, 10e-6, -59e-6), (79e-6, 149e-6, -1e-6)])


def test_a_large_map_is_reduced_over_its_whole_area(tmp_path: Path) -> None:
    path = tmp_path / "surface.ply"
    large, pixels = (cv2.resize(part, (400, 300)) for part in (ramp(), image()))
    write_mesh(path, as_floats(large), as_image(pixels), pixel_size_um=0.2, vertices=1200)
    mesh = read(path)
    assert 1000 < len(mesh.vertices) <= 1200
    np.testing.assert_allclose(mesh.bounds[1][:2] + mesh.bounds[0][:2], (80, 60), rtol=1e-4)


@given(st.integers(2, 5000), st.integers(2, 5000), st.integers(4, 100_000))
def test_a_grid_keeps_within_its_bound_and_never_has_more_cells_than_the_image(
    width: int, height: int, vertices: int
) -> None:
    columns, rows = grid_size(width, height, vertices)
    assert 2 <= columns <= width
    assert 2 <= rows <= height
    assert columns * rows <= max(vertices, 4)
    if width * height <= vertices:
        assert (columns, rows) == (width, height)


def test_what_cannot_be_a_mesh_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.stl: a mesh is a \.ply or a \.glb file"):
        write_mesh(tmp_path / "a.stl", ramp(), image(), pixel_size_um=1)
    with pytest.raises(StackError, match="40 × 1 px has no surface"):
        write_mesh(tmp_path / "a.ply", ramp(1), image()[:1], pixel_size_um=1)
    assert list(tmp_path.iterdir()) == []


def test_colours_of_12_bits_in_16_are_not_black(tmp_path: Path) -> None:
    path = tmp_path / "surface.ply"
    write_mesh(path, ramp(), as_image(image(np.uint16) // 16), pixel_size_um=PIXEL_UM)
    visual = read(path).visual
    assert isinstance(visual, ColorVisuals)
    assert tuple(visual.vertex_colors[0, :3]) == (255, 0, 0)
