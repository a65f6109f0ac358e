"""Asking a controller and waiting for it: every wait ends, and says why."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TypeVar

from zstackd_drivers.errors import LinkError, MotionError
from zstackd_drivers.serial.hearing import Hearing
from zstackd_drivers.serial.link import Port, SerialLink

_log = logging.getLogger(__name__)
_IDENTIFY_AGAIN_S = 0.5
_ASK_AGAIN_S = 0.25
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in seconds of the wall clock.

    `reply_s`: to the answer of a command that takes no time; `handshake_s`: to prove the
    firmware's identity; `margin_s`: beyond what a motion takes by calculation; `busy_s`: to the
    next sign of life of a controller that says it is busy; `quiet_s`: silence after which nothing
    more is on its way.
    """

    reply_s: float = 2.0
    handshake_s: float = 6.0
    margin_s: float = 2.0
    busy_s: float = 6.0
    quiet_s: float = 0.05

    def scaled(self, factor: float) -> "Timeouts":
        """Return all of them `factor` times as long."""
        return Timeouts(*(factor * value for value in astuple(self)))


class Dialogue:
    """A serial line and what was heard on it; `condition` guards all state.

    `kind` is the firmware's name as in messages. A disturbance (restart, alarm, lost line) stays
    until `accept` and makes every question raise.
    """

    def __init__(
        self, *, kind: str, port: Port, baud: int, timeouts: Timeouts, heard: Hearing
    ) -> None:
        self.condition = threading.Condition()
        self.timeouts = timeouts
        self._kind = kind
        self._heard = heard
        self._link = SerialLink(
            port=port,
            baud=baud,
            on_push=heard.take,
            on_lost=heard.disturb,
            condition=self.condition,
        )

    @property
    def port(self) -> str:
        """The device path in use, or used last."""
        return self._link.name

    @property
    def name(self) -> str:
        """Firmware and port, as in messages."""
        return f"{self._kind} on {self._link.name}"

    @property
    def alive(self) -> bool:
        """Whether the line is open and holds."""
        return self._link.is_open and self._link.lost is None

    @property
    def disturbed(self) -> bool:
        """Whether something happened since `accept` that makes the position unknown."""
        return self._heard.disturbance is not None

    def open(self) -> None:
        """Open the port and forget what was heard before; raises LinkError."""
        with self.condition:
            self._heard.begin()
        self._link.open()
        self._heard.source = self.name

    def close(self) -> None:
        """Release the port; a second call does nothing."""
        self._link.close()

    def reboot(self) -> None:
        """Reset the board by its DTR line where that is wired; from any thread."""
        with self.condition:
            self._heard.unexpected("it was reset to stop it")
        self._link.reboot()

    def accept(self) -> None:
        """Take the controller as it is now; only a lost line remains a disturbance."""
        with self.condition:
            self._heard.disturbance = self._link.lost

    def check(self) -> None:
        """Raise what has happened since `accept`: LinkError or MotionError."""
        with self.condition:
            if self._link.lost is not None:
                raise LinkError(self._link.lost)
            if self._heard.disturbance is not None:
                raise MotionError(
                    f"{self._heard.disturbance}: its position is unknown; home it, or confirm "
                    "where it stands"
                )

    @contextmanager
    def expecting_reset(self) -> Iterator[None]:
        """Inside, a restart is no surprise."""
        before, self._heard.expecting_reset = self._heard.expecting_reset, True
        try:
            yield
        finally:
            self._heard.expecting_reset = before

    def write(self, data: bytes) -> None:
        """Send bytes and wait for nothing; safe from any thread."""
        self._link.write(data)

    def ask(
        self,
        line: str,
        reply: Callable[[str], bool],
        *,
        timeout_s: float | None = None,
        alive_until: Callable[[], float] | None = None,
        unless: Callable[[], bool] | None = None,
    ) -> str:
        """Send a line and return the reply; empty where `unless()` came true first.

        The controller may take `timeout_s`, or longer while `alive_until` (by `time.monotonic`)
        says so. Raises LinkError where no reply comes, which is a disturbance, and MotionError on
        any other disturbance.
        """
        self.check()
        given_up = unless or (lambda: False)
        try:
            answer = self._link.request(
                line,
                reply=reply,
                timeout_s=self.timeouts.reply_s if timeout_s is None else timeout_s,
                alive_until=alive_until or (lambda: 0.0),
                unless=lambda: self.disturbed or given_up(),
            )
        except LinkError as error:
            self._disturb(error)
            raise
        self.check()
        return answer or ""

    def ask_until(self, question: Callable[[float], _T | None], what: str) -> _T:
        """Return the first answer of `question(seconds)`; raises LinkError where none comes."""
        end = time.monotonic() + self.timeouts.reply_s
        while (left := end - time.monotonic()) > 0:
            answer = question(min(left, _ASK_AGAIN_S))
            if answer is not None:
                return answer
        error = LinkError(
            f"no {what} from {self.name} within {self.timeouts.reply_s:g} s: check cable and power"
        )
        self._disturb(error)
        raise error

    def identify(self, question: bytes, wake: Callable[[], None] | None) -> None:
        """Ask until the firmware tells its version; `wake`, if any, is called once, halfway.

        Raises LinkError where nothing at all is heard; other words are the caller's to judge.
        """
        start, limit = time.monotonic(), self.timeouts.handshake_s
        end, wake_at = start + limit, start + limit / 2
        while time.monotonic() < end and not self._heard.version:
            if wake is not None and time.monotonic() > wake_at:
                wake()
                wake_at = end
            self._link.write(question)
            self._await_introduction()
            self._check_line()
        if not self._heard.version and not self._heard.strange:
            raise LinkError(
                f"nothing answers on serial port {self.port} within {limit:g} s: check power, "
                "cable and focus.baud"
            )

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Wait at most `seconds`; returns early on `until()` or where the line is lost."""
        with self.condition:
            return self.condition.wait_for(
                lambda: until() or self._link.lost is not None, timeout=max(0.0, seconds)
            )

    def pause(self, seconds: float, until: Callable[[], bool]) -> None:
        """Wait `seconds`, less where `until()` or a disturbance comes first."""
        self.wait(lambda: until() or self.disturbed, seconds)

    def wait_quiet(self) -> None:
        """Wait until nothing is said for a moment; raises LinkError where the line is lost.

        A controller that never falls silent is listened to no longer than a handshake may take.
        """
        end = time.monotonic() + self.timeouts.handshake_s
        while time.monotonic() < end and self._await_line():
            self._check_line()

    def _disturb(self, error: LinkError) -> None:
        with self.condition:
            self._heard.disturb(str(error))

    def _await_line(self) -> bool:
        seen = self._heard.lines
        return self.wait(lambda: self._heard.lines != seen, self.timeouts.quiet_s)

    def _await_introduction(self) -> None:
        heard, seen = self._heard, self._heard.greetings
        self.wait(lambda: bool(heard.version) or heard.greetings > seen, _IDENTIFY_AGAIN_S)

    def _check_line(self) -> None:
        if self._link.lost is not None:
            raise LinkError(self._link.lost)
