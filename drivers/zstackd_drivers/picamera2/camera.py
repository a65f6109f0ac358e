"""A camera through picamera2: configured once, locked, and opened anew when it stalls."""

import logging
from collections.abc import Callable
from typing import Any

import zstackd_config.camera as settings_of
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import CameraInfo, ExposureValues
from zstackd_drivers.capture.deadline import within
from zstackd_drivers.capture.exposure_lock import ExposureLimits, explicit, metered
from zstackd_drivers.capture.frame_source import LockTolerance
from zstackd_drivers.capture.locked_capture import LockedCapture
from zstackd_drivers.capture.mended_camera import MendedCamera
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import CameraError
from zstackd_drivers.picamera2.library import Camera, Library, load_library
from zstackd_drivers.picamera2.pixels import check_format
from zstackd_drivers.picamera2.source import US_PER_MS, Picamera2Source
from zstackd_drivers.picamera2.streams import still_configuration, streams_of

_log = logging.getLogger(__name__)

NAME = "picamera2"
TIMEOUT_S = 3.0
TIMEOUT_FRAMES = 20
CALL_S = 30.0
TOLERANCE = LockTolerance(exposure_time_ms=0.1, analogue_gain=0.1, colour_gain=0.03, ratio=0.02)
KEPT = LockTolerance(exposure_time_ms=0.002, analogue_gain=0.002, colour_gain=0.002, ratio=0.001)


class Picamera2Camera(MendedCamera):
    """A camera module at one configuration for as long as it is open.

    A stall is answered in this order: cancel all jobs, stop, close, open a new object; where that
    does not help either, CameraHung asks for a new process. `cancel()` holds until it is opened
    again.
    """

    name = NAME
    timeout_s = TIMEOUT_S
    timeout_frames = TIMEOUT_FRAMES

    def __init__(
        self,
        *,
        settings: settings_of.Picamera2Camera,
        clock: Clock,
        library: Callable[[], Library] = load_library,
    ) -> None:
        super().__init__(clock)
        self._settings = settings
        self._load_library = library
        self._source: Picamera2Source | None = None
        self._model = ""

    def _described(self) -> CameraInfo:
        """Return the model and the size that frames really have."""
        streams = self._opened().streams
        return CameraInfo(
            driver="picamera2",
            model=self._model,
            size_px=streams.main["size"],
            channels=1 if streams.mono else 3,
            bits=8,
        )

    def _locked_to(self, exposure: LockedAutoExposure | ManualExposure) -> ExposureValues:
        source, capture = self._opened(), self._capture()
        limits = _limits(source.camera)
        _require_control(source.camera, exposure, self._model)
        if isinstance(exposure, LockedAutoExposure):
            values = self._converged(capture)
            return metered(capture, values, exposure, limits, timeout_s=self._timeout_s)
        neutral = None
        if exposure.colour_gains is None and limits.colour_gains is not None:
            neutral = self._converged(capture).colour_gains
        values = explicit(exposure, limits, neutral=neutral)
        return capture.hold(values, timeout_s=self._timeout_s(values))

    def _converged(self, capture: LockedCapture) -> ExposureValues:
        return capture.converge(frame_s=self._frame_s(None), timeout_s=self._timeout_s(None))

    def _open(self) -> None:
        library = self._load_library()
        self._model = _model(library, self._settings.index)
        camera = within(CALL_S, lambda: self._started(library), what=f"{NAME}: opening the camera")
        self._source = Picamera2Source(
            camera=camera,
            streams=streams_of(camera, mono=self._settings.mono),
            clock=self._clock,
            cancelled=self._cancelled,
        )

    def _started(self, library: Library) -> Camera:
        """Return a configured, running camera; closed again where a part fails."""
        tuning = self._settings.tuning_file
        try:
            camera = library(self._settings.index, tuning=None if tuning is None else str(tuning))
        except RuntimeError as error:
            raise CameraError(
                f"{NAME}: {self._model} (camera {self._settings.index}) cannot be opened: {error} "
                "Another process may hold it; stop that one"
            ) from error
        try:
            still_configuration(camera, self._settings)
            check_format(camera.camera_configuration()["main"]["format"])
            camera.start()
        except RuntimeError as error:
            camera.close()
            raise CameraError(f"{NAME}: {self._model} cannot be started: {error}") from error
        except BaseException:
            camera.close()
            raise
        return camera

    def _close(self) -> None:
        """Cancel all jobs, stop and close; harmless where it is closed."""
        source, self._source = self._source, None
        if source is None:
            return
        source.camera.cancel_all_and_flush()
        within(CALL_S, source.camera.stop, what=f"{NAME}: stopping the camera")
        within(CALL_S, source.camera.close, what=f"{NAME}: closing the camera")

    def _capture(self) -> LockedCapture:
        source = self._opened()
        return LockedCapture(
            name=f"{NAME} {self._model}",
            source=source,
            clock=self._clock,
            tolerance=TOLERANCE,
            kept=KEPT,
            size_px=source.streams.main["size"],
        )

    def _opened(self) -> Picamera2Source:
        if self._source is None:
            raise self._not_open()
        return self._source

    def _hold(self, values: ExposureValues) -> None:
        self._capture().hold(values, timeout_s=self._timeout_s(values))

    def _free_frame_s(self) -> float:
        return self._opened().frame_duration_s()


def _model(library: Library, index: int) -> str:
    """Return the model of a camera; CameraError where it is not there."""
    cameras = library.global_camera_info()
    if not cameras:
        raise CameraError(
            f"{NAME}: no camera is attached; check its ribbon cable, then `rpicam-hello "
            "--list-cameras`"
        )
    if index >= len(cameras):
        raise CameraError(
            f"{NAME}: camera.index {index} is asked for, but {len(cameras)} cameras are attached, "
            "counted from 0; check the cable, or correct the index"
        )
    return str(cameras[index].get("Model", "camera"))


def _require_control(
    camera: Camera, exposure: LockedAutoExposure | ManualExposure, model: str
) -> None:
    """Raise CameraError where values must be set, but the camera lets nobody set them."""
    if "ExposureTime" in camera.camera_controls:
        return
    if isinstance(exposure, LockedAutoExposure):
        wish = (exposure.target_brightness, exposure.highlight_headroom)
        if wish == (None, None):
            _log.warning("%s: %s lets nobody set its exposure; it cannot be locked", NAME, model)
            return
    raise CameraError(
        f"{NAME}: {model} lets nobody set its exposure; use exposure mode locked_auto without "
        "wishes, or the uvc driver for a USB camera"
    )


def _limits(camera: Camera) -> ExposureLimits:
    """Return what the sensor advertises."""
    controls = camera.camera_controls
    shortest_us, longest_us, _ = controls.get("ExposureTime", (0, 0, None))
    least, most, _ = controls.get("AnalogueGain", (1.0, 1.0, None))
    gains: Any = controls.get("ColourGains")
    return ExposureLimits(
        name=NAME,
        exposure_time_ms=(shortest_us / US_PER_MS, longest_us / US_PER_MS),
        analogue_gain=(float(least), float(most)),
        colour_gains=None if gains is None else (float(gains[0]), float(gains[1])),
    )
