"""A twin of a UVC camera behind `cv2.VideoCapture`: old frames first, controls that come late.

As with OpenCV's Video4Linux backend: four buffers that keep the oldest frames, `grab` that waits a
while and then returns False, `get` that returns -1 for what is not offered, sizes and formats that
are silently other than asked for, and read-back exposure that stands still while the camera chooses
another one by itself.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from zstackd_config.errors import Interrupted
from zstackd_config.rig import Optics, Simulation
from zstackd_drivers.camera import ExposureValues
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import CameraError
from zstackd_drivers.simulated.optics import TwinImager
from zstackd_drivers.simulated.sensor_twin import LentFrame, SensorTwin
from zstackd_drivers.specimens.catalogue import build_specimen
from zstackd_drivers.true_focus import TrueFocus
from zstackd_drivers.uvc.device import fourcc
from zstackd_drivers.uvc.source import AUTOMATIC, MANUAL, NOT_OFFERED, STEPS_PER_MS

BUFFERS = 4
SELECT_NS = 2_000_000_000
RED_BLUE = (2.0, 1.6)


@dataclass(slots=True)
class Plugged:
    """A camera on the bus, and what is wrong with it; outlives every open capture.

    One with an `exposure_grid` takes the next lower one of these instead of any other exposure.
    """

    clock: Clock
    focus: TrueFocus
    optics: Optics
    simulation: Simulation
    sizes_px: tuple[tuple[int, int], ...] = ((160, 120), (320, 240))
    formats: tuple[str, ...] = ("MJPG", "YUYV")
    exposure_steps: tuple[int, int] = (1, 5000)
    exposure_grid: tuple[int, ...] = ()
    lockable: bool = True
    lens: int | None = None
    timestamps: bool = True
    busy: bool = False
    unplugged: bool = False
    dead: bool = False
    damaged: int = 0
    opened: int = 0
    capture: "VideoCaptureTwin | None" = None

    def open(self, index: int) -> "VideoCaptureTwin":  # noqa: ARG002 - there is but one
        """Open the camera as `cv2.VideoCapture` does: always, and then maybe not really."""
        self.opened += 1
        self.capture = VideoCaptureTwin(self)
        return self.capture

    def find(self, device: Any) -> int:
        """Return the index of the camera; CameraError where it is unplugged."""
        if self.unplugged:
            raise CameraError(f"uvc: camera.device {device} does not exist; check the USB cable")
        return 0

    def stall(self) -> None:
        """Stop delivering until the camera is opened anew."""
        if self.capture is not None:
            self.capture.sensor.stall()

    def die(self) -> None:
        """Stop delivering for good."""
        self.dead = True
        self.stall()

    def unplug(self) -> None:
        """Pull the cable: every grab fails at once, and the device is gone."""
        self.unplugged = True
        if self.capture is not None:
            self.capture.sensor.disconnect()


@dataclass(slots=True)
class Controls:
    """The camera's controls, in UVC's own numbers."""

    automatic: float = AUTOMATIC
    exposure: float = 156.0
    gain: float = 1.0
    auto_white_balance: float = 1.0
    kelvin: float = 4600.0
    autofocus: float = 1.0
    lens: float = 0.0
    size_px: list[int] = field(default_factory=lambda: [0, 0])
    fourcc: int = 0


class VideoCaptureTwin:
    """Stands for `cv2.VideoCapture(index, cv2.CAP_V4L2)`."""

    def __init__(self, plugged: Plugged) -> None:
        self._plugged = plugged
        self._controls = Controls(fourcc=fourcc(plugged.formats[0]))
        self._closing = threading.Event()
        self._lent: LentFrame | None = None
        self._reset(plugged.sizes_px[0])

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Return whether there is a camera that nobody else holds."""
        return not (self._plugged.busy or self._plugged.unplugged)

    def grab(self) -> bool:
        """Take the oldest frame; False after OpenCV's time-out, or at once without a camera."""
        self._give_back()
        deadline_ns = self._plugged.clock.monotonic_ns() + SELECT_NS
        try:
            self._lent = self.sensor.take(deadline_ns=deadline_ns)
        except (CameraError, Interrupted):
            self._lent = None
        return self._lent is not None

    def retrieve(self) -> tuple[bool, Any]:
        """Decode the frame grabbed last; a damaged one comes out empty."""
        if self._lent is None:
            return False, None
        if self._plugged.damaged > 0:
            self._plugged.damaged -= 1
            return False, None
        return True, np.asarray(self._lent.image())

    def get(self, propId: int) -> float:  # noqa: N803 - OpenCV's name
        """Return a property; -1 where it is not offered."""
        c = self._controls
        known: dict[int, float] = {
            cv2.CAP_PROP_FRAME_WIDTH: c.size_px[0],
            cv2.CAP_PROP_FRAME_HEIGHT: c.size_px[1],
            cv2.CAP_PROP_FOURCC: c.fourcc,
            cv2.CAP_PROP_POS_MSEC: self._timestamp_ms(),
            cv2.CAP_PROP_AUTO_WB: c.auto_white_balance,
            cv2.CAP_PROP_WB_TEMPERATURE: c.kelvin,
        }
        if self._plugged.lockable:
            known[cv2.CAP_PROP_AUTO_EXPOSURE] = c.automatic
            known[cv2.CAP_PROP_EXPOSURE] = c.exposure
            known[cv2.CAP_PROP_GAIN] = c.gain
        if self._plugged.lens is not None:
            known[cv2.CAP_PROP_AUTOFOCUS] = c.autofocus
            known[cv2.CAP_PROP_FOCUS] = c.lens
        return known.get(propId, NOT_OFFERED)

    def set(self, propId: int, value: float) -> bool:  # noqa: N803 - OpenCV's name
        """Set a property within what the camera has; False where it is not offered."""
        if self.get(propId) == NOT_OFFERED:
            return False
        c = self._controls
        if propId in {cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT}:
            self._set_side(0 if propId == cv2.CAP_PROP_FRAME_WIDTH else 1, round(value))
        elif propId == cv2.CAP_PROP_FOURCC:
            offered = {fourcc(name) for name in self._plugged.formats}
            c.fourcc = round(value) if round(value) in offered else c.fourcc
        else:
            self._set_control(propId, value)
        return True

    def release(self) -> None:
        """Close the camera."""
        self._give_back()
        self._closing.set()
        self._imager.unload()

    def _set_control(self, name: int, value: float) -> None:
        c = self._controls
        least, most = self._plugged.exposure_steps
        if name == cv2.CAP_PROP_AUTO_EXPOSURE:
            c.automatic = value
        elif name == cv2.CAP_PROP_EXPOSURE:
            value = min(max(value, least), most)
            grid = self._plugged.exposure_grid or (value,)
            c.exposure = max((step for step in grid if step <= value), default=min(grid))
        elif name == cv2.CAP_PROP_GAIN:
            c.gain = value
        elif name == cv2.CAP_PROP_AUTO_WB:
            c.auto_white_balance = value
        elif name == cv2.CAP_PROP_WB_TEMPERATURE:
            c.kelvin = value
        elif name == cv2.CAP_PROP_AUTOFOCUS:
            c.autofocus = value
        elif name == cv2.CAP_PROP_FOCUS:
            c.lens = min(value, self._plugged.lens or 0)
        self._apply()

    def _apply(self) -> None:
        """Hand exposure to the sensor, where it comes some frames later."""
        c = self._controls
        if c.automatic == MANUAL:
            values = ExposureValues(c.exposure / STEPS_PER_MS, max(1.0, c.gain), RED_BLUE)
            self.sensor.set_values(values)
        else:
            self.sensor.set_automatic()

    def _set_side(self, side: int, px: int) -> None:
        """Take one side of the size; with both, the nearest size that is offered."""
        self._controls.size_px[side] = px
        width, height = self._controls.size_px
        if side == 1:
            self._reset(
                min(
                    self._plugged.sizes_px,
                    key=lambda size: abs(size[0] - width) + abs(size[1] - height),
                )
            )

    def _reset(self, size_px: tuple[int, int]) -> None:
        """Start the stream anew at another size."""
        self._lent = None
        plugged = self._plugged
        self._controls.size_px = list(size_px)
        self._imager = TwinImager(
            size_px=size_px,
            optics=plugged.optics,
            simulation=plugged.simulation,
            clock=plugged.clock,
            focus=plugged.focus,
        )
        specimen = plugged.simulation.specimen
        self._imager.load(build_specimen(specimen, size_px=size_px, seed=plugged.simulation.seed))
        self.sensor = SensorTwin(
            height_px=size_px[1],
            clock=plugged.clock,
            cancelled=self._closing,
            imager=self._imager,
            buffers=BUFFERS,
            keeps="oldest",
        )
        self.sensor.start()
        if plugged.dead:
            self.sensor.stall()

    def _timestamp_ms(self) -> float:
        """Return when the last frame's data began to arrive: right after its exposure."""
        if self._lent is None or not self._plugged.timestamps:
            return 0.0
        lent = self._lent
        return lent.sensor_timestamp_ns / 1e6 + lent.exposure.exposure_time_ms

    def _give_back(self) -> None:
        if self._lent is not None:
            self._lent.release()
            self._lent = None
