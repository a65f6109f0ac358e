"""Threads for the parts of one frame: as many as there are cores, OpenCV's own not on top."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TypeVar, cast

import cv2

_T = TypeVar("_T")
_R = TypeVar("_R")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def mapped(
    function: Callable[[_T], _R], items: Iterable[_T], *, most: int | None = None
) -> list[_R]:
    """`function` of each item, in order, by the caller and helpers, at most `most` threads in all.

    Each takes the next item that is left, so nobody is woken for a result: where a thread takes
    long to wake, that costs more than the item. The results do not depend on how many threads there
    are.
    """
    todo = list(items)
    results: list[_R | None] = [None] * len(todo)
    left = iter(range(len(todo)))

    def work() -> None:
        for number in left:
            results[number] = function(todo[number])

    helpers = min(most or cores(), len(todo)) - 1
    with one_thread_each():
        helped = [_pool().submit(work) for _ in range(helpers)]
        try:
            work()
        finally:
            for _ in left:  # nothing is begun any more where one has failed
                pass
            running = [future for future in helped if not future.cancel()]
            wait(running)
        for future in running:
            future.result()
    return cast("list[_R]", results)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="stacking")


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
