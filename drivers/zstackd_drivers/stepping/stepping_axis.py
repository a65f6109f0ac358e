"""A focus axis moved by a stepper, whatever controller drives it."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from zstackd_config.errors import HardwareError, Interrupted
from zstackd_config.focus import StepperFocus
from zstackd_drivers.axis import AxisSnapshot, MoveReport
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import (
    LinkError,
    MotionError,
    NoHomingError,
    UnreferencedError,
)
from zstackd_drivers.serial.reconnect import Reconnector
from zstackd_drivers.stepping.approach import check_confirmed
from zstackd_drivers.stepping.controller import Controller, Machine
from zstackd_drivers.stepping.knowledge import Knowledge
from zstackd_drivers.stepping.route import Route

_log = logging.getLogger(__name__)


class SteppingAxis:
    """The axis; see `FocusAxis` for the promises.

    Heights are `origin_um + um_per_unit × controller position`; after `confirm` the origin is what
    the operator's word makes it, until the axis is homed. A lost line is opened again by itself;
    nothing moves before the axis is homed or confirmed again. `controller` makes the controller,
    given whom to tell why the position is not known any more.
    """

    def __init__(
        self,
        settings: StepperFocus,
        *,
        clock: Clock,
        controller: Callable[[Callable[[str], None]], Controller],
    ) -> None:
        self._focus = settings
        self._clock = clock
        self._controller = controller(self.lose)
        self._operating = threading.Lock()
        self._known = Knowledge(settings.origin_um, settings.um_per_unit)
        self._machine: Machine | None = None
        self._moving = False
        self._homing = False
        self._stops = 0
        self._reconnector = Reconnector(needed=self._is_cut_off, attempt=self._reconnect)

    def __enter__(self) -> Self:
        try:
            self._use(self._controller.connect())
        except BaseException:
            self._controller.close()
            raise
        self._reconnector.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reconnector.stop()
        self._controller.close()
        self.lose("its port is closed")

    @property
    def name(self) -> str:
        """The axis and its port, as in messages."""
        return f"the focus axis on {self._controller.port}"

    @property
    def step_um(self) -> float:
        """Micrometres of one motor step; raises LinkError before the axis was opened."""
        return self._route().grid.step_um

    @property
    def cannot_home(self) -> str | None:
        """Why homing is not possible, and what to do; raises LinkError before it was opened."""
        return self._ready().cannot_home

    def snapshot(self) -> AxisSnapshot:
        """Return state and position; never waits for the link."""
        with self._controller.condition:
            height_um = self._step_height_um()
            if height_um is None:
                height_um = self._known.height_um(self._controller.reported())
            return AxisSnapshot(
                self._known.reference, height_um, self._moving, self._known.fault
            )  # fmt: skip

    def identity(self) -> str:
        """Return the firmware's own words on itself."""
        return self._controller.version

    def lose(self, why: str) -> None:
        """Note that the position is not known any more; called by the controller too."""
        with self._controller.condition:
            self._known.lose(why)
        self._reconnector.wake()

    def home(self) -> None:
        """Run the homing cycle; raises MotionError where it fails or is not enabled."""
        ticket = self._stops
        with self._operating:
            limit_s = self._homing_limit_s()
            with self._careful():
                self._recover()
                self._check_stop(ticket)
                self._run_homing(limit_s, ticket)
                self._trust(self._focus.origin_um, self._controller.poll().position)

    def confirm(self, position_um: float) -> None:
        """Take an operator's word that the axis stands at `position_um`; nothing moves.

        Raises LimitError, with all that was known still known, far beyond the limits.
        """
        check_confirmed(position_um, limits_um=self._focus.limits_um)
        with self._operating, self._careful():
            self._ready()
            self._recover()
            self._controller.unlock()
            position = self._controller.poll().position
            self._trust(position_um - self._focus.um_per_unit * position, position)

    def move_to(self, z_um: float) -> MoveReport:
        """Move to `z_um`, rounded to a whole step; returns at rest with the reported height.

        `motion_s` is what the motion takes by the controller's rate and acceleration, in rig time.
        """
        ticket = self._stops
        with self._operating, self._careful():
            start = self._standing()
            route = self._route()
            way = route.way(start, z_um, engaged=self._known.engaged)
            motion_s = route.travel_s([start, *way])
            if way:
                self._follow(route, way, motion_s, ticket)
            reported_um = self._known.height_um(self._known.position) or 0.0
            stands_um = self._step_height_um()
            return MoveReport(
                commanded_um=z_um,
                reported_um=reported_um,
                z_um=reported_um if stands_um is None else stands_um,
                approach=self._focus.approach,
                motion_s=motion_s,
            )

    def stop(self) -> None:
        """Stop the motor now, from any thread; a stop while homing costs the position."""
        with self._controller.condition:
            self._stops += 1
            # Once is enough: a second reset would only delay what the first one brings about.
            homing, self._homing = self._homing, False
            self._controller.condition.notify_all()
        if not self._controller.alive:
            raise LinkError(
                f"{self.name} cannot be told to stop, for its line is not open: if it moves, cut "
                "the motor's power"
            )
        self._controller.stop(homing=homing)

    def move_duration_s(self, from_um: float, to_um: float) -> float:
        """Return the rig seconds of a move from rest, overshoot included."""
        return self._route().duration_s(from_um, to_um)

    # The line.

    def _use(self, machine: Machine) -> None:
        self._machine = machine
        with self._controller.condition:
            self._known.fault = None
        for complaint in machine.complaints:
            _log.warning("%s: %s", self.name, complaint)

    def _recover(self) -> None:
        machine = self._controller.recover()
        if machine is not None:
            self._use(machine)

    def _is_cut_off(self) -> bool:
        return self._machine is not None and not self._controller.alive

    def _reconnect(self) -> None:
        with self._operating:
            if self._controller.alive:
                return
            why = self._known.fault
            self._recover()
            with self._controller.condition:
                self._known.fault = f"{why}; it is back"
        _log.warning("%s is back; home it, or confirm where it stands", self.name)

    # What is known.

    def _ready(self) -> Machine:
        if self._machine is None:
            raise LinkError(f"{self.name} is not open")
        return self._machine

    def _route(self) -> Route:
        return Route(self._focus, self._ready(), self._known.origin_um)

    def _step_height_um(self) -> float | None:
        """Return the height of the step on which the axis stands; None where that is not known."""
        step = self._known.step
        if step is None:
            return None
        grid = self._route().grid
        return grid.height_um(grid.units(step))

    def _trust(self, origin_um: float, position: float) -> None:
        with self._controller.condition:
            self._controller.check()
            self._known.trust(origin_um, position)

    @contextmanager
    def _careful(self) -> Iterator[None]:
        """Whatever fails, other than a refusal before motion, makes the position unknown."""
        try:
            yield
        except HardwareError as error:
            if error.is_fault:
                self.lose(str(error))
            raise

    # Homing and moving; `_operating` is held.

    def _homing_limit_s(self) -> float:
        machine = self._ready()
        if machine.cannot_home is not None:
            raise NoHomingError(f"{self.name} cannot home: {machine.cannot_home}")
        return machine.homing_limit_s / self._clock.scale

    def _run_homing(self, limit_s: float, ticket: int) -> None:
        with self._controller.condition:
            self._known.lose("homing is not finished")
            self._known.fault = None
            self._homing = self._moving = True
        try:
            self._controller.home(limit_s, lambda: self._stops != ticket)
        except HardwareError:
            self._check_stop(ticket)
            raise
        finally:
            self._homing = self._moving = False
        self._check_stop(ticket)

    def _standing(self) -> int:
        """Return the step on which the axis stands, after making sure that it still does."""
        with self._controller.condition:
            known = self._known.position
            if known is None:
                raise UnreferencedError(
                    f"{self.name} does not know its position "
                    f"({self._known.fault or 'not referenced since start'}): home it, or confirm "
                    "where it stands"
                )
        machine, now = self._ready(), self._controller.poll()
        if not now.at_rest or abs(now.position - known) > machine.tolerance:
            raise MotionError(
                f"{self.name} stood at {self._show(known)} and is now at "
                f"{self._show(now.position)} ({now.state}) without being told: home it, or confirm "
                "where it stands"
            )
        step = self._known.step
        return step if step is not None else round(now.position * machine.steps_per_unit)

    def _follow(self, route: Route, way: list[int], motion_s: float, ticket: int) -> None:
        with self._controller.condition:
            self._known.leave()
            self._moving = True
        try:
            position = self._controller.go(
                route.units(way),
                speed=route.speed,
                wall_s=motion_s / self._clock.scale,
                stopped=lambda: self._stops != ticket,
            )
        except BaseException as error:
            self._abandon(error)
            raise
        finally:
            self._moving = False
        with self._controller.condition:
            self._controller.check()
            self._known.arrive(position, self._ready().step_at(position, way[-1]))

    def _abandon(self, error: BaseException) -> None:
        """Make sure that the motor stands, whatever ended a move."""
        if isinstance(error, LinkError | MotionError):
            with suppress(HardwareError):
                self._controller.abort()
            return
        position = self._controller.brake(self._ready().braking_s / self._clock.scale)
        with self._controller.condition:
            self._known.stand(position)

    def _check_stop(self, ticket: int) -> None:
        if self._stops != ticket:
            raise Interrupted(f"{self.name} was stopped")

    def _show(self, position: float) -> str:
        return f"{self._known.height_um(position):g} µm"
