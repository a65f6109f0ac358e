"""How fast a Sangaboard moves, and what that means for stopping it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from zstackd_config.focus import StepperFocus
from zstackd_drivers.stepping.controller import Machine
from zstackd_drivers.stepping.kinematics import Phase, Profile

_US = 1e6
_CHUNK_US = 60_000
_CHUNK_OVERHEAD_S = 0.03
_TOLERANCE_STEPS = 0.5
_HOMING_SLACK = 1.2
_HOMING_SPARE_S = 20.0
_SEEK_STEPS = 110_000
_SLOW_SEEK_S = 40.0
_PROMPT_US = 80_000


def step_delay_us(focus: StepperFocus) -> int:
    """Return the microseconds between steps that keep to the rig's speed."""
    return math.ceil(_US * abs(focus.um_per_unit) / focus.speed_um_per_s)


@dataclass(frozen=True, slots=True)
class SangaboardSettings:
    """`blocks`: the firmware is deaf while the motor moves, so that long moves go in chunks."""

    delay_us: int
    ramp_us: int
    blocks: bool
    can_home: bool

    @property
    def chunk_steps(self) -> int:
        """Steps of a chunk that is over before anybody waits long for a stop."""
        return max(1, (_CHUNK_US - min(self.ramp_us, _CHUNK_US // 2)) // self.delay_us)

    def machine(self, focus: StepperFocus) -> Machine:
        """Return what an axis has to know of the board."""
        return Machine(
            steps_per_unit=1.0,
            max_speed=_US / self.delay_us,
            tolerance=_TOLERANCE_STEPS,
            profile=self._profile,
            braking_s=0.0,
            homing_limit_s=self._homing_limit_s(),
            cannot_home=None if self.can_home else _no_homing(),
            complaints=tuple(self._complaints(focus)),
        )

    def _profile(self, steps: float, _: float) -> Profile:
        """Return a move's mean motion: the board's speed is its own, not the caller's."""
        if steps <= 0:
            return Profile(())
        chunks = math.ceil(steps / self.chunk_steps) if self.blocks else 1
        seconds = (steps * self.delay_us + chunks * self.ramp_us) / _US
        seconds += chunks * _CHUNK_OVERHEAD_S if self.blocks else 0.0
        return Profile((Phase(seconds, steps / seconds, 0.0),))

    def _homing_limit_s(self) -> float:
        seek_s = _SEEK_STEPS * self.delay_us / _US
        return _HOMING_SLACK * (seek_s + _SLOW_SEEK_S) + _HOMING_SPARE_S

    def _complaints(self, focus: StepperFocus) -> Iterator[str]:
        if focus.reference == "home" and not self.can_home:
            yield f"it cannot home: {_no_homing()}"
        if self.blocks:
            yield (
                "firmware 0.5 cannot be stopped within a move, so moves go in short chunks: update "
                "the board to firmware 1"
            )
            longest_us = self.chunk_steps * self.delay_us + self.ramp_us
            if longest_us > _PROMPT_US:
                yield (
                    f"a stop takes up to {longest_us / 1e3:g} ms, for each chunk has ramps of "
                    f"{self.ramp_us / 1e3:g} ms: send the board ramp_time 0"
                )
        elif self.ramp_us:
            yield (
                f"a stop costs the position, for it has no ramp, and the board is set to need one "
                f"({self.ramp_us / 1e3:g} ms): send it ramp_time 0, or confirm the position after "
                "each stop"
            )


def _no_homing() -> str:
    return (
        "its firmware is built without min end stops (list_modules); set focus.reference: confirm"
    )
