"""The streaming stacker: frames in, one at a time; fused image and height map out."""

from typing import Any, Final

import cv2
import numpy as np

from zstackd_config.errors import StackError
from zstackd_stacking.depth import DepthMap
from zstackd_stacking.finish import finished, reduced_image
from zstackd_stacking.focus import energies, evidence, luma_bands
from zstackd_stacking.fuse import PyramidFusion
from zstackd_stacking.geometry import Matrix, corner_motion_px, identity, rescale
from zstackd_stacking.noise import NoiseLevel
from zstackd_stacking.planes import luma, split, warped
from zstackd_stacking.pyramid import level_count
from zstackd_stacking.track import Placement, Track
from zstackd_stacking.types import (
    FloatMap,
    FrameReport,
    Image,
    StackOptions,
    StackReport,
    StackResult,
    as_floats,
    as_image,
)

_LEAST_SIDE_PX: Final = 32
_STILL_PX: Final = 0.12
_WHOLE: Final = 0.999
_COLOUR: Final = 3
_LEAST_FLICKER: Final = 0.002
_MOST_GAIN: Final = 5.0
_DEFAULTS: Final = StackOptions()


class Stacker:
    """Fuses frames given in outward order (see `stacking_order`), in constant memory.

    Frames above the reference may be mixed with those below it in any way, as they come.
    """

    def __init__(self, options: StackOptions = _DEFAULTS) -> None:
        self._options = options
        self._fusion = PyramidFusion()
        self._depth = DepthMap()
        self._track = Track()
        self._noise = NoiseLevel()
        self._reports: list[FrameReport] = []
        self._shape: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] = np.dtype(np.uint8)
        self._brightness: FloatMap | None = None

    def add(
        self, image: Image, *, index: int, z_um: float | None = None, name: str = ""
    ) -> FrameReport:
        """Align and fuse one frame; the first one sets geometry, brightness, size and dtype.

        Raises StackError where size, dtype, index or height do not fit the frames so far.
        """
        self._check(image, index, z_um, name)
        padded = _padded(image)
        luminance = luma(padded)
        if self._options.align:
            placement = self._track.place(luminance, index)
        else:
            placement = Placement(identity(), used=True, residual_px=None)
        sharpness = 0.0
        if placement.used:
            sharpness = self._fuse(padded, luminance, placement.matrix, index, z_um)
        report = FrameReport(
            index=index,
            name=name,
            z_um=z_um,
            sharpness=sharpness,
            transform=_as_tuples(placement.matrix),
            residual_px=placement.residual_px,
            used=placement.used,
            note=placement.note,
        )
        self._reports.append(report)
        return report

    def preview(self, *, max_side_px: int = 1024) -> Image:
        """The image so far, reduced to at most `max_side_px` on its longer side."""
        if not self._reports:
            raise StackError("no frames were added: a stack needs at least 1 frame")
        factor = min(max_side_px / max(self._shape[:2]), 1.0)
        level = max(int(-np.log2(factor)) - 1, 0)
        image = reduced_image(self._fusion.sums, level, self._dtype)
        height, width = (max(1, round(side * factor)) for side in self._shape[:2])
        shown = image[: -(-self._shape[0] >> level) or 1, : -(-self._shape[1] >> level) or 1]
        return as_image(cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA))

    def result(self) -> StackResult:
        """The fused image, the height map and what became of each frame, so far."""
        image = self._image()
        depth_um, confidence = self._heights() if self._options.depth else (None, None)
        frames = tuple(sorted(self._reports, key=lambda report: report.index))
        report = StackReport(self._options.method, self._reports[0].index, frames)
        return StackResult(image, depth_um, confidence, report)

    def _check(self, image: Image, index: int, z_um: float | None, name: str) -> None:
        what = f"frame {index}" + (f" ({name})" if name else "")
        if image.dtype not in (np.uint8, np.uint16):
            raise StackError(f"{what} is {image.dtype}: frames must be 8 or 16 bit")
        if image.ndim not in (2, _COLOUR) or image.size == 0 or image.shape[2:] not in ((), (3,)):
            raise StackError(f"{what} has shape {image.shape}: give (H, W) or (H, W, 3)")
        if not self._reports:
            self._shape, self._dtype = image.shape, image.dtype
            return
        first = self._reports[0]
        if image.shape != self._shape:
            raise StackError(
                f"{what} is {_size(image.shape)}, the reference {_size(self._shape)}: "
                "frames of one stack must have one size"
            )
        if image.dtype != self._dtype:
            raise StackError(f"{what} is {image.dtype}, the reference {self._dtype}: use one depth")
        if index in {report.index for report in self._reports}:
            raise StackError(f"{what} was added before: each index belongs to one frame")
        if (z_um is None) != (first.z_um is None):
            raise StackError(f"{what}: give z_um for every frame of a stack or for none")

    def _fuse(
        self, image: Image, luminance: Image, matrix: Matrix, index: int, z_um: float | None
    ) -> float:
        height, width = luminance.shape
        unit = 257.0 if luminance.dtype == np.uint16 else 1.0
        bands = luma_bands(luminance)
        self._noise.observe(bands, unit)
        levels = level_count(height, width)
        found = evidence(energies(bands, unit), self._noise.energy(), levels=levels)
        mask = None
        if corner_motion_px(matrix, identity(), width=width, height=height) > _STILL_PX:
            image = warped(image, matrix)
            mask = _coverage(matrix, height, width)
            found = found.moved(matrix, mask)
        gain = self._gain(image, mask)
        self._fusion.add(split(image), found, gain=gain)
        if self._options.depth:
            height_of = float(index) if z_um is None else z_um
            self._depth.add(as_floats(cv2.log(found.focus)), index=index, height=height_of)
        return float(cv2.mean(found.focus)[0])

    def _gain(self, image: Image, mask: FloatMap | None) -> float:
        """Factor from the frame's brightness to the reference's, over the part they share."""
        size = max(1, image.shape[1] // 32), max(1, image.shape[0] // 32)
        reduced = as_image(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        small = as_floats(luma(reduced))
        if self._brightness is None:
            self._brightness = small
            return 1.0
        shared = np.ones_like(small)
        if mask is not None:
            shared = as_floats(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
        own = float(np.sum(small * shared))
        gain = float(np.sum(self._brightness * shared)) / own if own > 0 else 1.0
        return (
            1.0
            if abs(gain - 1) < _LEAST_FLICKER
            else float(np.clip(gain, 1 / _MOST_GAIN, _MOST_GAIN))
        )

    def _image(self) -> Image:
        if not self._reports:
            raise StackError("no frames were added: a stack needs at least 1 frame")
        image = finished(self._fusion.sums, self._noise, self._dtype)
        return image[: self._shape[0], : self._shape[1]]

    def _heights(self) -> tuple[FloatMap, FloatMap]:
        height, width = max(self._shape[0], _LEAST_SIDE_PX), max(self._shape[1], _LEAST_SIDE_PX)
        maps = (
            as_floats(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR))
            for part in self._depth.heights()
        )
        depth, confidence = (part[: self._shape[0], : self._shape[1]] for part in maps)
        return depth, confidence


def _padded(image: Image) -> Image:
    """The image, repeated at right and bottom up to the least size a pyramid needs."""
    down = max(0, _LEAST_SIDE_PX - image.shape[0])
    right = max(0, _LEAST_SIDE_PX - image.shape[1])
    if not down and not right:
        return image
    return as_image(cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE))


def _coverage(matrix: Matrix, height: int, width: int) -> FloatMap:
    """Where the warped frame has pixels, at half size: 1 inside, 0 outside and at its edge."""
    ones = np.ones(((height + 1) // 2, (width + 1) // 2), np.float32)
    size = ones.shape[1], ones.shape[0]
    inside = cv2.warpAffine(ones, rescale(matrix, 0.5), size, flags=cv2.INTER_LINEAR)
    whole = as_floats(as_floats(inside) > _WHOLE)
    return as_floats(cv2.erode(whole, np.ones((5, 5), np.uint8), borderValue=1))


def _as_tuples(
    matrix: Matrix,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    (a, b, c), (d, e, f) = matrix.tolist()
    return (a, b, c), (d, e, f)


def _size(shape: tuple[int, ...]) -> str:
    kind = "colour" if len(shape) == _COLOUR else "mono"
    return f"{shape[1]} x {shape[0]} px {kind}"
