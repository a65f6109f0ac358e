"""A Sangaboard in its own units, motor steps: identity, relative moves, homing, stop."""

import re
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from zstackd_config.errors import Interrupted
from zstackd_config.focus import StepperFocus
from zstackd_drivers.errors import LinkError, MotionError
from zstackd_drivers.sangaboard import protocol as says
from zstackd_drivers.sangaboard.hearing import SangaboardHearing
from zstackd_drivers.sangaboard.settings import SangaboardSettings, step_delay_us
from zstackd_drivers.serial.dialogue import Timeouts
from zstackd_drivers.serial.link import Port
from zstackd_drivers.stepping.controller import Machine, Standing, Stopped
from zstackd_drivers.stepping.controller_base import ControllerBase
from zstackd_drivers.stepping.rest import RestWatch

_FIRST_SUPPORTED, _FIRST_ANSWERING = (0, 5), (1, 0)
_STOP = b"stop\n"
_TOLERANCE_STEPS = 0.5
_HOMING_HITS = 2
_HOMING_POLL_S = 0.1
_BRAKE_AGAIN_S = 0.004
_SLACK = 1.2


class SangaboardController(ControllerBase[SangaboardHearing]):
    """The dialect; see `Controller` for the promises.

    Moves are relative, and each begins from where the board says it is. `on_disturbance` hears,
    with the condition held, why the position is no longer known.
    """

    kind = "Sangaboard"

    def __init__(
        self,
        settings: StepperFocus,
        *,
        port: Port,
        timeouts: Timeouts,
        on_disturbance: Callable[[str], None],
    ) -> None:
        heard = SangaboardHearing(on_disturbance)
        super().__init__(settings, port=port, timeouts=timeouts, heard=heard)
        self._settings: SangaboardSettings | None = None
        self._position: int | None = None
        self._under_way = False

    def reported(self) -> float | None:
        """Return the steps last reported; None where none were since the port was opened."""
        return self._position

    def prove(self, *, wake: bool) -> None:
        """Ask for the version."""
        self._talk.identify(b"\nversion\n", wake=self._talk.reboot if wake else None)
        if self._heard.firmware < _FIRST_SUPPORTED:
            raise self.wrong_device()

    def prepare(self) -> Machine:
        """Stop, and set the rig's speed."""
        self._talk.wait_quiet()
        self._talk.accept()
        blocks = self._heard.firmware < _FIRST_ANSWERING
        if not blocks:
            self._be_stoppable()
        self._ask("list_modules", says.END)
        self._settings = SangaboardSettings(
            delay_us=self._set_speed(),
            ramp_us=int(self._ask("ramp_time?", says.RAMP_TIME)),
            blocks=blocks,
            can_home="min" in self._heard.end_stops,
        )
        self._where()
        self._heard.expecting_reset = False
        return self._settings.machine(self._focus)

    def poll(self) -> Standing:
        """Ask whether it moves, and for its steps."""
        moving = not self._ready().blocks and self._ask("moving?", says.FLAG) == "true"
        return Standing(self._where(), "moving" if moving else "idle", at_rest=not moving)

    def go(
        self, way: Sequence[float], *, speed: float, wall_s: float, stopped: Stopped
    ) -> float:  # fmt: skip
        """Move from leg to leg, each once the one before has ended."""
        del speed
        watch = self.watch(stopped)
        self._under_way = False
        start = self._where()
        length = sum(abs(to - begin) for begin, to in pairwise([start, *way]))
        for target in way:
            watch.check()
            share = abs(target - self._where()) / max(length, 1)
            self._under_way = True
            leg = self._leg_in_chunks if self._ready().blocks else self._leg
            leg(round(target), share * wall_s, watch)
        standing = self.poll()
        watch.expect(standing, way[-1], tolerance=_TOLERANCE_STEPS)
        return standing.position

    def brake(self, wall_s: float) -> float:
        """Stop dead; where the board is set to need ramps, this may cost steps."""
        end = time.monotonic() + wall_s + self._talk.timeouts.margin_s
        if not self._ready().blocks:
            self._talk.wait_quiet()
            self._stop_until_still(end)
            if self._under_way and self._ready().ramp_us:
                raise MotionError(
                    f"{self._talk.name} was stopped without the ramp that it is set to need: steps "
                    "may be lost; home it, or confirm where it stands"
                )
        return self._where()

    def home(self, limit_s: float, stopped: Stopped) -> None:
        """Run `home_min` for Z; raises MotionError where the end stop was not met twice."""
        limit_s += self._talk.timeouts.margin_s
        seen = self._heard.hits
        self._heard.homing = True
        try:
            if self._ready().blocks:
                self._ask("home_min 4", says.DONE, timeout_s=limit_s)
                return
            self._ask("home_min 4", says.DONE)
            self._await_homing(time.monotonic() + limit_s, stopped)
        finally:
            self._heard.homing = False
        if self._heard.hits - seen < _HOMING_HITS:
            raise MotionError(
                f"{self._talk.name} did not find its end stop: check switch and wiring, then home "
                "it again"
            )

    def unlock(self) -> None:
        """Do nothing: a Sangaboard has no lock."""

    def stop(self, *, homing: bool) -> None:
        """Stop dead; firmware 0.5 ends its chunk, or is rebooted while it homes."""
        if not self._blocks():
            self._talk.write(_STOP)
        elif homing:
            self._talk.reboot()

    def abort(self) -> None:
        """Stop dead; firmware 0.5 ends its chunk."""
        if not self._blocks():
            self._talk.write(_STOP)

    # Connecting.

    def _be_stoppable(self) -> None:
        """Let moves be answered when they begin, so that the board hears a stop."""
        self._ask("stop", says.STOPPED)
        # This is kept in the EEPROM, which does not bear many writings.
        if self._ask("blocking_moves?", says.BLOCKING) != "false":
            self._ask("blocking_moves false", says.DONE)

    def _set_speed(self) -> int:
        wanted = step_delay_us(self._focus)
        if int(self._ask("dt?", says.STEP_DELAY)) != wanted:
            self._ask(f"dt {wanted}", says.DONE)
        return wanted

    def _ready(self) -> SangaboardSettings:
        if self._settings is None:
            raise LinkError(f"{self._talk.name} is not open")
        return self._settings

    def _blocks(self) -> bool:
        return self._settings is not None and self._settings.blocks

    # Moving.

    def _leg(self, target: int, wall_s: float, watch: RestWatch) -> None:
        start = self._where()
        steps = target - start
        if steps == 0:
            return
        end = time.monotonic() + wall_s
        self._ask(f"mr 0 0 {steps}", says.DONE)
        watch.arrive(
            target,
            poll=self.poll,
            moving_state="moving",
            end=end,
            wall_s=wall_s,
            tolerance=_TOLERANCE_STEPS,
            way=[start, target],
        )

    def _leg_in_chunks(self, target: int, wall_s: float, watch: RestWatch) -> None:
        here, chunk = self._where(), self._ready().chunk_steps
        limit_s = _SLACK * wall_s + self._talk.timeouts.margin_s
        while here != target:
            watch.check()
            steps = max(-chunk, min(chunk, target - here))
            self._ask(f"mr 0 0 {steps}", says.DONE, timeout_s=limit_s)
            here += steps
            watch.expect(self.poll(), here, tolerance=_TOLERANCE_STEPS)

    def _stop_until_still(self, end: float) -> None:
        """Stop again and again: each stop ends one stage of homing only."""
        while self._stop_and_ask():
            if time.monotonic() > end:
                raise MotionError(f"{self._talk.name} does not stop: cut its power, then home it")
            self._talk.pause(_BRAKE_AGAIN_S, lambda: False)

    def _stop_and_ask(self) -> bool:
        self._ask("stop", says.STOPPED)
        return self._ask("moving?", says.FLAG) == "true"

    def _await_homing(self, end: float, stopped: Stopped) -> None:
        while self._ask("moving?", says.FLAG) == "true":
            if stopped():
                self._stop_until_still(end)
                raise Interrupted(f"{self._talk.name} was stopped")
            if time.monotonic() > end:
                self.abort()
                raise MotionError(f"{self._talk.name} did not end homing in time: check its switch")
            self._talk.pause(_HOMING_POLL_S, stopped)

    # Asking.

    def _where(self) -> int:
        position = int(self._ask("p?", says.POSITION))
        with self.condition:
            self._position = position
        return position

    def _ask(self, line: str, form: re.Pattern[str], *, timeout_s: float | None = None) -> str:
        """Send a command; return what its answer tells, in the form that its answer has."""
        answer = self._talk.ask(
            line,
            lambda heard: form.fullmatch(heard) is not None or says.is_refusal(heard),
            timeout_s=timeout_s,
        )
        match = form.fullmatch(answer)
        if match is None:
            raise MotionError(f"{self._talk.name} refused {line!r} ({answer})")
        return match[1] if form.groups else match[0]
