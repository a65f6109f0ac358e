"""The one thread that talks to a UVC camera: it never lets frames grow old in the driver's buffers.

Video4Linux keeps the oldest frames, and stops when all buffers are full. So a thread takes every
frame as it comes, decodes only those that somebody waits for, and runs all other calls in between:
OpenCV's VideoCapture is not made for two threads.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from zstackd_config.errors import Interrupted
from zstackd_drivers.camera import Image
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import CameraError, CameraHung

_log = logging.getLogger(__name__)

GONE_AFTER_FAILURES = 3
FAILURE_S = 0.5
STOP_S = 15.0
COMMAND_S = 15.0
POLL_S = 0.05
PLAUSIBLE_NS = 5_000_000_000
INTERVALS = 9
UNKNOWN_INTERVAL_NS = 200_000_000
DRIVER_BUFFERS = 4


class VideoCapture(Protocol):
    """What we use of `cv2.VideoCapture`."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Return whether there is a camera."""
        ...

    def grab(self) -> bool:
        """Wait for the next frame; False where none came within OpenCV's own time."""
        ...

    def retrieve(self) -> tuple[bool, Any]:
        """Decode the frame grabbed last."""
        ...

    def get(self, propId: int) -> float:  # noqa: N803 - OpenCV's name
        """Return a property; -1 where it is not offered."""
        ...

    def set(self, propId: int, value: float) -> bool:  # noqa: N803 - OpenCV's name
        """Set a property; False where it is not offered."""
        ...

    def release(self) -> None:
        """Close the camera."""
        ...


@dataclass(frozen=True, slots=True)
class Grabbed:
    """A decoded frame, when its data arrived, and the properties read back right after it."""

    image: Image
    arrived_ns: int
    properties: dict[int, float]


@dataclass(slots=True)
class Wanted:
    """What the next frame must be like: which properties to read with it, from when on."""

    after_ns: int
    properties: tuple[int, ...]
    grabbed: "Future[Grabbed]"


class UvcReader:
    """Owns an open capture from `start` to `stop`; its methods may be called from any thread."""

    def __init__(
        self, capture: VideoCapture, *, clock: Clock, cancelled: threading.Event, name: str
    ) -> None:
        self._capture = capture
        self._clock = clock
        self._cancelled = cancelled
        self._name = name
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._commands: deque[Callable[[], None]] = deque()
        self._wanted: Wanted | None = None
        self._intervals_ns: deque[int] = deque(maxlen=INTERVALS)
        self._arrived_ns: int | None = None
        self._begun_ns: deque[int] = deque(maxlen=DRIVER_BUFFERS + 1)
        self._failures = 0
        self._untrusted = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    def stop(self) -> None:
        """Stop taking frames and release the capture; CameraHung where it does not end."""
        self._stopping.set()
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            raise CameraHung(
                f"{self._name}: it did not end within {STOP_S:g} s; restart the service, and check "
                "the USB cable"
            )

    @property
    def interval_ns(self) -> int:
        """Return the usual time from one frame to the next."""
        known = sorted(self._intervals_ns)
        return known[len(known) // 2] if known else UNKNOWN_INTERVAL_NS

    def ask(self, command: Callable[[VideoCapture], Any], *, untrusted: int = 0) -> Any:
        """Run `command` on the capture between two frames and return its result.

        The next `untrusted` frames are left out, since they may still be as before the command.
        """
        future: Future[Any] = Future()

        def run() -> None:
            try:
                result = command(self._capture)
            except Exception as error:  # noqa: BLE001 - handed over to the caller's thread
                future.set_exception(error)
            else:
                self._untrusted = max(self._untrusted, untrusted)
                future.set_result(result)

        with self._lock:
            self._commands.append(run)
        try:
            return future.result(timeout=COMMAND_S)
        except TimeoutError:
            raise CameraHung(
                f"{self._name}: it does not answer; restart the service, and check the USB cable"
            ) from None

    def next(
        self, *, after_ns: int, deadline_ns: int, properties: tuple[int, ...]
    ) -> Grabbed | None:
        """Return the next trusted frame that arrives after `after_ns`; None where none comes.

        Raises Interrupted when cancelled, CameraError once the camera is gone.
        """
        wanted = Wanted(after_ns, properties, Future())
        with self._lock:
            self._wanted = wanted
        while True:
            if self._cancelled.is_set():
                raise Interrupted(f"{self._name}: cancelled")
            if self._failures >= GONE_AFTER_FAILURES:
                raise CameraError(
                    f"{self._name}: it delivers no more frames at all; check its USB cable and "
                    "power, and open it again"
                )
            left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9 / self._clock.scale
            try:
                return wanted.grabbed.result(timeout=max(0.0, min(left_s, POLL_S)))
            except TimeoutError:
                if left_s <= 0:
                    return None

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._obey()
                self._take()
        except Exception:  # noqa: BLE001 - the edge of the thread; whoever waits is told by _failures
            self._failures = GONE_AFTER_FAILURES
            _log.exception("%s: reading ended", self._name)
        finally:
            self._capture.release()

    def _obey(self) -> None:
        while True:
            with self._lock:
                if not self._commands:
                    return
                command = self._commands.popleft()
            command()

    def _take(self) -> None:
        begun_ns = self._clock.monotonic_ns()
        if not self._capture.grab():
            self._note_failure(begun_ns)
            return
        self._failures = 0
        self._begun_ns.append(begun_ns)
        arrived_ns = self._note_arrival()
        if self._untrusted > 0:
            self._untrusted -= 1
            return
        with self._lock:
            wanted = self._wanted
            if wanted is None or arrived_ns <= wanted.after_ns:
                return
            self._wanted = None
        decoded, image = self._capture.retrieve()
        if not decoded or image is None:
            self._want_again(wanted)
            return
        read = {name: self._capture.get(name) for name in wanted.properties}
        wanted.grabbed.set_result(Grabbed(np.array(image), arrived_ns, read))

    def _want_again(self, wanted: Wanted) -> None:
        """Keep waiting after a frame that was damaged on its way, as MJPEG frames at times are."""
        with self._lock:
            if self._wanted is None:
                self._wanted = wanted

    def _note_failure(self, begun_ns: int) -> None:
        """Count failures that come at once: a camera that is gone does not wait first."""
        lasted_s = (self._clock.monotonic_ns() - begun_ns) / 1e9
        self._failures += 1 if lasted_s < FAILURE_S else 0
        self._stopping.wait(POLL_S / 10)

    def _note_arrival(self) -> int:
        """Return when the frame's data arrived: the driver's timestamp, or else a moment before.

        A frame without a timestamp that can be believed may have waited in the driver's buffers,
        however long taking it seemed to last. Those hold so many that it arrived after as many
        frames before it began to be taken.
        """
        now_ns = self._clock.monotonic_ns()
        told_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        before_ns = self._arrived_ns
        believable = 0 <= now_ns - told_ns < PLAUSIBLE_NS and told_ns != before_ns
        self._arrived_ns = told_ns if believable else now_ns
        # A clock that runs backwards must not make frames look younger than they are.
        if before_ns is not None and self._arrived_ns > before_ns:
            self._intervals_ns.append(self._arrived_ns - before_ns)
        if believable:
            return told_ns
        return self._begun_ns[0] if len(self._begun_ns) > DRIVER_BUFFERS else 0
