"""`focus.port: auto` finds the one controller attached, and refuses where there are two."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zstackd_config.focus import GrblFocus
from zstackd_config.rig import Simulation
from zstackd_drivers.clock import ScaledClock
from zstackd_drivers.controllers import make_axis, port_of
from zstackd_drivers.errors import LinkError
from zstackd_drivers.firmware.faults import Action, Fault
from zstackd_drivers.firmware.other_firmware import OtherFirmware
from zstackd_drivers.firmware.pty_port import PtyPort
from zstackd_drivers.firmware.twin import FirmwareTwin
from zstackd_drivers.grbl.firmware import GrblFirmware
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.serial.dialogue import Timeouts
from zstackd_drivers.serial.port_search import usb_serial_ports

if TYPE_CHECKING:
    from zstackd_drivers.serial.link import Port

pytestmark = pytest.mark.usefixtures("no_leaks")
FOCUS = GrblFocus(
    driver="grbl",
    port="auto",
    origin_um=6000.0,
    limits_um=(0.0, 5000.0),
    backlash_um=10.0,
    speed_um_per_s=500.0,
    settle_ms=0.0,
)
TIMEOUTS = Timeouts(handshake_s=1.5, quiet_s=0.015)
CLOCK = ScaledClock(100.0)


class Desk:
    """A folder as /dev, and what is plugged in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def plug(self, name: str, *, grbl: bool = True) -> FirmwareTwin:
        setup = GrblSetup.from_rig(FOCUS, Simulation())
        firmware = GrblFirmware(setup) if grbl else OtherFirmware("repetier", setup)
        twin = FirmwareTwin(firmware, setup=setup, clock=CLOCK, link=self.folder / name)
        return self._stack.enter_context(twin)

    def port(self) -> Port:
        return port_of(FOCUS, candidates=lambda: usb_serial_ports(self.folder), timeouts=TIMEOUTS)


def test_each_device_once_and_by_its_stable_name(tmp_path: Path) -> None:
    by_id = tmp_path / "serial" / "by-id"
    by_id.mkdir(parents=True)
    for name in ("ttyUSB0", "ttyUSB1", "ttyACM0", "ttyS0", "ttyAMA0"):
        (tmp_path / name).touch()
    (by_id / "usb-1a86_USB_Serial-if00-port0").symlink_to(tmp_path / "ttyUSB1")
    names = [str(Path(port).relative_to(tmp_path)) for port in usb_serial_ports(tmp_path)]
    assert names == ["serial/by-id/usb-1a86_USB_Serial-if00-port0", "ttyACM0", "ttyUSB0"]


def test_a_named_port_is_taken_as_it_is() -> None:
    focus = FOCUS.model_copy(update={"port": "/dev/ttyUSB7"})
    assert port_of(focus, candidates=lambda: ["/dev/ttyUSB0"]).find() == "/dev/ttyUSB7"


def test_nothing_attached(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk, pytest.raises(LinkError, match="plug the controller in"):
        desk.port().find()


def test_a_single_port_is_not_asked_twice(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk, closing(PtyPort(tmp_path / "ttyUSB0")) as silent:
        silent.open()
        assert desk.port().find() == str(tmp_path / "ttyUSB0")


def test_the_right_one_of_several(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        desk.plug("ttyUSB0", grbl=False)
        twin = desk.plug("ttyACM0")
        axis = make_axis(FOCUS, port=desk.port(), clock=CLOCK)
        with axis:
            assert str(tmp_path / "ttyACM0") in axis.name
            axis.home()
            assert axis.move_to(1000.0).reported_um == pytest.approx(1000.0, abs=1.0)
        assert twin.motions > 0


def test_two_controllers_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        twins = [desk.plug("ttyUSB0"), desk.plug("ttyUSB1")]
        both = re.escape(f"({tmp_path / 'ttyUSB0'}, {tmp_path / 'ttyUSB1'}): name the one to use")
        with pytest.raises(LinkError, match=f"2 controllers answer as GRBL 1.1 {both}"):
            desk.port().find()
        assert [twin.motions for twin in twins] == [0, 0]


def test_none_of_several_tells_why_each_is_not(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        desk.plug("ttyUSB0", grbl=False)
        desk.plug("ttyUSB1", grbl=False)
        with pytest.raises(LinkError, match=r"none of 2 .*ttyUSB0 is not GRBL.*ttyUSB1 is not"):
            desk.port().find()


def test_a_controller_that_comes_back_under_another_name_is_found() -> None:
    setup = GrblSetup.from_rig(FOCUS, Simulation())
    with FirmwareTwin(GrblFirmware(setup), setup=setup, clock=CLOCK) as twin:
        port = port_of(FOCUS, candidates=lambda: [twin.port], timeouts=TIMEOUTS)
        axis = make_axis(FOCUS, port=port, clock=CLOCK)
        with axis:
            before = axis.name
            twin.script(Fault(Action.REPLUG, on_motion=0))
            end = time.monotonic() + 60.0
            while "it is back" not in (axis.snapshot().fault or ""):
                assert time.monotonic() < end
                time.sleep(0.001)
            assert axis.name != before
            axis.home()
            assert axis.move_to(1000.0).reported_um == pytest.approx(1000.0, abs=1.0)
