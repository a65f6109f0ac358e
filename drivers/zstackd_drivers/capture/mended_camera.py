"""What cameras that are opened anew after a stall have in common."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, Self, TypeVar

from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import CameraInfo, ExposureValues, Frame, ignore
from zstackd_drivers.capture.locked_capture import LockedCapture
from zstackd_drivers.capture.recovery import despite_a_stall
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import CameraError

T = TypeVar("T")

LEAST_WALL_S = 1.0
"""Where rig time runs fast, frames still cost the computer's own time: none is missed so soon."""


class MendedCamera(ABC):
    """Holds the lock over a stall and the reopening that answers it.

    A driver says how to open, to close and to lock. `cancel()` holds until the camera is opened
    again.
    """

    name: ClassVar[str]
    timeout_s: ClassVar[float]
    timeout_frames: ClassVar[int]

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cancelled = threading.Event()
        self._lock: ExposureValues | None = None
        self._info: CameraInfo | None = None

    def __enter__(self) -> Self:
        self._cancelled.clear()
        self._lock = None
        self._open()
        self._info = self._described()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._info = None
        self._close()

    def info(self) -> CameraInfo:
        """Return what the camera delivers, also while it is opened anew; from any thread."""
        info = self._info
        if info is None:
            raise self._not_open()
        return info

    @abstractmethod
    def _described(self) -> CameraInfo:
        """Return what the open device delivers."""

    @abstractmethod
    def _open(self) -> None:
        """Open the device and begin to stream."""

    @abstractmethod
    def _close(self) -> None:
        """Give the device back; harmless where it is closed."""

    @abstractmethod
    def _hold(self, values: ExposureValues) -> None:
        """Ask the open device for values, and wait until its frames have them.

        Those of the automatic exposure before may be so near that no capture could tell.
        """

    @abstractmethod
    def _locked_to(self, exposure: LockedAutoExposure | ManualExposure) -> ExposureValues:
        """Converge or check, set values, and return them as frames report them."""

    @abstractmethod
    def _capture(self) -> LockedCapture:
        """Return the proof of fresh, locked frames on the open device."""

    @abstractmethod
    def _free_frame_s(self) -> float:
        """Return the seconds between frames that no long exposure slows down."""

    def lock_exposure(self, exposure: LockedAutoExposure | ManualExposure) -> ExposureValues:
        """Converge or check, set explicit values, and return them as frames report them.

        Raises CameraError where the camera does not take a value, CameraTimeout, Interrupted.
        """
        self._lock = None
        self._lock = self._despite_a_stall(lambda: self._locked_to(exposure))
        return self._lock

    def capture(self, *, after_ns: int, exposed: Callable[[], None] = ignore) -> Frame:
        """Return a frame whose exposure began after `after_ns` with the lock's values."""
        lock = self._locked()
        return self._despite_a_stall(
            lambda: self._capture().fresh(
                lock, after_ns=after_ns, timeout_s=self._timeout_s(lock), exposed=exposed
            )
        )

    def preview(self, *, after_ns: int) -> Frame:
        """Return a fresh, locked frame, small and grey."""
        lock = self._locked()
        return self._despite_a_stall(
            lambda: self._capture().small(lock, after_ns=after_ns, timeout_s=self._timeout_s(lock))
        )

    def frame_duration_s(self) -> float:
        """Return the seconds between two frames at the locked exposure."""
        return self._frame_s(self._locked())

    def cancel(self) -> None:
        """Make waits in progress, and all later ones until reopened, raise Interrupted."""
        self._cancelled.set()

    def _despite_a_stall(self, action: Callable[[], T]) -> T:
        return despite_a_stall(action, reopen=self._reopen)

    def _reopen(self) -> None:
        lock = self._lock
        self._close()
        self._open()
        self._info = self._described()
        if lock is not None:
            self._hold(lock)

    def _not_open(self) -> CameraError:
        return CameraError(f"{self.name}: it is not open; open it before taking frames")

    def _locked(self) -> ExposureValues:
        if self._lock is None:
            raise CameraError(f"{self.name}: no exposure is locked; call lock_exposure first")
        return self._lock

    def _frame_s(self, values: ExposureValues | None) -> float:
        exposure_s = 0.0 if values is None else values.exposure_time_ms / 1e3
        return max(exposure_s, self._free_frame_s())

    def _timeout_s(self, values: ExposureValues | None) -> float:
        """Return how many seconds of rig time to wait for frames with these values."""
        rig_s = self.timeout_s + self.timeout_frames * self._frame_s(values)
        is_fast = self._clock.scale > 1
        return max(rig_s, LEAST_WALL_S * self._clock.scale) if is_fast else rig_s
