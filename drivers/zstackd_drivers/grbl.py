"""A focus axis on the Z of a GRBL 1.1 controller."""

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from types import TracebackType
from typing import Self

from zstackd_config.errors import HardwareError, Interrupted
from zstackd_config.rig import GrblFocus
from zstackd_drivers.approach import StepGrid, check_reach
from zstackd_drivers.axis import AxisSnapshot, MoveReport, Reference
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import LimitError, LinkError, MotionError, UnreferencedError
from zstackd_drivers.grbl_controller import GrblController, Timeouts
from zstackd_drivers.grbl_settings import GrblSettings
from zstackd_drivers.kinematics import trapezoid

_log = logging.getLogger(__name__)
_REPORT_UNITS = 0.001
_PROGRESS_S = 0.2
_FIRST_POLL_S = 0.004
_SLOWEST_POLL_S = 0.1
_PATIENCE = 6


class GrblAxis:
    """The axis; see `FocusAxis` for the promises.

    Heights are `origin_um + um_per_unit × machine position`; after `confirm` the origin is what
    the operator's word makes it, until the axis is homed.
    """

    def __init__(
        self, settings: GrblFocus, *, clock: Clock, port: str, timeouts: Timeouts | None = None
    ) -> None:
        self._focus = settings
        self._clock = clock
        self._port = port
        slow = 1 / min(1.0, clock.scale)
        limits = timeouts or Timeouts()
        self._timeouts = Timeouts(
            limits.reply_s * slow, limits.handshake_s * slow, limits.margin_s * slow
        )
        self._controller = GrblController(
            port=port,
            baud=settings.baud,
            timeouts=self._timeouts,
            on_disturbance=self._lose,
        )
        self._operating = threading.Lock()
        self._settings: GrblSettings | None = None
        self._origin_um = settings.origin_um
        self._reference = Reference.UNREFERENCED
        self._fault: str | None = None
        self._machine: float | None = None
        self._step: int | None = None
        self._engaged = False
        self._moving = False
        self._homing = False
        self._stops = 0

    def __enter__(self) -> Self:
        try:
            self._controller.connect()
            self._settings = GrblSettings.judged(self._controller.dump, self._port)
        except BaseException:
            self._controller.close()
            raise
        for complaint in self._settings.complaints(self._focus):
            _log.warning("GRBL on %s: %s", self._port, complaint)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._controller.close()
        self._lose(f"serial port {self._port} is closed")

    def snapshot(self) -> AxisSnapshot:
        """Return state and last reported position; never waits for the link."""
        with self._controller.condition:
            known = None if self._machine is None else self._grid_height(self._machine)
            return AxisSnapshot(self._reference, known, self._moving, self._fault)

    def identity(self) -> str:
        """Return GRBL's build info."""
        return self._controller.version

    def home(self) -> None:
        """Run the homing cycle; raises MotionError where it fails or is not enabled."""
        ticket = self._stops
        with self._operating, self._careful():
            settings = self._ready()
            self._controller.recover()
            self._check_stop(ticket)
            if not settings.homing:
                raise MotionError(
                    f"GRBL on {self._port} cannot home ($22=0): fit a limit switch and set $22=1, "
                    "or set focus.reference: confirm"
                )
            self._lose("homing is not finished")
            self._homing = self._moving = True
            try:
                self._controller.home(self._wall_s(settings.homing_limit_s))
            except HardwareError:
                self._check_stop(ticket)
                raise
            finally:
                self._homing = self._moving = False
            self._trust(self._focus.origin_um)

    def confirm(self, position_um: float) -> None:
        """Take an operator's word that the axis stands at `position_um`; nothing moves."""
        if not math.isfinite(position_um):
            raise MotionError(f"cannot confirm a focus height of {position_um} µm: give a number")
        with self._operating, self._careful():
            self._ready()
            self._controller.recover()
            self._controller.unlock()
            _, machine = self._poll()
            self._trust(position_um - self._focus.um_per_unit * machine)

    def move_to(self, z_um: float) -> MoveReport:
        """Move to `z_um`, rounded to a whole step; returns at rest with the reported height.

        `motion_s` is what the motion takes by the controller's rate and acceleration.
        """
        ticket = self._stops
        with self._operating, self._careful():
            grid, start = self._grid(), self._standing()
            way = self._way(grid, start, z_um)
            motion_s = self._travel_s([start, *way])
            try:
                self._follow(grid, way, motion_s, ticket)
            except BaseException as error:
                self._abandon(error)
                raise
            return MoveReport(z_um, self._reported_um(), self._focus.approach, motion_s)

    def stop(self) -> None:
        """Brake now, from any thread; while homing the controller is reset instead."""
        with self._controller.condition:
            self._stops += 1
            homing = self._homing
            self._controller.condition.notify_all()
        if homing:
            self._controller.abort()
        else:
            self._controller.cancel_jog()

    def move_duration_s(self, from_um: float, to_um: float) -> float:
        """Return the rig seconds of a move from rest, overshoot included."""
        grid = self._grid()
        start = grid.nearest(from_um)
        way = grid.way(
            start,
            grid.nearest(to_um),
            approach=self._focus.approach,
            backlash_um=self._focus.backlash_um,
            engaged=True,
        )
        return self._travel_s([start, *way])

    # What is known.

    def _ready(self) -> GrblSettings:
        if self._settings is None:
            raise LinkError(f"the focus axis on {self._port} is not open")
        return self._settings

    def _grid(self) -> StepGrid:
        return StepGrid(self._focus.um_per_unit, self._ready().steps_per_unit, self._origin_um)

    def _grid_height(self, machine: float) -> float:
        return self._origin_um + self._focus.um_per_unit * machine

    def _reported_um(self) -> float:
        with self._controller.condition:
            return self._grid_height(self._machine or 0.0)

    def _lose(self, why: str) -> None:
        with self._controller.condition:
            self._reference = Reference.UNREFERENCED
            self._fault = why
            self._step, self._engaged = None, False

    def _trust(self, origin_um: float) -> None:
        _, machine = self._poll()
        with self._controller.condition:
            self._controller.check()
            self._origin_um = origin_um
            self._machine = machine
            self._reference, self._fault = Reference.REFERENCED, None
            self._step, self._engaged = None, False

    @contextmanager
    def _careful(self) -> Iterator[None]:
        """Whatever goes wrong, other than a refusal before motion, makes the position unknown."""
        try:
            yield
        except (LinkError, MotionError) as error:
            self._lose(str(error))
            raise

    # Moving; `_operating` is held.

    def _standing(self) -> int:
        """Return the step on which the axis stands, after making sure that it still does."""
        with self._controller.condition:
            if self._reference is not Reference.REFERENCED or self._machine is None:
                raise UnreferencedError(
                    f"the focus axis on {self._port} does not know its position "
                    f"({self._fault or 'not referenced since start'}): home it, or confirm where "
                    "it stands"
                )
            known, step = self._machine, self._step
        state, machine = self._poll()
        if state != "Idle" or abs(machine - known) > self._tolerance():
            raise MotionError(
                f"the focus axis on {self._port} stood at {self._grid_height(known):g} µm and is "
                f"now at {self._grid_height(machine):g} µm ({state}) without being told: home it, "
                "or confirm where it stands"
            )
        grid = self._grid()
        return step if step is not None else round(machine * grid.steps_per_unit)

    def _way(self, grid: StepGrid, start: int, z_um: float) -> list[int]:
        focus = self._focus
        way = grid.way(
            start,
            grid.nearest(z_um) if math.isfinite(z_um) else start,
            approach=focus.approach,
            backlash_um=focus.backlash_um,
            engaged=self._engaged,
        )
        check_reach(
            z_um,
            limits_um=focus.limits_um,
            backlash_um=focus.backlash_um,
            approach=focus.approach,
            overshoots=len(way) > 1,
        )
        return way

    def _follow(self, grid: StepGrid, way: list[int], motion_s: float, ticket: int) -> None:
        rate = 60 * self._speed_um_per_s() / abs(grid.um_per_unit)
        end = time.monotonic() + self._wall_s(motion_s)
        with self._moving_now(bool(way)):
            for step in way:
                self._check_stop(ticket)
                self._controller.jog(grid.units(step), rate)
            self._check_stop(ticket)
            if way:
                self._await_arrival(grid.units(way[-1]), end, ticket)
                self._step, self._engaged = way[-1], True

    def _await_arrival(self, target: float, end: float, ticket: int) -> None:
        limit = end + self._timeouts.margin_s + 0.2 * max(0.0, end - time.monotonic())
        misses, interval = 0, _FIRST_POLL_S
        while misses < _PATIENCE:
            self._sleep_until(end, interval, ticket)
            self._check_stop(ticket)
            state, machine = self._poll()
            if state == "Idle" and abs(machine - target) <= self._tolerance():
                return
            misses += state == "Idle"
            self._expect_motion(state, machine, target, late=time.monotonic() > limit)
            if time.monotonic() >= end:
                interval = min(1.5 * interval, _SLOWEST_POLL_S)
        raise MotionError(
            f"the focus axis on {self._port} came to rest at {self._grid_height(machine):g} µm "
            f"instead of {self._grid_height(target):g} µm: check the motor, then home it"
        )

    def _expect_motion(self, state: str, machine: float, target: float, *, late: bool) -> None:
        where = f"{self._grid_height(machine):g} µm on the way to {self._grid_height(target):g} µm"
        if state not in {"Idle", "Jog"}:
            raise MotionError(
                f"the focus axis on {self._port} went into state {state} at {where}: look at the "
                "controller, then home it"
            )
        if late and state == "Jog":
            raise MotionError(
                f"the focus axis on {self._port} is stuck at {where}: check the motor and its "
                "supply, then home it"
            )

    def _sleep_until(self, end: float, interval: float, ticket: int) -> None:
        left = end - time.monotonic()
        pause = min(left, _PROGRESS_S) if left > 0 else interval
        self._controller.pause(pause, lambda: self._stops != ticket)

    def _abandon(self, error: BaseException) -> None:
        """After a move that did not finish: make sure that the motor stands."""
        with self._controller.condition:
            self._step, self._engaged = None, False
        if isinstance(error, Interrupted | LimitError):
            self._brake()
            return
        with suppress(LinkError):
            self._controller.cancel_jog()

    def _brake(self) -> None:
        settings = self._ready()
        braking_s = settings.max_rate / 60 / settings.acceleration
        limit = time.monotonic() + self._timeouts.margin_s + self._wall_s(braking_s)
        while time.monotonic() < limit:
            self._controller.cancel_jog()
            state, _ = self._poll()
            if state == "Idle":
                return
            self._controller.pause(_FIRST_POLL_S, lambda: False)
        self._controller.reset()
        raise MotionError(
            f"the focus axis on {self._port} did not brake within {self._timeouts.margin_s:g} s "
            "and was reset: home it, or confirm where it stands"
        )

    def _poll(self) -> tuple[str, float]:
        state, machine = self._controller.poll()
        with self._controller.condition:
            self._machine = machine
        return state, machine

    @contextmanager
    def _moving_now(self, moving: bool) -> Iterator[None]:
        self._moving = moving
        try:
            yield
        finally:
            self._moving = False

    def _check_stop(self, ticket: int) -> None:
        if self._stops != ticket:
            raise Interrupted(f"the focus axis on {self._port} was stopped")

    def _tolerance(self) -> float:
        return 1.01 * max(_REPORT_UNITS, 1 / self._ready().steps_per_unit)

    def _speed_um_per_s(self) -> float:
        fastest = self._ready().max_rate / 60 * abs(self._focus.um_per_unit)
        return min(self._focus.speed_um_per_s, fastest)

    def _travel_s(self, way: list[int]) -> float:
        settings, grid = self._ready(), self._grid()
        acceleration = settings.acceleration * abs(grid.um_per_unit)
        legs = pairwise(way)
        return sum(
            trapezoid(
                distance=abs(to - start) * grid.step_um,
                speed=self._speed_um_per_s(),
                acceleration=acceleration,
            ).duration_s
            for start, to in legs
        )

    def _wall_s(self, rig_s: float) -> float:
        return rig_s / self._clock.scale
