"""A bench per focus-axis driver: the driver on its firmware twin, in fast rig time.

With `--hardware-rig RIG.yaml` the conformance tests run on the controller of that rig instead.
The axis will move over its whole range: nothing must stand in its way. A rig that cannot home must
stand in the middle of its limits at the start.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from zstackd_config.errors import HardwareError, ZstackdError
from zstackd_config.focus import GrblFocus, MarlinFocus, SangaboardFocus, StepperFocus
from zstackd_config.load import load_rig
from zstackd_config.rig import Simulation
from zstackd_drivers.axis import Reference
from zstackd_drivers.clock import Clock, ScaledClock, SystemClock
from zstackd_drivers.controllers import make_axis, port_of
from zstackd_drivers.firmware.faults import Fault
from zstackd_drivers.firmware.other_firmware import Kind, OtherFirmware
from zstackd_drivers.firmware.setup import TwinSetup
from zstackd_drivers.firmware.twin import Firmware, FirmwareTwin
from zstackd_drivers.grbl.firmware import GrblFirmware
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.marlin.firmware import MarlinFirmware
from zstackd_drivers.marlin.setup import MarlinSetup
from zstackd_drivers.sangaboard.firmware import SangaboardFirmware
from zstackd_drivers.sangaboard.setup import SangaboardSetup
from zstackd_drivers.serial import link
from zstackd_drivers.serial.dialogue import Timeouts
from zstackd_drivers.serial.port_search import NamedPort
from zstackd_drivers.stepping.stepping_axis import SteppingAxis

TIMEOUTS = Timeouts(handshake_s=6.0, quiet_s=0.015)
PATIENCE_S = 60.0
"""Only a test that hangs waits for so long."""

LIMITS: dict[str, Any] = {
    "port": "simulated",
    "limits_um": (0.0, 5000.0),
    "backlash_um": 10.0,
    "speed_um_per_s": 500.0,
    "settle_ms": 20.0,
}


HASTY = tuple(Timeouts(handshake_s=seconds) for seconds in (0.25, 2.0, 10.0))
"""A busy machine may need more than the first of these to hear what there is to hear."""


@dataclass(frozen=True)
class Driver:
    """How to build one driver's twin; `when_confirmed` changes the setup where nobody homes."""

    focus: StepperFocus
    setup: Callable[[StepperFocus, Simulation], TwinSetup]
    firmware: Callable[[Any], Firmware]
    identity: str
    time_scale: float = 100.0
    when_confirmed: Mapping[str, Any] = field(default_factory=dict)


def _sangaboard_setup(focus: StepperFocus, simulation: Simulation) -> TwinSetup:
    """A board that stands near its switch and retreats little from it, to be homed soon."""
    setup = SangaboardSetup.from_rig(focus, simulation)
    return replace(setup, start=8000.0, retreat_steps=500)


def _sangaboard_0_5(focus: StepperFocus, simulation: Simulation) -> TwinSetup:
    return replace(_sangaboard_setup(focus, simulation), version="0.5.1")  # type: ignore[call-arg]


SANGABOARD = SangaboardFocus(
    driver="sangaboard", um_per_unit=0.25, origin_um=-1500.0, reference="home", **LIMITS
)
DRIVERS = {
    "grbl": Driver(
        GrblFocus(driver="grbl", origin_um=6000.0, **LIMITS),
        GrblSetup.from_rig,
        GrblFirmware,
        "VER:1.1h",
        when_confirmed={"settings": {20: 0}},
    ),
    "marlin": Driver(
        MarlinFocus(driver="marlin", origin_um=-1500.0, **LIMITS),
        MarlinSetup.from_rig,
        MarlinFirmware,
        "Marlin 2.1",
        when_confirmed={"soft_end_stops": False},
    ),
    "sangaboard-0.5": Driver(
        SANGABOARD, _sangaboard_0_5, SangaboardFirmware, "Firmware v0.5.1", time_scale=150.0
    ),
    "sangaboard-1": Driver(
        SANGABOARD, _sangaboard_setup, SangaboardFirmware, "Firmware v1.0.1", time_scale=300.0
    ),
}


@dataclass(frozen=True)
class AxisBench:
    """One driver and what is at the other end of its line; `truth` is None on real hardware.

    `left_um` is where the test before left real hardware.
    """

    axis: SteppingAxis
    truth: FirmwareTwin | None
    clock: Clock
    focus: StepperFocus
    identity: str
    left_um: float | None = None

    @property
    def twin(self) -> FirmwareTwin:
        assert self.truth is not None, "this test needs a twin"
        return self.truth

    def wait_until(self, predicate: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        end = time.monotonic() + seconds
        while not predicate():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.001)

    def close_for(self, orders: bytes, until: Callable[[], bool]) -> None:
        """Close the axis for another program, which stays on the line `until` its orders act."""
        self.axis.__exit__(None, None, None)
        with open(self.twin.port, "wb", buffering=0) as port:  # noqa: PTH123 - a device
            port.write(orders)
            self.wait_until(until)

    @property
    def tolerance_um(self) -> float:
        """How far a report may lie from what was asked: a step, or what is told of it."""
        return max(1.0, self.axis.step_um)

    @property
    def can_home(self) -> bool:
        """Whether homing is possible; every twin can."""
        return self.truth is not None or self.focus.reference == "home"

    def home(self) -> None:
        """Make the position known: on hardware that cannot home, by where it was left."""
        if not self.can_home:
            assert self.left_um is not None, "a failed test lost the position: start again"
            self.axis.confirm(self.left_um)
        else:
            self.axis.home()

    def confirm(self, position_um: float | None = None) -> None:
        """Confirm a height: on a twin, by default the true one; on hardware, once it is there."""
        if self.truth is not None:
            self.truth.operator_confirms()
            true_um = self.truth.motor_position_um()
            self.axis.confirm(true_um if position_um is None else position_um)
            return
        self.home()
        low, high = self.focus.limits_um
        there_um = round((low + high) / 2) if position_um is None else position_um
        self.axis.confirm(self.axis.move_to(there_um).reported_um)

    def stands(self) -> bool:
        """Return whether the motor of a twin stands still."""
        now = self.clock.monotonic_ns()
        return (self.twin.last_motion_end_ns() or 0) < now

    def start_move(self, z_um: float) -> tuple[threading.Thread, list[ZstackdError]]:
        """Move in a thread of its own; returns once it moves, with the list of what it raises.

        On a busy machine the move may have ended by then.
        """
        errors: list[ZstackdError] = []

        def move() -> None:
            try:
                self.axis.move_to(z_um)
            except ZstackdError as error:
                errors.append(error)

        before = 0 if self.truth is None else self.truth.motions
        thread = threading.Thread(target=move)
        thread.start()
        self.wait_until(
            lambda: (
                not thread.is_alive()
                or (
                    self.axis.snapshot().moving
                    and (self.truth is None or self.truth.motions > before)
                )
            )
        )
        return thread, errors

    def stopped_move(self, z_um: float) -> list[ZstackdError]:
        """Stop a move in its middle, and return what it raised.

        A move that ended before its stop is taken back and made again.
        """
        begun_um = self.axis.snapshot().position_um
        for _ in range(10):
            thread, errors = self.start_move(z_um)
            self.axis.stop()
            thread.join(PATIENCE_S)
            if errors:
                return errors
            assert begun_um is not None
            self.axis.move_to(begun_um)
        pytest.fail("no move lasted until its stop")


OpenBench = Callable[..., AbstractContextManager[AxisBench]]


def bench_of(driver: Driver) -> OpenBench:
    @contextmanager
    def bench(
        *faults: Fault,
        scale: float | None = None,
        link: Path | None = None,
        confirmed: bool = False,
        focus_changes: dict[str, Any] | None = None,
        true_backlash_um: float = 8.0,
        timeouts: Timeouts = TIMEOUTS,
        other: Kind | None = None,
        **setup_changes: Any,
    ) -> Iterator[AxisBench]:
        clock = ScaledClock(scale or driver.time_scale)
        focus = driver.focus.model_copy(update=focus_changes or {})
        setup = driver.setup(focus, Simulation(backlash_um=true_backlash_um))
        setup = _changed(setup, {**(driver.when_confirmed if confirmed else {}), **setup_changes})
        firmware = OtherFirmware(other, setup) if other else driver.firmware(setup)
        with FirmwareTwin(firmware, setup=setup, clock=clock, faults=faults, link=link) as twin:
            port = NamedPort(str(link or twin.port))
            with make_axis(focus, port=port, clock=clock, timeouts=timeouts) as axis:
                yield AxisBench(axis, twin, clock, focus, driver.identity)

    return bench


def _changed(setup: TwinSetup, changes: dict[str, Any]) -> TwinSetup:
    if "settings" in changes:
        assert isinstance(setup, GrblSetup)
        changes = {**changes, "settings": {**setup.settings, **changes["settings"]}}
    return replace(setup, **changes)


def refused(open_bench: OpenBench, kind: type[Exception], match: str, **changes: Any) -> None:
    """Check that opening is refused with these words, by one of several patiences."""
    for timeouts in HASTY:
        with pytest.raises(HardwareError) as caught:
            open_bench(timeouts=timeouts, **changes).__enter__()
        if isinstance(caught.value, kind) and re.search(match, str(caught.value)):
            return
    pytest.fail(str(caught.value))


def hardware_bench(rig_file: Path) -> OpenBench:
    """The bench of a real rig; arguments that describe a twin have no effect on it."""

    @contextmanager
    def bench(*, focus_changes: dict[str, Any] | None = None, **_: Any) -> Iterator[AxisBench]:
        focus = load_rig(rig_file).focus.model_copy(update=focus_changes or {})
        clock = SystemClock()
        with make_axis(focus, port=port_of(focus), clock=clock) as axis:
            # A test that fails leaves nobody knows what behind; one that passes and does not know
            # the position has not moved.
            left_um, _LEFT[focus.port] = _left_at(focus), None
            try:
                yield AxisBench(axis, None, clock, focus, "", left_um)
            except pytest.skip.Exception:
                _LEFT[focus.port] = left_um
                raise
            state = axis.snapshot()
            known = state.reference is Reference.REFERENCED
            _LEFT[focus.port] = state.position_um if known else left_um

    return bench


_LEFT: dict[str, float | None] = {}
"""Where a test left the axis of a port; None where nobody knows."""


def _left_at(focus: StepperFocus) -> float | None:
    low, high = focus.limits_um
    return _LEFT.get(focus.port, round((low + high) / 2))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hardware-rig",
        type=Path,
        metavar="RIG.yaml",
        help="run the axis conformance tests on the controller of this rig, which will move",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run `any_bench` on every twin, or on real hardware; `open_bench` on every twin."""
    rig_file = metafunc.config.getoption("--hardware-rig", default=None)
    if "any_bench" in metafunc.fixturenames:
        names = ["hardware"] if rig_file else sorted(DRIVERS)
        metafunc.parametrize("any_bench", names, indirect=True)
    if "open_bench" in metafunc.fixturenames:
        names = [] if rig_file else sorted(DRIVERS)
        metafunc.parametrize("open_bench", names, indirect=True)


@pytest.fixture
def any_bench(request: pytest.FixtureRequest) -> OpenBench:
    if request.param == "hardware":
        return hardware_bench(request.config.getoption("--hardware-rig"))
    return bench_of(DRIVERS[request.param])


@pytest.fixture
def open_bench(request: pytest.FixtureRequest) -> OpenBench:
    return bench_of(DRIVERS[request.param])


@pytest.fixture(scope="session")
def benches() -> dict[str, OpenBench]:
    """Every driver's bench, for tests that open one many times."""
    return {name: bench_of(driver) for name, driver in DRIVERS.items()}


@pytest.fixture(scope="session")
def grbl_bench() -> OpenBench:
    return bench_of(DRIVERS["grbl"])


@pytest.fixture(scope="session")
def marlin_bench() -> OpenBench:
    return bench_of(DRIVERS["marlin"])


@pytest.fixture(scope="session")
def sangaboard_bench() -> OpenBench:
    return bench_of(DRIVERS["sangaboard-1"])


@pytest.fixture(autouse=True)
def long_hang_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a twin on a busy machine notice that its line was hung up."""
    monkeypatch.setattr(link, "_HUNG_UP_S", 0.2)


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
