"""Threads for the parts of one frame: as many as there are cores, OpenCV's own not on top."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

_T = TypeVar("_T")
_R = TypeVar("_R")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def mapped(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """`function` of each item, in order, each item in one thread.

    The results do not depend on how many threads there are.
    """
    todo = list(items)
    threads = min(cores(), len(todo))
    if threads < 2:  # noqa: PLR2004 - one thread is no parallel work
        return [function(item) for item in todo]
    with _alone(), ThreadPoolExecutor(threads, thread_name_prefix="stacking") as pool:
        return list(pool.map(function, todo))


@contextmanager
def _alone() -> Iterator[None]:
    """Keep OpenCV from starting threads of its own within ours."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
