"""The bare circuit board: solder mask over woven glass, copper traces, vias, silk screen."""

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_drivers.specimens.paint import (
    Rng,
    blended,
    grain,
    grid,
    lit,
    shadowed,
    tinted,
    to_bytes,
)
from zstackd_drivers.specimens.specimen import Bytes, Floats, Layer

Point = tuple[float, float]
Path = tuple[Point, ...]

SHIFT = 4
"""OpenCV's lines take coordinates in 1/16 of a pixel."""

BUSES: tuple[tuple[int, float, Path], ...] = (
    (7, 0.0671, ((-0.30, -0.37), (-0.30, -0.62))),
    (7, 0.0671, ((-0.30, 0.11), (-0.30, 0.16), (-0.30, 0.22))),
    (3, 0.022, ((-0.74, 0.47), (-0.42, 0.47), (-0.34, 0.42), (0.00, 0.42))),
    (4, 0.020, ((0.00, -0.56), (0.00, -0.03), (0.18, 0.14), (0.74, 0.14))),
    (3, 0.022, ((-0.74, 0.06), (-0.68, 0.06), (-0.65, 0.31), (-0.55, 0.31))),
    (2, 0.026, ((0.14, 0.445), (0.26, 0.47), (0.74, 0.47))),
    (5, 0.0931, ((0.2616, -0.62), (0.2616, -0.41))),
    (2, 0.024, ((0.20, 0.22), (0.12, 0.17), (0.12, 0.07))),
    (3, 0.030, ((-0.10, 0.36), (-0.02, 0.29), (0.20, 0.29))),
)
"""Parallel traces: how many, their pitch, their middle line; in canvas heights from the middle."""

POURS: tuple[Path, ...] = (
    ((-0.80, -0.60), (-0.62, -0.60), (-0.62, -0.02), (-0.80, 0.02)),
    ((0.54, -0.60), (0.80, -0.60), (0.80, 0.02), (0.64, 0.02), (0.54, -0.10)),
)
"""Filled areas of copper."""

VIAS: tuple[Point, ...] = (
    (-0.57, 0.20), (0.03, 0.06), (0.20, 0.22), (0.08, -0.47), (0.62, 0.44), (-0.03, 0.24),
    (-0.41, 0.44), (-0.66, -0.36), (-0.66, -0.22), (-0.66, -0.08), (0.62, -0.28), (0.62, -0.17),
    (0.06, -0.12), (0.22, -0.08), (-0.19, 0.43), (0.63, 0.06), (0.58, 0.20), (0.53, -0.47),
)  # fmt: skip
BARE_PAD: Point = (0.355, -0.312)
"""Gold where a solder ball is missing."""

BOXES: tuple[tuple[Point, Point], ...] = (
    ((-0.645, 0.25), (-0.415, 0.37)),
    ((-0.40, 0.25), (-0.185, 0.37)),
    ((-0.16, 0.165), (-0.04, 0.395)),
    ((0.06, -0.045), (0.18, 0.185)),
    ((0.245, -0.13), (0.60, 0.07)),
)
INK: tuple[tuple[str, Point, float], ...] = (
    ("R3", (-0.555, 0.44), 0.030), ("R4", (-0.32, 0.44), 0.030), ("C1", (-0.03, 0.215), 0.026),
    ("C2", (0.085, -0.065), 0.028), ("L1", (0.205, 0.045), 0.028), ("Y1", (0.50, 0.43), 0.030),
    ("U2", (-0.60, -0.33), 0.034), ("ZSTACKD rev B", (-0.60, -0.445), 0.026),
    ("R7", (-0.09, 0.475), 0.028),
)  # fmt: skip


def paint_ground(
    rng: Rng, size_px: tuple[int, int], *, casting: tuple[Bytes, ...], reach_px: float
) -> Layer:
    """Paint the bare board, darker below the parts whose covers are `casting`."""
    width, height = size_px
    copper = _copper(size_px)
    ring, hole = _vias(size_px)
    ink = _silk_screen(size_px) * np.clip(
        1.15 + 0.35 * grain(rng, size_px=size_px, scale_px=3, octaves=2), 0, 1
    )
    fine = grain(rng, size_px=size_px, scale_px=3, octaves=2)
    clouds = grain(rng, size_px=size_px, scale_px=height / 9)
    mask = _solder_mask(size_px, copper=copper, fine=fine, clouds=clouds)
    gold = 0.75 * lit(4 * ring - 6 * hole + 0.6 * fine, strength=0.9) + 0.05 * fine
    colour = blended(mask, tinted(np.asarray(gold, np.float32), (214, 178, 104)), ring)
    colour = blended(colour, tinted(np.asarray(0.9 + 0.1 * fine, np.float32), (14, 16, 18)), hole)
    chalk = np.asarray(0.92 + 0.10 * fine + 0.02 * clouds, np.float32)
    colour = blended(colour, tinted(chalk, (226, 228, 218)), np.asarray(0.93 * ink, np.float32))
    for alpha in casting:
        colour = shadowed(colour, alpha, reach_px=reach_px)
    x, y = grid(size_px)
    bow_um = 5 + 6 * x / width + 3 * y / height + 1.2 * clouds
    return Layer(
        colour=to_bytes(colour),
        alpha=np.full((height, width), 255, np.uint8),
        height_um=np.asarray(bow_um + 4 * copper, np.float32),
    )


def _solder_mask(
    size_px: tuple[int, int], *, copper: Floats, fine: Floats, clouds: Floats
) -> Floats:
    """Paint green lacquer, glossy over the traces' edges, with the weave shining through."""
    x, y = grid(size_px)
    thread = np.float32(2 * math.pi / max(9.0, size_px[1] / 88))
    weave = np.sign(np.cos(x * thread / 2)) * np.cos(y * thread) + np.sign(
        np.cos(y * thread / 2 + 0.8)
    ) * np.cos(x * thread)
    relief = 5 * copper + 0.45 * fine
    shade = lit(np.asarray(relief, np.float32), strength=0.75) * (0.86 + 0.05 * clouds)
    shade = shade + 0.055 * weave * (1 - copper) + 0.05 * fine
    shade = np.asarray(shade, np.float32)
    return blended(tinted(shade, (22, 84, 58)), tinted(shade, (52, 132, 82)), copper)


def _copper(size_px: tuple[int, int]) -> Floats:
    """Return where copper lies below the mask, 0 to 1, with soft edges."""
    width, height = size_px
    drawn = np.zeros((height, width), np.uint8)
    for pour in POURS:
        cv2.fillPoly(drawn, [_pixels(pour, size_px)], 255, cv2.LINE_AA, SHIFT)
    for count, pitch, path in BUSES:
        thick = max(1, round(0.46 * min(pitch, 0.028) * height))
        for line in _parallel(path, count, pitch):
            cv2.polylines(drawn, [_pixels(line, size_px)], False, 255, thick, cv2.LINE_AA, SHIFT)
    soft = cv2.GaussianBlur(drawn, (0, 0), max(0.7, height / 900))
    return np.asarray(soft, np.float32) / np.float32(255)


def _vias(size_px: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return the gold rings and the dark holes of all vias, each 0 to 1."""
    width, height = size_px
    ring, hole = (np.zeros((height, width), np.uint8) for _ in range(2))
    for via in VIAS:
        _dot(ring, via, 0.0155)
        _dot(hole, via, 0.0075)
    _dot(ring, BARE_PAD, 0.026)
    return np.asarray(ring / 255, np.float32), np.asarray(hole / 255, np.float32)


def _dot(drawn: Bytes, at: Point, radius: float) -> None:
    """Draw a disc; place and radius in canvas heights."""
    height, width = drawn.shape
    x, y = (int(v) for v in _pixels((at,), (width, height))[0])
    fixed = round(radius * height * (1 << SHIFT))
    cv2.circle(drawn, (x, y), fixed, 255, cv2.FILLED, cv2.LINE_AA, SHIFT)


def _silk_screen(size_px: tuple[int, int]) -> Floats:
    """Return where ink was printed, 0 to 1: names of parts and frames around them."""
    width, height = size_px
    drawn = np.zeros((height, width), np.uint8)
    for first, last in BOXES:
        a, b = _pixels((first, last), size_px)
        corners = np.array([a, (b[0], a[1]), b, (a[0], b[1])], np.int32)
        cv2.polylines(drawn, [corners], True, 255, max(1, round(height / 260)), cv2.LINE_AA, SHIFT)
    for text, at, cap in INK:
        x, y = (int(v) >> SHIFT for v in _pixels((at,), size_px)[0])
        stroke = max(1, round(cap * height / 7))
        cv2.putText(
            drawn, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, cap * height / 22, 255, stroke,
            cv2.LINE_AA,
        )  # fmt: skip
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 0.8), np.float32) / np.float32(255)


def _parallel(path: Path, count: int, pitch: float) -> Iterator[Path]:
    """Yield lines parallel to a path, with mitred corners."""
    points = np.asarray(path, np.float64)
    steps = np.diff(points, axis=0)
    normals = np.stack([-steps[:, 1], steps[:, 0]], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    before, after = np.vstack([normals[:1], normals]), np.vstack([normals, normals[-1:]])
    mitre = (before + after) / (1 + np.sum(before * after, axis=1, keepdims=True))
    for index in range(count):
        moved = points + mitre * pitch * (index - (count - 1) / 2)
        yield tuple((float(x), float(y)) for x, y in moved)


def _pixels(path: Path, size_px: tuple[int, int]) -> NDArray[np.int32]:
    width, height = size_px
    places = [(width / 2 + x * height, height / 2 + y * height) for x, y in path]
    return np.asarray(np.rint(np.asarray(places) * (1 << SHIFT)), np.int32)
