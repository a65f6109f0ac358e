"""The stacking side of a run: frames from the store into the stacker, while capture goes on."""

from dataclasses import dataclass

from zstackd.frame_store import FrameStore
from zstackd.plan import Plan
from zstackd.progress import Tell
from zstackd.timing import Timings
from zstackd_config.run import Stacking
from zstackd_stacking import Stacker, StackOptions, StackResult, stacking_order


@dataclass(frozen=True, slots=True)
class Fusing:
    """Fuses the stored frames of one run, each as soon as its turn has come.

    It reads what was written, not what the camera handed over: the result can be made again from
    the kept frames, and no frame waits in memory for its turn.
    """

    store: FrameStore
    plan: Plan
    options: Stacking
    timings: Timings
    tell: Tell

    def run(self) -> StackResult:
        """Return the finished stack; raises StackError, or the halt's cause."""
        stacker = Stacker(StackOptions(method=self.options.method, align=self.options.align))
        planes_um = self.plan.planes_um
        order = stacking_order(len(planes_um), self.options.reference)
        for done, index in enumerate(order, start=1):
            image = self.store.read(index)
            with self.timings.measured("stacking"):
                stacker.add(image, index=index, z_um=planes_um[index], name=f"plane {index}")
            self.tell("stack", done, len(order))
        with self.timings.measured("stacking"):
            return stacker.result()
