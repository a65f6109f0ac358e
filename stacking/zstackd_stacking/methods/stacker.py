"""The streaming stacker: frames in, one at a time; fused image and height map out."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.fusion.finish import finished, reduced_image
from zstackd_stacking.fusion.focus import Evidence, evidence, measured
from zstackd_stacking.fusion.fuse import PyramidFusion
from zstackd_stacking.fusion.noise import NoiseLevel
from zstackd_stacking.heights.depth import DepthMap
from zstackd_stacking.methods.intake import Intake, Placed
from zstackd_stacking.planes import Planes
from zstackd_stacking.types import (
    FrameReport,
    Image,
    StackOptions,
    StackReport,
    StackResult,
    as_image,
)
from zstackd_stacking.workers import Behind, one_thread_each

_DEFAULTS: Final = StackOptions()


class Stacker:
    """Fuses frames given in outward order (see `stacking_order`), in constant memory.

    Frames above the reference may be mixed with those below it in any way, as they come. While a
    frame is fused behind the caller, the next one can be read and aligned.
    """

    def __init__(self, options: StackOptions = _DEFAULTS) -> None:
        self._options = options
        self._intake = Intake(options)
        self._fusion = PyramidFusion()
        self._depth = DepthMap()
        self._noise = NoiseLevel()
        self._thrifty = options.memory == "low"
        self._behind = Behind()

    def add(
        self, image: Image, *, index: int, z_um: float | None = None, name: str = ""
    ) -> FrameReport:
        """Align and fuse one frame; the first one sets geometry, brightness, size and dtype.

        Lets the image go before it is fused, so that a caller who does not hold it saves memory.
        Raises StackError where size, dtype, index or height do not fit the frames so far.
        """
        with one_thread_each():
            placed = self._intake.take(image, index=index, z_um=z_um, name=name)
            del image
            if placed.begins:
                self._behind.wait()
                self._fusion, self._depth, self._noise = PyramidFusion(), DepthMap(), NoiseLevel()
            if not placed.placement.used:
                return self._intake.note(placed, 0.0)
            planes = self._planes(placed)
            placed = placed.without_image()
            found = self._evidence(placed)
            placed = placed.without_pixels()
            sharpness = found.sharpness
            if placed.matrix is not None:
                found = found.moved(placed.matrix)
            self._behind.wait()
            self._behind.run(self._job(placed, planes, found))
            del planes, found
            if self._thrifty:
                self._behind.wait()
            return self._intake.note(placed, sharpness)

    def wait(self) -> None:
        """Return once every frame that was added is fused, too."""
        self._behind.wait()

    def preview(self, *, max_side_px: int = 1024) -> Image:
        """The image so far, reduced to at most `max_side_px` on its longer side."""
        self._intake.require_frames()
        self._behind.wait()
        shape = self._intake.shape
        factor = min(max_side_px / max(shape[:2]), 1.0)
        level = max(int(-np.log2(factor)) - 1, 1)  # the finest band is not for previews
        image = reduced_image(self._fusion.sums, level, self._intake.dtype)
        height, width = (max(1, round(side * factor)) for side in shape[:2])
        shown = image[: -(-shape[0] >> level) or 1, : -(-shape[1] >> level) or 1]
        return as_image(cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA))

    def result(self) -> StackResult:
        """The fused image, the height map and what became of each frame, so far."""
        report = self._intake.report(self._options.method)
        return self._with_heights(self._image(), report)

    def finish(self) -> StackResult:
        """The result of all frames; then the stacker is as new.

        The memory that only further frames need is let go before the height map takes its own.
        """
        report = self._intake.report(self._options.method)
        image = self._image()
        self._fusion = PyramidFusion()
        result = self._with_heights(image, report)
        self._intake = Intake(self._options)
        self._depth, self._noise = DepthMap(), NoiseLevel()
        return result

    def _image(self) -> Image:
        self._behind.wait()
        sums, own = self._fusion.sums, self._fusion.own
        image = finished(sums, own, self._noise, self._intake.dtype, self._intake.unit)
        height, width = self._intake.shape[:2]
        return image[:height, :width]

    def _with_heights(self, image: Image, report: StackReport) -> StackResult:
        if not self._options.depth:
            return StackResult(image, None, None, report)
        depth_um, confidence = (self._intake.at_full_size(part) for part in self._depth.heights())
        return StackResult(image, depth_um, confidence, report)

    def _planes(self, placed: Placed) -> Planes:
        return self._fusion.planes(
            placed.image, placed.luminance, placed.matrix, gain=placed.gain, unit=placed.unit
        )

    def _evidence(self, placed: Placed) -> Evidence:
        """What a frame shows of focus, where it lies."""
        detail = measured(placed.luminance, placed.unit)
        self._noise.observe(detail.samples, detail.unit)
        return evidence(detail, self._noise.energy(), amplitudes=not self._thrifty)

    def _job(self, placed: Placed, planes: Planes, found: Evidence) -> Callable[[], None]:
        """What is left to do for a frame; it holds the frame's parts, not the frame."""
        index, height, coverage = placed.index, placed.height, placed.coverage

        def fuse() -> None:
            if self._options.depth:
                self._depth.add(found.log_focus, index=index, height=height, coverage=coverage)
            self._fusion.add(planes, found, coverage, index=index)

        return fuse
