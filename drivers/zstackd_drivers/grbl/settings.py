"""The `$$` settings a focus axis depends on, and what is wrong with them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from zstackd_config.focus import StepperFocus
from zstackd_drivers.errors import WrongDeviceError
from zstackd_drivers.stepping.controller import Machine
from zstackd_drivers.stepping.kinematics import trapezoid_at

_NEEDED = (1, 10, 13, 20, 22, 24, 25, 27, 102, 112, 122, 132)
_HOLD_ALWAYS = 255
_HOMING_SPARE_S = 10.0
_REPORT_UNITS = 0.001
_ROUNDING = 1.01
_COARSE_STEPS = 5
_SECONDS_A_MINUTE = 60.0
_HOMES_Z_DOWN = 4
_OWN_ORIGIN = "Z"
_SLOWEST_RATE = 1.0
"""GRBL's MINIMUM_FEED_RATE, in units per minute: whatever is asked for, it moves no slower."""

_NO_HOMING = "$22=0; fit a limit switch and set $22=1, or set focus.reference: confirm"


@dataclass(frozen=True, slots=True)
class GrblSettings:
    """Rates in units per minute, acceleration in units/s², travels in units.

    `travels` are the ends of the travel once it has homed; None where that is not known.
    """

    idle_delay: float
    soft_limits: bool
    homing: bool
    steps_per_unit: float
    max_rate: float
    acceleration: float
    travel: float
    travels: tuple[float, float] | None
    switch_at_top: bool
    homing_limit_s: float

    @classmethod
    def judged(cls, dump: Mapping[int, float], name: str, *, options: str | None = None) -> Self:
        """Return the settings; raises WrongDeviceError where they make a focus axis impossible.

        `options` are the letters of its build, None where it does not tell them.
        """
        missing = [f"${number}" for number in _NEEDED if number not in dump]
        if missing:
            raise WrongDeviceError(
                f"{name} did not report {', '.join(missing)}: it needs GRBL 1.1 for three axes"
            )
        if dump[13]:
            raise WrongDeviceError(f"{name} reports inches ($13=1): send it $13=0")
        _require_sound(dump, name)
        return cls(
            idle_delay=dump[1],
            soft_limits=bool(dump[20]),
            homing=bool(dump[22]),
            steps_per_unit=dump[102],
            max_rate=dump[112],
            acceleration=dump[122],
            travel=dump[132],
            travels=_travels(dump, options),
            switch_at_top=_switch_at_top(dump),
            homing_limit_s=_homing_limit_s(dump),
        )

    def machine(self, focus: StepperFocus) -> Machine:
        """Return what an axis has to know of the controller."""
        speed = self.max_rate / _SECONDS_A_MINUTE
        return Machine(
            steps_per_unit=self.steps_per_unit,
            max_speed=speed,
            tolerance=_ROUNDING * max(_REPORT_UNITS, 1 / self.steps_per_unit),
            profile=trapezoid_at(self.acceleration),
            braking_s=speed / self.acceleration,
            homing_limit_s=self.homing_limit_s,
            cannot_home=None if self.homing else _NO_HOMING,
            complaints=tuple(self.complaints(focus)),
            resolution=_REPORT_UNITS,
        )

    def complaints(self, focus: StepperFocus) -> Iterator[str]:
        """Yield what an operator should mend, though the axis works."""
        if self.idle_delay != _HOLD_ALWAYS:
            yield (
                f"$1={self.idle_delay:g}: the motor goes limp after a move and loses focus; "
                "send the controller $1=255"
            )
        if focus.reference == "home" and self.homing and not self.soft_limits:
            yield "$20=0: the controller does not know where its travel ends; set $20=1"
        coarse_um, fine_um = (abs(focus.um_per_unit) * each for each in self._resolutions())
        if coarse_um > _COARSE_STEPS * fine_um:
            yield (
                f"its reports tell {coarse_um:g} µm, its steps are {fine_um:g} µm: moves are "
                "verified to the former only; let a unit be less ($102, $112, $122, $132 and "
                "focus.um_per_unit)"
            )
        if focus.reference == "home" and not self.homing:
            yield "$22=0: it cannot home; set $22=1, or focus.reference: confirm in the rig"
        fastest = self.max_rate / _SECONDS_A_MINUTE * abs(focus.um_per_unit)
        if focus.speed_um_per_s > fastest:
            yield (
                f"focus.speed_um_per_s is {focus.speed_um_per_s:g}, but $112={self.max_rate:g} "
                f"allows {fastest:g} µm/s: moves will be that slow"
            )
        slowest = _SLOWEST_RATE / _SECONDS_A_MINUTE * abs(focus.um_per_unit)
        if focus.speed_um_per_s < slowest:
            yield (
                f"focus.speed_um_per_s is {focus.speed_um_per_s:g}, but GRBL moves no slower than "
                f"{_SLOWEST_RATE:g} unit/min, {slowest:g} µm/s: it will be that fast; let a unit "
                "be less ($102, $112, $122, $132 and focus.um_per_unit)"
            )
        yield from self._reach(focus)

    def _reach(self, focus: StepperFocus) -> Iterator[str]:
        """Yield where the rig's heights are not within the controller's travel."""
        span = focus.limits_um[1] - focus.limits_um[0]
        reach_um = self.travel * abs(focus.um_per_unit)
        low, high = sorted(
            (limit_um - focus.origin_um) / focus.um_per_unit for limit_um in focus.limits_um
        )
        homes = focus.reference == "home" and self.homing
        spare = 1 / self.steps_per_unit
        if self.soft_limits and span > reach_um:
            yield (
                f"focus.limits_um span {span:g} µm, but $132={self.travel:g} allows "
                f"{reach_um:g} µm: some moves will be refused"
            )
        elif homes and self.travels is not None:
            least, most = self.travels
            end = "0" if self.switch_at_top else f"the bottom, {least:zg}"
            if not least - spare <= low <= high <= most + spare:
                yield (
                    f"focus.limits_um reach from Z {low:zg} to {high:zg} units, but with the "
                    f"switch at {end} ($23) $132={self.travel:g} leaves {least:zg} to {most:zg}: "
                    "correct focus.origin_um or limits_um"
                )
        if self.soft_limits and focus.reference == "confirm":
            yield (
                "$20=1: without homing the controller counts its travel from where it was "
                "switched on, and refuses to go above that; send it $20=0, or set "
                "focus.reference: home"
            )

    def _resolutions(self) -> tuple[float, float]:
        """Return the units that a report and a step can tell."""
        return _REPORT_UNITS, 1 / self.steps_per_unit


def _switch_at_top(dump: Mapping[int, float]) -> bool:
    return not int(dump.get(23, 0)) & _HOMES_Z_DOWN


def _travels(dump: Mapping[int, float], options: str | None) -> tuple[float, float] | None:
    """Return the ends of the travel; zero is its top, wherever the switch is.

    Only a build with HOMING_FORCE_SET_ORIGIN calls the switch zero where that is at the bottom.
    """
    travel, at_top = dump[132], _switch_at_top(dump)
    if options is None and not at_top:
        return None
    if options is not None and _OWN_ORIGIN in options and not at_top:
        return 0.0, travel
    return -travel, 0.0


def _require_sound(dump: Mapping[int, float], name: str) -> None:
    for numbers, least, bound in (
        ((102, 112, 122, 24, 25), 1e-9, "be more than 0"),
        ((27, 130, 131, 132), 0.0, "not be less than 0"),
    ):
        for number in numbers:
            if dump.get(number, least) < least:
                raise WrongDeviceError(f"{name} has ${number}={dump[number]:g}: it must {bound}")


def _homing_limit_s(dump: Mapping[int, float]) -> float:
    # GRBL searches 1.5 times the travel, then touches the switch again within 5 pull-offs; it
    # may do so for each axis in turn.
    travels = [dump.get(number, dump[132]) for number in (130, 131, 132)]
    search_s = 60 * sum(1.5 * travel for travel in travels) / dump[25]
    touch_s = 60 * len(travels) * 5 * dump[27] * (1 / dump[24] + 1 / dump[25])
    return 1.5 * (search_s + touch_s) + _HOMING_SPARE_S
