"""What every streaming method does with a frame before it fuses it.

A frame is checked against those before it, placed on the reference's grid and measured for
brightness; what became of it is kept for the report.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np

from zstackd_config.errors import StackError
from zstackd_stacking.alignment.track import SHOWS_NOTHING, Placement, Track
from zstackd_stacking.geometry import Matrix, corner_motion_px, identity, rescale
from zstackd_stacking.planes import luma, warped
from zstackd_stacking.types import (
    FloatMap,
    FrameReport,
    Image,
    Method,
    StackOptions,
    StackReport,
    as_floats,
    as_image,
    level_of,
)

LEAST_SIDE_PX: Final = 32
_STILL_PX: Final = 0.12
_WHOLE: Final = 0.999
_GAIN_PX: Final = 32
_EDGE_PX: Final = 5
_FRACTION_BITS: Final = 4
_COLOUR: Final = 3
_LEAST_FLICKER: Final = 0.002
_MOST_GAIN: Final = 5.0
_BLACK: Final = 1 / 50
_NOTHING: Final = np.empty((0, 0), np.uint8)


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame as it came, at least 32 px high and wide, and what brings it to the reference.

    `unit` is one 8-bit level in its levels. With one that `begins`, the stack begins: it is the
    reference, and those before it, if any, show nothing and are left out.
    `matrix` moves it onto the reference's grid; None where it lies there. `coverage` (half size,
    0 to 1) tells where the moved frame has pixels; None is everywhere. `gain` brings it to the
    reference's brightness. A frame not used is not to be moved.
    """

    index: int
    name: str
    z_um: float | None
    image: Image
    luminance: Image
    placement: Placement
    matrix: Matrix | None
    coverage: FloatMap | None
    gain: float
    unit: float
    begins: bool = False

    def moved_image(self) -> Image:
        """The image (H, W) or (H, W, 3) on the reference's grid."""
        return self.image if self.matrix is None else warped(self.image, self.matrix)

    def without_image(self) -> "Placed":
        """The same for whoever needs no more of the image, which can then be let go."""
        return replace(self, image=_NOTHING)

    def without_pixels(self) -> "Placed":
        """The same for whoever needs neither image nor luminance any more."""
        return replace(self, image=_NOTHING, luminance=_NOTHING)

    @property
    def height(self) -> float:
        """Its height in µm, or in planes where it has none."""
        return float(self.index) if self.z_um is None else self.z_um


class Intake:
    """Takes the frames of one stack; the first that shows anything sets geometry and brightness.

    Size and dtype are those of the first of all. `reference_index` is the index of the one, `unit`
    one 8-bit level in its levels.
    """

    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self._track = Track()
        self._reports: dict[int, FrameReport] = {}
        self._gains: dict[int, float] = {}
        self._brightness: FloatMap | None = None
        self.shape: tuple[int, ...] = ()
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)
        self.reference_index = 0
        self.unit = 1.0

    def take(self, image: Image, *, index: int, z_um: float | None, name: str) -> Placed:
        """Check, place and move one frame.

        Raises StackError where size, dtype, index or height do not fit the frames so far.
        """
        self._check(image, index, z_um, name)
        image = _padded(image)
        luminance = luma(image)
        begins = not self._reports
        if begins:
            self._begin(luminance, index)
        placement = self._place(luminance, index, z_um)
        if placement.blank_before:
            begins = True
            self._begin(luminance, index)
            placement = self._place(luminance, index, z_um)
        matrix, coverage, gain = None, None, 1.0
        if placement.used:
            matrix = _real_motion(placement.matrix, luminance.shape)
            gain = self._gain(luminance, matrix)
            coverage = _coverage(matrix, luminance.shape)
        self._gains[index] = gain
        return Placed(
            index=index,
            name=name,
            z_um=z_um,
            image=image,
            luminance=luminance,
            placement=placement,
            matrix=matrix,
            coverage=coverage,
            gain=gain,
            unit=self.unit,
            begins=begins,
        )

    def again(self, image: Image, *, index: int) -> Placed:
        """A frame that was taken and used before, placed as it was then.

        Raises StackError where it is another one.
        """
        report = self._reports.get(index)
        if report is None or image.shape != self.shape or image.dtype != self.dtype:
            raise StackError(f"frame {index} is not the one that was added before")
        image = _padded(image)
        luminance = luma(image)
        transform = np.array(report.transform)
        placement = Placement(transform, report.used, report.residual_px, report.note)
        matrix = _real_motion(transform, luminance.shape)
        return Placed(
            index=index,
            name=report.name,
            z_um=report.z_um,
            image=image,
            luminance=luminance,
            placement=placement,
            matrix=matrix,
            coverage=_coverage(matrix, luminance.shape),
            gain=self._gains[index],
            unit=self.unit,
        )

    def note(self, placed: Placed, sharpness: float) -> FrameReport:
        """Keep what became of a frame; `sharpness` is 0 where it was not used."""
        report = FrameReport(
            index=placed.index,
            name=placed.name,
            z_um=placed.z_um,
            sharpness=sharpness,
            transform=_as_tuples(placed.placement.matrix),
            residual_px=placed.placement.residual_px,
            used=placed.placement.used,
            note=placed.placement.note,
        )
        self._reports[report.index] = report
        return report

    def reports(self) -> tuple[FrameReport, ...]:
        """What became of every frame so far, in order of their index."""
        return tuple(self._reports[index] for index in sorted(self._reports))

    def report_of(self, index: int) -> FrameReport:
        """What became of the frame of an index."""
        return self._reports[index]

    def report(self, method: Method) -> StackReport:
        """What became of every frame so far."""
        self.require_frames()
        return StackReport(method, self.reference_index, self.reports())

    def at_full_size(self, part: FloatMap) -> FloatMap:
        """A map of reduced size at that of the frames."""
        height, width = self.shape[:2]
        size = max(width, LEAST_SIDE_PX), max(height, LEAST_SIDE_PX)
        return as_floats(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR))[:height, :width]

    def require_frames(self) -> None:
        """Raise StackError where no frame was taken."""
        if not self._reports:
            raise StackError("no frames were added: a stack needs at least 1 frame")

    def _begin(self, luminance: Image, index: int) -> None:
        """Make a frame the reference; those before it are left out."""
        self._track = Track(
            breathing_per_um=self._options.breathing_per_um,
            most_breathing_per_um=self._options.most_breathing_per_um,
        )
        self._brightness = None
        self.reference_index, self.unit = index, level_of(luminance)
        for left_out, report in self._reports.items():
            self._reports[left_out] = replace(
                report, sharpness=0.0, residual_px=None, used=False, note=SHOWS_NOTHING
            )

    def _place(self, luminance: Image, index: int, z_um: float | None) -> Placement:
        if not self._options.align:
            return Placement(identity(), used=True, residual_px=None)
        return self._track.place(luminance, index, z_um, unit=self.unit)

    def _check(self, image: Image, index: int, z_um: float | None, name: str) -> None:
        what = f"frame {index}" + (f" ({name})" if name else "")
        if image.dtype not in (np.uint8, np.uint16):
            raise StackError(f"{what} is {image.dtype}: frames must be 8 or 16 bit")
        if image.ndim not in (2, _COLOUR) or image.size == 0 or image.shape[2:] not in ((), (3,)):
            raise StackError(f"{what} has shape {image.shape}: give (H, W) or (H, W, 3)")
        if not self._reports:
            self.shape, self.dtype = image.shape, image.dtype
            return
        first = next(iter(self._reports.values()))
        if image.shape != self.shape:
            raise StackError(
                f"{what} is {_size(image.shape)}, the reference {_size(self.shape)}: "
                "frames of one stack must have one size"
            )
        if image.dtype != self.dtype:
            raise StackError(f"{what} is {image.dtype}, the reference {self.dtype}: use one depth")
        if index in self._reports:
            raise StackError(f"{what} was added before: each index belongs to one frame")
        if (z_um is None) != (first.z_um is None):
            raise StackError(f"{what}: give z_um for every frame of a stack or for none")

    def _gain(self, luminance: Image, matrix: Matrix | None) -> float:
        """Factor from the frame's brightness to the reference's, over the part they share.

        A reference that is black beside the frame leaves it to that one to set the brightness.
        """
        size = max(1, luminance.shape[1] // _GAIN_PX), max(1, luminance.shape[0] // _GAIN_PX)
        half = luminance.shape[1] // 2, luminance.shape[0] // 2  # in two steps it takes a third
        small = cv2.resize(luminance, half, interpolation=cv2.INTER_AREA)
        small = as_floats(cv2.resize(small, size, interpolation=cv2.INTER_AREA))
        if self._brightness is None:
            self._brightness = small
            return 1.0
        shared = np.ones_like(small)
        if matrix is not None:
            reduced = rescale(matrix, 1 / _GAIN_PX)
            small, shared = (
                as_floats(cv2.warpAffine(part, reduced, size)) for part in (small, shared)
            )
        own = float(np.sum(small * (shared > _WHOLE)))
        gain = float(np.sum(self._brightness * (shared > _WHOLE))) / own if own > 0 else 1.0
        if gain < _BLACK:
            self._brightness = small
            return 1.0
        if abs(gain - 1) < _LEAST_FLICKER:
            return 1.0
        return float(np.clip(gain, 1 / _MOST_GAIN, _MOST_GAIN))


def _real_motion(matrix: Matrix, shape: tuple[int, ...]) -> Matrix | None:
    """The transform, or None where it moves hardly anything."""
    height, width = shape
    still = corner_motion_px(matrix, identity(), width=width, height=height) <= _STILL_PX
    return None if still else matrix


def _padded(image: Image) -> Image:
    """The image, repeated at right and bottom up to the least size a pyramid needs."""
    down = max(0, LEAST_SIDE_PX - image.shape[0])
    right = max(0, LEAST_SIDE_PX - image.shape[1])
    if not down and not right:
        return image
    return as_image(cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE))


def _coverage(matrix: Matrix | None, shape: tuple[int, ...]) -> FloatMap | None:
    """Where the moved frame has pixels, at half size: 1 inside, 0 outside and at its edge."""
    if matrix is None:
        return None
    height, width = shape
    last = width - 1 - _EDGE_PX, height - 1 - _EDGE_PX
    corners = np.array(
        [[_EDGE_PX, last[0], last[0], _EDGE_PX], [_EDGE_PX, _EDGE_PX, *last[1:] * 2]]
    )
    outline = (matrix[:, :2] @ corners + matrix[:, 2:]).T / 2 * 2**_FRACTION_BITS
    inside = np.zeros(((height + 1) // 2, (width + 1) // 2), np.uint8)
    cv2.fillConvexPoly(inside, np.rint(outline).astype(np.int32), 1, shift=_FRACTION_BITS)
    return as_floats(inside)


def _as_tuples(
    matrix: Matrix,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    (a, b, c), (d, e, f) = matrix.tolist()
    return (a, b, c), (d, e, f)


def _size(shape: tuple[int, ...]) -> str:
    kind = "colour" if len(shape) == _COLOUR else "mono"
    return f"{shape[1]} x {shape[0]} px {kind}"
