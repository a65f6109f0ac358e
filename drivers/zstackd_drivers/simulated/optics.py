"""What the camera twin's lens throws onto its sensor: defocus, breathing, shake, noise."""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_config.rig import Optics, Simulation
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import CameraError
from zstackd_drivers.simulated.defocus import Defocus
from zstackd_drivers.simulated.noise import SensorNoise, exposed
from zstackd_drivers.simulated.sensor_twin import LINE_NS, Exposed, SensorState, Views
from zstackd_drivers.simulated.truth import all_in_focus, height_map, measurable
from zstackd_drivers.specimens.specimen import DEPTH_UM, Bytes, Floats, Specimen
from zstackd_drivers.true_focus import TrueFocus

CACHED_RENDERINGS = 6
SHAKE_HZ = 55.0
SMEAR_STEPS = 4
SMEAR_UM = 0.5
SMEAR_PX = 0.3

Shift = tuple[float, float]
Canvas = TypeVar("Canvas", Bytes, Floats)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a perfect stack would be, in the geometry of one focus height.

    `image` (H, W, 3) uint8: all in focus, as the locked exposure shows it, without noise.
    `height_um` (H, W) float32. `textured` (H, W) bool: where the height can be measured.
    """

    image: Bytes
    height_um: Floats
    textured: NDArray[np.bool_]


class TwinImager:
    """Images a specimen at the axis' true position, one requested frame at a time."""

    def __init__(
        self,
        *,
        size_px: tuple[int, int],
        optics: Optics,
        simulation: Simulation,
        clock: Clock,
        focus: TrueFocus,
    ) -> None:
        self._size_px = size_px
        self._optics = optics
        self._simulation = simulation
        self._clock = clock
        self._focus = focus
        self._lock = threading.Lock()
        self._renderings: OrderedDict[float, Bytes] = OrderedDict()
        self._specimen: Specimen | None = None
        self._defocus: Defocus | None = None
        self._noise: SensorNoise | None = None

    def load(self, specimen: Specimen) -> None:
        """Put a specimen under the lens; takes seconds for megapixels."""
        self._specimen = specimen
        self._defocus = Defocus(
            specimen,
            numerical_aperture=self._optics.numerical_aperture,
            pixel_size_um=self._optics.pixel_size_um,
        )
        self._noise = SensorNoise(
            size_px=self._size_px, amount=self._simulation.noise, seed=self._simulation.seed
        )

    def unload(self) -> None:
        """Give back the memory of specimen and renderings."""
        with self._lock:
            self._renderings.clear()
            self._specimen = self._defocus = self._noise = None

    def prepare(self) -> None:
        """Render the focus the axis rests at, so that the next frame only needs its noise."""
        ended_ns = self._focus.last_motion_end_ns()
        if ended_ns is None or ended_ns < self._clock.monotonic_ns():
            self._rendering(self._focus.true_position_um())

    def image(self, exposed_frame: Exposed, views: Views) -> Bytes:
        """Return the noisy frame (H, W, 3) uint8 of one exposure."""
        light = self._view(*views[0])
        for count, view in enumerate(views[1:], start=2):
            light = _bytes(cv2.addWeighted(light, 1 - 1 / count, self._view(*view), 1 / count, 0))
        if self._noise is None:
            raise _closed()
        return self._noise.added(
            exposed(light, exposed_frame.state),
            gain=exposed_frame.state.values().analogue_gain,
            frame=exposed_frame.index,
        )

    def truth(self, *, focus_um: float, state: SensorState) -> Truth:
        """Return the specimen all in focus, and its heights, as seen with the focus there."""
        if self._specimen is None:
            raise _closed()
        image = exposed(self._framed(all_in_focus(self._specimen), focus_um, (0, 0)), state)
        height_um = self._framed(height_map(self._specimen), focus_um, (0, 0))
        return Truth(
            image=image,
            height_um=height_um,
            textured=measurable(image, height_um, noise=self._simulation.noise),
        )

    def views(self, frame: Exposed) -> Views:
        """Return focus height and shake at mid exposure, or a few of them where they changed."""
        exposure_ns = frame.state.lines * LINE_NS
        direction = self._direction(frame)
        steps = [(2 * i + 1) / (2 * SMEAR_STEPS) for i in range(SMEAR_STEPS)]
        views = [self._view_at(frame.start_ns + round(s * exposure_ns), direction) for s in steps]
        heights, shifts = zip(*views, strict=True)
        xs, ys = zip(*shifts, strict=True)
        still = max(heights) - min(heights) < SMEAR_UM and max(_span(xs), _span(ys)) < SMEAR_PX
        return [self._view_at(frame.start_ns + exposure_ns // 2, direction)] if still else views

    def _view_at(self, at_ns: int, direction: float) -> tuple[float, Shift]:
        return self._focus.true_position_um(at_ns), self._shake(at_ns, direction)

    def _direction(self, frame: Exposed) -> float:
        """Return in which direction the image shakes during one frame, in radians."""
        random = np.random.default_rng((self._simulation.seed, frame.index))
        return float(random.uniform(0, 2 * math.pi))

    def _shake(self, at_ns: int, direction: float) -> Shift:
        """Return the image shift in pixels: an oscillation that dies after the last motion."""
        ended_ns = self._focus.last_motion_end_ns()
        if ended_ns is None or self._simulation.vibration_um == 0:
            return (0.0, 0.0)
        since_ms = max(0.0, (at_ns - ended_ns) / 1e6)
        size_px = self._simulation.vibration_um / self._optics.pixel_size_um
        size_px *= 3.0 ** (-since_ms / self._simulation.vibration_decay_ms)
        size_px *= math.cos(2 * math.pi * SHAKE_HZ * since_ms / 1e3)
        return (size_px * math.cos(direction), size_px * math.sin(direction))

    def _view(self, focus_um: float, shift: Shift) -> Bytes:
        return self._framed(self._rendering(focus_um), focus_um, shift)

    def _rendering(self, focus_um: float) -> Bytes:
        """Return the canvas at a focus height, from the cache where it is there."""
        key = round(focus_um, 1)
        with self._lock:
            if key not in self._renderings:
                if self._defocus is None:
                    raise _closed()
                self._renderings[key] = self._defocus.render(key)
            self._renderings.move_to_end(key)
            while len(self._renderings) > CACHED_RENDERINGS:
                self._renderings.popitem(last=False)
            return self._renderings[key]

    def _framed(self, canvas: Canvas, focus_um: float, shift: Shift) -> Canvas:
        """Return the frame cut from a canvas, magnified by the breathing at that focus."""
        breathing = self._simulation.breathing_per_mm * (focus_um - DEPTH_UM / 2) / 1e3
        step = 1 / (1 + breathing)
        height, width = canvas.shape[:2]
        corner = [
            (side - 1) / 2 - step * ((px - 1) / 2 + moved)
            for side, px, moved in zip((width, height), self._size_px, shift, strict=True)
        ]
        matrix = np.array([[step, 0, corner[0]], [0, step, corner[1]]])
        frame = cv2.warpAffine(
            canvas,
            matrix,
            self._size_px,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return np.asarray(frame, canvas.dtype)


def _span(values: tuple[float, ...]) -> float:
    return max(values) - min(values)


def _closed() -> CameraError:
    return CameraError("simulated camera: it is not open; open it before taking frames")


def _bytes(image: object) -> Bytes:
    return np.asarray(image, np.uint8)
