"""What systemd is told: ready, what the rig is doing, and that every essential thread lives.

The protocol is a datagram of `KEY=value` lines to the socket named by `NOTIFY_SOCKET`
(sd_notify(3)). Outside systemd there is no such socket, and nothing is sent.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Self

_log = logging.getLogger(__name__)
_SEND_TIMEOUT_S = 1.0
_STATUS_LENGTH = 200


class Notifier:
    """Sends the state of the service to systemd; harmless where systemd does not listen."""

    def __init__(self, address: str | None) -> None:
        self._address = None if address is None else _socket_address(address)
        self._lock = threading.Lock()
        self._said = ""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """Take the socket's name out of the environment, so that no hook can speak for us."""
        return cls(environment.pop("NOTIFY_SOCKET", None) or None)

    def ready(self, status: str) -> None:
        """Say that runs can be accepted; also ends a reload."""
        self._say("READY=1", f"STATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """Say in one line what the service is doing; the same words are sent only once."""
        line = _one_line(text)
        with self._lock:
            if line == self._said:
                return
            self._said = line
        self._say(f"STATUS={line}")

    def reloading(self) -> None:
        """Say that the configuration is being read again; `ready` says that it has been."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """Say that the service is on its way out."""
        self._say("STOPPING=1", f"STATUS={_one_line(status)}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(lines).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_SEND_TIMEOUT_S)
                sender.sendto(message, self._address)
        except OSError as error:
            # A full or vanished socket must not stop a run; a starved watchdog shows soon enough.
            _log.warning("systemd could not be told %r: %s", lines[0], error)


def watchdog_interval_s(environment: MutableMapping[str, str] = os.environ) -> float | None:
    """Return the seconds within which systemd wants to hear of us; None where it does not.

    Takes the variables out of the environment: they are for this process alone
    (sd_watchdog_enabled(3)).
    """
    period_us = environment.pop("WATCHDOG_USEC", "")
    process_id = environment.pop("WATCHDOG_PID", "")
    if not period_us.isascii() or not period_us.isdigit() or int(period_us) == 0:
        return None
    return None if process_id not in {"", str(os.getpid())} else int(period_us) / 1e6


class Watchdog:
    """While entered, feeds systemd's watchdog as long as no essential thread hangs.

    The thread that feeds it proves nothing by itself: it asks `overdue_s` for the threads that
    hang, with the seconds they are late, and falls silent when there is one. systemd then ends the
    process and starts it anew. `interval_s` is the time within which systemd wants to hear of us;
    None where it does not.
    """

    def __init__(
        self,
        notifier: Notifier,
        overdue_s: Callable[[], Mapping[str, float]],
        interval_s: float | None,
    ) -> None:
        self._notifier = notifier
        self._overdue_s = overdue_s
        self._interval_s = interval_s
        self._end = threading.Event()
        self._accused: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._feed, name="watchdog", daemon=True)
        if self._interval_s is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        if self._interval_s is not None:
            self._thread.join()

    def _feed(self) -> None:
        pause_s = (self._interval_s or 0.0) / 3
        while not self._end.is_set():
            overdue_s = self._overdue_s()
            if not overdue_s:
                self._notifier.alive()
            self._accuse(overdue_s)
            self._end.wait(pause_s)

    def _accuse(self, overdue_s: Mapping[str, float]) -> None:
        names = tuple(sorted(overdue_s))
        if names != self._accused:
            for name, late_s in overdue_s.items():
                _log.error("%s: no progress, %.1f s late; systemd will end us", name, late_s)
            if not names:
                _log.warning("%s: progress again", ", ".join(self._accused))
        self._accused = names


def _socket_address(name: str) -> str:
    """Return the address of a socket by the name systemd gives it: a path or `@abstract`."""
    return "\0" + name[1:] if name.startswith("@") else name


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_STATUS_LENGTH]
