"""The stacking side of a run: frames from the store into the stacker, while capture goes on."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zstackd.runs.frame_store import FrameStore
from zstackd.runs.halt import Halt
from zstackd.runs.progress import Tell
from zstackd.runs.pulse import Pulse
from zstackd.runs.timing import Timings
from zstackd_config.rig import MOST_BREATHING_PER_MM
from zstackd_config.run import Stacking
from zstackd_stacking import Image, StackOptions, StackResult, stacking_order
from zstackd_stacking.methods.catalogue import Rereader, make_stacker, passes
from zstackd_stacking.order import Reference


@dataclass(frozen=True, slots=True)
class Fusing:
    """Fuses the stored frames of one run, each as soon as its turn has come.

    It reads what was written, not what the camera handed over: the result can be made again from
    the kept frames, and no frame waits in memory for its turn.
    """

    store: FrameStore
    frames: Sequence[int]
    options: Stacking
    breathing_per_mm: float
    high_is_near: bool
    timings: Timings
    halt: Halt
    pulse: Pulse
    tell: Tell

    def run(self) -> StackResult:
        """Return the finished stack; raises StackError, or what stopped the run."""
        sink = make_stacker(
            StackOptions(
                method=self.options.method,
                align=self.options.align,
                breathing_per_um=self.breathing_per_mm / 1000,
                most_breathing_per_um=MOST_BREATHING_PER_MM / 1000,
                high_is_near=self.high_is_near,
                memory=self.options.memory,
            )
        )
        for done, index in enumerate(self._order(), start=1):
            image = self._read(index)
            with self.timings.measured("stacking"):
                z_um = self.store.z_um(index)
                sink.add(image, index=index, z_um=z_um, name=f"plane {index}")
            self.tell("stack", done, self._looks)
        if isinstance(sink, Rereader):
            self._show_again(sink)
        self.pulse.beat()
        with self.timings.measured("stacking"):
            return sink.finish()

    @property
    def _looks(self) -> int:
        """How many frames are looked at, those looked at again included."""
        return len(self.frames) * passes(self.options.method)

    def _show_again(self, sink: Rereader) -> None:
        """Show the stored frames again as often as the method needs to see them."""
        done = len(self.frames)
        for indices in sink.rounds():
            for index in indices:
                image = self._read(index)
                with self.timings.measured("stacking"):
                    sink.again(image, index=index)
                done += 1
                self.tell("stack", done, self._looks)

    def _read(self, index: int) -> Image:
        image = self.store.read(index)
        self.pulse.beat()
        self.halt.check_between()
        return image

    def _order(self) -> Iterator[int]:
        """Yield the frames' planes outward from the reference, on either side as they come.

        So those below it are fused while those above it are still being captured.
        """
        order = [self.frames[i] for i in stacking_order(len(self.frames), self._reference())]
        above = deque(index for index in order[1:] if index > order[0])
        below = deque(index for index in order[1:] if index < order[0])
        yield self._first_stored(order[:1])
        while above or below:
            index = self._first_stored([side[0] for side in (above, below) if side])
            (above if above and index == above[0] else below).popleft()
            yield index

    def _first_stored(self, indices: Sequence[int]) -> int:
        self.pulse.rest()
        return self.store.first_stored(indices)

    def _reference(self) -> Reference | int:
        """Return the reference among the frames: the nearest one where a plane was named."""
        asked = self.options.reference
        if isinstance(asked, str):
            return asked
        return min(range(len(self.frames)), key=lambda i: abs(self.frames[i] - asked))
