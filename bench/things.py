"""Objects above the ground: beads, plateaus and fibres, as piles of flat layers."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.optics import in_focus
from bench.scene import Layer, Patch, Thing
from bench.texture import fractal

Floats = NDArray[np.float32]
Rng = np.random.Generator
_OVERSAMPLE = 4
_EDGE_PX = 4


def bead(
    rng: Rng,
    *,
    centre_px: tuple[float, float],
    radius_px: float,
    base: float,
    px_per_plane: float,
    colour: Sequence[float],
) -> Thing:
    """An opaque sphere whose equator lies at depth `base`: nested discs, one each half plane."""
    half = int(np.ceil(radius_px)) + _EDGE_PX
    top, left = (round(value) - half for value in centre_px)
    y, x = np.mgrid[0 : 2 * half, 0 : 2 * half].astype(np.float32)
    r = np.hypot(y + top - centre_px[0], x + left - centre_px[1])
    paint = in_focus(_sphere_paint(rng, y - half, x - half, radius_px, np.asarray(colour)))
    layers = []
    steps = max(3, round(2 * radius_px / px_per_plane))
    for height_px in np.arange(steps) / steps * radius_px:
        section_px = float(np.sqrt(radius_px**2 - height_px**2))
        cover = in_focus(np.asarray(np.clip(section_px - r + 0.5, 0, 1), np.float32))[..., None]
        light = np.concatenate([paint * cover, cover], axis=-1)
        middle = height_px + radius_px / steps / 2
        layers.append(Layer((Patch(light, (top, left), base + middle / px_per_plane),)))
    return Thing(tuple(layers))


def _sphere_paint(rng: Rng, y: Floats, x: Floats, radius_px: float, colour: Floats) -> Floats:
    """A matt, slightly stained ball under a ring light, with a soft gloss."""
    r2 = np.minimum((y**2 + x**2) / radius_px**2, 1)
    shade = 0.30 + 0.70 * np.sqrt(1 - r2)
    stains = np.exp(0.10 * fractal(rng, (y.shape[0], y.shape[1]), beta=0.9))
    gloss = 0.25 * np.exp(
        -((y + 0.35 * radius_px) ** 2 + (x + 0.3 * radius_px) ** 2) / (2 * (0.12 * radius_px) ** 2)
    )
    paint = (shade * stains)[..., None] * colour + gloss[..., None]
    return np.asarray(paint, np.float32)


def plateau(mask: Floats, surface: Floats, depth: float) -> Thing:
    """A flat terrace of the whole canvas where `mask` (H, W, 0 to 1) says so."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = max(rows[0] - _EDGE_PX, 0), max(columns[0] - _EDGE_PX, 0)
    window = slice(top, rows[-1] + 1 + _EDGE_PX), slice(left, columns[-1] + 1 + _EDGE_PX)
    cover = in_focus(mask[window])[..., None]
    light = np.concatenate([in_focus(surface[window]) * cover, cover], axis=-1)
    return Thing((Layer((Patch(light, (int(top), int(left)), depth),)),))


def fibre(
    rng: Rng,
    *,
    points_px: Floats,
    depths: Floats,
    width_px: float,
    colour: Sequence[float],
) -> Thing:
    """A thin thread along `points_px` (n, 2: y, x), its depth given at each point.

    It is cut where the depth has changed by a third of a plane, and into pieces of bounded length.
    """
    cuts = _cuts(depths)
    patches = []
    for first, last in pairwise(cuts):
        light, corner = _segment(rng, points_px, (first, last), width_px, np.asarray(colour))
        patches.append(Patch(light, corner, float(depths[first : last + 1].mean())))
    return Thing((Layer(tuple(patches)),))


def _cuts(depths: Floats, step: float = 0.3, longest: int = 40) -> list[int]:
    cuts = [0]
    for index in range(1, len(depths)):
        if abs(depths[index] - depths[cuts[-1]]) >= step or index - cuts[-1] >= longest:
            cuts.append(index)
    if cuts[-1] != len(depths) - 1:
        cuts.append(len(depths) - 1)
    return cuts


def _segment(
    rng: Rng, points: Floats, cut: tuple[int, int], width_px: float, colour: Floats
) -> tuple[Floats, tuple[int, int]]:
    """The part from one cut to the next, with square ends exactly at the cuts; its corner."""
    first, last = cut
    part = points[first : last + 1]
    reach = int(np.ceil(width_px)) + _EDGE_PX
    top, left = (np.floor(part.min(axis=0)).astype(int) - reach).tolist()
    bottom, right = (np.ceil(part.max(axis=0)).astype(int) + reach).tolist()
    shape = (bottom - top, right - left)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    across, owner = _nearest(points, first, last, y + top, x + left)
    inside = (owner >= first) & ((owner < last) | (last == len(points) - 1))
    cover = np.clip(width_px / 2 - across + 0.5, 0, 1) * inside
    round_shade = np.sqrt(np.clip(1 - (2 * across / width_px) ** 2, 0.05, 1))
    grain = 1 + 0.12 * rng.standard_normal(shape)
    light = np.empty((*shape, 4), np.float32)
    light[..., :3] = ((0.35 + 0.65 * round_shade) * grain * cover)[..., None] * colour
    light[..., 3] = cover
    return in_focus(light), (top, left)


def _nearest(
    points: Floats, first: int, last: int, y: Floats, x: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Distance to the polyline around the part, and the index of the piece that is nearest."""
    best = np.full(y.shape, np.inf, np.float32)
    owner = np.zeros(y.shape, np.int64)
    for index in range(max(first - 2, 0), min(last + 2, len(points) - 1)):
        a, b = points[index], points[index + 1]
        along = b - a
        t = ((y - a[0]) * along[0] + (x - a[1]) * along[1]) / float(along @ along)
        t = np.clip(t, 0, 1)
        distance = np.hypot(y - a[0] - t * along[0], x - a[1] - t * along[1]).astype(np.float32)
        closer = distance < best
        best[closer], owner[closer] = distance[closer], index
    return best, owner


def curve(rng: Rng, shape: tuple[int, int], *, bend: float = 0.35, step_px: float = 6.0) -> Floats:
    """A gently bent line that crosses the canvas, points `step_px` apart, (n, 2)."""
    height, width = shape
    angle = rng.uniform(0, np.pi)
    direction = np.array([np.sin(angle), np.cos(angle)])
    normal = np.array([direction[1], -direction[0]])
    middle = np.array([height * rng.uniform(0.15, 0.85), width * rng.uniform(0.1, 0.9)])
    reach = 0.75 * float(np.hypot(height, width))
    t = np.arange(-reach, reach, step_px)
    sway = bend * 300 * np.sin(t / reach * rng.uniform(2, 5) + rng.uniform(0, 6))
    points = middle + t[:, None] * direction + sway[:, None] * normal
    inside = ((points > -80) & (points < np.array(shape) + 80)).all(axis=1)
    span = np.flatnonzero(inside)
    return np.asarray(points[span[0] : span[-1] + 1], np.float32)


def rectangles(
    rng: Rng,
    shape: tuple[int, int],
    count: int,
    *,
    width_px: tuple[int, int],
    length_px: tuple[int, int],
    turn_deg: float = 0.0,
) -> Floats:
    """Coverage of `count` rectangles, turned at random or by multiples of `turn_deg`."""
    canvas = np.zeros(shape, np.uint8)
    for _ in range(count):
        centre = (rng.uniform(0.04, 0.96) * shape[1], rng.uniform(0.04, 0.96) * shape[0])
        size = (float(rng.uniform(*width_px)), float(rng.uniform(*length_px)))
        turn = turn_deg * rng.integers(0, 4) if turn_deg else rng.uniform(0, 90)
        corners = cv2.boxPoints((centre, size, float(turn)))
        cv2.fillConvexPoly(canvas, np.rint(corners * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    return np.asarray(canvas / 255, np.float32)


def lettering(rng: Rng, shape: tuple[int, int], count: int) -> Floats:
    """Coverage of part numbers, printed upright or along the side."""
    canvas = np.zeros(shape, np.uint8)
    side = np.zeros(shape[::-1], np.uint8)
    for index in range(count):
        word = f"{'RCUJL'[int(rng.integers(5))]}{int(rng.integers(1, 480))}"
        face = canvas if index % 3 else side
        at = (
            int(rng.uniform(0.03, 0.95) * face.shape[1]),
            int(rng.uniform(0.03, 0.97) * face.shape[0]),
        )
        cv2.putText(face, word, at, cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(0.5, 1.1)), 255, 2,
                    cv2.LINE_AA)  # fmt: skip
    return np.asarray(np.maximum(canvas, np.rot90(side)) / 255, np.float32)
