"""A Marlin controller in its own units: identity, numbered lines, moves, homing, quick stop."""

import logging
import time
from collections.abc import Callable, Sequence

from zstackd_config.focus import StepperFocus
from zstackd_drivers.errors import LimitError, LinkError, MotionError
from zstackd_drivers.marlin.hearing import MarlinHearing
from zstackd_drivers.marlin.lines import NumberedLines
from zstackd_drivers.marlin.protocol import (
    QUICK_STOP,
    Position,
)
from zstackd_drivers.marlin.settings import MarlinSettings
from zstackd_drivers.serial.dialogue import Timeouts
from zstackd_drivers.serial.link import Port
from zstackd_drivers.stepping.controller import Machine, Standing, Stopped
from zstackd_drivers.stepping.controller_base import ControllerBase

_log = logging.getLogger(__name__)
_SECONDS_A_MINUTE = 60.0
_SLACK = 0.2
_REPORT_UNITS = 0.01
_PREPARE = ("G21", "G90", "M220 S100", "M84 S0", "M113 S2", "M503", "M211", "M113")
"""Millimetres, absolute, the speed as it is asked for (the knob of a printer's display scales it),
no limp motor, signs of life every 2 s while it is busy; then the settings."""


class MarlinController(ControllerBase[MarlinHearing]):
    """The dialect; see `Controller` for the promises.

    `on_disturbance` hears, with the condition held, why the position is no longer known.
    """

    kind = "Marlin"

    def __init__(
        self,
        settings: StepperFocus,
        *,
        port: Port,
        timeouts: Timeouts,
        on_disturbance: Callable[[str], None],
    ) -> None:
        heard = MarlinHearing(on_disturbance, busy_s=timeouts.busy_s)
        super().__init__(settings, port=port, timeouts=timeouts, heard=heard)
        self._lines = NumberedLines(self._talk, heard)
        self._settings: MarlinSettings | None = None
        self._speed = 0.0
        self._under_way = False

    def reported(self) -> float | None:
        """Return the position last reported; None where none was since the port was opened."""
        position, settings = self._heard.position, self._settings
        if position is None or settings is None:
            return None
        return position.count / settings.steps_per_unit

    def prove(self, *, wake: bool) -> None:
        """Ask for the firmware's name; one that has halted itself hears nothing but a reset."""
        self._talk.identify(b"\nM115\n", wake=self._talk.reboot if wake else None)
        if not self.version:
            raise self.wrong_device()

    def prepare(self) -> Machine:
        """Stop, count lines anew, keep the motor energized, judge the settings."""
        self._talk.wait_quiet()
        self._talk.accept()
        self._lines.raw("M410")
        self._lines.begin()
        for command in _PREPARE:
            self._lines.do(command)
        self._settings = MarlinSettings.judged(
            self._heard.settings, self._heard.end_stops, self._talk.name
        )
        self._lines.do("M400")
        self._ask_where()
        self._heard.expecting_reset = False
        return self._settings.machine(self._focus)

    def poll(self) -> Standing:
        """Wait for motion to end, and ask for the steps; raises LinkError where that fails."""
        self._lines.do("M400")
        return self._where()

    def go(
        self, way: Sequence[float], *, speed: float, wall_s: float, stopped: Stopped
    ) -> float:  # fmt: skip
        """Queue the motions, wait while they last, and let M400 tell that they ended."""
        self._refuse_beyond_end_stops(way)
        watch = self.watch(stopped)
        self._speed, self._under_way = speed, False
        end = time.monotonic() + wall_s
        for position in way:
            watch.check()
            self._under_way = True
            self._lines.do(f"G1 Z{position:.5f} F{_SECONDS_A_MINUTE * speed:.3f}")
        self._talk.pause(end - time.monotonic(), stopped)
        watch.check()
        self._finish(max(0.0, end - time.monotonic()) + _SLACK * wall_s, stopped)
        standing = self._where()
        watch.expect(standing, way[-1], tolerance=self._ready().machine(self._focus).tolerance)
        return standing.position

    def brake(self, wall_s: float) -> float:
        """Stop at once, without a ramp; from more than the jerk this may cost steps."""
        self._talk.wait_quiet()
        self._lines.raw("M410")
        # The answers to a stop from another thread, and to what it cut short.
        self._talk.wait_quiet()
        self._finish(wall_s, lambda: False)
        standing = self._where()
        if self._under_way and self._speed > self._ready().jerk:
            raise MotionError(
                f"{self._talk.name} was stopped without a ramp, from more than M205 Z allows "
                f"({self._ready().jerk:g} mm/s): steps may be lost; home it, or confirm where it "
                "stands"
            )
        return standing.position

    def home(self, limit_s: float, stopped: Stopped) -> None:
        """Run `G28 Z`; raises MotionError where it fails, LinkError beyond `limit_s`."""
        limit_s += self._talk.timeouts.margin_s
        self._heard.refusal = ""
        self._lines.do("G28 Z", at_most_s=limit_s, stopped=stopped)
        if self._heard.refusal:
            raise MotionError(
                f"{self._talk.name} did not home ({self._heard.refusal}): let the firmware home Z "
                "alone, or set focus.reference: confirm"
            )

    def unlock(self) -> None:
        """Do nothing: Marlin has no lock, and tells by its position whether it can be used."""

    def stop(self, *, homing: bool) -> None:
        """Stop at once, whatever the queue holds; a stop while homing halts the firmware."""
        del homing
        self._talk.write(QUICK_STOP)

    def abort(self) -> None:
        """Stop at once and wait for nothing."""
        self._talk.write(QUICK_STOP)

    def _ready(self) -> MarlinSettings:
        if self._settings is None:
            raise LinkError(f"{self._talk.name} is not open")
        return self._settings

    def _refuse_beyond_end_stops(self, way: Sequence[float]) -> None:
        for position in way:
            if not self._ready().allows(position):
                raise LimitError(
                    f"{self._talk.name} would clamp Z {position:zg} to its soft end stops (M211): "
                    "home the axis, make focus.origin_um and limits_um agree with them, or send "
                    "M211 S0"
                )

    def _finish(self, wall_s: float, stopped: Stopped) -> None:
        """Wait until motion has ended, which may take `wall_s` more and the margin."""
        limit_s = wall_s + self._talk.timeouts.margin_s
        try:
            self._lines.do("M400", at_most_s=limit_s, stopped=stopped)
        except LinkError as error:
            if self._talk.alive and self._heard.busy_until > time.monotonic():
                raise MotionError(
                    f"{self._talk.name} is still busy {limit_s:.3g} s after it should have "
                    "arrived: check motor and supply, then home it"
                ) from error
            raise

    def _where(self) -> Standing:
        """Ask for the position; raises MotionError where G-code and steps are not of one mind."""
        position = self._ask_where()
        steps_per_unit = self._ready().steps_per_unit
        native = position.count / steps_per_unit
        if abs(position.z - native) > _REPORT_UNITS + 1 / steps_per_unit:
            raise MotionError(
                f"{self._talk.name} calls Z {position.z:zg} mm what is {native:zg} mm by its "
                "steps: end workspace offsets and bed levelling (G92, M206, M420 S0), then home it"
            )
        return Standing(native, "idle", at_rest=True)

    def _ask_where(self) -> Position:
        return self._talk.ask_until(self._ask_position, "position (M114)")

    def _ask_position(self, _: float) -> Position | None:
        seen = self._heard.reports
        self._lines.do("M114")
        with self.condition:
            return self._heard.position if self._heard.reports > seen else None
