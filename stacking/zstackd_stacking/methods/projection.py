"""Average and maximum of a stack along z: the projections that microscopists know.

`average`: mean intensity, where planes are to be summed rather than chosen: noise falls with the
root of their number, and what is out of focus stays. `maximum`: each channel's greatest value,
for bright structures on a dark ground, as in fluorescence; it also keeps the brightest noise, and
colours mix where channels peak in different planes. Both report intensities as measured: no gain
is applied. Cost: reading and aligning; memory: the sums (4 bytes a sample), or one image.
Source: "Z Project" of ImageJ (W. Rasband, 1997 onward), whose definitions these are.
"""

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.methods.intake import Intake, Placed
from zstackd_stacking.sharpness import sharpness
from zstackd_stacking.types import FrameReport, Image, StackOptions, StackResult, as_image


class _Projection(Protocol):
    def add(self, image: Image, inside: NDArray[np.uint8] | None) -> None:
        """Take one frame; `inside` (H, W) is 1 where it has pixels, None where it has all."""

    def image(self) -> Image:
        """The projection so far."""


class ProjectionStacker:
    """Projects frames, the reference first, the others in outward order (see `stacking_order`)."""

    def __init__(self, options: StackOptions) -> None:
        self._method = options.method
        self._intake = Intake(options)
        self._projection: _Projection = Average()

    def add(
        self, image: Image, *, index: int, z_um: float | None = None, name: str = ""
    ) -> FrameReport:
        """Align and project one frame; the first one sets geometry, size and dtype.

        Raises StackError where size, dtype, index or height do not fit the frames so far.
        """
        placed = self._intake.take(image, index=index, z_um=z_um, name=name)
        if placed.begins:
            self._projection = Maximum() if self._method == "maximum" else Average()
        if not placed.placement.used:
            return self._intake.note(placed, 0.0)
        self._projection.add(placed.moved_image(), _inside(placed))
        return self._intake.note(placed, max(sharpness(placed.luminance), 0.0))

    def result(self) -> StackResult:
        """The projection of all frames so far; it has no heights."""
        report = self._intake.report(self._method)
        height, width = self._intake.shape[:2]
        return StackResult(self._projection.image()[:height, :width], None, None, report)

    def finish(self) -> StackResult:
        """The result; nothing may be added after."""
        return self.result()


class Average:
    """Mean of every sample over the frames that have it, rounded; exact for 65 000 frames."""

    def __init__(self) -> None:
        self._total = np.zeros(0, np.uint32)
        self._count = np.zeros(0, np.uint32)
        self._dtype: type[np.uint8 | np.uint16] = np.uint8

    def add(self, image: Image, inside: NDArray[np.uint8] | None) -> None:
        """Take one frame; `inside` (H, W) is 1 where it has pixels, None where it has all."""
        if not self._total.size:
            self._total = np.zeros(image.shape, np.uint32)
            self._count = np.zeros((*image.shape[:2], *(1,) * (image.ndim - 2)), np.uint32)
            self._dtype = np.uint16 if image.dtype == np.uint16 else np.uint8
        self._total += image if inside is None else _within(image, inside)
        self._count += np.uint32(1) if inside is None else inside.reshape(self._count.shape)

    def image(self) -> Image:
        """The mean so far."""
        return as_image(((self._total + self._count // 2) // self._count).astype(self._dtype))


class Maximum:
    """Greatest value of every sample over the frames that have it."""

    def __init__(self) -> None:
        self._greatest: Image = np.zeros(0, np.uint8)

    def add(self, image: Image, inside: NDArray[np.uint8] | None) -> None:
        """Take one frame; `inside` (H, W) is 1 where it has pixels, None where it has all."""
        if not self._greatest.size:
            self._greatest = image.copy()
            return
        cv2.max(
            self._greatest,
            image if inside is None else _within(image, inside),
            dst=self._greatest,
        )

    def image(self) -> Image:
        """The maximum so far."""
        return self._greatest


def _inside(placed: Placed) -> NDArray[np.uint8] | None:
    """Where a frame has pixels, at full size."""
    if placed.coverage is None:
        return None
    height, width = placed.image.shape[:2]
    half = placed.coverage.astype(np.uint8)
    size = 2 * half.shape[1], 2 * half.shape[0]
    whole = cv2.resize(half, size, interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(whole[:height, :width], np.uint8)


def _within(image: Image, inside: NDArray[np.uint8]) -> Image:
    """The image, black where it has no pixels."""
    return as_image(cv2.copyTo(image, inside))
