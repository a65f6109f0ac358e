"""The classic method: every pixel from the frame with the strongest Laplacian of Gaussian there.

Use it to compare with older results; it picks noise in flat areas and leaves halos, which the
pyramid does not. Cost: one SIFT detection and one warp per frame; 4 float maps of memory.
Source: the LoG of D. Marr and E. Hildreth, "Theory of edge detection", Proc. R. Soc. B 207 (1980),
as a focus measure; key points and homography as in `zstackd_stacking.alignment.homography`.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from zstackd_config.errors import InputError, StackError
from zstackd_stacking.alignment.homography import Found, HomographyFinder, Matrix3, affine_part
from zstackd_stacking.planes import luma
from zstackd_stacking.types import (
    FloatMap,
    FrameReport,
    Image,
    StackOptions,
    StackReport,
    StackResult,
    as_image,
)

MAX_KERNEL_PX: Final = 31
_OUTSIDE: Final = -1.0
_DEFAULT_OPTIONS: Final = StackOptions(method="laplacian")


@dataclass(frozen=True, slots=True)
class Kernels:
    """Sizes of the two filters in pixels; odd, 1 to 31.

    Raises:
        InputError: a size is even or out of range.
    """

    gaussian_px: int = 5
    laplacian_px: int = 5

    def __post_init__(self) -> None:
        for name, size in (("Gaussian", self.gaussian_px), ("Laplacian", self.laplacian_px)):
            if size % 2 == 0 or not 1 <= size <= MAX_KERNEL_PX:
                raise InputError(
                    f"{name} kernel size {size} px: it must be odd, from 1 to {MAX_KERNEL_PX}; "
                    f"try {min(max(size | 1, 1), MAX_KERNEL_PX)}"
                )


@dataclass(frozen=True, slots=True)
class Step:
    """What the method makes of one frame on the way, for those who want to look."""

    name: str
    aligned: Image
    measure: FloatMap


@dataclass(slots=True)
class _Best:
    """The result so far: sharpest pixel, its measure and height, and the sum of all measures."""

    image: Image
    measure: FloatMap
    height: FloatMap
    total: FloatMap
    seen: FloatMap


class LaplacianStacker:
    """Fuses frames given in outward order (see `stacking_order`), in constant memory."""

    def __init__(
        self, options: StackOptions = _DEFAULT_OPTIONS, kernels: Kernels | None = None
    ) -> None:
        self._options = options
        self._kernels = kernels or Kernels()
        self._finder: HomographyFinder | None = None
        self._best: _Best | None = None
        self._reports: list[FrameReport] = []
        self.last_step: Step | None = None

    def add(
        self, image: Image, *, index: int, z_um: float | None = None, name: str = ""
    ) -> FrameReport:
        """Align and fuse one frame; the first one is the reference of all others.

        A frame that cannot be aligned is left out, as its report says.

        Raises:
            StackError: size or dtype differ from those of the first frame.
        """
        self._require_same_kind(image, name)
        found = self._place(luma(image))
        used = isinstance(found, Found)
        matrix = found.matrix if isinstance(found, Found) else np.eye(3)
        sharpness = self._fuse(image, matrix, index, z_um, name) if used else 0.0
        (a, b, c), (d, e, f) = affine_part(matrix, image.shape).tolist()
        report = FrameReport(
            index=index,
            name=name,
            z_um=z_um,
            sharpness=sharpness,
            transform=((a, b, c), (d, e, f)),
            residual_px=found.residual_px
            if isinstance(found, Found) and self._options.align
            else None,
            used=used,
            note="" if isinstance(found, Found) else f"left out: {found}",
        )
        self._reports.append(report)
        return report

    def result(self) -> StackResult:
        """The fused image, heights of the chosen planes, and what became of each frame."""
        if self._best is None:
            raise StackError("no frames were added: a stack needs at least 1 frame")
        best = self._best
        mean = best.total / np.maximum(best.seen, 1)
        ratio = mean / np.maximum(best.measure, np.finfo(np.float32).tiny)
        confidence = np.clip(1 - ratio, 0, 1).astype(np.float32)
        frames = tuple(sorted(self._reports, key=lambda report: report.index))
        report = StackReport("laplacian", self._reports[0].index, frames)
        if not self._options.depth:
            return StackResult(best.image, None, None, report)
        return StackResult(best.image, best.height, confidence, report)

    def finish(self) -> StackResult:
        """The result; nothing may be added after."""
        return self.result()

    def _place(self, grey: Image) -> Found | str:
        if not self._options.align:
            return Found(np.eye(3), 0.0)
        if self._finder is None:
            self._finder = HomographyFinder(grey)
            return Found(np.eye(3), 0.0)
        return self._finder.find(grey)

    def _fuse(
        self, image: Image, matrix: Matrix3, index: int, z_um: float | None, name: str
    ) -> float:
        aligned, inside = _warp(image, matrix, self._border_px)
        measure = self._measure(aligned)
        sharpness = float(np.mean(measure))
        self.last_step = Step(name, aligned, measure)
        height = np.float32(index if z_um is None else z_um)
        if self._best is None:
            everywhere = np.ones(measure.shape, np.float32)
            self._best = _Best(
                aligned.copy(), measure, height * everywhere, measure.copy(), everywhere
            )
        else:
            _merge(self._best, aligned, measure, inside, float(height))
        return sharpness

    def _measure(self, image: Image) -> FloatMap:
        size = self._kernels.gaussian_px
        blurred = cv2.GaussianBlur(luma(image), (size, size), 0)
        edges = cv2.Laplacian(blurred, cv2.CV_32F, ksize=self._kernels.laplacian_px)
        return np.abs(edges, out=edges)

    @property
    def _border_px(self) -> int:
        return self._kernels.gaussian_px // 2 + self._kernels.laplacian_px // 2 + 1

    def _require_same_kind(self, image: Image, name: str) -> None:
        if self._best is None:
            return
        wanted = self._best.image
        if image.shape != wanted.shape or image.dtype != wanted.dtype:
            raise StackError(
                f"{name or 'a frame'}: shape {image.shape} of {image.dtype}, the first frame has "
                f"{wanted.shape} of {wanted.dtype}; frames of one stack must be alike"
            )


def _merge(
    best: _Best, image: Image, measure: FloatMap, inside: FloatMap | None, height: float
) -> None:
    """Take the frame's pixels where it is sharper than all before; on a tie the first stays."""
    if inside is not None:
        measure = np.where(inside > 0, measure, np.float32(_OUTSIDE))
    sharper = cv2.compare(measure, best.measure, cv2.CMP_GT)
    cv2.copyTo(image, sharper, best.image)
    cv2.copyTo(measure, sharper, best.measure)
    best.height[sharper > 0] = height
    best.total += np.maximum(measure, 0)
    best.seen += 1 if inside is None else inside


def _warp(image: Image, matrix: Matrix3, border_px: int) -> tuple[Image, FloatMap | None]:
    """The frame on the reference's grid, and where it has pixels (1) or none (0)."""
    if np.array_equal(matrix, np.eye(3)):
        return image, None
    size = image.shape[1], image.shape[0]
    aligned = cv2.warpPerspective(
        image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    ones = np.full(image.shape[:2], 255, np.uint8)
    covered = (cv2.warpPerspective(ones, matrix, size) == np.uint8(255)).astype(np.uint8)
    kernel = np.ones((2 * border_px + 1, 2 * border_px + 1), np.uint8)
    eroded = cv2.erode(covered, kernel, borderValue=255)
    return as_image(aligned), (eroded > 0).astype(np.float32)
