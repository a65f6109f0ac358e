"""The simulated camera: a sensor twin behind the proof of fresh, locked frames of real ones."""

import zstackd_config.rig as settings_of
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import CameraInfo, ExposureValues
from zstackd_drivers.capture.exposure_lock import ExposureLimits, explicit, metered
from zstackd_drivers.capture.frame_source import LockTolerance
from zstackd_drivers.capture.locked_capture import LockedCapture
from zstackd_drivers.capture.mended_camera import MendedCamera
from zstackd_drivers.clock import Clock
from zstackd_drivers.simulated.optics import Truth, TwinImager
from zstackd_drivers.simulated.sensor_twin import (
    BLANK_LINES,
    COLOUR_STEPS,
    GAIN_STEPS,
    LINE_NS,
    MAX_LINES,
    MIN_LINES,
    NEUTRAL,
    SensorTwin,
    quantised,
)
from zstackd_drivers.specimens.catalogue import build_specimen
from zstackd_drivers.true_focus import TrueFocus

NAME = "simulated camera"
TIMEOUT_FRAMES = 20
TIMEOUT_S = 10.0
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


class SimulatedCamera(MendedCamera):
    """A camera twin that images a built-in specimen at the axis' true position.

    Larger z is nearer to the objective: a part of the specimen at height h is sharp while the
    axis stands at z = h. `sensor` scripts faults for tests.
    """

    name = NAME
    timeout_s = TIMEOUT_S
    timeout_frames = TIMEOUT_FRAMES

    def __init__(
        self,
        *,
        settings: settings_of.SimulatedCamera,
        optics: settings_of.Optics,
        simulation: settings_of.Simulation,
        clock: Clock,
        focus: TrueFocus,
    ) -> None:
        super().__init__(clock)
        self._settings = settings
        self._simulation = simulation
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
        self._proof = LockedCapture(
            name=NAME,
            source=self.sensor,
            clock=clock,
            tolerance=TOLERANCE,
            kept=TOLERANCE,
            size_px=settings.size_px,
        )

    def truth(self, *, focus_um: float) -> Truth:
        """Return what a perfect stack in the geometry of focus height `focus_um` would show."""
        state = quantised(self._locked(), otherwise=NEUTRAL.colour_256)
        return self._imager.truth(focus_um=focus_um, state=state)

    def _described(self) -> CameraInfo:
        """Return what the twin delivers: 8-bit colour of the configured size."""
        return CameraInfo(
            driver="simulated",
            model=f"twin of a small sensor over a {self._simulation.specimen}",
            size_px=self._settings.size_px,
            channels=3,
            bits=8,
        )

    def _locked_to(self, exposure: LockedAutoExposure | ManualExposure) -> ExposureValues:
        neutral = NEUTRAL.values()
        if isinstance(exposure, ManualExposure):
            values = explicit(exposure, LIMITS, neutral=neutral.colour_gains)
            return self._proof.hold(values, timeout_s=self._timeout_s(values))
        values = self._proof.converge(
            frame_s=self._frame_s(neutral), timeout_s=self._timeout_s(neutral)
        )
        return metered(self._proof, values, exposure, LIMITS, timeout_s=self._timeout_s)

    def _open(self) -> None:
        self._imager.load(
            build_specimen(
                self._simulation.specimen,
                size_px=self._settings.size_px,
                seed=self._simulation.seed,
            )
        )
        self.sensor.start()

    def _close(self) -> None:
        self._imager.unload()

    def _hold(self, values: ExposureValues) -> None:
        self._proof.hold(values, timeout_s=self._timeout_s(values))

    def _capture(self) -> LockedCapture:
        return self._proof

    def _free_frame_s(self) -> float:
        return LINE_NS * (self._settings.size_px[1] + BLANK_LINES) / 1e9
