"""A sensor that streams by itself: frames on a timeline, a short queue, controls that come late.

The stream is virtual. Frame k begins its exposure when frame k-1's time is over, whether anybody
takes it or not, and only a frame whose image is asked for is ever rendered. Like the pipelines it
stands in for, it keeps the last frames that were exposed and hands out the oldest first, applies
controls some frames after they were set, and stops delivering while all its buffers are lent.
"""

import math
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from zstackd_config.errors import Interrupted
from zstackd_drivers.camera import ExposureValues, Image
from zstackd_drivers.capture.preview import preview_of
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import CameraError

LINE_NS = 14_700
BLANK_LINES = 164
MIN_LINES = 7
MAX_LINES = 136_054
EXPOSURE_MARGIN_LINES = 20
GAIN_STEPS = 16
COLOUR_STEPS = 256
BUFFERS = 3
EXPOSURE_DELAY_FRAMES = 3
GAIN_DELAY_FRAMES = 4
AUTO_SPEED = 0.35
AUTO_FRAMES = 60

Views = list[tuple[float, tuple[float, float]]]
"""Focus height in micrometres and shift in pixels, at a few moments of one exposure."""

Fault = Literal["stall", "wrong_size", "wrong_exposure"]


@dataclass(frozen=True, slots=True)
class SensorState:
    """Exposure in the sensor's own steps: lines, 1/16 of gain, 1/256 of colour gain."""

    lines: int
    gain_16: int
    colour_256: tuple[int, int]

    def values(self) -> ExposureValues:
        """Return the state in milliseconds and gains."""
        red, blue = self.colour_256
        return ExposureValues(
            exposure_time_ms=self.lines * LINE_NS / 1e6,
            analogue_gain=self.gain_16 / GAIN_STEPS,
            colour_gains=(red / COLOUR_STEPS, blue / COLOUR_STEPS),
        )


NEUTRAL = SensorState(lines=816, gain_16=GAIN_STEPS, colour_256=(512, 410))
"""The exposure at which the lamp shows the specimen as it was painted: 12 ms, gain 1."""

POWER_ON = SensorState(lines=136, gain_16=GAIN_STEPS, colour_256=(384, 384))


@dataclass(frozen=True, slots=True)
class Exposed:
    """One frame on the timeline, before anybody has asked for its image."""

    index: int
    start_ns: int
    ready_ns: int
    state: SensorState
    fault: Fault | None


class Imager(Protocol):
    """What the lens throws onto the sensor."""

    def views(self, exposed: Exposed) -> Views:
        """Return where focus and shake stood during the exposure, as long as that is known."""
        ...

    def image(self, exposed: Exposed, views: Views) -> Image:
        """Return the noisy image of one frame."""
        ...

    def prepare(self) -> None:
        """Use idle time for work on the frame that will be asked for next."""
        ...


@dataclass(slots=True)
class LentFrame:
    """A frame in one of the sensor's buffers, lent until it is released."""

    sensor: "SensorTwin"
    exposed: Exposed
    views: Views
    released: bool = False

    @property
    def sensor_timestamp_ns(self) -> int:
        """Return the start of exposure in rig time."""
        return self.exposed.start_ns

    @property
    def exposure(self) -> ExposureValues:
        """Return the values this very frame was exposed with."""
        return self.exposed.state.values()

    @property
    def extra(self) -> dict[str, Any]:
        """Return nothing: a twin has no more to tell."""
        return {}

    def raw(self) -> None:
        """Return nothing: the simulated camera keeps no sensor data."""
        return

    def small_image(self) -> Image:
        """Return the frame's image, small and grey."""
        return preview_of(self.image())

    def image(self) -> Image:
        """Return the frame's image; the cropped one where a wrong size is scripted."""
        image = self.sensor.imager.image(self.exposed, self.views)
        return image[: image.shape[0] // 2].copy() if self.exposed.fault == "wrong_size" else image

    def release(self) -> None:
        """Give the buffer back; a second call does nothing."""
        if not self.released:
            self.released = True
            self.sensor.give_back()


def quantised(values: ExposureValues, *, otherwise: tuple[int, int]) -> SensorState:
    """Return `values` in the sensor's steps; `otherwise` are the colour gains where none given."""
    colour = otherwise
    if values.colour_gains is not None:
        red, blue = values.colour_gains
        colour = (round(red * COLOUR_STEPS), round(blue * COLOUR_STEPS))
    return SensorState(
        lines=round(values.exposure_time_ms * 1e6 / LINE_NS),
        gain_16=round(values.analogue_gain * GAIN_STEPS),
        colour_256=colour,
    )


def frame_duration_ns(state: SensorState, *, height_px: int) -> int:
    """Return the time from one frame's start to the next: readout and blanking, or exposure."""
    return LINE_NS * max(height_px + BLANK_LINES, state.lines + EXPOSURE_MARGIN_LINES)


class SensorTwin:
    """The running sensor; `take` from one thread, everything else from any.

    Of frames that nobody takes it `keeps` the newest, as a pipeline does that recycles its
    buffers, or the oldest, as one does that stops when all are full.
    """

    def __init__(
        self,
        *,
        height_px: int,
        clock: Clock,
        cancelled: threading.Event,
        imager: Imager,
        buffers: int = BUFFERS,
        keeps: Literal["newest", "oldest"] = "newest",
    ) -> None:
        self.imager = imager
        self._buffers = buffers
        self._keeps = keeps
        self._height_px = height_px
        self._clock = clock
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._queue: deque[Exposed] = deque()
        self._lent = 0
        self._faults: deque[Fault] = deque()
        self._stalled = False
        self._gone = False
        self._automatic = True
        self._state = POWER_ON
        self._pending: list[tuple[int, dict[str, object]]] = []
        self._automatic_from = 0
        self._next_index = 0
        self._next_start_ns = 0

    def start(self) -> None:
        """Begin to stream, with the exposure of power-on."""
        with self._lock:
            self._queue.clear()
            self._pending.clear()
            self._state, self._automatic = POWER_ON, True
            self._next_index = self._automatic_from = 0
            self._next_start_ns = self._clock.monotonic_ns()

    @property
    def buffers_lent(self) -> int:
        """Return how many frames were taken and not yet released."""
        with self._lock:
            return self._lent

    def give_back(self) -> None:
        """Take back the buffer of a released frame."""
        with self._lock:
            self._lent -= 1

    def script(self, fault: Fault, *, frames: int) -> None:
        """Spoil the next `frames` frames to begin: lost, of another size, or misexposed."""
        with self._lock:
            self._advance(self._clock.monotonic_ns())
            self._faults.extend([fault] * frames)

    def stall(self) -> None:
        """Stop delivering for good, as a front-end time-out does."""
        with self._lock:
            self._stalled = True

    def disconnect(self) -> None:
        """Pull the cable: every later call fails."""
        with self._lock:
            self._gone = True

    def set_automatic(self) -> None:
        """Let exposure, gain and white balance follow the scene, 3 frames from now on."""
        with self._lock:
            self._advance(self._clock.monotonic_ns())
            self._pending.clear()
            if not self._automatic:
                self._automatic_from = self._next_index + EXPOSURE_DELAY_FRAMES
            self._automatic = True

    def set_values(self, values: ExposureValues) -> ExposureValues:
        """Ask for explicit values: exposure 3 frames from now, gains 4 frames from now."""
        with self._lock:
            self._advance(self._clock.monotonic_ns())
            self._automatic = False
            target = quantised(values, otherwise=NEUTRAL.colour_256)
            first = self._next_index
            gains = {"gain_16": target.gain_16, "colour_256": target.colour_256}
            self._pending = [
                (first + EXPOSURE_DELAY_FRAMES, {"lines": target.lines}),
                (first + GAIN_DELAY_FRAMES, {**gains}),
            ]
        return values

    def take(self, *, deadline_ns: int, after_ns: int | None = None) -> LentFrame | None:  # noqa: ARG002 - old frames are what it is there for
        """Return the oldest frame in the queue, waiting until `deadline_ns`; None where none came.

        It leaves out no frame, whatever `after_ns` says. Raises Interrupted when cancelled, and
        CameraError once the camera is disconnected.
        """
        while True:
            if self._cancelled.is_set():
                raise Interrupted("simulated camera: cancelled")
            now_ns = self._clock.monotonic_ns()
            with self._lock:
                lent, next_ns = self._look(now_ns)
            if lent is not None or now_ns >= deadline_ns:
                return lent
            self.imager.prepare()
            pause_ns = min(next_ns, deadline_ns) - self._clock.monotonic_ns()
            self._clock.wait(self._cancelled, pause_ns / 1e9)

    def _look(self, now_ns: int) -> tuple[LentFrame | None, int]:
        """Return the frame to lend now, if any, and when to look again."""
        if self._gone:
            raise CameraError(
                "simulated camera: the sensor is gone; check its cable and open the camera again"
            )
        self._advance(now_ns)
        if self._lent < self._buffers and self._queue and self._queue[0].ready_ns <= now_ns:
            self._lent += 1
            exposed = self._queue.popleft()
            return LentFrame(self, exposed, self.imager.views(exposed)), now_ns
        if self._lent >= self._buffers:
            return None, now_ns + frame_duration_ns(self._state, height_px=self._height_px)
        return None, self._queue[0].ready_ns if self._queue else self._next_start_ns

    def _advance(self, now_ns: int) -> None:
        """Begin every frame due by `now_ns`; of the exposed ones keep the newest."""
        while self._next_start_ns <= now_ns:
            self._skip_uneventful(now_ns)
            exposed = self._begin()
            if not self._stalled and exposed.fault != "stall":
                self._queue.append(exposed)
        ready = sum(exposed.ready_ns <= now_ns for exposed in self._queue)
        for _ in range(ready - (self._buffers - self._lent)):
            if self._keeps == "newest":
                self._queue.popleft()
            else:
                del self._queue[self._buffers - self._lent]

    def _skip_uneventful(self, now_ns: int) -> None:
        """Jump over frames that nobody will see, so that a long idle time costs nothing."""
        settling = self._automatic and self._next_index < self._automatic_from + AUTO_FRAMES
        if self._pending or self._faults or settling:
            return
        duration_ns = frame_duration_ns(self._state, height_px=self._height_px)
        frames = max(0, (now_ns - self._next_start_ns) // duration_ns - 2 * self._buffers)
        self._next_index += frames
        self._next_start_ns += frames * duration_ns

    def _begin(self) -> Exposed:
        self._apply_controls()
        state = self._state
        fault = self._faults.popleft() if self._faults else None
        if fault == "wrong_exposure":
            state = replace(state, lines=state.lines * 2)
        exposure_ns = state.lines * LINE_NS
        exposed = Exposed(
            index=self._next_index,
            start_ns=self._next_start_ns,
            ready_ns=self._next_start_ns + exposure_ns + self._height_px * LINE_NS,
            state=state,
            fault=fault,
        )
        self._next_index += 1
        self._next_start_ns += frame_duration_ns(state, height_px=self._height_px)
        return exposed

    def _apply_controls(self) -> None:
        if self._automatic:
            if self._next_index < self._automatic_from:
                return
            self._state = _towards_neutral(self._state, self._next_index)
            return
        due = [change for index, change in self._pending if index <= self._next_index]
        self._pending = [(i, change) for i, change in self._pending if i > self._next_index]
        for change in due:
            self._state = replace(self._state, **change)  # type: ignore[arg-type]


def _towards_neutral(state: SensorState, index: int) -> SensorState:
    """Return one step of automatic exposure and white balance, with the flicker it never loses."""
    flicker = index % 2
    lines = state.lines * (NEUTRAL.lines / state.lines) ** AUTO_SPEED
    red, blue = (
        have + (want - have) * AUTO_SPEED
        for have, want in zip(state.colour_256, NEUTRAL.colour_256, strict=True)
    )
    return SensorState(
        lines=math.ceil(lines) + flicker,
        gain_16=NEUTRAL.gain_16,
        colour_256=(math.ceil(red), math.ceil(blue)),
    )
