"""What every camera can do."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from zstackd_config.run import LockedAutoExposure, ManualExposure

Image = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """The camera as it really is: true size after alignment, channels, bits."""

    driver: str
    model: str
    size_px: tuple[int, int]
    channels: int
    bits: int


@dataclass(frozen=True, slots=True)
class ExposureValues:
    """Explicit exposure: what was locked, or what one frame reports."""

    exposure_time_ms: float
    analogue_gain: float
    colour_gains: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: `image` is (H, W) or (H, W, 3) in blue, green, red order.

    `sensor_timestamp_ns` is the start of exposure in the rig clock's time base. `raw` is a DNG file
    of what the sensor saw, where the rig asks for it.
    """

    image: Image
    sensor_timestamp_ns: int
    exposure: ExposureValues
    extra: dict[str, Any]
    raw: bytes | None = None


def ignore() -> None:
    """Take no notice of the end of an exposure."""


class Camera(Protocol):
    """A camera whose frames are proven fresh and locked by their own metadata."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def info(self) -> CameraInfo:
        """Return what the open camera delivers."""
        ...

    def lock_exposure(self, exposure: LockedAutoExposure | ManualExposure) -> ExposureValues:
        """Begin a run: converge or set exposure and gains, and hold them until the next call."""
        ...

    def capture(self, *, after_ns: int, exposed: Callable[[], None] = ignore) -> Frame:
        """Return a frame whose exposure began after `after_ns` (rig clock) with the lock's values.

        Calls `exposed` once that frame is exposed to its last line, before its image is fetched:
        from then on the axis may move. Raises CameraTimeout where no frame comes in time,
        Interrupted after `cancel()`.
        """
        ...

    def preview(self, *, after_ns: int) -> Frame:
        """Return a small grey frame as fresh and locked as those of `capture`.

        `image` is (h, w), no side longer than 640 px; for focusing and for looking.
        """
        ...

    def frame_duration_s(self) -> float:
        """Return the seconds between two frames at the locked exposure."""
        ...

    def cancel(self) -> None:
        """Make waits in progress, and later ones, raise Interrupted; from any thread."""
        ...
