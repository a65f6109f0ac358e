"""The simulated camera: a sensor twin behind the proof of fresh, locked frames of real ones."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import zstackd_config.rig as settings_of
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import CameraInfo, ExposureValues, Frame, ignore
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import CameraError
from zstackd_drivers.exposure_lock import ExposureLimits, explicit, metered
from zstackd_drivers.frame_source import LockTolerance
from zstackd_drivers.locked_capture import LockedCapture
from zstackd_drivers.sensor_twin import (
    COLOUR_STEPS,
    GAIN_STEPS,
    LINE_NS,
    MAX_LINES,
    MIN_LINES,
    NEUTRAL,
    SensorTwin,
    frame_duration_ns,
    quantised,
)
from zstackd_drivers.specimens import build_specimen
from zstackd_drivers.true_focus import TrueFocus
from zstackd_drivers.twin_optics import Truth, TwinImager

NAME = "simulated camera"
TIMEOUT_FRAMES = 20
TIMEOUT_S = 2.0
LIMITS = ExposureLimits(
    name=NAME,
    exposure_time_ms=(MIN_LINES * LINE_NS / 1e6, MAX_LINES * LINE_NS / 1e6),
    analogue_gain=(1.0, 16.0),
    colour_gains=(0.25, 8.0),
)
TOLERANCE = LockTolerance(
    exposure_time_ms=1.01 * LINE_NS / 1e6,
    analogue_gain=0.51 / GAIN_STEPS,
    colour_gain=0.51 / COLOUR_STEPS,
)


class SimulatedCamera:
    """A camera twin that images a built-in specimen at the axis' true position.

    Larger z is nearer to the objective: a part of the specimen at height h is sharp while the
    axis stands at z = h. `sensor` scripts faults for tests. `cancel()` holds until the camera is
    opened again.
    """

    def __init__(
        self,
        *,
        settings: settings_of.SimulatedCamera,
        optics: settings_of.Optics,
        simulation: settings_of.Simulation,
        clock: Clock,
        focus: TrueFocus,
    ) -> None:
        self._settings = settings
        self._simulation = simulation
        self._clock = clock
        self._cancelled = threading.Event()
        self._imager = TwinImager(
            size_px=settings.size_px,
            optics=optics,
            simulation=simulation,
            clock=clock,
            focus=focus,
        )
        self.sensor = SensorTwin(
            height_px=settings.size_px[1],
            clock=clock,
            cancelled=self._cancelled,
            imager=self._imager,
        )
        self._capture = LockedCapture(
            name=NAME,
            source=self.sensor,
            clock=clock,
            tolerance=TOLERANCE,
            kept=TOLERANCE,
            size_px=settings.size_px,
        )
        self._lock: ExposureValues | None = None

    def __enter__(self) -> Self:
        self._cancelled.clear()
        self._lock = None
        self._imager.load(
            build_specimen(
                self._simulation.specimen,
                size_px=self._settings.size_px,
                seed=self._simulation.seed,
            )
        )
        self.sensor.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._imager.unload()

    def info(self) -> CameraInfo:
        """Return what the twin delivers: 8-bit colour of the configured size."""
        return CameraInfo(
            driver="simulated",
            model=f"twin of a small sensor over a {self._simulation.specimen}",
            size_px=self._settings.size_px,
            channels=3,
            bits=8,
        )

    def lock_exposure(self, exposure: LockedAutoExposure | ManualExposure) -> ExposureValues:
        """Converge or check, set explicit values, and return them as frames report them.

        Raises CameraError where a value is beyond the sensor, CameraTimeout, Interrupted.
        """
        self._lock = None
        neutral = NEUTRAL.values()
        if isinstance(exposure, ManualExposure):
            values = explicit(exposure, LIMITS, neutral=neutral.colour_gains)
            self._lock = self._capture.hold(values, timeout_s=self._timeout_s(values))
        else:
            values = self._capture.converge(timeout_s=self._timeout_s(neutral))
            self._lock = metered(self._capture, values, exposure, LIMITS, timeout_s=self._timeout_s)
        return self._lock

    def capture(self, *, after_ns: int, exposed: Callable[[], None] = ignore) -> Frame:
        """Return a frame whose exposure began after `after_ns` with the lock's values.

        `after_ns` may lie in the future: the wait is then spent on rendering. `exposed` is called
        before the image is rendered.
        """
        lock = self._locked()
        return self._capture.fresh(
            lock, after_ns=after_ns, timeout_s=self._timeout_s(lock), exposed=exposed
        )

    def preview(self, *, after_ns: int) -> Frame:
        """Return a fresh, locked frame as a small grey one."""
        lock = self._locked()
        return self._capture.small(lock, after_ns=after_ns, timeout_s=self._timeout_s(lock))

    def frame_duration_s(self) -> float:
        """Return the seconds between two frames at the locked exposure."""
        return self._duration_s(self._locked())

    def cancel(self) -> None:
        """Make waits in progress, and all later ones until reopened, raise Interrupted."""
        self._cancelled.set()

    def truth(self, *, focus_um: float) -> Truth:
        """Return what a perfect stack in the geometry of focus height `focus_um` would show."""
        lock = self._locked()
        return self._imager.truth(
            focus_um=focus_um, state=quantised(lock, otherwise=NEUTRAL.colour_256)
        )

    def _locked(self) -> ExposureValues:
        if self._lock is None:
            raise CameraError(f"{NAME}: no exposure is locked; call lock_exposure first")
        return self._lock

    def _duration_s(self, values: ExposureValues) -> float:
        state = quantised(values, otherwise=NEUTRAL.colour_256)
        return frame_duration_ns(state, height_px=self._settings.size_px[1]) / 1e9

    def _timeout_s(self, values: ExposureValues) -> float:
        return TIMEOUT_S + TIMEOUT_FRAMES * self._duration_s(values)
