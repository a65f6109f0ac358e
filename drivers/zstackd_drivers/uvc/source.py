"""A UVC camera as a source of frames: its controls in our units, its frames dated with caution.

A UVC frame carries no metadata. Its lock is proven by reading the camera's controls back right
after the frame, once so many frames have passed that none is left from before the change. Its start
of exposure is the arrival of its data, less exposure, less one frame on the way.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import cv2

from zstackd_drivers.camera import ExposureValues, Image
from zstackd_drivers.capture.preview import luminance, preview_of
from zstackd_drivers.errors import CameraError
from zstackd_drivers.uvc.reader import Grabbed, UvcReader, VideoCapture

MANUAL: Final = 1
AUTOMATIC: Final = 3
"""Values of V4L2_CID_EXPOSURE_AUTO: manual, and aperture priority."""

STEPS_PER_MS: Final = 10.0
"""UVC counts exposure in steps of 100 µs."""

NOT_OFFERED: Final = -1.0
LATE_FRAMES: Final = 10
"""Frames that may still be as before a change: four buffers, and the camera's own pipeline."""

READ_BACK: Final = (cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_GAIN, cv2.CAP_PROP_WB_TEMPERATURE)
UNKNOWN_EXPOSURE: Final = ExposureValues(exposure_time_ms=0.0, analogue_gain=1.0, colour_gains=None)


@dataclass(frozen=True, slots=True)
class UvcFrame:
    """One frame; it holds no buffer, so that releasing it does nothing."""

    grabbed: Grabbed
    sensor_timestamp_ns: int
    exposure: ExposureValues
    mono: bool

    @property
    def extra(self) -> dict[str, Any]:
        """Return the white balance, where the camera tells it."""
        kelvin = self.grabbed.properties.get(cv2.CAP_PROP_WB_TEMPERATURE, NOT_OFFERED)
        return {} if kelvin == NOT_OFFERED else {"white_balance_k": kelvin}

    def image(self) -> Image:
        """Return the frame, (H, W, 3) blue, green, red, or (H, W) where grey is asked for."""
        return luminance(self.grabbed.image) if self.mono else self.grabbed.image

    def small_image(self) -> Image:
        """Return a small grey version."""
        return preview_of(self.grabbed.image)

    def raw(self) -> None:
        """Return nothing: UVC has no raw data."""
        return

    def release(self) -> None:
        """Do nothing: the frame is a copy."""


@dataclass(slots=True)
class UvcSource:
    """Takes frames from a reader; `lockable` tells whether exposure can be set at all.

    `exact` tells that nothing but the very values that are asked for will do.
    """

    reader: UvcReader
    lockable: bool
    mono: bool
    automatic: bool = True
    white_balance: float = NOT_OFFERED
    exact: bool = True

    def take(self, *, deadline_ns: int, after_ns: int | None = None) -> UvcFrame | None:
        """Return the next frame exposed after `after_ns`; None where none came in time."""
        while True:
            grabbed = self.reader.next(
                after_ns=after_ns or 0, deadline_ns=deadline_ns, properties=READ_BACK
            )
            if grabbed is None:
                return None
            frame = self._dated(grabbed)
            kept = self.automatic or self._white_balance_kept(grabbed)
            if kept and (after_ns is None or frame.sensor_timestamp_ns > after_ns):
                return frame

    def set_automatic(self) -> None:
        """Let exposure and white balance follow the scene."""
        self.reader.ask(_automatic, untrusted=LATE_FRAMES)
        self.automatic = True

    def set_values(self, values: ExposureValues) -> ExposureValues:
        """Set exposure and gain, and hold the white balance where it stands.

        Returns them as the camera takes them; raises CameraError where those are others, and
        `exact`.
        """
        if self.lockable:
            self.white_balance, steps = self.reader.ask(
                lambda capture: _manual(capture, values), untrusted=LATE_FRAMES
            )
            asked_ms = _steps(values) / STEPS_PER_MS
            values = replace(values, exposure_time_ms=steps / STEPS_PER_MS)
            if self.exact and values.exposure_time_ms != asked_ms:
                raise CameraError(
                    f"uvc: an exposure of {asked_ms:g} ms was set, but the camera took "
                    f"{values.exposure_time_ms:g} ms; choose one that it offers, such as that "
                    "(`v4l2-ctl --list-ctrls` tells), or exposure mode locked_auto"
                )
        self.automatic = False
        return values

    def frame_duration_s(self) -> float:
        """Return the seconds between two frames."""
        return self.reader.interval_ns / 1e9

    def _dated(self, grabbed: Grabbed) -> UvcFrame:
        exposure = self._reported(grabbed)
        interval_ns = self.reader.interval_ns
        exposure_ns = round(exposure.exposure_time_ms * 1e6) or interval_ns
        return UvcFrame(
            grabbed=grabbed,
            sensor_timestamp_ns=grabbed.arrived_ns - exposure_ns - interval_ns,
            exposure=exposure,
            mono=self.mono,
        )

    def _reported(self, grabbed: Grabbed) -> ExposureValues:
        if not self.lockable:
            return UNKNOWN_EXPOSURE
        gain = grabbed.properties[cv2.CAP_PROP_GAIN]
        return ExposureValues(
            exposure_time_ms=grabbed.properties[cv2.CAP_PROP_EXPOSURE] / STEPS_PER_MS,
            analogue_gain=1.0 if gain == NOT_OFFERED else gain,
            colour_gains=None,
        )

    def _white_balance_kept(self, grabbed: Grabbed) -> bool:
        return grabbed.properties[cv2.CAP_PROP_WB_TEMPERATURE] == self.white_balance


def offers_manual_exposure(capture: VideoCapture) -> bool:
    """Return whether exposure can be read and set by hand; leaves the camera automatic."""
    if capture.get(cv2.CAP_PROP_EXPOSURE) == NOT_OFFERED:
        return False
    offered = capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL)
    capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, AUTOMATIC)
    return offered


def fix_lens(capture: VideoCapture, position: int | None) -> None:
    """Switch the camera's own autofocus off, and move its lens where `position` is given.

    Raises CameraError where it does not move there.
    """
    capture.set(cv2.CAP_PROP_AUTOFOCUS, 0)
    if position is None:
        return
    capture.set(cv2.CAP_PROP_FOCUS, position)
    reached = capture.get(cv2.CAP_PROP_FOCUS)
    if reached != position:
        had = "it has no focus motor" if reached == NOT_OFFERED else f"it stands at {reached:g}"
        raise CameraError(
            f"uvc: camera.lens_focus {position} is asked for, but {had}; leave it out, or choose a "
            "position it has"
        )


def _automatic(capture: VideoCapture) -> None:
    capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, AUTOMATIC)
    capture.set(cv2.CAP_PROP_AUTO_WB, 1)


def _steps(values: ExposureValues) -> int:
    return max(1, round(values.exposure_time_ms * STEPS_PER_MS))


def _manual(capture: VideoCapture, values: ExposureValues) -> tuple[float, float]:
    """Set values; return the white balance, in kelvin, and the steps of exposure that it took."""
    kelvin = capture.get(cv2.CAP_PROP_WB_TEMPERATURE)
    capture.set(cv2.CAP_PROP_AUTO_WB, 0)
    if kelvin != NOT_OFFERED:
        capture.set(cv2.CAP_PROP_WB_TEMPERATURE, kelvin)
    capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL)
    capture.set(cv2.CAP_PROP_EXPOSURE, _steps(values))
    if capture.get(cv2.CAP_PROP_GAIN) != NOT_OFFERED:
        capture.set(cv2.CAP_PROP_GAIN, round(values.analogue_gain))
    return capture.get(cv2.CAP_PROP_WB_TEMPERATURE), capture.get(cv2.CAP_PROP_EXPOSURE)
