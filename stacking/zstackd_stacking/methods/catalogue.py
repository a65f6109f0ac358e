"""The methods that there are, and what feeds frames to them."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol, runtime_checkable

from zstackd_stacking.methods.depth_stacker import DepthStacker
from zstackd_stacking.methods.projection import ProjectionStacker
from zstackd_stacking.methods.stacker import Stacker
from zstackd_stacking.types import FrameReport, Image, Method, StackOptions, StackResult

_PASSES: Final[dict[Method, int]] = {"depthmap": 2, "near": 3, "far": 3}


class FrameSink(Protocol):
    """What takes frames one by one: a `Stacker`, or another method's."""

    def add(
        self, image: Image, *, index: int, z_um: float | None = None, name: str = ""
    ) -> FrameReport:
        """Take one frame and say what became of it."""
        ...

    def result(self) -> StackResult:
        """The fused image of all frames so far."""
        ...

    def finish(self) -> StackResult:
        """The fused image of all frames; no further one may be added."""
        ...


@runtime_checkable
class Rereader(FrameSink, Protocol):
    """A sink that must see frames again, in rounds, before it has a result."""

    def rounds(self) -> Iterator[Sequence[int]]:
        """Once all frames were added: the indices of those to be seen again, round by round.

        All frames of one round must have been given to `again` before the next is asked for.
        """
        ...

    def again(self, image: Image, *, index: int) -> FrameReport:
        """Look at a frame once more, and say what became of it when it was added."""
        ...


def make_stacker(options: StackOptions) -> FrameSink:
    """What stacks frames by the method of `options`, one by one, the reference first."""
    if options.method == "laplacian":
        from zstackd_stacking.methods.laplacian import LaplacianStacker  # noqa: PLC0415 - rare

        return LaplacianStacker(options)
    if options.method in ("average", "maximum"):
        return ProjectionStacker(options)
    if options.method in ("depthmap", "near", "far"):
        return DepthStacker(options)
    return Stacker(options)


def passes(method: Method) -> int:
    """How often a method sees its frames, at most."""
    return _PASSES.get(method, 1)


def measures_heights(method: Method) -> bool:
    """Whether results of a method have a height map."""
    return method not in ("average", "maximum")
