"""What a process takes of the machine, and that it gives memory back after each run."""

import ctypes
import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_M_ARENA_MAX: Final = -8
_M_MMAP_THRESHOLD: Final = -3
_M_TRIM_THRESHOLD: Final = -1
_ARENAS: Final = 1
_MIB: Final = 1 << 20
_MADV_DONTNEED: Final = 4
_MAPPINGS: Final = Path("/proc/self/smaps")
_CODE: Final = "r-xp"


def be_thrifty() -> None:
    """Set what a process takes of processor and memory; must come before threads and numpy.

    numpy would start a thread per core for linear algebra, which nothing here needs: they only
    spin. glibc would give each thread a heap of its own, of which little ever comes back: frames
    are worked on by threads in turn, and one heap takes a third less. It also keeps what one frame
    has left for the next, instead of asking the system for it anew. Elsewhere nothing is done.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _call("mallopt", _M_ARENA_MAX, _ARENAS)
    _call("mallopt", _M_MMAP_THRESHOLD, 32 * _MIB)
    _call("mallopt", _M_TRIM_THRESHOLD, 256 * _MIB)


def keep_little() -> None:
    """Return large pieces to the system as soon as they are freed, at the cost of time."""
    _call("mallopt", _M_MMAP_THRESHOLD, 7 * _MIB // 4)  # above most strips of a frame


def trim() -> None:
    """Return freed memory to the system."""
    _call("malloc_trim", 0)


def keep_loaded() -> None:
    """Leave what is there by now out of all later searches for garbage, which halt every thread.

    With all libraries loaded a search takes 0.06 s, and several times that on a small computer.
    """
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Return freed memory to the system, and the code of libraries that only runs need.

    Code comes back by itself, from the system's cache of files, where it is used again. Until then
    it is what a machine short of memory drops first.
    """
    gc.collect()
    trim()
    with suppress(OSError), _MAPPINGS.open(encoding="utf-8", errors="replace") as lines:
        for start, end in list(unchanged_code(lines)):
            _call("madvise", ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def unchanged_code(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Address ranges of code that is in memory just as in its file; `lines` are those of `smaps`.

    A page that was written to, as relocation does on some machines, is nowhere else: a range with
    such pages is none of these.
    """
    start = end = 0
    for line in lines:
        words = line.split()
        if not words[0].endswith(":"):
            of_file = len(words) > 5 and words[5].startswith("/")  # noqa: PLR2004 - path is the sixth
            code = of_file and words[1] == _CODE
            start, end = (int(word, 16) for word in words[0].split("-")) if code else (0, 0)
        elif end and words[:2] == ["Anonymous:", "0"]:
            yield start, end


def _call(name: str, *arguments: object) -> None:
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
