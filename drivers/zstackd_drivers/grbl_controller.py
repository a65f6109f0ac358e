"""A GRBL 1.1 controller in its own units: identity, status, jogs, reset, homing."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from zstackd_drivers.errors import LimitError, LinkError, MotionError, WrongDeviceError
from zstackd_drivers.grbl_hearing import Hearing
from zstackd_drivers.grbl_protocol import JOG_CANCEL, RESET, STATUS, Reply, is_reply, parse
from zstackd_drivers.serial_link import SerialLink

_log = logging.getLogger(__name__)
_ASK_AGAIN_S = 0.25
_IDENTIFY_AGAIN_S = 0.5
_RESET_AGAIN_S = 1.0
_QUIET_S = 0.05
_BEYOND_TRAVEL = 15


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in seconds of the wall clock."""

    reply_s: float = 2.0
    handshake_s: float = 6.0
    margin_s: float = 2.0


class GrblController:
    """The link and the dialect; `condition` guards all state.

    `on_disturbance` hears, with the condition held, why the position is no longer known.
    """

    def __init__(
        self, *, port: str, baud: int, timeouts: Timeouts, on_disturbance: Callable[[str], None]
    ) -> None:
        self.condition = threading.Condition()
        self._port = port
        self._timeouts = timeouts
        self._heard = Hearing(port, on_disturbance)
        self._link = SerialLink(
            port=port,
            baud=baud,
            is_reply=is_reply,
            on_push=self._heard.take,
            on_lost=self._heard.disturb,
            condition=self.condition,
        )

    @property
    def version(self) -> str:
        """The firmware's words on itself."""
        return self._heard.version

    @property
    def settings(self) -> Mapping[int, float]:
        """The `$$` settings, as numbers."""
        return self._heard.settings

    def reported(self) -> float | None:
        """Return the position last reported; None where none was since the link was opened."""
        status = self._heard.status()
        return None if status is None else status[1]

    def connect(self) -> None:
        """Open the port, prove that GRBL 1.1 answers, stop whatever moves, read the settings."""
        with self.condition:
            self._heard.begin()
        self._link.open()
        self._identify()
        self._wait_quiet()
        self._link.forget_replies()
        self._rest()
        self._ask("$$")
        with self.condition:
            self._heard.expecting_reset = False

    def close(self) -> None:
        """Release the port; a second call does nothing."""
        self._link.close()

    def recover(self) -> None:
        """Make the controller answer again after any disturbance; nothing moves afterwards.

        Raises LinkError where it cannot be reached, WrongDeviceError where another is there now.
        """
        if self._link.is_open and self._link.lost is None and self._answers():
            return
        self.close()
        self.connect()

    def check(self) -> None:
        """Raise what has happened since `recover`: LinkError or MotionError."""
        with self.condition:
            if self._link.lost is not None:
                raise LinkError(self._link.lost)
            if self._heard.disturbance is not None:
                raise MotionError(
                    f"{self._heard.disturbance}: its position is unknown; home it, or confirm "
                    "where it stands"
                )

    def poll(self) -> tuple[str, float]:
        """Ask for state and Z; raises LinkError where no report comes, MotionError on an alarm."""
        end = time.monotonic() + self._timeouts.reply_s
        while (left := end - time.monotonic()) > 0:
            status = self._ask_status(min(left, _ASK_AGAIN_S))
            if status is not None:
                return status
        raise LinkError(
            f"no status report from GRBL on {self._port} within {self._timeouts.reply_s:g} s: "
            "check cable and power"
        )

    def jog(self, z: float, rate: float) -> None:
        """Start a motion to `z` units at `rate` units per minute; returns once it is accepted.

        Raises LimitError where GRBL's soft limits forbid it, MotionError for other refusals.
        """
        line = f"$J=G90 G21 G53 Z{z:.5f} F{rate:.3f}"
        reply = self._ask(line)
        if reply.error == _BEYOND_TRAVEL:
            raise LimitError(
                f"GRBL on {self._port} refused Z {z:g} ({reply.reason}): home the axis, or make "
                "focus.origin_um and limits_um agree with $132"
            )
        self._accept(line, reply)

    def home(self, timeout_s: float) -> None:
        """Run `$H`; raises MotionError where it fails, LinkError after `timeout_s`."""
        self._accept("$H", self._ask("$H", timeout_s))

    def unlock(self) -> None:
        """Lift an alarm's lock (`$X`)."""
        self._accept("$X", self._ask("$X"))

    def cancel_jog(self) -> None:
        """Send the real-time byte that brakes a jog; position is kept."""
        self._link.write(JOG_CANCEL)

    def abort(self) -> None:
        """Send the reset byte and wait for nothing."""
        self._link.write(RESET)

    def reset(self) -> None:
        """Reset the firmware and wait for its banner; motion stops, position may be lost."""
        with self._expecting_reset():
            end = time.monotonic() + self._timeouts.handshake_s
            seen = self._heard.banners
            while self._heard.banners == seen:
                if self._link.lost is not None or time.monotonic() > end:
                    raise LinkError(
                        self._link.lost
                        or f"GRBL on {self._port} does not answer a reset: check its power"
                    )
                self._link.write(RESET)
                self._await(lambda: self._heard.banners > seen, _RESET_AGAIN_S)
            self._wait_quiet()

    def pause(self, seconds: float, until: Callable[[], bool]) -> None:
        """Wait `seconds` of the wall clock, less where `until()` or a disturbance comes first."""
        self._await(lambda: until() or self._heard.disturbance is not None, seconds)

    # Connecting.

    def _identify(self) -> None:
        start = time.monotonic()
        end, reset_at = start + self._timeouts.handshake_s, start + self._timeouts.handshake_s / 2
        while time.monotonic() < end and not self._heard.version:
            # A controller in a critical alarm is deaf to everything but a reset.
            if time.monotonic() > reset_at:
                self._link.write(RESET)
                reset_at = end
            self._link.write(b"\n$I\n")
            self._await_introduction()
            if self._link.lost is not None:
                raise LinkError(self._link.lost)
        self._judge_version()

    def _await_introduction(self) -> None:
        heard, seen = self._heard, self._heard.banners
        self._await(lambda: bool(heard.version) or heard.banners > seen, _IDENTIFY_AGAIN_S)

    def _judge_version(self) -> None:
        if self.version.startswith("VER:1.1"):
            return
        words = self.version or " / ".join(self._heard.strange)
        if not words:
            raise LinkError(
                f"nothing answers on serial port {self._port} within "
                f"{self._timeouts.handshake_s:g} s: check power, cable and focus.baud"
            )
        raise WrongDeviceError(
            f"serial port {self._port} is not GRBL 1.1: it says {words[:80]!r}; correct "
            "focus.port, focus.baud or focus.driver"
        )

    def _answers(self) -> bool:
        try:
            with self._expecting_reset():
                if self._heard.critical:
                    self.reset()
                self._rest()
        except LinkError as error:
            _log.info("%s: to be opened again, since %s", self._port, error)
            return False
        return True

    def _rest(self) -> None:
        with self.condition:
            self._heard.disturbance = self._link.lost
        state, _ = self.poll()
        if state not in {"Idle", "Alarm"}:
            _log.warning("%s: GRBL is in state %s and is reset", self._port, state)
            self.reset()

    @contextmanager
    def _expecting_reset(self) -> Iterator[None]:
        before, self._heard.expecting_reset = self._heard.expecting_reset, True
        try:
            yield
        finally:
            self._heard.expecting_reset = before

    # Asking and waiting.

    def _ask(self, line: str, timeout_s: float | None = None) -> Reply:
        self.check()
        limit = self._timeouts.reply_s if timeout_s is None else timeout_s
        answer = self._link.request(line, limit, unless=lambda: self._heard.disturbance is not None)
        self.check()
        reply = parse(answer or "")
        if not isinstance(reply, Reply):
            raise LinkError(f"GRBL on {self._port} answered {line!r} with {answer!r}")
        return reply

    def _accept(self, line: str, reply: Reply) -> None:
        if reply.error is not None:
            raise MotionError(f"GRBL on {self._port} refused {line!r} ({reply.reason})")

    def _ask_status(self, seconds: float) -> tuple[str, float] | None:
        with self.condition:
            seen = self._heard.reports
        self._link.write(STATUS)
        self._await(
            lambda: self._heard.reports > seen or self._heard.disturbance is not None, seconds
        )
        self.check()
        with self.condition:
            return self._heard.status() if self._heard.reports > seen else None

    def _await(self, predicate: Callable[[], bool], seconds: float) -> bool:
        with self.condition:
            return self.condition.wait_for(
                lambda: predicate() or self._link.lost is not None, timeout=max(0.0, seconds)
            )

    def _wait_quiet(self) -> None:
        while self._await_line():
            if self._link.lost is not None:
                raise LinkError(self._link.lost)

    def _await_line(self) -> bool:
        seen = self._heard.lines
        return self._await(lambda: self._heard.lines != seen, _QUIET_S)
