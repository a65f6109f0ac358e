"""A GRBL 1.1 controller in its own units: identity, status, jogs, reset, homing."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from zstackd_config.errors import HardwareError
from zstackd_config.focus import StepperFocus
from zstackd_drivers.errors import LimitError, LinkError, MotionError
from zstackd_drivers.grbl.hearing import GrblHearing
from zstackd_drivers.grbl.protocol import JOG_CANCEL, RESET, STATUS, Reply, is_reply, parse
from zstackd_drivers.grbl.settings import GrblSettings
from zstackd_drivers.serial.dialogue import Timeouts
from zstackd_drivers.serial.link import Port
from zstackd_drivers.stepping.controller import Machine, Standing, Stopped
from zstackd_drivers.stepping.controller_base import ControllerBase

_log = logging.getLogger(__name__)
_RESET_AGAIN_S = 1.0
_BRAKE_AGAIN_S = 0.004
_BEYOND_TRAVEL = 15
_SECONDS_A_MINUTE = 60.0


class GrblController(ControllerBase[GrblHearing]):
    """The dialect; see `Controller` for the promises.

    `on_disturbance` hears, with the condition held, why the position is no longer known.
    """

    kind = "GRBL 1.1"

    def __init__(
        self,
        settings: StepperFocus,
        *,
        port: Port,
        timeouts: Timeouts,
        on_disturbance: Callable[[str], None],
    ) -> None:
        heard = GrblHearing(on_disturbance)
        super().__init__(settings, port=port, timeouts=timeouts, heard=heard)
        self._tolerance = 0.0

    def reported(self) -> float | None:
        """Return the position last reported; None where none was since the port was opened."""
        status = self._heard.status()
        return None if status is None else status[1]

    def prove(self, *, wake: bool) -> None:
        """Ask for the build; a controller in a critical alarm hears nothing but a reset."""
        self._talk.identify(b"\n$I\n", wake=self.abort if wake else None)
        if not self.version.startswith("VER:1.1"):
            raise self.wrong_device()

    def prepare(self) -> Machine:
        """Reset it unless it stands, and judge the settings."""
        self._talk.wait_quiet()
        self._rest()
        self._ask("$$")
        self._heard.expecting_reset = False
        settings = GrblSettings.judged(
            self._heard.settings, self._talk.name, options=self._heard.options
        )
        machine = settings.machine(self._focus)
        self._tolerance = machine.tolerance
        return machine

    def recover(self) -> Machine | None:
        """Make it answer again after any disturbance; its settings outlive a reset."""
        if self._talk.alive and self._answers():
            return None
        self.close()
        return self.connect()

    def poll(self) -> Standing:
        """Ask for state and Z; raises LinkError where no report comes, MotionError on an alarm."""
        state, position = self._talk.ask_until(self._ask_status, "status report")
        return Standing(position, state, at_rest=state == "Idle")

    def go(
        self, way: Sequence[float], *, speed: float, wall_s: float, stopped: Stopped
    ) -> float:  # fmt: skip
        """Jog along `way`; the second jog is accepted while the first still moves."""
        watch = self.watch(stopped)
        start = self.reported()
        end = time.monotonic() + wall_s
        for position in way:
            watch.check()
            self._jog(position, _SECONDS_A_MINUTE * speed)
        return watch.arrive(
            way[-1],
            poll=self.poll,
            moving_state="Jog",
            end=end,
            wall_s=wall_s,
            tolerance=self._tolerance,
            way=[way[0] if start is None else start, *way],
        )

    def brake(self, wall_s: float) -> float:
        """Cancel jogs until idle, which keeps the position; reset where that does not happen.

        The cancel byte is repeated: one that overtakes the line of its jog has no effect.
        """
        limit_s = wall_s + self._talk.timeouts.margin_s
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            self._talk.write(JOG_CANCEL)
            standing = self.poll()
            if standing.at_rest:
                return standing.position
            self._talk.pause(_BRAKE_AGAIN_S, lambda: False)
        self._reset()
        raise MotionError(
            f"{self._talk.name} did not brake within {limit_s:.3g} s and was reset: home it, or "
            "confirm where it stands"
        )

    def home(self, limit_s: float, stopped: Stopped) -> None:
        """Run `$H`; raises MotionError where it fails, LinkError beyond `limit_s`."""
        limit_s += self._talk.timeouts.margin_s
        try:
            self._accept("$H", self._ask("$H", limit_s, stopped))
        except HardwareError:
            # A reset that overtook `$H` had no effect on it.
            with suppress(HardwareError):
                self._reset()
            raise

    def unlock(self) -> None:
        """Lift an alarm's lock (`$X`)."""
        self._accept("$X", self._ask("$X"))

    def stop(self, *, homing: bool) -> None:
        """Brake a jog, which keeps the position; a homing cycle ends by nothing but a reset."""
        self._talk.write(RESET if homing else JOG_CANCEL)

    def abort(self) -> None:
        """Send the reset byte and wait for nothing."""
        self._talk.write(RESET)

    # Connecting.

    def _answers(self) -> bool:
        try:
            with self._talk.expecting_reset():
                # After a disturbance a report on its way may be older than what happened.
                if self._talk.disturbed:
                    self._reset()
                self._rest()
        except LinkError as error:
            _log.info("%s: to be opened again, since %s", self.port, error)
            return False
        return True

    def _rest(self) -> None:
        self._talk.accept()
        state = self.poll().state
        if state not in {"Idle", "Alarm"}:
            _log.warning("%s: GRBL is in state %s and is reset", self.port, state)
            self._reset()

    def _reset(self) -> None:
        """Reset the firmware and wait for its banner; motion stops, position may be lost."""
        with self._talk.expecting_reset():
            end = time.monotonic() + self._talk.timeouts.handshake_s
            seen = self._heard.greetings
            while self._heard.greetings == seen:
                if not self._talk.alive or time.monotonic() > end:
                    raise LinkError(f"{self._talk.name} does not answer a reset: check its power")
                self._heard.asks_reset = False
                self._talk.write(RESET)
                self._talk.wait(
                    lambda: self._heard.greetings > seen or self._heard.asks_reset, _RESET_AGAIN_S
                )
            self._talk.wait_quiet()

    # Asking.

    def _jog(self, position: float, rate: float) -> None:
        line = f"$J=G90 G21 G53 Z{position:.5f} F{rate:.3f}"
        reply = self._ask(line)
        if reply.error == _BEYOND_TRAVEL:
            raise LimitError(
                f"{self._talk.name} refused Z {position:zg} ({reply.reason}): home the axis, or "
                "make focus.origin_um and limits_um agree with $132"
            )
        self._accept(line, reply)

    def _ask(
        self, line: str, timeout_s: float | None = None, stopped: Stopped | None = None
    ) -> Reply:
        answer = self._talk.ask(line, is_reply, timeout_s=timeout_s, unless=stopped)
        reply = parse(answer)
        if not isinstance(reply, Reply):
            raise LinkError(f"{self._talk.name} was interrupted before it answered {line!r}")
        return reply

    def _accept(self, line: str, reply: Reply) -> None:
        if reply.error is not None:
            raise MotionError(f"{self._talk.name} refused {line!r} ({reply.reason})")

    def _ask_status(self, seconds: float) -> tuple[str, float] | None:
        with self.condition:
            seen = self._heard.reports
        self._talk.write(STATUS)
        self._talk.pause(seconds, lambda: self._heard.reports > seen)
        self.check()
        with self.condition:
            return self._heard.status() if self._heard.reports > seen else None
