"""A scene of an opaque ground and objects above it, and its picture at each focus.

Depth is in planes: plane `i` focuses at depth `i`; a greater depth is nearer to the lens.
The ground is blurred by gathering with the local defocus; an object is cut into slices of one
depth whose light is spread by the disc of that slice, then laid over what is farther away.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.optics import defocus, in_focus

Floats = NDArray[np.float32]
_KNOTS_PX = np.concatenate([np.arange(0, 3, 0.5), 3 * 1.18 ** np.arange(0, 24)])


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of an object at one depth: colour times coverage and coverage, (h, w, 4), at `corner`."""

    light: Floats
    corner: tuple[int, int]
    depth: float


@dataclass(frozen=True, slots=True)
class Thing:
    """An object: its slices, and its depth over the box that starts at `corner` (y, x)."""

    slices: tuple[Slice, ...]
    depth: Floats
    corner: tuple[int, int]

    @property
    def mean_depth(self) -> float:
        """Where it lies in the order of painting."""
        return float(np.mean([part.depth for part in self.slices]))


@dataclass
class Scene:
    """Ground (H, W, 3) with its depth (H, W), and things above it, on a canvas with a margin."""

    ground: Floats
    ground_depth: Floats
    slope_px: float
    things: list[Thing] = field(default_factory=list)
    _levels: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        self.ground = in_focus(self.ground)
        self.things = sorted(self.things, key=lambda thing: thing.mean_depth)

    def at(self, plane: float) -> Floats:
        """The scene in linear light with the lens focused at `plane`."""
        picture = self._ground_at(plane)
        for thing in self.things:
            lay_over(picture, thing, lambda depth: self.slope_px * abs(depth - plane))
        return picture

    def sharp(self) -> Floats:
        """The scene with everything in focus."""
        picture = self.ground.copy()
        for thing in self.things:
            lay_over(picture, thing, lambda _depth: 0.0)
        return picture

    def depth(self) -> tuple[Floats, Floats]:
        """Depth of what is seen, and coverage by things (0 to 1)."""
        depth, cover = self.ground_depth.copy(), np.zeros_like(self.ground_depth)
        for thing in self.things:
            box, light = _merged(thing, lambda _depth: 0.0)
            seen = _window(cover, box)
            if seen is None:
                continue
            (rows, columns), (inner_rows, inner_columns) = seen
            alpha = np.minimum(light[inner_rows, inner_columns, 3], 1)
            own = _on_box(thing, box, light.shape[:2])[inner_rows, inner_columns]
            cover[rows, columns] = np.maximum(cover[rows, columns], alpha)
            depth[rows, columns] = np.where(alpha > 0.5, own, depth[rows, columns])
        return depth, cover

    def _ground_at(self, plane: float) -> Floats:
        if self._levels is None:
            reach = self.slope_px * float(
                max(np.abs(self.ground_depth).max(), np.ptp(self.ground_depth), 60)
            )
            knots = _KNOTS_PX[: int(np.searchsorted(_KNOTS_PX, reach)) + 2]
            self._levels = np.stack(
                [defocus(self.ground, float(radius)).astype(np.float16) for radius in knots]
            )
        radius = self.slope_px * np.abs(self.ground_depth - plane)
        level = np.interp(radius, _KNOTS_PX, np.arange(len(_KNOTS_PX))).astype(np.float32)
        return _gather(self._levels, level)


def _gather(levels: NDArray[np.float16], level: Floats) -> Floats:
    """Interpolate between the blurred copies at each pixel's own level."""
    picture = np.zeros((*level.shape, 3), np.float32)
    for index in range(len(levels)):
        weight = 1 - np.abs(level - index)
        rows = np.flatnonzero((weight > 0).any(axis=1))
        if not len(rows):
            continue
        band = slice(rows[0], rows[-1] + 1)
        share = np.maximum(weight[band], 0)[..., None]
        picture[band] += share * levels[index, band]
    return picture


def _merged(thing: Thing, radius_of: "RadiusOf") -> tuple[tuple[int, int], Floats]:
    """Sum of the slices, each spread by its own disc, on the box that holds them all."""
    pads = [int(np.ceil(radius_of(part.depth))) + 2 for part in thing.slices]
    top = min(part.corner[0] - pad for part, pad in zip(thing.slices, pads, strict=True))
    left = min(part.corner[1] - pad for part, pad in zip(thing.slices, pads, strict=True))
    bottom = max(
        part.corner[0] + part.light.shape[0] + pad
        for part, pad in zip(thing.slices, pads, strict=True)
    )
    right = max(
        part.corner[1] + part.light.shape[1] + pad
        for part, pad in zip(thing.slices, pads, strict=True)
    )
    light = np.zeros((bottom - top, right - left, 4), np.float32)
    for part, pad in zip(thing.slices, pads, strict=True):
        padded = cv2.copyMakeBorder(part.light, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
        spread = defocus(
            np.asarray(padded, np.float32), radius_of(part.depth), border=cv2.BORDER_CONSTANT
        )
        y, x = part.corner[0] - pad - top, part.corner[1] - pad - left
        light[y : y + spread.shape[0], x : x + spread.shape[1]] += spread
    return (top, left), light
