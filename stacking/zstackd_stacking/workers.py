"""Threads for the parts of one frame: as many as there are cores, OpenCV's own not on top."""

import os
from collections import deque
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

    Each takes the next item that is left, so that nobody is woken for each result: where a thread
    takes long to wake, that costs more than the item. The results do not depend on how many threads
    there are. Where one fails no further item is begun, and what it raised is raised.
    """
    todo = list(items)
    results: list[_R | None] = [None] * len(todo)
    left = iter(range(len(todo)))

    def work() -> None:
        try:
            for number in left:
                results[number] = function(todo[number])
        except BaseException:
            deque(left, maxlen=0)
            raise

    helped: list[Future[None]] = []
    with one_thread_each():
        try:
            helpers = min(most or cores(), len(todo)) - 1
            helped.extend(_helpers().submit(work) for _ in range(helpers))
            work()
        finally:
            begun = [future for future in helped if not future.cancel()]
            wait(begun)
        for future in begun:
            future.result()
    return cast("list[_R]", results)


def called(jobs: Iterable[Callable[[], _R]]) -> list[_R]:
    """What each of the jobs gives, in order; they share the cores."""
    return mapped(lambda job: job(), jobs)


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads that live as long as the process, as many as it had cores when they were first asked.

    To begin one anew for each part would cost as much as many a part.
    """
    return ThreadPoolExecutor(cores(), thread_name_prefix="stacking")


class Behind:
    """One task at a time, in a thread behind the caller, who goes on to the next frame."""

    def __init__(self) -> None:
        self._task: Future[None] | None = None

    def run(self, task: Callable[[], None]) -> None:
        """Start a task once the one before has ended; raises what that one raised."""
        self.wait()
        self._task = _helpers().submit(_alone, task)

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
