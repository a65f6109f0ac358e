"""Memory given back after each run, so that months of runs do not add up."""

import ctypes
import gc
from typing import Final

_M_ARENA_MAX: Final = -8
_ARENAS: Final = 1


def keep_few_arenas() -> None:
    """Let all threads share one heap; those of threads are never given back whole.

    Threads seldom allocate at the same time here: what is large has a mapping of its own.

    glibc alone has this setting; elsewhere nothing is done. Must come before threads start.
    """
    _call("mallopt", _M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Return freed memory to the system."""
    gc.collect()
    _call("malloc_trim", 0)


def _call(name: str, *numbers: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*numbers)
