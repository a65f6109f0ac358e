"""Defocus of a layered specimen: what a lens of a given aperture shows at one focus height.

Geometric optics: a point `d` above or below the focus plane becomes a disc of radius
d * NA / sqrt(1 - NA²) on the specimen. Diffraction is left out. Each layer is blurred in linear
light, once, at a ladder of radii; a frame blends, pixel by pixel, the two rungs on either side of
the radius its height asks for, with weights that keep the disc's second moment. Wide discs live
at a half and a quarter of the resolution, and only the tiles near to focus are rendered finely.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_drivers.specimens.specimen import DEPTH_UM, TILE_PX, Bytes, Floats, Layer, Specimen

Heights = NDArray[np.int16]
Scalar = TypeVar("Scalar", np.float32, np.int16)

HEIGHT_STEPS_PER_UM = 32
WIDEST_PX = 200.0
RUNGS_PX: tuple[tuple[float, ...], ...] = ((0.0, 1.1), (2.0, 3.0, 4.5), (6.75, 10.1, 15.2))
"""Disc radii, in full pixels, kept at full, half and quarter resolution; the last goes on."""

RUNG_RATIO = 1.5
SEAM_MARGIN = 1.1
NARROWEST_DISC_PX = 0.3


@dataclass(frozen=True, slots=True)
class Rungs:
    """One layer at one resolution: premultiplied BGRA at each radius, and its heights.

    `reach_px` is the radius at which the next coarser resolution takes over.
    """

    images: tuple[Bytes, ...]
    weights: tuple[Bytes, ...]
    heights: Heights
    reach_px: float


@dataclass(frozen=True, slots=True)
class TileDepths:
    """Lowest and highest painted height of every tile, µm; empty tiles are infinitely far."""

    low_um: Floats
    high_um: Floats

    def near(self, *, focus_um: float, within_um: float) -> NDArray[np.bool_]:
        """Return the tiles with anything painted within `within_um` of the focus height."""
        return (self.low_um < focus_um + within_um) & (self.high_um > focus_um - within_um)


@dataclass(frozen=True, slots=True)
class LayerLadder:
    """One layer, ready to be shown at any focus."""

    scales: tuple[Rungs, ...]
    depths: TileDepths


class Defocus:
    """Renders one specimen through one aperture; `render` is pure and may run in any thread."""

    def __init__(
        self, specimen: Specimen, *, numerical_aperture: float, pixel_size_um: float
    ) -> None:
        aperture = min(numerical_aperture, 0.95)
        self._px_per_um = aperture / math.sqrt(1 - aperture**2) / pixel_size_um
        widest_px = min(WIDEST_PX, 1.5 * DEPTH_UM * self._px_per_um)
        radii = _ladder_radii(widest_px)
        self._layers = tuple(_ladder(layer, radii) for layer in specimen.layers)

    def render(self, focus_um: float) -> Bytes:
        """Return the canvas (H, W, 3) uint8 with the focus plane at `focus_um`."""
        coarse = [self._rung(layer.scales[-1], focus_um) for layer in self._layers]
        whole = _composite(coarse)
        middle = [_doubled(image) for image in coarse]
        whole = _doubled(whole)
        for tile in self._near_tiles(focus_um, scale=1):
            parts = [
                self._refine(layer, 1, tile, middle[i][tile], focus_um)
                for i, layer in enumerate(self._layers)
            ]
            for image, part in zip(middle, parts, strict=True):
                image[tile] = part
            whole[tile] = _composite(parts)
        whole = _doubled(whole)
        bordered = [_bytes(cv2.copyMakeBorder(m, 1, 1, 1, 1, cv2.BORDER_REPLICATE)) for m in middle]
        for tile in self._near_tiles(focus_um, scale=0):
            parts = [
                self._refine(layer, 0, tile, _doubled_tile(bordered[i], tile), focus_um)
                for i, layer in enumerate(self._layers)
            ]
            whole[tile] = _composite(parts)
        return np.asarray(cv2.cvtColor(whole, cv2.COLOR_BGRA2BGR), np.uint8)

    def _near_tiles(self, focus_um: float, *, scale: int) -> Iterator[tuple[slice, slice]]:
        """Yield the tiles that need this resolution, as slices of it."""
        side = TILE_PX >> scale
        near = np.logical_or.reduce(
            [self._near(layer, focus_um, scale=scale) for layer in self._layers]
        )
        for row, column in np.argwhere(near):
            yield (
                slice(row * side, (row + 1) * side),
                slice(column * side, (column + 1) * side),
            )

    def _near(self, layer: LayerLadder, focus_um: float, *, scale: int) -> NDArray[np.bool_]:
        within_um = layer.scales[scale].reach_px * SEAM_MARGIN / self._px_per_um
        return layer.depths.near(focus_um=focus_um, within_um=within_um)

    def _refine(
        self,
        layer: LayerLadder,
        scale: int,
        tile: tuple[slice, slice],
        coarse: Bytes,
        focus_um: float,
    ) -> Bytes:
        """Return one tile at this resolution, from its rungs and the coarser rendering."""
        side = TILE_PX >> scale
        within_um = layer.scales[scale].reach_px * SEAM_MARGIN / self._px_per_um
        at = (tile[0].start // side, tile[1].start // side)
        low_um, high_um = layer.depths.low_um[at], layer.depths.high_um[at]
        if low_um >= focus_um + within_um or high_um <= focus_um - within_um:
            return coarse
        rungs = layer.scales[scale]
        return self._blend(rungs, tile, focus_um, coarse)

    def _rung(self, rungs: Rungs, focus_um: float) -> Bytes:
        whole = (slice(None), slice(None))
        return self._blend(rungs, whole, focus_um, None)

    def _blend(
        self, rungs: Rungs, tile: tuple[slice, slice], focus_um: float, coarse: Bytes | None
    ) -> Bytes:
        """Return the weighted sum of rungs, by each pixel's distance from the focus plane."""
        gain = 255 * self._px_per_um / rungs.reach_px
        index = cv2.convertScaleAbs(
            rungs.heights[tile], alpha=gain / HEIGHT_STEPS_PER_UM, beta=-focus_um * gain
        )
        low, high, _, _ = cv2.minMaxLoc(index)
        used = slice(int(low), int(high) + 1)
        images = [image[tile] for image in rungs.images]
        total: Bytes | None = None
        for image, weight in zip([*images, coarse], rungs.weights, strict=True):
            if image is None or not weight[used].any():
                continue
            mask = cv2.LUT(index, weight)
            part = cv2.multiply(image, cv2.merge((mask, mask, mask, mask)), scale=1 / 255)
            total = _bytes(part if total is None else cv2.add(total, part))
        return images[-1] if total is None else total


def _ladder_radii(widest_px: float) -> tuple[tuple[float, ...], ...]:
    coarsest = list(RUNGS_PX[-1])
    while coarsest[-1] < widest_px:
        coarsest.append(coarsest[-1] * RUNG_RATIO)
    return (*RUNGS_PX[:-1], tuple(coarsest))


def _ladder(layer: Layer, radii: tuple[tuple[float, ...], ...]) -> LayerLadder:
    """Blur one layer at every radius; linear light, premultiplied."""
    light = _premultiplied_light(layer)
    heights = np.clip(layer.height_um * HEIGHT_STEPS_PER_UM, -32768, 32767).astype(np.int16)
    scales: list[Rungs] = []
    for scale, rungs_px in enumerate(radii):
        factor = 1 << scale
        images = tuple(_encoded(_disc_blurred(light, r, factor)) for r in rungs_px)
        last = scale == len(radii) - 1
        reach_px = rungs_px[-1] if last else radii[scale + 1][0]
        scales.append(
            Rungs(
                images=images,
                weights=_weights(rungs_px, reach_px),
                heights=heights,
                reach_px=reach_px,
            )
        )
        light, heights = _halved(light), _halved(heights)
    return LayerLadder(scales=tuple(scales), depths=_tile_depths(layer))


def _weights(rungs_px: tuple[float, ...], reach_px: float) -> tuple[Bytes, ...]:
    """Return a table of 256 weights for each rung and for the coarser rendering beyond them.

    Linear in the squared radius, so that a blend of two discs has the variance of the disc asked.
    """
    nodes = np.array([*rungs_px, max(reach_px, rungs_px[-1] + 1e-6)]) ** 2
    squared = (np.arange(256) / 255 * reach_px) ** 2
    position = np.interp(squared, nodes, np.arange(len(nodes)))
    hats = [np.clip(1 - np.abs(position - i), 0, 1) for i in range(len(nodes))]
    steps = np.diff(np.rint(np.cumsum(hats, axis=0) * 255), axis=0, prepend=0)
    return tuple(step.astype(np.uint8) for step in steps)


def _premultiplied_light(layer: Layer) -> Floats:
    alpha = layer.alpha.astype(np.float32) / 255
    table = (np.arange(256, dtype=np.float32) / 255) ** 2
    light = cv2.LUT(layer.colour, table)
    covered = cv2.multiply(light, cv2.merge((alpha, alpha, alpha)))
    return _floats(cv2.merge((*cv2.split(covered), alpha)))


def _encoded(light: Floats) -> Bytes:
    """Return display values (gamma 2), premultiplied by alpha: sqrt(light * alpha)."""
    alpha = cv2.extractChannel(light, 3)
    squared = cv2.multiply(light, cv2.merge((alpha, alpha, alpha, alpha)))
    return _bytes(cv2.convertScaleAbs(cv2.sqrt(_floats(squared)), alpha=255))


def _disc_blurred(light: Floats, radius_px: float, factor: int) -> Floats:
    """Blur with a disc; `factor` is how much coarser than full pixels `light` is.

    Halving and later doubling blur too (a box and a tent); the disc leaves out their variance.
    """
    already = 4 * ((factor**2 - 1) / 12 + (factor**2 / 6 if factor > 1 else 0))
    radius = math.sqrt(max(0.0, radius_px**2 - already)) / factor
    if radius < NARROWEST_DISC_PX:
        return light
    return _floats(cv2.filter2D(light, -1, _disc(radius), borderType=cv2.BORDER_REFLECT_101))


def _disc(radius: float) -> Floats:
    """Return a disc with soft rim, one in sum."""
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return _floats(kernel / kernel.sum())


def _tile_depths(layer: Layer) -> TileDepths:
    painted = layer.alpha > 0
    low = np.where(painted, layer.height_um, np.inf)
    high = np.where(painted, layer.height_um, -np.inf)
    rows, columns = (side // TILE_PX for side in layer.alpha.shape)
    shape = (rows, TILE_PX, columns, TILE_PX)
    return TileDepths(
        low_um=low.reshape(shape).min(axis=(1, 3)).astype(np.float32),
        high_um=high.reshape(shape).max(axis=(1, 3)).astype(np.float32),
    )


def _composite(layers: list[Bytes]) -> Bytes:
    """Return premultiplied layers, far to near, laid over one another."""
    total = layers[0]
    for layer in layers[1:]:
        through = cv2.bitwise_not(cv2.extractChannel(layer, 3))
        behind = cv2.multiply(total, cv2.merge((through,) * 4), scale=1 / 255)
        total = _bytes(cv2.add(layer, behind))
    return total


def _halved(image: NDArray[Scalar]) -> NDArray[Scalar]:
    height, width = image.shape[:2]
    return np.asarray(
        cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA), image.dtype
    )


def _doubled(image: Bytes) -> Bytes:
    height, width = image.shape[:2]
    return _bytes(cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR))


def _doubled_tile(bordered: Bytes, tile: tuple[slice, slice]) -> Bytes:
    """Return one tile of an image with a border of 1, doubled as the whole would have been."""
    rows, columns = (slice(s.start // 2, s.stop // 2 + 2) for s in tile)
    return _doubled(bordered[rows, columns])[2:-2, 2:-2]


def _bytes(image: object) -> Bytes:
    return np.asarray(image, np.uint8)


def _floats(image: object) -> Floats:
    return np.asarray(image, np.float32)
