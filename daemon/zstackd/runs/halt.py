"""The one way a run is stopped: by a signal, an operator, or an error in any of its threads."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zstackd_config.errors import HardwareError, Interrupted

_log = logging.getLogger(__name__)


class Cancelled(Interrupted):
    """Ended by an operator, between two planes: nothing moved, and nobody waited."""


class Halt:
    """A latch with a reason; the first one wins, and listeners are told in order of joining.

    Listeners that stop the motor join first. They run in the thread that asked for the stop, so
    they must not wait.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._cause: BaseException | None = None
        self._between: Cancelled | None = None

    @property
    def cause(self) -> BaseException | None:
        """The error that stopped the run; None while it goes on."""
        with self._lock:
            return self._cause

    def request(self, reason: str) -> None:
        """Stop because somebody asked: a signal, an operator."""
        self.fail(Interrupted(reason))

    def fail(self, cause: BaseException) -> None:
        """Stop because of `cause`; does nothing where a stop is already under way."""
        with self._lock:
            if self._cause is not None:
                return
            self._cause = cause
            listeners = tuple(self._listeners)
        self.event.set()
        for tell in listeners:
            _told(tell)

    def cancel(self, reason: str) -> None:
        """Stop at the next `check_between`: let the plane, or the frame in work, be finished."""
        with self._lock:
            self._between = self._between or Cancelled(reason)

    def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell` at the stop; at once where it has already come."""
        with self._lock:
            halted = self._cause is not None
            if not halted:
                self._listeners.append(tell)
        if halted:
            _told(tell)

    def unlisten(self, tell: Callable[[], None]) -> None:
        """Forget `tell`; harmless where it never joined."""
        with self._lock:
            self._listeners = [known for known in self._listeners if known != tell]

    @contextmanager
    def following(self, other: "Halt") -> Iterator[None]:
        """Inside, a stop of the other one is a stop of this one, too."""

        def pass_on() -> None:
            self.request(str(other.cause))

        other.listen(pass_on)
        try:
            yield
        finally:
            other.unlisten(pass_on)

    def check(self) -> None:
        """Raise the cause of the stop, if there is one."""
        cause = self.cause
        if cause is not None:
            raise cause

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for a stop between planes."""
        with self._lock:
            return self._between is not None

    def check_between(self) -> None:
        """Raise the cause of the stop, or the cancellation, if there is one."""
        self.check()
        with self._lock:
            between = self._between
        if between is not None:
            raise between


def _told(tell: Callable[[], None]) -> None:
    try:
        tell()
    except HardwareError as error:
        # The other listeners must still be told; a lost link also means that nothing moves.
        _log.warning("while stopping: %s", error)
