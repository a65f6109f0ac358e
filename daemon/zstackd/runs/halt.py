"""The one way a run is stopped: by a signal, an operator, or an error in any of its threads."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from zstackd_config.errors import HardwareError, InputError, Interrupted, StackError, StorageError

_log = logging.getLogger(__name__)
_NO_DEVICE: Final = (InputError, StackError, StorageError)
"""Errors of files and images: the move in work may end, for no device has to do with them.

A stop in its midst would cost some controllers the position. Whatever else stops a run, errors
that nobody foresaw among it, stops the motor.
"""


class Cancelled(Interrupted):
    """Ended by an operator, between two planes: nothing moved, and nobody waited."""


@dataclass(frozen=True, slots=True)
class _Listener:
    tell: Callable[[], None]
    of_devices: bool


class Halt:
    """A latch with a reason; the first one wins, and listeners are told in order of joining.

    Listeners that stop the motor join first, as those `of_devices`: a full disk, or a stack that
    cannot be made, is not told to them, but whatever comes after it that does stop the motor. They
    run in the thread that asked for the stop, so they must not wait.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._lock = threading.Lock()
        self._listeners: list[_Listener] = []
        self._devices_stop = False
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
        """Stop because of `cause`; does nothing where such a stop is already under way."""
        with self._lock:
            first, self._cause = self._cause is None, self._cause or cause
            devices_too = not (self._devices_stop or isinstance(cause, _NO_DEVICE))
            self._devices_stop |= devices_too
            due = [one for one in self._listeners if (devices_too if one.of_devices else first)]
        self.event.set()
        for listener in due:
            _told(listener.tell)

    def cancel(self, reason: str) -> None:
        """Stop at the next `check_between`: let the plane, or the frame in work, be finished."""
        with self._lock:
            self._between = self._between or Cancelled(reason)

    def listen(self, tell: Callable[[], None], *, of_devices: bool = False) -> None:
        """Call `tell` at the stop; at once where it has already come."""
        with self._lock:
            halted = self._devices_stop if of_devices else self._cause is not None
            if not halted:
                self._listeners.append(_Listener(tell, of_devices))
        if halted:
            _told(tell)

    def unlisten(self, tell: Callable[[], None]) -> None:
        """Forget `tell`; harmless where it never joined."""
        with self._lock:
            self._listeners = [known for known in self._listeners if known.tell != tell]

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
