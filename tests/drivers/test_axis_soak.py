"""Many moves with faults at random: afterwards the position is right, or it is not claimed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zstackd_config.errors import HardwareError
from zstackd_drivers.axis import Reference
from zstackd_drivers.firmware.faults import Action, Fault
from zstackd_drivers.serial.dialogue import Timeouts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Report
    from tests.drivers.conftest import AxisBench, OpenBench

pytestmark = pytest.mark.usefixtures("no_leaks")
TIMEOUTS = Timeouts(reply_s=0.2, handshake_s=6.0, margin_s=0.15, busy_s=0.2, quiet_s=0.015)
HEALING = [action for action in Action if action not in {Action.SILENCE, Action.UNPLUG}]
SHORT_MOVES, LONG_MOVES = 40, 1000
FAULT_SHARE = 0.25
TIME_SCALE = 300.0


def assert_never_wrong(bench: AxisBench) -> None:
    state = bench.axis.snapshot()
    if state.reference is Reference.REFERENCED:
        assert state.position_um == pytest.approx(bench.twin.motor_position_um(), abs=1.01)
    assert bench.twin.violations == []


@dataclass
class Tally:
    """What a soak did and found; `off_um` is how far a claimed position was from the true one."""

    faults: Counter[Action] = field(default_factory=Counter)
    costs: Counter[Action] = field(default_factory=Counter)
    right: int = 0
    off_um: float = 0.0

    def words(self) -> dict[str, object]:
        costly = (f"{a.name.lower()} {self.costs[a]}/{n}" for a, n in self.faults.most_common())
        return {
            "moves": f"{self.right} right and {self.costs.total()} unreferenced",
            "off by at most": f"{self.off_um:.3f} µm",
            "position lost/faults:": " ".join(costly),
        }


def soak(bench: AxisBench, moves: int, seed: int) -> Tally:
    """Make moves, some of them with a fault; whatever comes, no position may be wrong."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    tally = Tally()
    home_again(bench)
    last = HEALING[0]
    for _ in range(moves):
        action = dice.choice(HEALING) if dice.random() < FAULT_SHARE else None
        if action is not None:
            delay_s = dice.choice([0.0, 0.02, 0.2, 1.0])
            tally.faults[action] += 1
            bench.twin.script(Fault(action, on_motion=1, delay_s=delay_s))
        try:
            bench.axis.move_to(dice.uniform(50.0, 4950.0))
            tally.right += 1
            tally.off_um = max(tally.off_um, off_um(bench))
        except HardwareError:
            assert bench.axis.snapshot().reference is Reference.UNREFERENCED
            # A fault may come late, in a move without one.
            tally.costs[action or last] += 1
            home_again(bench)
        last = action or last
        assert_never_wrong(bench)
    return tally


def off_um(bench: AxisBench) -> float:
    """How far the axis is from where it claims to be; 0 where it claims nothing."""
    claimed_um = bench.axis.snapshot().position_um
    return 0.0 if claimed_um is None else abs(claimed_um - bench.twin.motor_position_um())


def home_again(bench: AxisBench) -> None:
    """Home, in several attempts where a fault strikes the homing too."""
    for _ in range(5):
        try:
            bench.axis.home()
        except HardwareError:
            continue
        return
    pytest.fail("the axis cannot be homed any more")


def test_random_faults_never_make_the_position_wrong(open_bench: OpenBench, tmp_path: Path) -> None:
    with open_bench(scale=TIME_SCALE, timeouts=TIMEOUTS, link=tmp_path / "port") as bench:
        assert soak(bench, SHORT_MOVES, seed=1).costs.total() > 0


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [7, 20261127])
def test_a_thousand_moves_with_random_faults(
    open_bench: OpenBench, tmp_path: Path, report: Report, seed: int
) -> None:
    with open_bench(scale=TIME_SCALE, timeouts=TIMEOUTS, link=tmp_path / "port") as bench:
        tally = soak(bench, LONG_MOVES, seed)
    report(**tally.words())
    assert set(tally.faults) == set(HEALING)
    assert tally.right + tally.costs.total() == LONG_MOVES


PLANS = st.lists(
    st.tuples(
        st.integers(min_value=60, max_value=19_900).map(lambda quarter: quarter / 4),
        st.sampled_from([None, None, None, *Action]),
        st.sampled_from([0.0, 0.05, 0.5]),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("driver", ["grbl", "marlin", "sangaboard-0.5", "sangaboard-1"])
@settings(max_examples=4, deadline=None)
@given(plan=PLANS)
def test_any_plan_ends_in_the_right_place_or_unreferenced(
    benches: dict[str, OpenBench], driver: str, plan: list[tuple[float, Action | None, float]]
) -> None:
    with benches[driver](scale=400.0, timeouts=TIMEOUTS) as bench:
        home_again(bench)
        for z, action, delay_s in plan:
            if action is not None:
                bench.twin.script(Fault(action, on_motion=1, delay_s=delay_s))
            try:
                bench.axis.move_to(z)
            except HardwareError:
                assert bench.axis.snapshot().reference is Reference.UNREFERENCED
                break
            assert bench.twin.motor_position_um() == pytest.approx(z, abs=0.13)
        assert bench.twin.violations == []
