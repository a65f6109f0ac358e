"""The devices between their users: opened again when needed, and never while the service stops."""

from __future__ import annotations

import os
import pty
import threading
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from tests.rigs import simulated_rig

from zstackd.runs.autofocus import NoFocusError
from zstackd.runs.halt import Halt
from zstackd.runs.settling import NotStillError
from zstackd.service.hardware import Hardware, NotReady
from zstackd.service.lease import RigBusy
from zstackd_config.errors import HardwareError, Interrupted
from zstackd_config.rig import Rig
from zstackd_config.run import ManualExposure
from zstackd_drivers import controllers
from zstackd_drivers.axis import Reference
from zstackd_drivers.errors import CameraError, CameraHung, CameraTimeout, LimitError, MotionError
from zstackd_drivers.factory import open_devices, settings_of_devices
from zstackd_drivers.serial.dialogue import Timeouts
from zstackd_drivers.simulated.camera_twin import SimulatedCamera

if TYPE_CHECKING:
    from zstackd_drivers.factory import Devices


def interrupt(hardware: Hardware) -> None:
    """Stop somebody who uses the devices, as an operator does."""
    with hardware.lent() as devices:
        pass
    with pytest.raises(Interrupted), hardware.lent():
        stopped_by_an_operator(devices)


def stopped_by_an_operator(devices: Devices) -> None:
    devices.camera.cancel()
    raise Interrupted("stopped by an operator")


def test_a_camera_that_was_cancelled_is_opened_again_for_the_next_user(hardware: Hardware) -> None:
    interrupt(hardware)
    with hardware.lent() as devices:
        devices.camera.lock_exposure(ManualExposure(mode="manual", exposure_time_ms=10))
        assert devices.camera.capture(after_ns=0).image.size > 0
    assert hardware.faults == 0


@pytest.mark.parametrize(
    "error", [NoFocusError("an empty slide"), NotStillError("a shake"), LimitError("too far")]
)
def test_what_no_device_is_to_blame_for_keeps_the_position(
    hardware: Hardware, error: HardwareError
) -> None:
    with hardware.lent() as devices:
        devices.axis.home()
    with pytest.raises(HardwareError), hardware.lent():
        raise error
    with hardware.lent() as devices:
        assert devices.axis.snapshot().reference is Reference.REFERENCED
    assert hardware.faults == 0


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"name": "other", "service": {"reserve_mb": 70}, "frames": {"format": "png"}}, True),
        ({"camera": {"size_px": [320, 240]}}, False),
        ({"focus": {"limits_um": [0, 100]}}, False),
        ({"simulation": {"noise": 2}}, False),
        ({"optics": {"pixel_size_um": 2}}, False),
    ],
)
def test_new_settings_keep_the_position_where_no_device_is_concerned(
    hardware: Hardware, changes: dict[str, Any], kept: bool
) -> None:
    with hardware.lent() as devices:
        devices.axis.confirm(50)
    hardware.replace(Rig.model_validate(simulated_rig(**changes)))
    assert hardware.keep()
    assert hardware.rig == Rig.model_validate(simulated_rig(**changes))
    axis = hardware.axis()
    assert axis is not None
    assert (axis.reference is Reference.REFERENCED) == kept


def test_new_optics_are_none_of_a_real_rigs_devices() -> None:
    def opened_with(**changes: Any) -> tuple[object, ...]:
        focus = {"port": "/dev/ttyUSB0"}
        camera = {"driver": "uvc", "device": "/dev/video0"}
        return settings_of_devices(
            Rig.model_validate(simulated_rig(focus=focus, camera=camera, **changes))
        )

    assert opened_with() == opened_with(optics={"pixel_size_um": 2}, simulation={"noise": 2})


def test_a_device_that_failed_is_opened_again(hardware: Hardware) -> None:
    with hardware.lent() as devices:
        devices.axis.home()
    with pytest.raises(MotionError), hardware.lent():
        raise MotionError("stalled")
    assert hardware.faults == 1
    assert hardware.keep()
    with hardware.lent() as devices:
        assert devices.axis.snapshot().reference is Reference.UNREFERENCED


def test_a_rig_that_is_being_opened_is_not_called_busy(
    stop: Halt, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Hardware(Rig.model_validate(simulated_rig()), stop)
    asked: list[str] = []

    def opening(rig: Rig, **options: Any) -> Any:
        for lend in (waiting.lent, waiting.glimpsed):
            with pytest.raises(NotReady, match="it is being opened; try again"), lend():
                pytest.fail("lent while it is opened")
            asked.append(lend.__name__)
        return open_devices(rig, **options)

    monkeypatch.setattr("zstackd.service.hardware.open_devices", opening)
    assert waiting.keep()
    waiting.close()
    assert asked == ["lent", "glimpsed"]


def test_the_rig_is_lent_to_one_user_alone(hardware: Hardware) -> None:
    with hardware.lent():
        with pytest.raises(RigBusy, match="busy with a run or a move"), hardware.lent():
            pytest.fail("lent twice")
        assert hardware.keep()
    with hardware.lent():
        pass


def test_a_service_that_stops_does_not_open_it(hardware: Hardware, stop: Halt) -> None:
    interrupt(hardware)
    stop.request("stopped by SIGTERM")
    assert not hardware.keep()
    with pytest.raises(Interrupted, match="stopped by SIGTERM"), hardware.lent():
        pytest.fail("lent after the stop")


def distrusted(monkeypatch: pytest.MonkeyPatch, answer: Exception) -> Hardware:
    """A rig whose camera hung in the last process, and now answers so."""

    def lock_exposure(*_: object) -> None:
        raise answer

    monkeypatch.setattr(SimulatedCamera, "lock_exposure", lock_exposure)
    hardware = Hardware(Rig.model_validate(simulated_rig()))
    hardware.distrust_camera()
    return hardware


def test_a_camera_that_hangs_again_is_told_of_before_a_new_process_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hardware = distrusted(monkeypatch, CameraHung("no frame came"))
    assert not hardware.keep()
    assert not hardware.keep()
    assert hardware.trouble == "no frame came; a new process tries again in 120 s"
    with pytest.raises(HardwareError, match="no frame came"), hardware.lent():
        pytest.fail("lent")
    monkeypatch.setattr("zstackd.service.hardware.time.monotonic", lambda: inf)
    with pytest.raises(CameraHung):
        hardware.keep()


@pytest.mark.parametrize("kind", [CameraError, CameraTimeout])
def test_a_camera_that_only_refuses_hangs_no_more(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    hardware = distrusted(monkeypatch, kind("too dark to converge"))
    assert hardware.keep()
    hardware.close()


def test_a_stop_does_not_wait_for_a_controller_that_says_nothing(
    stop: Halt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controllers, "Timeouts", lambda: Timeouts(handshake_s=600.0))
    ours, theirs = pty.openpty()
    try:
        rig = simulated_rig(focus={"port": os.ttyname(theirs)})
        hardware = Hardware(Rig.model_validate(rig), stop)
        opened: list[bool] = []
        thread = threading.Thread(target=lambda: opened.append(hardware.keep()), name="service")
        thread.start()
        assert os.read(ours, 1)
        stop.request("stopped by SIGTERM")
        thread.join(timeout=60)
        assert opened == [False]
        hardware.close()
    finally:
        os.close(ours)
        os.close(theirs)
