"""A twin of picamera2 for rigs without libcamera: its event loop, jobs, requests and their vices.

It stands at the library's own interface and keeps to what its source says (0.3.38): jobs run one
after another whenever frames arrive, a job that nobody waits for any longer still takes a request,
`stop` waits in the same queue, `flush` looks at the metadata, controls leave with the next request
that is queued and take effect some frames later, and no frame is delivered while all requests are
out. Sizes are made even, formats that are not known are adjusted.
"""

import threading
from collections import deque
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

from zstackd_config.errors import Interrupted
from zstackd_config.rig import Optics, Simulation
from zstackd_drivers.camera import ExposureValues
from zstackd_drivers.clock import Clock
from zstackd_drivers.picamera2.twin_request import RequestTwin, stream_configuration
from zstackd_drivers.simulated.optics import TwinImager
from zstackd_drivers.simulated.sensor_twin import LINE_NS, MAX_LINES, MIN_LINES, SensorTwin
from zstackd_drivers.specimens.catalogue import build_specimen
from zstackd_drivers.true_focus import TrueFocus

ROUND_NS = 20_000_000
MODULE_CONTROLS: dict[str, tuple[Any, Any, Any]] = {
    "AeEnable": (False, True, True),
    "ExposureTime": (MIN_LINES * LINE_NS // 1000, MAX_LINES * LINE_NS // 1000, 20_000),
    "AnalogueGain": (1.0, 16.0, 1.0),
    "FrameDurationLimits": (100, 1_000_000_000, 33_333),
}
COLOUR_CONTROLS: dict[str, tuple[Any, Any, Any]] = {
    "AwbEnable": (False, True, True),
    "ColourGains": (0.0, 32.0, 1.0),
}


@dataclass(slots=True)
class Attached:
    """What is on the ribbon cable, and what is wrong with it; outlives every open object."""

    clock: Clock
    focus: TrueFocus
    optics: Optics
    simulation: Simulation
    sensor_px: tuple[int, int] = (4056, 3040)
    mono: bool = False
    module: bool = True
    plugged: bool = True
    busy: bool = False
    dead: bool = False
    opened: int = 0
    open_twin: "Picamera2Twin | None" = None

    def controls(self) -> dict[str, tuple[Any, Any, Any]]:
        """Return the controls that such a camera advertises; one that is no module has none."""
        if not self.module:
            return {}
        return MODULE_CONTROLS | ({} if self.mono else COLOUR_CONTROLS)

    def stall(self) -> None:
        """Stop delivering until the camera is opened anew."""
        if self.open_twin is not None and self.open_twin.sensor is not None:
            self.open_twin.sensor.stall()

    def die(self) -> None:
        """Stop delivering for good, however often the camera is opened."""
        self.dead = True
        self.stall()

    def unplug(self) -> None:
        """Pull the cable: frames end, and no camera is found any more."""
        self.plugged = False
        self.stall()


@dataclass(slots=True)
class LibraryTwin:
    """Stands for the class `picamera2.Picamera2`."""

    attached: Attached

    def global_camera_info(self) -> list[dict[str, Any]]:
        """Return the camera that is attached, if it is."""
        if not self.attached.plugged:
            return []
        return [{"Model": "imx477", "Location": 2, "Rotation": 180, "Id": "/twin", "Num": 0}]

    def __call__(self, camera_num: int = 0, *, tuning: str | None = None) -> "Picamera2Twin":
        """Open the camera; RuntimeError where another process has it."""
        if camera_num >= len(self.global_camera_info()):
            raise RuntimeError(f"No camera number {camera_num} found")
        if self.attached.busy or self.attached.open_twin is not None:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.attached.opened += 1
        self.attached.open_twin = Picamera2Twin(self.attached, tuning)
        return self.attached.open_twin


@dataclass(slots=True)
class JobTwin:
    """A list of functions that the event loop tries, one after another, as frames arrive."""

    functions: list[Any]
    future: "Future[Any]" = field(default_factory=Future)
    result: Any = None

    def execute(self) -> bool:
        """Try to go on; return whether the job has ended."""
        try:
            while self.functions:
                done, self.result = self.functions[0]()
                if not done:
                    break
                self.functions.pop(0)
        except Exception as error:  # noqa: BLE001 - as the library does
            self.future.set_exception(error)
            self.functions = []
        return not self.functions

    def signal(self) -> None:
        """Tell whoever waits that the job has ended."""
        if not self.future.done():
            self.future.set_result(self.result)

    def get_result(self, timeout: float | None = None) -> Any:
        """Return the result; raises TimeoutError or CancelledError."""
        return self.future.result(timeout=timeout)


class Picamera2Twin:
    """Stands for an open `Picamera2`."""

    def __init__(self, attached: Attached, tuning: str | None) -> None:
        self.attached = attached
        self.tuning = tuning
        self.sensor: SensorTwin | None = None
        self.lock = threading.Lock()
        self.completed: deque[RequestTwin] = deque()
        self.controls: dict[str, Any] = {}
        self._limit_us = 1_000_000_000
        self._values: dict[str, Any] = {}
        self._jobs: deque[JobTwin] = deque()
        self._configuration: dict[str, Any] = {}
        self._imager: TwinImager | None = None
        self._queue_length = 0
        self._closing = threading.Event()
        self._loop: threading.Thread | None = None
        self.started = False

    @property
    def camera_controls(self) -> dict[str, tuple[Any, Any, Any]]:
        """Return the controls that are advertised."""
        return self.attached.controls()

    @property
    def camera_properties(self) -> dict[str, Any]:
        """Return the sensor's properties; only a module tells its filters."""
        filters = {"ColorFilterArrangement": 4 if self.attached.mono else 0}
        return {"Model": "imx477"} | (filters if self.attached.module else {})

    @property
    def sensor_resolution(self) -> tuple[int, int]:
        """Return the size of the whole sensor in pixels."""
        return self.attached.sensor_px

    def create_still_configuration(self, **options: Any) -> dict[str, Any]:
        """Return a still configuration with even sizes and the duration's wide limits."""
        main = {"format": "BGR888", "size": self.sensor_resolution} | options["main"]
        main["size"] = _even(main["size"])
        lores = options.get("lores")
        if lores is not None:
            lores = {"format": "YUV420"} | lores | {"size": _even(lores["size"])}
        raw = options.get("raw", {})
        if not self.attached.module:
            raw = None
        elif raw is not None:
            raw = {"format": "SBGGR12", "size": main["size"]} | raw
        controls: dict[str, Any] = {}
        if self.attached.module:
            controls = {"FrameDurationLimits": (100, 1_000_000_000)} | options["controls"]
        return {**options, "main": main, "lores": lores, "raw": raw, "controls": controls}

    def configure(self, configuration: dict[str, Any]) -> None:
        """Take a configuration; what could not be had is adjusted silently."""
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        if configuration["lores"] is not None and not self.attached.module:
            raise RuntimeError("Invalid camera configuration: no second stream")
        configured = {
            name: stream_configuration(configuration[name], raw=name == "raw")
            for name in ("main", "lores", "raw")
        }
        self._configuration = configured
        buffers = configuration["buffer_count"]
        self._queue_length = 1 if configuration["queue"] and buffers > 1 else 0
        size_px = configuration["main"]["size"]
        self._prepare_sensor(size_px, buffers)
        self.set_controls(configuration["controls"])

    def camera_configuration(self) -> dict[str, Any]:
        """Return the configuration as it really is."""
        return self._configuration

    def start(self) -> None:
        """Start event loop and sensor."""
        if self.sensor is None or self._imager is None:
            raise RuntimeError("Camera has not been configured")
        self._imager.load(
            build_specimen(
                self.attached.simulation.specimen,
                size_px=self._configuration["main"]["size"],
                seed=self.attached.simulation.seed,
            )
        )
        self.sensor.start()
        if self.attached.dead:
            self.sensor.stall()
        self.send_controls()
        self.started = True
        self._loop = threading.Thread(target=self._run, name="picamera2 twin", daemon=True)
        self._loop.start()

    def stop(self) -> None:
        """Stop the sensor; waits in the queue of jobs like everything else."""
        if self.started:
            self._dispatch([self._stopped]).get_result()

    def close(self) -> None:
        """Stop, and give the camera back."""
        self.stop()
        self._closing.set()
        if self._loop is not None:
            self._loop.join()
        if self._imager is not None:
            self._imager.unload()
        self.attached.open_twin = None

    def set_controls(self, controls: dict[str, Any]) -> None:
        """Keep controls for the next request that is queued."""
        for name in controls:
            if name not in self.camera_controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        self.controls = self.controls | controls

    def capture_request(self, *, wait: bool | None = None, flush: int | None = None) -> Any:
        """Queue a job for a request; return it, or its result where `wait` says so."""
        job = self._dispatch([lambda: self._flushed(flush), self._popped])
        return job if wait is False else job.get_result()

    def cancel_all_and_flush(self) -> None:
        """Cancel and forget all jobs."""
        with self.lock:
            for job in self._jobs:
                job.future.set_exception(CancelledError())
            self._jobs.clear()

    def send_controls(self) -> None:
        """Send what was kept, as happens when a request is queued."""
        controls, self.controls = self.controls, {}
        if not controls or self.sensor is None:
            return
        self._limit_us = controls.pop("FrameDurationLimits", (0, self._limit_us))[1]
        self._values |= controls
        exposure_us, gain = self._values.get("ExposureTime"), self._values.get("AnalogueGain")
        colour = self._values.get("ColourGains")
        if exposure_us and gain and (colour or self.attached.mono):
            self.sensor.set_values(
                ExposureValues(min(exposure_us, self._limit_us) / 1e3, gain, colour)
            )
        else:
            self._values.pop("ColourGains", None)
            self.sensor.set_automatic()

    def _prepare_sensor(self, size_px: tuple[int, int], buffers: int) -> None:
        at = self.attached
        self._imager = TwinImager(
            size_px=size_px,
            optics=at.optics,
            simulation=at.simulation,
            clock=at.clock,
            focus=at.focus,
        )
        self.sensor = SensorTwin(
            height_px=size_px[1],
            clock=at.clock,
            cancelled=self._closing,
            imager=self._imager,
            buffers=buffers,
        )

    def _dispatch(self, functions: list[Any]) -> JobTwin:
        job = JobTwin(functions)
        with self.lock:
            self._jobs.append(job)
        return job

    def _run(self) -> None:
        """The event loop: completed requests, then jobs."""
        while not self._closing.is_set() and self.sensor is not None:
            try:
                deadline_ns = self.attached.clock.monotonic_ns() + ROUND_NS
                lent = self.sensor.take(deadline_ns=deadline_ns)
            except Interrupted:
                return
            self._process([] if lent is None else [RequestTwin(self, lent, self._configuration)])

    def _process(self, requests: list[RequestTwin]) -> None:
        finished = []
        with self.lock:
            self.completed.extend(requests)
            while self._jobs and self._jobs[0].execute():
                finished.append(self._jobs.popleft())
            while len(self.completed) > self._queue_length:
                self.completed.popleft().release()
        for job in finished:
            job.signal()

    def _flushed(self, moment_ns: int | None) -> tuple[bool, None]:
        if not moment_ns:
            return True, None
        while self.completed:
            metadata = self.completed[0].get_metadata()
            if metadata["SensorTimestamp"] - 1000 * metadata["ExposureTime"] >= moment_ns:
                return True, None
            self.completed.popleft().release()
        return False, None

    def _popped(self) -> tuple[bool, RequestTwin | None]:
        return (True, self.completed.popleft()) if self.completed else (False, None)

    def _stopped(self) -> tuple[bool, None]:
        self.started = False
        while self.completed:
            self.completed.popleft().release()
        return True, None


def _even(size_px: tuple[int, int]) -> tuple[int, int]:
    return size_px[0] - size_px[0] % 2, size_px[1] - size_px[1] % 2
