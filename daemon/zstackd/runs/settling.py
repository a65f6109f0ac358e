"""Rest after a move: for a given time, or until the image has stopped moving."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import cv2
import numpy as np

from zstackd_config.errors import HardwareError
from zstackd_config.focus import StepperFocus
from zstackd_drivers.camera import Camera, Frame
from zstackd_drivers.capture.preview import luminance
from zstackd_stacking.types import FloatMap, Image

STILL_PX: Final = 0.25
"""An image that moves less than this from frame to frame, in its own pixels, is still."""

QUIET_FRAMES: Final = 3
"""So many frames in a row must lie still against the one before them; two may agree by chance,
where the shake has turned round between them."""

_LONGEST_PX: Final = 1024
_BLUR_PX: Final = 2.0
_SOBEL_SCALE: Final = 1 / 8
_LEAST_GRADIENT: Final = 1e-9
_NS_PER_MS: Final = 1e6


class NotStillError(HardwareError):
    """The image moved for longer after a move than is allowed."""

    is_fault = False


class Rested(NamedTuple):
    """The frame taken after the rest, and when the rest was over by the rig's clock."""

    frame: Frame
    settled_ns: int


class Rest(Protocol):
    """How a plane's frame is taken once the axis stands."""

    @property
    def longest_ms(self) -> float:
        """The longest that the rest may take, in milliseconds."""
        ...

    def take(self, arrived_ns: int, exposed: Callable[[], None]) -> Rested:
        """Return a frame after the rest; calls `exposed` once the axis may move on."""
        ...


@dataclass(frozen=True, slots=True)
class FixedRest:
    """Waits a given time.

    The camera waits itself: it refuses every earlier frame, and a stop interrupts it.
    """

    camera: Camera
    longest_ms: float

    def take(self, arrived_ns: int, exposed: Callable[[], None]) -> Rested:
        """Return the first frame exposed after the time is over."""
        settled_ns = arrived_ns + round(self.longest_ms * _NS_PER_MS)
        return Rested(self.camera.capture(after_ns=settled_ns, exposed=exposed), settled_ns)


@dataclass(frozen=True, slots=True)
class StillImage:
    """Waits until three frames in a row have hardly moved against the one before them."""

    camera: Camera
    longest_ms: float

    def take(self, arrived_ns: int, exposed: Callable[[], None]) -> Rested:
        """Return the last of the frames that lay still; the axis may move once it is judged.

        Raises NotStillError where the image still moves after `longest_ms`.
        """
        frame = anchor = self.camera.capture(after_ns=arrived_ns)
        quiet = 0
        while True:
            frame = self.camera.capture(after_ns=frame.sensor_timestamp_ns)
            moved_px = motion_px(anchor.image, frame.image)
            if moved_px <= STILL_PX:
                quiet += 1
            else:
                anchor, quiet = frame, 0
            if quiet == QUIET_FRAMES:
                exposed()
                return Rested(frame, frame.sensor_timestamp_ns)
            waited_ms = (frame.sensor_timestamp_ns - arrived_ns) / _NS_PER_MS
            if waited_ms > self.longest_ms:
                raise NotStillError(
                    f"the image still moves, by {moved_px:.2f} px between frames, "
                    f"{waited_ms:.0f} ms after the move (still: {STILL_PX:g} px): steady the rig, "
                    f"or raise focus.settle_limit_ms, now {self.longest_ms:g} ms"
                )


def rest_of(focus: StepperFocus, camera: Camera) -> Rest:
    """Return the rest that a rig asks for."""
    if focus.settle_ms == "auto":
        return StillImage(camera, focus.settle_limit_ms)
    return FixedRest(camera, focus.settle_ms)


def motion_px(before: Image, after: Image) -> float:
    """Return by how many pixels the image moved as a whole from one frame to the next.

    One step of least squares on the brightness gradient over the whole frame (B. D. Lucas and
    T. Kanade, «An iterative image registration technique», IJCAI 1981). Right for small motions and
    too small for large ones, which it still tells from rest; near 0 where there is only noise.
    Both images: (H, W) or (H, W, 3), of one size and dtype.
    """
    first, factor = _smooth(before)
    second, _ = _smooth(after)
    mean = (first + second) / 2
    slopes = [cv2.Sobel(mean, cv2.CV_32F, *axes, scale=_SOBEL_SCALE) for axes in ((1, 0), (0, 1))]
    change = second - first
    change -= change.mean()
    matrix = np.array([[float(np.vdot(a, b)) for b in slopes] for a in slopes])
    moments = np.array([float(np.vdot(slope, change)) for slope in slopes])
    if float(np.linalg.det(matrix)) <= _LEAST_GRADIENT:
        return 0.0
    return factor * float(np.hypot(*np.linalg.solve(matrix, moments)))


def _smooth(image: Image) -> tuple[FloatMap, int]:
    """Return the blurred luminance at reduced size, and how often it was divided."""
    grey = luminance(image)
    height, width = grey.shape[:2]
    factor = max(1, round(max(height, width) / _LONGEST_PX))
    size = max(1, width // factor), max(1, height // factor)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(np.asarray(small, np.float32), (0, 0), _BLUR_PX)
    return np.asarray(blurred, np.float32), factor
