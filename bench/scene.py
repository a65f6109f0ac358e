"""A scene of an opaque ground and objects above it, and its picture at each focus.

Depth is in planes: plane `i` focuses at depth `i`; a greater depth is nearer to the lens. A
circular aperture spreads a point into a disc whose radius grows linearly with its distance from
the plane in focus (thin lens). The ground is blurred by gathering with the local defocus, which
holds for gentle slopes; whatever stands above it is a pile of flat layers, each blurred by its own
disc and then laid over what is farther away, so that a near edge veils the ground as in a lens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.optics import defocus, in_focus

Floats = NDArray[np.float32]
_KNOTS_PX = np.concatenate([np.arange(0, 4, 0.5), 4 * 1.25 ** np.arange(0, 14)])
_TILE_PX = 128


@dataclass(frozen=True, slots=True)
class Patch:
    """Colour times coverage and coverage, (h, w, 4), at `corner` (y, x), all at one depth."""

    light: Floats
    corner: tuple[int, int]
    depth: float


@dataclass(frozen=True, slots=True)
class Layer:
    """Patches that share one sheet: they lie beside each other, their coverages add up to 1.

    `height`: depth of the sheet where it is seen, (h, w), at the corner of the first patch; None
    where it is that of the patch.
    """

    patches: tuple[Patch, ...]

    @property
    def mean_depth(self) -> float:
        """Where it lies in the order of painting."""
        return float(np.mean([patch.depth for patch in self.patches]))


@dataclass(frozen=True, slots=True)
class Thing:
    """An opaque object: layers from far to near, each over the one before."""

    layers: tuple[Layer, ...]


class Scene:
    """Ground (H, W, 3) with its depth (H, W), and things above it, on a canvas with a margin."""

    def __init__(
        self, ground: Floats, ground_depth: Floats, slope_px: float, things: Sequence[Thing] = ()
    ) -> None:
        """`slope_px`: radius of the disc of defocus per plane of distance."""
        self.ground = in_focus(ground)
        self.ground_depth = ground_depth
        self.slope_px = slope_px
        self.things = sorted(things, key=lambda thing: thing.layers[0].mean_depth)
        self._levels: list[NDArray[np.float16]] = []

    def at(self, plane: float) -> Floats:
        """The scene in linear light with the lens focused at `plane`."""
        picture = self._ground_at(plane)
        for layer in self._layers():
            _lay_over(picture, layer, plane, self.slope_px)
        return picture

    def sharp(self) -> Floats:
        """The scene with everything in focus."""
        picture = self.ground.copy()
        for layer in self._layers():
            _lay_over(picture, layer, 0.0, 0.0)
        return picture

    def depth(self) -> tuple[Floats, Floats]:
        """Depth of what is seen, and coverage by things (0 to 1)."""
        depth, cover = self.ground_depth.copy(), np.zeros_like(self.ground_depth)
        for layer in self._layers():
            for patch in layer.patches:
                seen = _overlap(depth.shape, patch.corner, patch.light.shape[:2])
                if seen is None:
                    continue
                there, here = seen
                alpha = patch.light[here][..., 3]
                cover[there] = np.maximum(cover[there], np.minimum(alpha, 1))
                depth[there] = np.where(alpha > 0.5, patch.depth, depth[there])
        return depth, cover

    def _layers(self) -> Iterator[Layer]:
        return (layer for thing in self.things for layer in thing.layers)

    def _ground_at(self, plane: float) -> Floats:
        radius = self.slope_px * np.abs(self.ground_depth - plane)
        level = np.interp(radius, _KNOTS_PX, np.arange(len(_KNOTS_PX))).astype(np.float32)
        for index in range(len(self._levels), int(np.ceil(level.max())) + 1):
            blurred = defocus(self.ground, float(_KNOTS_PX[index]))
            self._levels.append(blurred.astype(np.float16))
        picture = np.empty_like(self.ground)
        for tile in _tiles(level.shape):
            picture[tile] = _gather([image[tile] for image in self._levels], level[tile])
        return picture


def _gather(levels: Sequence[NDArray[np.float16]], level: Floats) -> Floats:
    """Interpolate between the blurred copies at each pixel's own level."""
    picture = np.zeros((*level.shape, 3), np.float32)
    for index in range(int(level.min()), min(int(np.ceil(level.max())), len(levels) - 1) + 1):
        weight = np.maximum(1 - np.abs(level - index), 0)[..., None]
        picture += weight * levels[index]
    return picture


def _lay_over(picture: Floats, layer: Layer, plane: float, slope_px: float) -> None:
    """Blur each patch for a lens focused at `plane` and paint the sum of them over `picture`."""
    blurred = [_spread(patch, slope_px * abs(patch.depth - plane)) for patch in layer.patches]
    if len(blurred) == 1:
        corner, light = blurred[0]
        _paint(picture, corner, light)
        return
    sheet = np.zeros((*picture.shape[:2], 4), np.float32)
    touched = np.zeros([-(-side // _TILE_PX) for side in picture.shape[:2]], bool)
    for corner, light in blurred:
        seen = _overlap(picture.shape[:2], corner, light.shape[:2])
        if seen is None:
            continue
        there, here = seen
        sheet[there] += light[here]
        rows, columns = (slice(s.start // _TILE_PX, -(-s.stop // _TILE_PX)) for s in there)
        touched[rows, columns] = True
    for y, x in np.argwhere(touched) * _TILE_PX:
        _paint(picture, (y, x), sheet[y : y + _TILE_PX, x : x + _TILE_PX])


def _spread(patch: Patch, radius_px: float) -> tuple[tuple[int, int], Floats]:
    pad = int(np.ceil(radius_px)) + 2
    padded = cv2.copyMakeBorder(patch.light, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    light = defocus(np.asarray(padded, np.float32), radius_px, border=cv2.BORDER_CONSTANT)
    return (patch.corner[0] - pad, patch.corner[1] - pad), light


def _paint(picture: Floats, corner: tuple[int, int], light: Floats) -> None:
    seen = _overlap(picture.shape[:2], corner, light.shape[:2])
    if seen is None:
        return
    there, here = seen
    alpha = light[here][..., 3:]
    excess = np.maximum(alpha, 1)
    picture[there] = picture[there] * (1 - np.minimum(alpha, 1)) + light[here][..., :3] / excess


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    for y in range(0, shape[0], _TILE_PX):
        for x in range(0, shape[1], _TILE_PX):
            yield slice(y, y + _TILE_PX), slice(x, x + _TILE_PX)


Window = tuple[slice, slice]


def _overlap(
    shape: tuple[int, ...], corner: tuple[int, int], box: tuple[int, ...]
) -> tuple[Window, Window] | None:
    """The part of a box at `corner` that lies in `shape`: slices of the whole, and of the box."""
    top, left = max(corner[0], 0), max(corner[1], 0)
    bottom, right = min(corner[0] + box[0], shape[0]), min(corner[1] + box[1], shape[1])
    if bottom <= top or right <= left:
        return None
    there = slice(top, bottom), slice(left, right)
    here = slice(top - corner[0], bottom - corner[0]), slice(left - corner[1], right - corner[1])
    return there, here
