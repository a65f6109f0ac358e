"""The capture loop: move, settle, expose; the next move begins when the last line is exposed."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from zstackd.runs.channel import Channel
from zstackd.runs.checkpoint import Checkpoint
from zstackd.runs.frame_store import CapturedFrame
from zstackd.runs.halt import Halt
from zstackd.runs.plan import Plan
from zstackd.runs.progress import Tell
from zstackd.runs.pulse import Pulses
from zstackd.runs.safety import BETWEEN_PLANES
from zstackd.runs.settling import Rest
from zstackd.runs.timing import Timings
from zstackd.store.journal import Journal
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.axis import FocusAxis, MoveReport
from zstackd_drivers.camera import Camera, Frame
from zstackd_drivers.clock import Clock

_NS_PER_S = 1e9
_MS_PER_S = 1e3


@dataclass(frozen=True, slots=True)
class Arrival:
    """The axis at rest on plane `index` since `at_ns` of the rig's clock."""

    index: int
    move: MoveReport
    at_ns: int


class Mover:
    """Takes the axis to plane after plane in a thread of its own.

    What must be done before a move (`prepare`) is done while the plane before is being exposed;
    the move itself waits for `let_go`.
    """

    def __init__(
        self,
        planes: Sequence[int],
        prepare: Callable[[int], None],
        move: Callable[[int], Arrival],
    ) -> None:
        self._planes = planes
        self._prepare = prepare
        self._move = move
        self._released = threading.Semaphore(0)
        self._abandoned = False
        self._coming: Future[Arrival] | None = None

    def __enter__(self) -> Self:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="focus")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._abandoned = True
        self._released.release()
        self._executor.shutdown()

    def begin(self, turn: int) -> None:
        """Prepare the move of this turn; harmless where there is none."""
        if turn < len(self._planes):
            self._coming = self._executor.submit(self._go, self._planes[turn])

    def let_go(self) -> None:
        """Let the prepared move begin."""
        self._released.release()

    def arrival(self) -> Arrival:
        """Wait for the end of the move; raises what stopped it."""
        if self._coming is None:
            raise LookupError("no move was begun")
        return self._coming.result()

    def _go(self, index: int) -> Arrival:
        self._prepare(index)
        self._released.acquire()
        if self._abandoned:
            raise CancelledError
        return self._move(index)


@dataclass(frozen=True, slots=True)
class CaptureLoop:
    """Takes planes of one run, in order, and hands each frame to the writer.

    The axis moves on as soon as a frame is exposed: while that frame is read out, written and
    fused. Only a full queue makes it wait.
    """

    axis: FocusAxis
    camera: Camera
    clock: Clock
    rest: Rest
    plan: Plan
    journal: Journal
    timings: Timings
    halt: Halt
    tell: Tell
    checkpoint: Checkpoint
    pulses: Pulses

    def run(
        self,
        planes: Sequence[int],
        exposure: LockedAutoExposure | ManualExposure,
        sink: Channel[CapturedFrame],
    ) -> None:
        """Capture these planes of the plan into `sink`; exposure is locked at the first one."""
        with Mover(planes, self._prepare, self._move) as mover:
            try:
                self._take(mover, len(planes), exposure, sink)
            except BETWEEN_PLANES:
                raise
            except BaseException as error:
                # Before the mover is waited for, so that its motor stops.
                self.halt.fail(error)
                raise
        sink.close()

    def _take(
        self,
        mover: Mover,
        turns: int,
        exposure: LockedAutoExposure | ManualExposure,
        sink: Channel[CapturedFrame],
    ) -> None:
        pulse = self.pulses.of("capture")
        mover.begin(0)
        mover.let_go()
        for turn in range(turns):
            pulse.rest()
            arrival = mover.arrival()
            mover.begin(turn + 1)
            pulse.beat(expected_s=self.rest.longest_ms / _MS_PER_S / self.clock.scale)
            if turn == 0:
                self._lock(exposure)
            frame = self._expose(arrival, mover.let_go)
            if turn + 1 == turns:
                self.timings.mark_captured()
            pulse.rest()
            with self.timings.measured("writer_wait"):
                sink.put(CapturedFrame(arrival.index, arrival.move, frame))
            self.tell("capture", arrival.index + 1, len(self.plan.planes_um))

    def _prepare(self, index: int) -> None:
        self.pulses.of("focus").beat()
        self.checkpoint.passed(index)
        self.journal.append("plane", plane=index, z_um=self.plan.planes_um[index])
        self.pulses.of("focus").rest()

    def _move(self, index: int) -> Arrival:
        pulse, z_um = self.pulses.of("focus"), self.plan.planes_um[index]
        self.halt.check()
        pulse.beat(expected_s=self._travel_s(z_um))
        move = self.axis.move_to(z_um)
        arrived_ns = self.clock.monotonic_ns()
        pulse.rest()
        self.timings.add("motion", move.motion_s)
        return Arrival(index, move, arrived_ns)

    def _travel_s(self, z_um: float) -> float:
        from_um = self.axis.snapshot().position_um
        if from_um is None:
            return 0.0
        return self.axis.move_duration_s(from_um, z_um) / self.clock.scale

    def _lock(self, exposure: LockedAutoExposure | ManualExposure) -> None:
        with self.timings.measured("exposure_lock"):
            values = self.camera.lock_exposure(exposure)
        self.journal.append(
            "exposure_locked",
            exposure_time_ms=values.exposure_time_ms,
            analogue_gain=values.analogue_gain,
            colour_gains=values.colour_gains,
        )

    def _expose(self, arrival: Arrival, move_on: Callable[[], None]) -> Frame:
        """Return a frame exposed after the axis has settled."""
        self.halt.check()
        exposed_ns: list[int] = []

        def exposed() -> None:
            exposed_ns.append(self.clock.monotonic_ns())
            move_on()

        frame, settled_ns = self.rest.take(arrival.at_ns, exposed)
        exposure_s = frame.exposure.exposure_time_ms / _MS_PER_S
        waited_s = (exposed_ns[0] - settled_ns) / _NS_PER_S - exposure_s
        self.timings.add("settle", (settled_ns - arrival.at_ns) / _NS_PER_S)
        self.timings.add("exposure", exposure_s)
        self.timings.add("frame_wait", max(0.0, waited_s))
        return frame
