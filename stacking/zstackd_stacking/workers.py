"""Threads for the parts of one frame: as many as there are cores, OpenCV's own not on top."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

import cv2

_T = TypeVar("_T")
_R = TypeVar("_R")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def mapped(
    function: Callable[[_T], _R], items: Iterable[_T], *, most: int | None = None
) -> list[_R]:
    """`function` of each item, in order, each item in one of at most `most` threads.

    The results do not depend on how many threads there are.
    """
    todo = list(items)
    threads = min(most or cores(), len(todo))
    with one_thread_each():
        if threads < 2:  # noqa: PLR2004 - one thread is no parallel work
            return [function(item) for item in todo]
        with ThreadPoolExecutor(threads, thread_name_prefix="stacking") as pool:
            return list(pool.map(function, todo))


class Behind:
    """One task at a time, in a thread behind the caller, who goes on to the next frame."""

    def __init__(self) -> None:
        self._task: Future[None] | None = None

    def run(self, task: Callable[[], None]) -> None:
        """Start a task once the one before has ended; raises what that one raised."""
        self.wait()
        pool = ThreadPoolExecutor(1, thread_name_prefix="stacking")
        self._task = pool.submit(_alone, task)
        pool.shutdown(wait=False)

    def wait(self) -> None:
        """Return once the task has ended; raises what it raised."""
        task, self._task = self._task, None
        if task is not None:
            task.result()


def _alone(task: Callable[[], None]) -> None:
    with one_thread_each():
        task()


_lock = Lock()
_users = 0
_threads_before = 0


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep OpenCV, whose setting is the process's, from starting threads within ours."""
    global _users, _threads_before  # noqa: PLW0603 - so is this count of who needs it
    with _lock:
        if _users == 0:
            _threads_before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                cv2.setNumThreads(_threads_before)
