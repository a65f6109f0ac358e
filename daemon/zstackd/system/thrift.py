"""What a process takes of the machine, and that it gives memory back after each run."""

import ctypes
import gc
import os
from typing import Final

_M_ARENA_MAX: Final = -8
_M_MMAP_THRESHOLD: Final = -3
_M_TRIM_THRESHOLD: Final = -1
_ARENAS: Final = 1
_MIB: Final = 1 << 20


def be_thrifty() -> None:
    """Set what a process takes of processor and memory; must come before threads and numpy.

    numpy would start a thread per core for linear algebra, which nothing here needs: they only
    spin. glibc would give each thread a heap of its own, of which little ever comes back: frames
    are worked on by threads in turn, and one heap takes a third less. It also keeps what one frame
    has left for the next, instead of asking the system for it anew. Elsewhere nothing is done.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _call("mallopt", _M_ARENA_MAX, _ARENAS)
    _call("mallopt", _M_MMAP_THRESHOLD, 8 * _MIB)
    _call("mallopt", _M_TRIM_THRESHOLD, 256 * _MIB)


def keep_little() -> None:
    """Return large pieces to the system as soon as they are freed, at the cost of time."""
    _call("mallopt", _M_MMAP_THRESHOLD, _MIB)


def give_back() -> None:
    """Return freed memory to the system."""
    gc.collect()
    _call("malloc_trim", 0)


def _call(name: str, *numbers: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*numbers)
