"""A focus axis on the Z of a GRBL 1.1 controller."""

import logging
import math
import threading
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
from zstackd_drivers.grbl_jogger import Jogger
from zstackd_drivers.grbl_settings import GrblSettings
from zstackd_drivers.kinematics import trapezoid

_log = logging.getLogger(__name__)
_REPORT_UNITS = 0.001
_ROUNDING = 1.01


class GrblAxis:
    """The axis; see `FocusAxis` for the promises.

    Heights are `origin_um + um_per_unit × machine position`; after `confirm` the origin is what
    the operator's word makes it, until the axis is homed. A lost link is opened again by `home`
    and `confirm`, never by a move.
    """

    def __init__(
        self, settings: GrblFocus, *, clock: Clock, port: str, timeouts: Timeouts | None = None
    ) -> None:
        limits = timeouts or Timeouts()
        slow = 1 / min(1.0, clock.scale)
        self._focus = settings
        self._clock = clock
        self._name = f"the focus axis on {port}"
        self._controller = GrblController(
            port=port,
            baud=settings.baud,
            timeouts=Timeouts(limits.reply_s * slow, limits.handshake_s * slow),
            on_disturbance=self._lose,
        )
        self._jogger = Jogger(
            name=self._name,
            controller=self._controller,
            margin_s=limits.margin_s * slow,
            show=lambda machine: f"{self._height_um(machine):g} µm",
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
            self._connect()
        except BaseException:
            self._controller.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._controller.close()
        self._lose("its port is closed")

    def snapshot(self) -> AxisSnapshot:
        """Return state and last reported position; never waits for the link."""
        with self._controller.condition:
            machine = self._controller.reported()
            height = None if machine is None else self._height_um(machine)
            return AxisSnapshot(self._reference, height, self._moving, self._fault)

    def identity(self) -> str:
        """Return GRBL's build information."""
        return self._controller.version

    def home(self) -> None:
        """Run the homing cycle; raises MotionError where it fails or is not enabled."""
        ticket = self._stops
        with self._operating:
            limit_s = self._homing_limit_s()
            with self._careful():
                self._controller.recover()
                self._check_stop(ticket)
                self._run_homing(limit_s, ticket)
                self._trust(self._focus.origin_um)

    def confirm(self, position_um: float) -> None:
        """Take an operator's word that the axis stands at `position_um`; nothing moves."""
        if not math.isfinite(position_um):
            raise MotionError(f"a focus height of {position_um} µm cannot be confirmed")
        with self._operating, self._careful():
            self._ready()
            self._controller.recover()
            self._controller.unlock()
            _, machine = self._controller.poll()
            self._trust(position_um - self._focus.um_per_unit * machine)

    def move_to(self, z_um: float) -> MoveReport:
        """Move to `z_um`, rounded to a whole step; returns at rest with the reported height.

        `motion_s` is what the motion takes by the controller's rate and acceleration, in rig time.
        """
        ticket = self._stops
        with self._operating, self._careful():
            start = self._standing()
            way = self._way(start, z_um)
            motion_s = self._travel_s([start, *way])
            if way:
                self._follow(way, motion_s, ticket)
            reported_um = self._height_um(self._machine or 0.0)
            return MoveReport(z_um, reported_um, self._focus.approach, motion_s)

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

    def _connect(self) -> None:
        self._controller.connect()
        self._settings = GrblSettings.judged(self._controller.settings, self._name)
        self._fault = None
        for complaint in self._settings.complaints(self._focus):
            _log.warning("%s: %s", self._name, complaint)

    def _ready(self) -> GrblSettings:
        if self._settings is None:
            raise LinkError(f"{self._name} is not open")
        return self._settings

    def _grid(self) -> StepGrid:
        return StepGrid(self._focus.um_per_unit, self._ready().steps_per_unit, self._origin_um)

    def _height_um(self, machine: float) -> float:
        return self._origin_um + self._focus.um_per_unit * machine

    def _lose(self, why: str) -> None:
        with self._controller.condition:
            known = self._reference is Reference.REFERENCED
            self._fault = why if known else self._fault or why
            self._reference = Reference.UNREFERENCED
            self._step, self._engaged = None, False

    def _trust(self, origin_um: float) -> None:
        _, machine = self._controller.poll()
        with self._controller.condition:
            self._controller.check()
            self._origin_um, self._machine = origin_um, machine
            self._reference, self._fault = Reference.REFERENCED, None
            self._step, self._engaged = None, False

    @contextmanager
    def _careful(self) -> Iterator[None]:
        """Whatever fails, other than a refusal before motion, makes the position unknown."""
        try:
            yield
        except HardwareError as error:
            if not isinstance(error, LimitError | UnreferencedError):
                self._lose(str(error))
            raise

    # Homing and moving; `_operating` is held.

    def _homing_limit_s(self) -> float:
        settings = self._ready()
        if not settings.homing:
            raise MotionError(
                f"{self._name} cannot home ($22=0): fit a limit switch and set $22=1, or set "
                "focus.reference: confirm"
            )
        return settings.homing_limit_s / self._clock.scale

    def _run_homing(self, limit_s: float, ticket: int) -> None:
        with self._controller.condition:
            self._lose("homing is not finished")
            self._fault, self._homing, self._moving = None, True, True
        try:
            self._controller.home(limit_s)
        except BaseException:
            # A reset that overtook `$H` had no effect on it.
            with suppress(HardwareError):
                self._controller.reset()
            self._check_stop(ticket)
            raise
        finally:
            self._homing = self._moving = False

    def _standing(self) -> int:
        """Return the step on which the axis stands, after making sure that it still does."""
        with self._controller.condition:
            known, step = self._machine, self._step
            if self._reference is not Reference.REFERENCED or known is None:
                raise UnreferencedError(
                    f"{self._name} does not know its position "
                    f"({self._fault or 'not referenced since start'}): home it, or confirm where "
                    "it stands"
                )
        state, machine = self._controller.poll()
        if state != "Idle" or abs(machine - known) > self._tolerance():
            raise MotionError(
                f"{self._name} stood at {self._height_um(known):g} µm and is now at "
                f"{self._height_um(machine):g} µm ({state}) without being told: home it, or "
                "confirm where it stands"
            )
        return step if step is not None else round(machine * self._ready().steps_per_unit)

    def _way(self, start: int, z_um: float) -> list[int]:
        focus, grid = self._focus, self._grid()
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

    def _follow(self, way: list[int], motion_s: float, ticket: int) -> None:
        grid = self._grid()
        with self._controller.condition:
            self._step, self._engaged, self._moving = None, False, True
        try:
            machine = self._jogger.go(
                [grid.units(step) for step in way],
                rate=60 * self._speed_um_per_s() / abs(grid.um_per_unit),
                wall_s=motion_s / self._clock.scale,
                tolerance=self._tolerance(),
                stopped=lambda: self._stops != ticket,
            )
        except BaseException as error:
            self._abandon(error)
            raise
        finally:
            self._moving = False
        with self._controller.condition:
            self._controller.check()
            self._machine, self._step, self._engaged = machine, way[-1], True

    def _abandon(self, error: BaseException) -> None:
        """Make sure that the motor stands, whatever ended a move."""
        if isinstance(error, LinkError | MotionError):
            with suppress(LinkError):
                self._controller.abort()
            return
        settings = self._ready()
        self._jogger.brake(settings.max_rate / 60 / settings.acceleration / self._clock.scale)
        _, machine = self._controller.poll()
        with self._controller.condition:
            self._machine = machine

    def _check_stop(self, ticket: int) -> None:
        if self._stops != ticket:
            raise Interrupted(f"{self._name} was stopped")

    def _tolerance(self) -> float:
        return _ROUNDING * max(_REPORT_UNITS, 1 / self._ready().steps_per_unit)

    def _speed_um_per_s(self) -> float:
        fastest = self._ready().max_rate / 60 * abs(self._focus.um_per_unit)
        return min(self._focus.speed_um_per_s, fastest)

    def _travel_s(self, way: list[int]) -> float:
        grid = self._grid()
        acceleration = self._ready().acceleration * abs(grid.um_per_unit)
        return sum(
            trapezoid(
                distance=abs(to - start) * grid.step_um,
                speed=self._speed_um_per_s(),
                acceleration=acceleration,
            ).duration_s
            for start, to in pairwise(way)
        )
