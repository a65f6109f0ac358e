"""The capture loop: move, settle, expose; never more than one plane ahead of the journal."""

from dataclasses import dataclass

from zstackd.channel import Channel
from zstackd.frame_store import CapturedFrame, FrameStore
from zstackd.halt import Halt
from zstackd.journal import Journal
from zstackd.plan import Plan
from zstackd.progress import Tell
from zstackd.room import require_disk
from zstackd.timing import Timings
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.axis import FocusAxis, MoveReport
from zstackd_drivers.camera import Camera, Frame
from zstackd_drivers.clock import Clock

_NS_PER_MS = 1e6
_MS_PER_S = 1e3


@dataclass(frozen=True, slots=True)
class CaptureLoop:
    """Takes the planes of one run, in order, and hands each frame to the writer.

    The axis is already on its way to the next plane while the last frame is written and fused;
    only a full queue makes it wait.
    """

    axis: FocusAxis
    camera: Camera
    clock: Clock
    settle_ms: float
    plan: Plan
    store: FrameStore
    journal: Journal
    timings: Timings
    halt: Halt
    tell: Tell

    def run(
        self, exposure: LockedAutoExposure | ManualExposure, sink: Channel[CapturedFrame]
    ) -> None:
        """Capture every plane into `sink`; exposure is locked at the first one."""
        for index, z_um in enumerate(self.plan.planes_um):
            move = self._approach(index, z_um)
            if index == 0:
                self._lock(exposure)
            frame = self._expose()
            if index + 1 == len(self.plan.planes_um):
                self.timings.mark_captured()
            with self.timings.measured("writer_wait"):
                sink.put(CapturedFrame(index, move, frame))
            self.tell("capture", index + 1, len(self.plan.planes_um))
        sink.close()

    def _approach(self, index: int, z_um: float) -> MoveReport:
        self.halt.check()
        require_disk(self.store.folder, self.plan.bytes_from(index), what=f"plane {index} onwards")
        self.journal.append("plane", plane=index, z_um=z_um)
        move = self.axis.move_to(z_um)
        self.timings.add("motion", move.motion_s)
        return move

    def _lock(self, exposure: LockedAutoExposure | ManualExposure) -> None:
        with self.timings.measured("exposure_lock"):
            values = self.camera.lock_exposure(exposure)
        self.journal.append(
            "exposure_locked",
            exposure_time_ms=values.exposure_time_ms,
            analogue_gain=values.analogue_gain,
            colour_gains=values.colour_gains,
        )

    def _expose(self) -> Frame:
        """Return the first frame exposed after the axis has settled.

        The camera waits for the end of settling itself: it refuses every earlier frame, and a
        stop interrupts it as it does any wait.
        """
        self.halt.check()
        begun_s = self.timings.elapsed_s()
        settled_ns = self.clock.monotonic_ns() + round(self.settle_ms * _NS_PER_MS)
        frame = self.camera.capture(after_ns=settled_ns)
        settle_s = self.settle_ms / _MS_PER_S
        exposure_s = frame.exposure.exposure_time_ms / _MS_PER_S
        self.timings.add("settle", settle_s)
        self.timings.add("exposure", exposure_s)
        waited_s = self.timings.elapsed_s() - begun_s - settle_s - exposure_s
        self.timings.add("frame_wait", max(0.0, waited_s))
        return frame
