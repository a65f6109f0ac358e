"""Round numbers for scales: lengths of bars, ticks of axes, and how they are written."""

import math
from typing import Final

LEAST_STEPS: Final = 4
_ROUND_STEPS: Final = (1.0, 2.0, 5.0)
_UM_PER_MM: Final = 1000


def round_below(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `value` (positive)."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in _ROUND_STEPS if step * power <= value * (1 + 1e-9))


def round_ticks(low: float, high: float, *, least_steps: int = LEAST_STEPS) -> list[float]:
    """Round numbers from `low` to `high`; `[low]` where they are equal.

    There are `least_steps` to two and a half times as many and one: four to ten usually.
    """
    if not high > low:
        return [low]
    step = round_below((high - low) / least_steps)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [number * step for number in range(first, last + 1)]


def decimals_of(ticks: list[float]) -> int:
    """How many decimals tell the ticks apart."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else max(abs(ticks[0]), 1.0)
    return max(0, -math.floor(math.log10(step) + 1e-9))


def length_label(length_um: float) -> str:
    """A length with the unit that a person would choose: nm, µm or mm."""
    if length_um >= _UM_PER_MM:
        return f"{length_um / _UM_PER_MM:g} mm"
    return f"{length_um:g} µm" if length_um >= 1 else f"{length_um * 1000:g} nm"
