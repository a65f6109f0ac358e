"""A layer in the making: parts are put onto a sheet one after another, then it becomes a layer."""

import math
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from zstackd_drivers.specimens.specimen import Bytes, Floats, Layer

SMALLEST_PX = 8
OUTSIDE = 1e-3


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of the canvas with turned coordinates of its own, in pixels from its centre.

    `u` runs along the part and `v` across it; both are (h, w) float32.
    """

    rows: slice
    columns: slice
    u: Floats
    v: Floats

    @property
    def at(self) -> tuple[slice, slice]:
        """Return the slices that cut the window out of the canvas."""
        return self.rows, self.columns


def window(
    canvas_px: tuple[int, int],
    *,
    centre_px: tuple[float, float],
    reach_px: float,
    angle_deg: float = 0.0,
) -> Window:
    """Return the window of half width `reach_px` about a centre, cut at the canvas' edges.

    It never is empty: that of a part beyond an edge is a strip along this edge.
    """
    (width, height), (x, y) = canvas_px, centre_px
    columns, rows = _within(x, reach_px, width), _within(y, reach_px, height)
    dx = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(x)
    dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(y)
    cos, sin = (np.float32(f(math.radians(angle_deg))) for f in (math.cos, math.sin))
    return Window(rows=rows, columns=columns, u=dx * cos + dy * sin, v=dy * cos - dx * sin)


class Sheet:
    """Colour, cover and height of one layer while parts are put onto it."""

    def __init__(self, canvas_px: tuple[int, int]) -> None:
        width, height = canvas_px
        self.canvas_px = canvas_px
        self._colour = np.zeros((height, width, 3), np.float32)
        self._alpha = np.zeros((height, width), np.float32)
        self._height_um = np.zeros((height, width), np.float32)

    def put(self, on: Window, *, colour: Floats, inside_px: Floats, height_um: Floats) -> Self:
        """Lay a part over what is there.

        `colour` (h, w, 3) 0 to 255; `inside_px` (h, w) signed distance from the part's edge,
        inside positive; `height_um` (h, w).
        """
        alpha = np.clip(inside_px + 0.5, 0, 1)
        here = self._alpha[on.at]
        total = alpha + here * (1 - alpha)
        share = np.divide(alpha, total, out=np.zeros_like(total), where=total > OUTSIDE)
        painted = self._colour[on.at]
        painted += (colour - painted) * share[..., None]
        here[...] = total
        np.copyto(self._height_um[on.at], height_um, where=alpha > OUTSIDE)
        return self

    def layer(self) -> Layer:
        """Return the finished layer; heights run on smoothly where nothing was painted."""
        painted = self._alpha > OUTSIDE
        return Layer(
            colour=np.asarray(np.rint(np.clip(self._colour, 0, 255)), np.uint8),
            alpha=np.asarray(np.rint(self._alpha * 255), np.uint8),
            height_um=spread(self._height_um, painted.astype(np.float32)),
        )

    @property
    def alpha(self) -> Bytes:
        """Return how much is covered so far, (H, W) uint8."""
        return np.asarray(np.rint(self._alpha * 255), np.uint8)


def spread(values: Floats, known: Floats) -> Floats:
    """Return (H, W) `values` where `known` is 1, and smooth averages of what is near elsewhere.

    Averages come from ever coarser copies (push-pull: Gortler et al., The Lumigraph, 1996).
    """
    if min(values.shape) < SMALLEST_PX or known.all():
        weight = max(float(known.sum()), OUTSIDE)
        return np.where(known > OUTSIDE, values, np.float32((values * known).sum() / weight))
    half = (math.ceil(values.shape[1] / 2), math.ceil(values.shape[0] / 2))
    share = cv2.resize(known, half, interpolation=cv2.INTER_AREA)
    total = cv2.resize(values * known, half, interpolation=cv2.INTER_AREA)
    mean = np.divide(total, share, out=np.zeros_like(total), where=share > OUTSIDE)
    coarse = spread(np.asarray(mean, np.float32), np.asarray(share > OUTSIDE, np.float32))
    blown = cv2.resize(coarse, values.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.where(known > OUTSIDE, values, blown), np.float32)


def _within(px: float, reach_px: float, side: int) -> slice:
    start = min(max(0, math.floor(px - reach_px)), side - SMALLEST_PX)
    return slice(start, max(min(math.floor(px + reach_px + 1), side), start + SMALLEST_PX))
