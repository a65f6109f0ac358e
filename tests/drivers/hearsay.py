"""What any controller might say, and what must hold of whoever hears it."""

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from zstackd_drivers.serial.hearing import Hearing
from zstackd_drivers.stepping.controller import Machine

SETTING = st.builds(
    lambda whole, places: whole / 10**places,
    st.integers(-999_999_999, 999_999_999),
    st.integers(0, 6),
)
"""A number in a dump of settings."""

FOCUS: dict[str, Any] = {
    "port": "auto",
    "limits_um": (0.0, 5000.0),
    "backlash_um": 0,
    "speed_um_per_s": 500,
    "settle_ms": 0,
}


def lines_around(words: Sequence[str]) -> st.SearchStrategy[list[str]]:
    """Lines in which the dialect's words stand among noise."""
    parts = st.sampled_from(words) | st.text(max_size=9)
    return st.lists(st.lists(parts, max_size=4).map("".join))


def check_unharmed(heard: Hearing, faults: list[str], lines: list[str]) -> None:
    """Check that `heard` takes every line, and tells of each disturbance."""
    heard.expecting_reset = False
    for line in lines:
        heard.take(line)
    assert heard.lines == len(lines)
    assert bool(heard.disturbance) == bool(faults)


def check_machine(machine: Machine) -> None:
    """Check that a controller's own settings end every wait."""
    figures = (machine.max_speed, machine.homing_limit_s, machine.duration_s(1.0, 1.0))
    assert all(math.isfinite(figure) and figure > 0 for figure in figures)
    assert all("\n" not in complaint for complaint in machine.complaints)
