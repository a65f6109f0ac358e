"""The M503 settings a focus axis depends on, and what is wrong with them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from zstackd_config.focus import StepperFocus
from zstackd_drivers.errors import WrongDeviceError
from zstackd_drivers.marlin.protocol import EndStops
from zstackd_drivers.stepping.controller import Machine
from zstackd_drivers.stepping.kinematics import trapezoid_at

_STEPS, _SPEED, _ACCELERATION, _TRAVEL_ACCELERATION, _JERK = "M92", "M203", "M201", "M204", "M205"
_TOLERANCE_STEPS = 0.6
_SLOWEST_HOMING = 1.0
_HOMING_SPARE_S = 30.0
_LONGEST_TRAVEL = 300.0

Settings = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class MarlinSettings:
    """Lengths in millimetres; `jerk` is the change of speed that needs no ramp, 0 if not told."""

    steps_per_unit: float
    max_speed: float
    acceleration: float
    jerk: float
    end_stops: EndStops | None

    @classmethod
    def judged(cls, settings: Settings, end_stops: EndStops | None, name: str) -> Self:
        """Return the settings; raises WrongDeviceError where they make a focus axis impossible."""
        values = {
            command: settings.get(command, {}).get("Z")
            for command in (_STEPS, _SPEED, _ACCELERATION)
        }
        steps, speed, acceleration = (
            _positive(command, value, name) for command, value in values.items()
        )
        if end_stops is not None and end_stops.active and end_stops.low >= end_stops.high:
            raise WrongDeviceError(
                f"{name} has soft end stops from Z{end_stops.low:zg} to Z{end_stops.high:zg}: they "
                "leave no travel; correct M211, or send it M211 S0"
            )
        return cls(
            steps_per_unit=steps,
            max_speed=speed,
            acceleration=min(acceleration, _travel_acceleration(settings, acceleration)),
            jerk=settings.get(_JERK, {}).get("Z", 0.0),
            end_stops=end_stops if end_stops is not None and end_stops.active else None,
        )

    def machine(self, focus: StepperFocus) -> Machine:
        """Return what an axis has to know of the controller."""
        return Machine(
            steps_per_unit=self.steps_per_unit,
            max_speed=self.max_speed,
            tolerance=_TOLERANCE_STEPS / self.steps_per_unit,
            profile=trapezoid_at(self.acceleration),
            braking_s=0.0,
            homing_limit_s=self._homing_limit_s(),
            complaints=tuple(self.complaints(focus)),
        )

    def complaints(self, focus: StepperFocus) -> Iterator[str]:
        """Yield what an operator should mend, though the axis works."""
        scale = abs(focus.um_per_unit)
        fastest = self.max_speed * scale
        if focus.speed_um_per_s > fastest:
            yield (
                f"focus.speed_um_per_s is {focus.speed_um_per_s:g}, but M203 Z{self.max_speed:g} "
                f"allows {fastest:g} µm/s: moves will be that slow"
            )
        speed = min(focus.speed_um_per_s, fastest)
        if speed > self.jerk * scale:
            yield (
                f"a stop at {speed:g} µm/s costs the position, for M205 lets the motor stop "
                f"without a ramp from {self.jerk * scale:g} µm/s only: home again after each stop, "
                "or lower focus.speed_um_per_s"
            )
        if self.end_stops is not None:
            yield from self._limits(focus, self.end_stops)

    def allows(self, z: float) -> bool:
        """Return whether the soft end stops leave a target as it is."""
        stops, step = self.end_stops, 1 / self.steps_per_unit
        return stops is None or stops.low - step <= z <= stops.high + step

    def _limits(self, focus: StepperFocus, stops: EndStops) -> Iterator[str]:
        ends = [(height - focus.origin_um) / focus.um_per_unit for height in focus.limits_um]
        if not all(self.allows(end) for end in ends):
            yield (
                f"focus.limits_um reach from Z {min(ends):zg} to {max(ends):zg} mm, but M211 "
                f"allows {stops.low:zg} to {stops.high:zg}: some moves will be refused"
            )

    def _homing_limit_s(self) -> float:
        # It searches 1.5 times the travel, leaves the switch and finds it again, no faster than
        # M203 allows; the homing speed itself is told nowhere.
        return 2 * self._travel() / min(_SLOWEST_HOMING, self.max_speed) + _HOMING_SPARE_S

    def _travel(self) -> float:
        return (
            _LONGEST_TRAVEL if self.end_stops is None else self.end_stops.high - self.end_stops.low
        )


def _positive(command: str, value: float | None, name: str) -> float:
    if value is None:
        raise WrongDeviceError(
            f"{name} did not report {command} Z: it needs a build that answers M503 "
            "(without DISABLE_M503)"
        )
    if value <= 0:
        raise WrongDeviceError(f"{name} has {command} Z{value:g}: it must be more than 0")
    return value


def _travel_acceleration(settings: Settings, otherwise: float) -> float:
    words = settings.get(_TRAVEL_ACCELERATION, {})
    given = words.get("T", words.get("S", otherwise))
    return given if given > 0 else otherwise
