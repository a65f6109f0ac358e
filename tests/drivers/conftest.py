"""A bench per focus-axis driver: the driver on its firmware twin, in fast rig time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from zstackd_config.focus import GrblFocus
from zstackd_config.rig import Simulation
from zstackd_drivers.clock import ScaledClock
from zstackd_drivers.controllers import make_axis
from zstackd_drivers.dialogue import Timeouts
from zstackd_drivers.grbl_setup import GrblSetup
from zstackd_drivers.grbl_twin import GrblTwin
from zstackd_drivers.port_search import NamedPort
from zstackd_drivers.stepping_axis import SteppingAxis
from zstackd_drivers.twin_faults import Fault

TIME_SCALE = 100.0
TIMEOUTS = Timeouts(reply_s=1.0, handshake_s=3.0, margin_s=0.5)
FOCUS = GrblFocus(
    driver="grbl",
    port="simulated",
    origin_um=6000.0,
    limits_um=(0.0, 5000.0),
    backlash_um=10.0,
    speed_um_per_s=500.0,
    settle_ms=20.0,
)


@dataclass(frozen=True)
class AxisBench:
    """One driver and the twin at the other end of its line."""

    axis: SteppingAxis
    twin: GrblTwin
    clock: ScaledClock
    focus: GrblFocus

    def wait_until(self, predicate: Callable[[], bool], seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not predicate():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.001)


OpenBench = Callable[..., AbstractContextManager[AxisBench]]


@contextmanager
def grbl_bench(
    *faults: Fault,
    scale: float = TIME_SCALE,
    settings: dict[int, float] | None = None,
    link: Path | None = None,
    focus_changes: dict[str, Any] | None = None,
    true_backlash_um: float = 8.0,
    timeouts: Timeouts = TIMEOUTS,
    **setup_changes: Any,
) -> Iterator[AxisBench]:
    clock = ScaledClock(scale)
    focus = FOCUS.model_copy(update=focus_changes or {})
    setup = GrblSetup.from_rig(focus, Simulation(backlash_um=true_backlash_um))
    setup = replace(setup, settings={**setup.settings, **(settings or {})}, **setup_changes)
    with GrblTwin(setup=setup, clock=clock, faults=faults, link=link) as twin:
        port = str(link or twin.port)
        made = make_axis(focus, port=NamedPort(port), clock=clock, timeouts=timeouts)
        with made as axis:
            yield AxisBench(axis, twin, clock, focus)


BENCHES: dict[str, OpenBench] = {"grbl": grbl_bench}


@pytest.fixture(params=sorted(BENCHES))
def open_bench(request: pytest.FixtureRequest) -> OpenBench:
    return BENCHES[request.param]


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves a thread or a file descriptor behind."""
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    assert set(threading.enumerate()) <= threads
    assert _descriptors() <= descriptors


def _descriptors() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name}: {entry.readlink()}")
        except FileNotFoundError:
            continue
    return found


@pytest.fixture(scope="session")
def bench_factory() -> OpenBench:
    """The GRBL bench for tests that open it many times."""
    return grbl_bench
