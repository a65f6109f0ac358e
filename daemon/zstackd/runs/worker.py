"""A thread of one run: its result, and its error carried to the run's halt."""

import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from zstackd.runs.halt import Cancelled, Halt
from zstackd.system.leaving import WorkThread
from zstackd_config.errors import ZstackdError

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Worker(Generic[T]):
    """Runs `work` in a thread; an error in it stops the whole run.

    A cancellation does not: the axis may be moving, and whoever moves it ends at the next plane.
    """

    def __init__(self, name: str, work: Callable[[], T], halt: Halt) -> None:
        self._work = work
        self._halt = halt
        self._result: list[T] = []
        self._cancelled: Cancelled | None = None
        self._thread = WorkThread(self._run, name=name)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except Cancelled as error:
            self._cancelled = error
        except ZstackdError as error:
            self._halt.fail(error)
        except Exception as error:  # noqa: BLE001 - the edge of the thread
            _log.exception("%s ended by an internal error", self._thread.name)
            self._halt.fail(error)

    def result(self) -> T:
        """Wait for the end of `work` and return what it returned.

        Raises the halt's cause, or the cancellation that `work` ended by.
        """
        while self._thread.is_alive() and not self._halt.event.is_set():
            self._thread.join(timeout=0.05)
        if not self._result:
            self._halt.check()
        if self._cancelled is not None:
            raise self._cancelled
        return self._result[0]

    def join(self, deadline: float) -> bool:
        """Wait until `deadline` (`time.monotonic` seconds) for the end; return whether it came."""
        if self._thread.is_alive():
            self._thread.join(timeout=max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()
