"""An open Picamera2 as a source of frames: jobs with deadlines, requests always released."""

import io
import logging
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

from zstackd_config.errors import Interrupted
from zstackd_drivers.camera import ExposureValues, Image
from zstackd_drivers.capture.preview import preview_of
from zstackd_drivers.clock import Clock
from zstackd_drivers.picamera2.library import Camera, Job, Request
from zstackd_drivers.picamera2.pixels import luma, picture

_log = logging.getLogger(__name__)

POLL_S = 0.1
ABANDONED_S = 1.0
UNKNOWN_DURATION_NS = 500_000_000
AUTO_LONGEST_US = 250_000
LONGEST_MARGIN = 1.05
LONGEST_SLACK_US = 10_000
NS_PER_US = 1000
US_PER_MS = 1000.0
NOTED = ("DigitalGain", "SensorTemperature", "Lux", "FocusFoM", "ColourTemperature")


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams as they really are; `lores` and `raw` where there are such."""

    main: dict[str, Any]
    lores: dict[str, Any] | None
    raw: dict[str, Any] | None
    mono: bool


@dataclass(slots=True)
class TakenRequest:
    """A completed request, lent until it is released."""

    request: Request
    streams: Streams
    metadata: dict[str, Any]
    released: bool = False

    @property
    def sensor_timestamp_ns(self) -> int:
        """Return the start of exposure, or a moment before it where its length is not told.

        libcamera's SensorTimestamp is when the first row was read out.
        """
        exposure_us = self.metadata.get("ExposureTime")
        before_ns = frame_duration_ns(self.metadata) if exposure_us is None else exposure_us * 1000
        return int(self.metadata["SensorTimestamp"] - before_ns)

    @property
    def exposure(self) -> ExposureValues:
        """Return the values this very frame was exposed with; 0 ms where they are not told."""
        gains = self.metadata.get("ColourGains")
        return ExposureValues(
            exposure_time_ms=self.metadata.get("ExposureTime", 0) / US_PER_MS,
            analogue_gain=float(self.metadata.get("AnalogueGain", 1.0)),
            colour_gains=None if gains is None else (float(gains[0]), float(gains[1])),
        )

    @property
    def extra(self) -> dict[str, Any]:
        """Return what else the sensor noted: digital gain, temperature and such."""
        return {name: self.metadata[name] for name in NOTED if name in self.metadata}

    def image(self) -> Image:
        """Return a copy of the main stream."""
        return picture(self.request.make_array("main"), self.streams.main, mono=self.streams.mono)

    def small_image(self) -> Image:
        """Return a copy of the lores stream's brightness, or the main stream averaged down."""
        if self.streams.lores is None:
            return preview_of(self.image())
        return luma(self.request.make_array("lores"), self.streams.lores)

    def raw(self) -> bytes | None:
        """Return the raw stream as a DNG file."""
        if self.streams.raw is None:
            return None
        file = io.BytesIO()
        self.request.save_dng(file)
        return file.getvalue()

    def release(self) -> None:
        """Give the buffers back; a second call does nothing."""
        if not self.released:
            self.released = True
            self.request.release()


@dataclass(slots=True)
class Picamera2Source:
    """Takes frames from a started camera; `take` from one thread."""

    camera: Camera
    streams: Streams
    clock: Clock
    cancelled: threading.Event
    last: dict[str, Any] = field(default_factory=dict)

    def take(self, *, deadline_ns: int, after_ns: int | None = None) -> TakenRequest | None:
        """Return the next frame exposed after `after_ns`; None where none came in time.

        Raises Interrupted when cancelled.
        """
        self._check_cancelled()
        flush = after_ns if "ExposureTime" in self.last else None
        job = self.camera.capture_request(wait=False, flush=flush)
        try:
            request = self._result(job, deadline_ns)
        except BaseException:
            self._abandon(job)
            raise
        if request is None:
            self._abandon(job)
            return None
        return self._taken(request)

    def set_automatic(self) -> None:
        """Let exposure, gain and white balance follow the scene."""
        self._send(
            {
                "AeEnable": True,
                "AwbEnable": True,
                "ExposureTime": 0,
                "AnalogueGain": 0.0,
                "FrameDurationLimits": (100, AUTO_LONGEST_US),
            }
        )

    def set_values(self, values: ExposureValues) -> ExposureValues:
        """Ask for explicit values; they come with a later frame."""
        exposure_us = round(values.exposure_time_ms * US_PER_MS)
        longest_us = round(exposure_us * LONGEST_MARGIN) + LONGEST_SLACK_US
        controls: dict[str, Any] = {
            "ExposureTime": exposure_us,
            "AnalogueGain": values.analogue_gain,
            "FrameDurationLimits": (100, max(AUTO_LONGEST_US, longest_us)),
        }
        if values.colour_gains is not None:
            controls["ColourGains"] = values.colour_gains
        self._send(controls)
        return values

    def frame_duration_s(self) -> float:
        """Return the seconds between two frames, as the last one tells."""
        return frame_duration_ns(self.last) / 1e9

    def _send(self, controls: dict[str, Any]) -> None:
        """Send what the camera advertises: anything else would raise."""
        known = self.camera.camera_controls
        self.camera.set_controls({name: v for name, v in controls.items() if name in known})

    def _taken(self, request: Request) -> TakenRequest:
        try:
            self.last = request.get_metadata()
            return TakenRequest(request, self.streams, self.last)
        except BaseException:
            request.release()
            raise

    def _result(self, job: Job, deadline_ns: int) -> Request | None:
        while True:
            self._check_cancelled()
            left_s = (deadline_ns - self.clock.monotonic_ns()) / 1e9 / self.clock.scale
            try:
                return job.get_result(timeout=max(0.0, min(left_s, POLL_S)))
            except TimeoutError:
                if left_s <= 0:
                    return None

    def _check_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise Interrupted("picamera2: cancelled")

    def _abandon(self, job: Job) -> None:
        """Cancel a job, or take back the request that it got in this very moment.

        A job left in the queue would take a request later that nobody releases.
        """
        self.camera.cancel_all_and_flush()
        try:
            job.get_result(timeout=ABANDONED_S).release()
        except CancelledError:
            _log.debug("picamera2: a job without a frame was cancelled")
        except TimeoutError:
            _log.warning("picamera2: a cancelled job neither ended nor failed")


def frame_duration_ns(metadata: dict[str, Any]) -> int:
    """Return the time between two frames; half a second where the metadata do not tell."""
    told_us = metadata.get("FrameDuration")
    return UNKNOWN_DURATION_NS if told_us is None else int(told_us * NS_PER_US)
