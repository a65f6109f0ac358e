"""Where frames come from: a running sensor, the frames it lends, and how exactly it obeys."""

from dataclasses import dataclass
from typing import Any, Protocol

from zstackd_drivers.camera import ExposureValues, Image


class TakenFrame(Protocol):
    """One frame lent by the pipeline; it keeps a buffer until `release()`."""

    @property
    def sensor_timestamp_ns(self) -> int:
        """Return the start of exposure in rig time."""
        ...

    @property
    def exposure(self) -> ExposureValues:
        """Return the values this very frame was exposed with."""
        ...

    @property
    def extra(self) -> dict[str, Any]:
        """Return what else is worth noting of this frame."""
        ...

    def image(self) -> Image:
        """Return a copy of the pixels."""
        ...

    def small_image(self) -> Image:
        """Return a copy of a small grey version (h, w), no side longer than 640 px."""
        ...

    def raw(self) -> bytes | None:
        """Return a DNG file of the sensor's data, where the camera was told to keep it."""
        ...

    def release(self) -> None:
        """Give the buffer back; a second call does nothing."""
        ...


class FrameSource(Protocol):
    """A running sensor and its queue of frames."""

    def take(self, *, deadline_ns: int, after_ns: int | None = None) -> TakenFrame | None:
        """Return the next frame, waiting until `deadline_ns` (rig time); None where none came.

        A frame that already waits is returned whatever the time is. Frames exposed before
        `after_ns` may be left out. Raises Interrupted when
        cancelled and CameraError when the camera is gone.
        """
        ...

    def set_automatic(self) -> None:
        """Let exposure, gain and white balance follow the scene."""
        ...

    def set_values(self, values: ExposureValues) -> ExposureValues:
        """Ask for explicit values, which take effect some frames later.

        Returns them as the camera takes them, where it tells that at once.
        """
        ...


@dataclass(frozen=True, slots=True)
class LockTolerance:
    """How far a frame's values may lie from those asked for: the sensor's quantisation.

    `ratio` is the part of it that grows with the values of time and gain.
    """

    exposure_time_ms: float
    analogue_gain: float
    colour_gain: float
    ratio: float = 0.0

    def accepts(self, *, reported: ExposureValues, lock: ExposureValues) -> bool:
        """Return whether `reported` is `lock` within the quantisation of the sensor."""
        return (
            self._near(reported.exposure_time_ms, lock.exposure_time_ms, self.exposure_time_ms)
            and self._near(reported.analogue_gain, lock.analogue_gain, self.analogue_gain)
            and self._colour_accepted(reported.colour_gains, lock.colour_gains)
        )

    def _near(self, reported: float, asked: float, steps: float) -> bool:
        return abs(reported - asked) <= steps + self.ratio * asked

    def _colour_accepted(
        self, reported: tuple[float, float] | None, lock: tuple[float, float] | None
    ) -> bool:
        if reported is None or lock is None:
            return reported is lock
        return all(abs(r - k) <= self.colour_gain for r, k in zip(reported, lock, strict=True))
