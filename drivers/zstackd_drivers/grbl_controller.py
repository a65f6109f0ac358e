"""A GRBL 1.1 controller in its own units: identity, status, jogs, reset, homing."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from zstackd_drivers.errors import LimitError, LinkError, MotionError, WrongDeviceError
from zstackd_drivers.grbl_protocol import (
    JOG_CANCEL,
    RESET,
    STATUS,
    Alarm,
    Banner,
    Message,
    Reply,
    Setting,
    Status,
    is_reply,
    parse,
)
from zstackd_drivers.serial_link import SerialLink

_log = logging.getLogger(__name__)
_ASK_AGAIN_S = 0.25
_IDENTIFY_AGAIN_S = 0.5
_QUIET_S = 0.05
_RESET_AGAIN_S = 1.0
_SOFT_LIMIT_ERROR = 15
_CRITICAL_ALARMS = {1, 2}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in seconds of the wall clock."""

    reply_s: float = 2.0
    handshake_s: float = 6.0
    margin_s: float = 2.0


class GrblController:
    """The link and the dialect; `on_disturbance` hears why the position is no longer known.

    It is called with `condition` held, which guards everything here.
    """

    def __init__(
        self, *, port: str, baud: int, timeouts: Timeouts, on_disturbance: Callable[[str], None]
    ) -> None:
        self.condition = threading.Condition()
        self.version = ""
        self.dump: dict[int, float] = {}
        self.disturbance: str | None = None
        self._port = port
        self._timeouts = timeouts
        self._on_disturbance = on_disturbance
        self._link = SerialLink(
            port=port,
            baud=baud,
            is_reply=is_reply,
            on_push=self._take,
            on_lost=self._disturb,
            condition=self.condition,
        )
        self._status: Status | None = None
        self._offset: float | None = None
        self._reports = 0
        self._heard = 0
        self._banners = 0
        self._critical = False
        self._expecting_reset = True
        self._strange: deque[str] = deque(maxlen=4)

    def connect(self) -> None:
        """Open the port, prove that GRBL 1.1 answers, stop whatever moves, read the settings."""
        self.version, self._critical, self._offset = "", False, None
        self._expecting_reset = True
        self._strange.clear()
        self._link.open()
        self._identify()
        self._wait_quiet()
        self._link.forget_replies()
        self._rest()
        self.dump.clear()
        self._ask("$$")
        self._wait_quiet()
        self._expecting_reset = False

    def close(self) -> None:
        """Release the port; a second call does nothing."""
        self._link.close()

    def recover(self) -> None:
        """Make the controller answer again after any disturbance; nothing moves afterwards."""
        if self._link.lost is None and self._link.is_open and self._answers():
            return
        self.close()
        self.connect()

    def check(self) -> None:
        """Raise what has happened since `recover`: LinkError or MotionError."""
        with self.condition:
            if self._link.lost is not None:
                raise LinkError(self._link.lost)
            if self.disturbance is not None:
                raise MotionError(self.disturbance)

    def poll(self) -> tuple[str, float]:
        """Ask for state and Z; raises LinkError where no report comes, MotionError on an alarm."""
        end = time.monotonic() + self._timeouts.reply_s
        while (left := end - time.monotonic()) > 0:
            with self.condition:
                seen = self._reports
            self._link.write(STATUS)
            self._await_report(seen, min(left, _ASK_AGAIN_S))
            self.check()
            known = self._known(seen)
            if known is not None:
                return known
        raise LinkError(
            f"no status report from GRBL on {self._port} within {self._timeouts.reply_s:g} s: "
            "check cable and power"
        )

    def jog(self, z: float, rate: float) -> None:
        """Start a motion to `z` units at `rate` units per minute; returns once it is accepted."""
        line = f"$J=G90 G21 G53 Z{z:.5f} F{rate:.3f}"
        reply = self._ask(line)
        if reply.error == _SOFT_LIMIT_ERROR:
            raise LimitError(
                f"GRBL on {self._port} refused Z {z:g} ({reply.reason}): home the axis, or make "
                "focus.origin_um and limits_um agree with $132"
            )
        if reply.error is not None:
            raise MotionError(f"GRBL on {self._port} refused {line!r} ({reply.reason})")

    def cancel_jog(self) -> None:
        """Send the real-time byte that brakes a jog; position is kept."""
        self._link.write(JOG_CANCEL)

    def abort(self) -> None:
        """Send the reset byte and wait for nothing."""
        self._link.write(RESET)

    def home(self, timeout_s: float) -> None:
        """Run `$H`; raises MotionError where it fails, LinkError after `timeout_s`."""
        reply = self._ask("$H", timeout_s)
        if reply.error is not None:
            raise MotionError(f"GRBL on {self._port} refused to home ({reply.reason})")

    def unlock(self) -> None:
        """Lift an alarm's lock (`$X`)."""
        reply = self._ask("$X")
        if reply.error is not None:
            raise MotionError(f"GRBL on {self._port} refused to unlock ({reply.reason})")

    def reset(self) -> None:
        """Reset the firmware and wait for its banner; motion stops, position may be lost."""
        expecting, self._expecting_reset = self._expecting_reset, True
        try:
            end = time.monotonic() + self._timeouts.handshake_s
            with self.condition:
                seen = self._banners
            while self._banners == seen:
                if time.monotonic() > end or self._link.lost is not None:
                    raise LinkError(
                        self._link.lost
                        or f"GRBL on {self._port} does not answer a reset: check its power"
                    )
                self._link.write(RESET)
                self._await(lambda: self._banners > seen or self._gone(), _RESET_AGAIN_S)
            self._wait_quiet()
        finally:
            self._expecting_reset = expecting

    def pause(self, seconds: float, until: Callable[[], bool]) -> None:
        """Wait `seconds` of the wall clock, less where `until()` or a disturbance comes first."""
        self._await(lambda: until() or self._broken(), seconds)

    # Connecting.

    def _identify(self) -> None:
        start = time.monotonic()
        end = start + self._timeouts.handshake_s
        reset_at = start + self._timeouts.handshake_s / 2
        while time.monotonic() < end and not self.version:
            if time.monotonic() > reset_at:
                self._link.write(RESET)
                reset_at = end
            self._link.write(b"\n$I\n")
            self._await_banner(orelse=lambda: bool(self.version), seconds=_IDENTIFY_AGAIN_S)
            if self._link.lost is not None:
                raise LinkError(self._link.lost)
        self._judge_version()

    def _judge_version(self) -> None:
        if self.version.startswith("VER:1.1"):
            return
        heard = self.version or " / ".join(self._strange)
        if not heard:
            raise LinkError(
                f"nothing answers on serial port {self._port} within "
                f"{self._timeouts.handshake_s:g} s: check power, cable and focus.baud"
            )
        raise WrongDeviceError(
            f"serial port {self._port} is not GRBL 1.1: it says {heard[:80]!r}; correct "
            "focus.port, focus.baud or focus.driver"
        )

    def _answers(self) -> bool:
        try:
            if self._critical:
                self.reset()
            self._rest()
        except LinkError as error:
            _log.info("%s: opened again, since %s", self._port, error)
            return False
        return True

    def _rest(self) -> None:
        with self.condition:
            self.disturbance = None
        state, _ = self.poll()
        if state not in {"Idle", "Alarm"}:
            _log.warning("%s: GRBL is in state %s; it is reset", self._port, state)
            self.reset()

    def _ask(self, line: str, timeout_s: float | None = None) -> Reply:
        limit = self._timeouts.reply_s if timeout_s is None else timeout_s
        answer = self._link.request(line, limit, unless=lambda: self.disturbance is not None)
        self.check()
        reply = parse(answer or "")
        if not isinstance(reply, Reply):
            raise LinkError(f"GRBL on {self._port} answered {line!r} with {answer!r}")
        return reply

    # What the reader thread brings; the condition is held.

    def _take(self, line: str) -> None:
        self._heard += 1
        match parse(line):
            case Status() as status:
                self._reports += 1
                self._status = status
                self._offset = self._offset if status.offset is None else status.offset
            case Setting(number, value):
                self.dump[number] = value
            case Message(text) if text.startswith("VER:"):
                self.version = text
            case Banner(version):
                self._greeted(version)
            case Alarm(code) as alarm:
                self._critical = code in _CRITICAL_ALARMS
                self._unexpected(alarm.reason)
            case Message(text):
                _log.debug("%s: %s", self._port, text)
            case _:
                self._strange.append(line)
                _log.debug("%s: not GRBL's: %r", self._port, line)

    def _greeted(self, version: str) -> None:
        self._banners += 1
        self._critical, self._offset = False, None
        if not version.startswith("1.1"):
            self._strange.append(f"Grbl {version}")
        self._unexpected("it restarted by itself")

    def _unexpected(self, what: str) -> None:
        if not self._expecting_reset:
            self._disturb(f"GRBL on {self._port}: {what}; its position is unknown")

    def _disturb(self, message: str) -> None:
        self.disturbance = self.disturbance or message
        self._on_disturbance(message)

    # Waiting.

    def _known(self, seen: int) -> tuple[str, float] | None:
        with self.condition:
            status = self._status
            if status is None or self._reports == seen:
                return None
            if status.machine is not None:
                return status.state, status.machine
            if status.work is None or self._offset is None:
                return None
            return status.state, status.work + self._offset

    def _gone(self) -> bool:
        return self._link.lost is not None

    def _broken(self) -> bool:
        return self.disturbance is not None or self._gone()

    def _await(self, predicate: Callable[[], bool], seconds: float) -> bool:
        with self.condition:
            return self.condition.wait_for(predicate, timeout=max(0.0, seconds))

    def _wait_quiet(self) -> None:
        while True:
            if not self._await_line(_QUIET_S):
                return
            if self._link.lost is not None:
                raise LinkError(self._link.lost)

    def _await_line(self, seconds: float) -> bool:
        heard = self._heard
        return self._await(lambda: self._heard != heard or self._gone(), seconds)

    def _await_report(self, seen: int, seconds: float) -> None:
        self._await(lambda: self._reports > seen or self._broken(), seconds)

    def _await_banner(self, *, orelse: Callable[[], bool], seconds: float) -> None:
        seen = self._banners
        self._await(lambda: self._banners > seen or orelse() or self._gone(), seconds)
