"""Stack frames in memory by any method, as files and runs do it."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from zstackd_stacking import StackOptions, StackResult, stacking_order
from zstackd_stacking.methods.catalogue import Rereader, make_stacker


def stacked(
    frames: Sequence[NDArray[Any]],
    options: StackOptions,
    *,
    order: Sequence[int] | None = None,
    z_um: Sequence[float] | None = None,
) -> StackResult:
    """The result of `frames`, given from the middle outward unless another order is."""
    sink = make_stacker(options)
    for index in order or stacking_order(len(frames), "middle"):
        sink.add(frames[index], index=index, z_um=None if z_um is None else z_um[index])
    if isinstance(sink, Rereader):
        for indices in sink.rounds():
            for index in indices:
                sink.again(frames[index], index=index)
    return sink.result()
