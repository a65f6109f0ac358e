"""A leaf's surface, as ground for an insect: cells like cobbles, veins, and grains of pollen."""

import cv2
import numpy as np

from zstackd_drivers.specimens.paint import (
    Rgb,
    Rng,
    blended,
    grain,
    grid,
    lit,
    shadowed,
    tinted,
    to_bytes,
)
from zstackd_drivers.specimens.sheet import Sheet, window
from zstackd_drivers.specimens.specimen import Bytes, Floats, Layer

POLLEN: Rgb = (232, 186, 74)
SPIKES = 22
VEINS: tuple[tuple[float, float, float, float], ...] = (
    (-0.7, 0.42, 0.75, -0.06), (-0.25, 0.29, 0.05, 0.60), (0.12, 0.17, -0.02, -0.60),
    (0.12, 0.17, 0.34, 0.60), (0.45, 0.05, 0.30, -0.60), (-0.52, 0.37, -0.62, -0.60),
)  # fmt: skip
"""Both ends of each vein, in canvas heights from the middle."""


def paint_leaf(
    rng: Rng, size_px: tuple[int, int], *, casting: tuple[Bytes, ...], reach_px: float
) -> Layer:
    """Paint the leaf, darker below what lies above it (`casting`)."""
    width, height = size_px
    x, y = grid(size_px)
    pitch = max(9.0, height / 46)
    edge = _cells(rng, size_px, pitch_px=pitch)
    edge = np.asarray(cv2.GaussianBlur(edge, (0, 0), pitch / 11), np.float32)
    vein = _veins(size_px)
    fine = grain(rng, size_px=size_px, scale_px=3, octaves=2)
    clouds = grain(rng, size_px=size_px, scale_px=height / 8)
    relief = np.asarray(0.13 * pitch * edge * (1 - vein) + 6 * vein + 0.28 * fine, np.float32)
    shade = lit(relief, strength=1.0) * (0.66 + 0.24 * edge) + 0.05 * fine + 0.04 * clouds
    shade = np.asarray(shade * (1.12 - 0.3 * y / height - 0.1 * x / width), np.float32)
    leaf = blended(tinted(shade, (36, 78, 70)), tinted(shade, (66, 100, 62)), _share(clouds))
    colour = blended(leaf, tinted(shade, (132, 150, 92)), np.asarray(0.75 * vein, np.float32))
    for alpha in casting:
        colour = shadowed(colour, alpha, reach_px=reach_px)
    bow_um = 7 + 7 * y / height + 4 * x / width + 2 * clouds
    return Layer(
        colour=to_bytes(colour),
        alpha=np.full((height, width), 255, np.uint8),
        height_um=np.asarray(np.maximum(bow_um, 0) + 4 * vein, np.float32),
    )


def put_pollen(
    sheet: Sheet, rng: Rng, centre_px: tuple[float, float], *, radius_px: float, low_um: float
) -> None:
    """Put a spiny grain of pollen whose equator is at `low_um`."""
    on = window(sheet.canvas_px, centre_px=centre_px, reach_px=1.35 * radius_px + 2)
    turn = np.arctan2(on.v, on.u) + rng.uniform(0, 3)
    r = np.hypot(on.u, on.v) / np.float32(radius_px)
    rim = 1 + 0.22 * np.clip(np.cos(SPIKES * turn), 0, 1) ** 3
    up = np.sqrt(np.clip(1 - r**2, 0, 1))
    size = (on.u.shape[1], on.u.shape[0])
    spines = _cells(rng, size, pitch_px=max(4.0, radius_px / 3.2))
    relief = np.asarray(radius_px * (0.55 * up + 0.10 * spines * (r < 1)), np.float32)
    shade = 0.28 + 0.48 * lit(relief, strength=0.55) * (0.45 + 0.55 * spines) + 0.2 * up
    sheet.put(
        on,
        colour=tinted(np.asarray(shade, np.float32), POLLEN),
        inside_px=np.asarray((rim - r) * radius_px, np.float32),
        height_um=np.asarray(low_um + 0.35 * radius_px * up, np.float32),
    )


def _share(clouds: Floats) -> Floats:
    return np.asarray(np.clip(0.5 + 0.5 * clouds, 0, 1), np.float32)


def _cells(rng: Rng, size_px: tuple[int, int], *, pitch_px: float) -> Floats:
    """Return domes between walls, 0 at a wall to 1 in the middle of a cell, (H, W) float32.

    Cells are the places nearest to one of many points, which stand in an irregular grid.
    """
    width, height = size_px
    rows, columns = (int(side / pitch_px) + 3 for side in (height, width))
    jitter = rng.uniform(-0.42, 0.42, (2, rows, columns))
    row, column = np.mgrid[0:rows, 0:columns]
    y = np.clip((row - 0.5 + jitter[0]) * pitch_px, 0, height - 1).astype(int).ravel()
    x = np.clip((column - 0.5 + jitter[1] + row % 2 / 2) * pitch_px, 0, width - 1)
    free = np.full((height, width), 255, np.uint8)
    free[y, x.astype(int).ravel()] = 0
    _, label = cv2.distanceTransformWithLabels(
        free, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    wall = np.zeros((height, width), np.uint8)
    wall[:, 1:] |= label[:, 1:] != label[:, :-1]
    wall[1:] |= label[1:] != label[:-1]
    inside = cv2.distanceTransform(1 - wall, cv2.DIST_L2, cv2.DIST_MASK_5)
    reach = np.clip(inside / np.float32(0.42 * pitch_px), 0, 1)
    return np.asarray(np.sqrt(reach * (2 - reach)), np.float32)


def _veins(size_px: tuple[int, int]) -> Floats:
    """Return the leaf's veins, 0 to 1, with soft flanks."""
    width, height = size_px
    drawn = np.zeros((height, width), np.uint8)
    for index, (x0, y0, x1, y1) in enumerate(VEINS):
        ends = [
            (round(width / 2 + x * height), round(height / 2 + y * height))
            for x, y in ((x0, y0), (x1, y1))
        ]
        thick = max(1, round(height * (0.020 if index == 0 else 0.011)))
        cv2.line(drawn, ends[0], ends[1], 255, thick, cv2.LINE_AA)
    soft = cv2.GaussianBlur(drawn, (0, 0), max(0.8, height / 300))
    return np.asarray(soft, np.float32) / np.float32(255)
