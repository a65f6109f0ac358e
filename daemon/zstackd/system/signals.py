"""SIGTERM, SIGINT and SIGHUP, heard by a thread of their own.

A Python signal handler runs inside whatever the main thread was doing, where taking a lock can
wait for itself. So the handler does nothing; the interpreter writes the signal's number into a
socket, and a thread reads it there and stops the motor while the main thread may still wait in a
move.
"""

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_STOPS = (signal.SIGTERM, signal.SIGINT)
_END = b"\0"


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Let the interpreter write the number; nothing else to do here."""


class StopSignals:
    """While entered (main thread only), calls `stop(name)` for every SIGTERM or SIGINT.

    SIGHUP calls `hang_up`, which must return soon; without it, it is a stop as well, for then the
    terminal is gone, and nobody watches the motor any more. `nohup` keeps it from being heard.
    """

    def __init__(
        self, stop: Callable[[str], None], hang_up: Callable[[], None] | None = None
    ) -> None:
        self._stop = stop
        self._hang_up = hang_up

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()
        self._old_descriptor = signal.set_wakeup_fd(
            self._writer.fileno(), warn_on_full_buffer=False
        )
        self._old_handlers: list[tuple[signal.Signals, Any]] = [
            (number, signal.signal(number, _ignore)) for number in self._to_hear()
        ]
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._old_handlers:
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_descriptor)
        self._writer.setblocking(True)
        self._writer.sendall(_END)
        self._thread.join()
        self._writer.close()
        self._reader.close()

    def _to_hear(self) -> tuple[signal.Signals, ...]:
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        return _STOPS if self._hang_up is None and ignored else (*_STOPS, signal.SIGHUP)

    def _listen(self) -> None:
        while (heard := self._reader.recv(1)) != _END:
            if heard[0] == signal.SIGHUP and self._hang_up is not None:
                self._hang_up()
            elif heard[0] in (*_STOPS, signal.SIGHUP):
                self._stop(signal.Signals(heard[0]).name)
