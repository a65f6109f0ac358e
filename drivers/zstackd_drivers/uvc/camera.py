"""A USB microscope or webcam through Video4Linux: exposure locked where it can be, frames fresh."""

import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path

import zstackd_config.camera as settings_of
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import CameraInfo, ExposureValues
from zstackd_drivers.capture.deadline import within
from zstackd_drivers.capture.exposure_lock import ExposureLimits, brightness, explicit, metered
from zstackd_drivers.capture.frame_source import LockTolerance
from zstackd_drivers.capture.locked_capture import LockedCapture
from zstackd_drivers.capture.mended_camera import MendedCamera
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import CameraError, CameraStalled, CameraTimeout
from zstackd_drivers.uvc.device import configure, open_v4l, video_index
from zstackd_drivers.uvc.reader import UvcReader, VideoCapture
from zstackd_drivers.uvc.source import (
    UNKNOWN_EXPOSURE,
    UvcSource,
    fix_lens,
    offers_manual_exposure,
)

_log = logging.getLogger(__name__)

NAME = "uvc"
OPEN_S = 20.0
TIMEOUT_S = 3.0
TIMEOUT_FRAMES = 30
EXPOSURE_RANGE_MS = (0.1, 10_000.0)
GAIN_RANGE = (0.0, 255.0)
STEADY_FRAMES = 6
STEADY = 0.015
LEAST_BRIGHTNESS = 0.02
TOLERANCE = LockTolerance(exposure_time_ms=0.051, analogue_gain=0.51, colour_gain=0.0)
KEPT = LockTolerance(exposure_time_ms=0.001, analogue_gain=0.001, colour_gain=0.0)


class UvcCamera(MendedCamera):
    """A UVC camera; `cancel()` holds until it is opened again.

    Its gain is the camera's own number. Where it lets nobody set its exposure, frames report 0 ms.
    """

    name = NAME
    timeout_s = TIMEOUT_S
    timeout_frames = TIMEOUT_FRAMES

    def __init__(
        self,
        *,
        settings: settings_of.UvcCamera,
        clock: Clock,
        find: Callable[[Path], int] = video_index,
        open_capture: Callable[[int], VideoCapture] = open_v4l,
    ) -> None:
        super().__init__(clock)
        self._settings = settings
        self._find = find
        self._open_capture = open_capture
        self._source: UvcSource | None = None

    def _described(self) -> CameraInfo:
        """Return the device and what it delivers: 8 bits, in colour where not asked otherwise."""
        return CameraInfo(
            driver="uvc",
            model=self._settings.device.name,
            size_px=self._settings.size_px,
            channels=1 if self._opened().mono else 3,
            bits=8,
        )

    def _locked_to(self, exposure: LockedAutoExposure | ManualExposure) -> ExposureValues:
        source, capture = self._opened(), self._capture()
        if not source.lockable:
            return self._unlockable(exposure)
        source.exact = isinstance(exposure, ManualExposure)
        if isinstance(exposure, ManualExposure):
            values = explicit(exposure, _limits(GAIN_RANGE), neutral=None)
            return capture.hold(values, timeout_s=self._timeout_s(values))
        source.set_automatic()
        values, bright = self._steady()
        wish = exposure
        if wish.target_brightness is None:
            wish = wish.model_copy(update={"target_brightness": max(bright, LEAST_BRIGHTNESS)})
        gain = values.analogue_gain
        limits = _limits((gain, gain))
        return metered(capture, values, wish, limits, timeout_s=self._timeout_s)

    def _unlockable(self, exposure: LockedAutoExposure | ManualExposure) -> ExposureValues:
        """Accept that exposure cannot be set, where nothing is asked of it."""
        if exposure != LockedAutoExposure():
            raise CameraError(
                f"{NAME}: {self._settings.device} lets nobody set its exposure; use exposure mode "
                "locked_auto without wishes"
            )
        _log.warning(
            "uvc: %s lets nobody set its exposure; brightness may change from plane to plane",
            self._settings.device,
        )
        return UNKNOWN_EXPOSURE

    def _steady(self) -> tuple[ExposureValues, float]:
        """Wait until the brightness stays, and return it with the values of its last frame.

        The values alone would not do: many cameras tell those that were set last by hand while
        they choose others by themselves.
        """
        source = self._opened()
        timeout_s = self._timeout_s(None)
        deadline_ns = self._clock.monotonic_ns() + round(timeout_s * 1e9)
        seen: deque[float] = deque(maxlen=STEADY_FRAMES)
        while (frame := source.take(deadline_ns=deadline_ns)) is not None:
            seen.append(brightness(frame.image()).mean)
            spread = max(seen) - min(seen)
            if len(seen) == STEADY_FRAMES and spread <= STEADY * max(seen[-1], LEAST_BRIGHTNESS):
                return frame.exposure, seen[-1]
            if frame.sensor_timestamp_ns > deadline_ns:
                break
        if len(seen) < STEADY_FRAMES:
            raise CameraStalled(
                f"{NAME}: frames do not come, or ceased to, within {timeout_s:g} s; check the USB "
                "cable"
            )
        raise CameraTimeout(
            f"{NAME}: the brightness did not settle within {timeout_s:g} s; it went from "
            f"{min(seen):.2f} to {max(seen):.2f} of full scale; steady the light, or give exposure "
            "mode manual"
        )

    def _open(self) -> None:
        index = self._find(self._settings.device)
        capture = within(OPEN_S, lambda: self._open_capture(index), what=f"{NAME}: opening")
        try:
            configure(capture, self._settings)
            fix_lens(capture, self._settings.lens_focus)
            lockable = offers_manual_exposure(capture)
        except BaseException:
            capture.release()
            raise
        reader = UvcReader(
            capture,
            clock=self._clock,
            cancelled=self._cancelled,
            name=f"{NAME} {self._settings.device.name}",
        )
        self._source = UvcSource(reader=reader, lockable=lockable, mono=self._is_mono())
        reader.start()

    def _is_mono(self) -> bool:
        return self._settings.mono or self._settings.fourcc == "GREY"

    def _close(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.reader.stop()

    def _capture(self) -> LockedCapture:
        return LockedCapture(
            name=f"{NAME} {self._settings.device.name}",
            source=self._opened(),
            clock=self._clock,
            tolerance=TOLERANCE,
            kept=KEPT,
            size_px=self._settings.size_px,
        )

    def _opened(self) -> UvcSource:
        if self._source is None:
            raise self._not_open()
        return self._source

    def _hold(self, values: ExposureValues) -> None:
        self._opened().set_values(values)

    def _free_frame_s(self) -> float:
        return self._opened().frame_duration_s()


def _limits(gain: tuple[float, float]) -> ExposureLimits:
    """Return what UVC can express; what the camera makes of it, it tells when it is set."""
    return ExposureLimits(
        name=NAME,
        exposure_time_ms=EXPOSURE_RANGE_MS,
        analogue_gain=gain,
        colour_gains=None,
    )
