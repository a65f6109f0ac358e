"""The order in which frames must reach a `Stacker`: outward from the reference."""

from typing import Literal

from zstackd_config.errors import StackError

Reference = Literal["first", "middle", "last"]


def stacking_order(count: int, reference: Reference | int) -> tuple[int, ...]:
    """Indices 0 … count-1 outward from the reference: it, those above it, then those below it.

    Each index is followed by its next neighbour on the same side, so that alignment only ever
    compares neighbours. `reference` may be an index. Raises StackError where it is none of them.
    """
    if count < 1:
        raise StackError("no frames to stack: give at least 1 frame")
    start = _reference_index(count, reference)
    return (*range(start, count), *range(start - 1, -1, -1))


def _reference_index(count: int, reference: Reference | int) -> int:
    named = {"first": 0, "middle": count // 2, "last": count - 1}
    index = named.get(reference) if isinstance(reference, str) else reference
    if index is None:
        raise StackError(f"reference {reference!r} is not one of first, middle, last or an index")
    if not 0 <= index < count:
        raise StackError(f"reference frame {index} is not among frames 0 to {count - 1}")
    return index
