"""Hairs: curved, tapering, each with a height that changes from root to tip."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_drivers.specimens.paint import Rgb
from zstackd_drivers.specimens.sheet import spread
from zstackd_drivers.specimens.specimen import Bytes, Floats, Layer

STEPS = 18
SHIFT = 4
"""OpenCV's polygons take coordinates in 1/16 of a pixel."""

ROOT_RGB: Rgb = (58, 32, 16)
TIP_RGB: Rgb = (214, 150, 74)
GLINT_RGB: Rgb = (255, 226, 178)

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hair:
    """A hair from root to tip: pixels, micrometres; `bend_deg` is how far it curls on its way."""

    root_px: tuple[float, float]
    length_px: float
    heading_deg: float
    bend_deg: float
    width_px: float
    heights_um: tuple[float, float]
    pale: float = 0.0

    @property
    def top_um(self) -> float:
        """Return the height of its highest point."""
        return max(self.heights_um)

    def line_px(self) -> tuple[Points, Points]:
        """Return points along the hair and the unit vectors across it, each (STEPS + 1, 2)."""
        t = np.linspace(0, 1, STEPS + 1)
        heading = np.radians(self.heading_deg + self.bend_deg * (t**1.4))
        step = np.stack([np.cos(heading), np.sin(heading)], axis=1) * self.length_px / STEPS
        points = np.asarray(self.root_px) + np.vstack([np.zeros((1, 2)), np.cumsum(step[:-1], 0)])
        return points, np.stack([-np.sin(heading), np.cos(heading)], axis=1)


class HairLayer:
    """A layer of nothing but hairs; later ones lie over earlier ones."""

    def __init__(self, canvas_px: tuple[int, int]) -> None:
        width, height = canvas_px
        self.alpha: Bytes = np.zeros((height, width), np.uint8)
        self._colour: Bytes = np.zeros((height, width, 3), np.uint8)
        self._height_um: Floats = np.zeros((height, width), np.float32)

    def put(self, hair: Hair) -> None:
        """Draw one hair: cover, colour with a glint along its lit side, and heights."""
        points, across = hair.line_px()
        t = np.linspace(0, 1, STEPS + 1)
        half = hair.width_px / 2 * np.clip(1.02 - t**1.6, 0.12, 1) * np.clip(0.45 + 9 * t, 0, 1)
        outline = _outline(points, across, half)
        cv2.fillPoly(self.alpha, [_fixed(outline)], 255, cv2.LINE_AA, SHIFT)
        low_um, high_um = hair.heights_um
        wide = half + 1.5
        for i in range(STEPS):
            quad = _fixed(_outline(points[i : i + 2], across[i : i + 2], wide[i : i + 2]))
            share = (i + 0.5) / STEPS
            cv2.fillConvexPoly(self._colour, quad, _colour(share, hair.pale), cv2.LINE_8, SHIFT)
            height = low_um + (high_um - low_um) * math.sin(share * math.pi / 2)
            cv2.fillConvexPoly(self._height_um, quad, height, cv2.LINE_8, SHIFT)
        self._glint(points - across * (0.28 * half)[:, None], across, half)

    def _glint(self, points: Points, across: Points, half: Points) -> None:
        """Draw the light along the upper left flank, over the middle of the hair's length."""
        part = slice(1, STEPS - STEPS // 8)
        swell = np.sqrt(np.sin(np.linspace(0.02, 0.98, STEPS + 1) * math.pi))
        narrow = np.maximum(0.27 * half * swell, 0.2)
        outline = _fixed(_outline(points[part], across[part], narrow[part]))
        red, green, blue = GLINT_RGB
        cv2.fillPoly(self._colour, [outline], (blue, green, red), cv2.LINE_AA, SHIFT)

    def layer(self) -> Layer:
        """Return the finished layer; heights run on smoothly between the hairs."""
        known = np.asarray(self._height_um > 0, np.float32)
        return Layer(
            colour=self._colour, alpha=self.alpha, height_um=spread(self._height_um, known)
        )


def _colour(share: float, pale: float) -> tuple[float, ...]:
    """Return blue, green, red at a share of the length; `pale` hairs begin nearer to the tip's."""
    mix = pale + (1 - pale) * share
    red, green, blue = (r + (t - r) * mix for r, t in zip(ROOT_RGB, TIP_RGB, strict=True))
    return blue, green, red


def _outline(points: Points, across: Points, half: Points) -> Points:
    side = across * half[:, None]
    return np.vstack([points + side, (points - side)[::-1]])


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.asarray(np.rint(points * (1 << SHIFT)), np.int32)
