"""The rig lent to another program: closed for it, and opened again however the loan ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.rigs import simulated_rig

from zstackd.runs.halt import Halt
from zstackd.service.hardware import Hardware, NotReady
from zstackd.service.lease import RigBusy
from zstackd_config.errors import Interrupted
from zstackd_config.rig import Rig
from zstackd_drivers.axis import Reference
from zstackd_drivers.factory import open_devices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zstackd.service.loan import Loan

PATIENCE_S = 60.0


def test_a_lent_rig_is_closed_and_stays_so(hardware: Hardware) -> None:
    loan = hardware.lend("somebody")
    assert hardware.loan is loan
    assert not hardware.keep()
    assert (hardware.axis(), hardware.camera()) == (None, None)
    for use in (hardware.lent, hardware.glimpsed):
        with pytest.raises(RigBusy, match=r"lent to somebody since .*; wait for its end"), use():
            pytest.fail("used while it is lent")
    with pytest.raises(RigBusy, match="lent to somebody"):
        hardware.lend("somebody else")
    loan.end()


def test_afterwards_it_is_opened_again_and_its_position_is_not_known(hardware: Hardware) -> None:
    with hardware.lent() as devices:
        devices.axis.home()
    loan = hardware.lend("somebody")
    loan.end()
    loan.end()
    assert hardware.loan is None
    assert hardware.keep()
    axis = hardware.axis()
    assert axis is not None
    assert axis.reference is Reference.UNREFERENCED
    assert hardware.faults == 0


def test_an_end_that_is_said_twice_takes_nothing_from_the_next_user(hardware: Hardware) -> None:
    loan = hardware.lend("somebody")
    loan.end()
    assert hardware.keep()
    with hardware.lent():
        loan.end()
        with pytest.raises(RigBusy), hardware.lent():
            pytest.fail("lent twice")


def test_a_rig_in_use_is_not_lent(hardware: Hardware) -> None:
    with hardware.lent(), pytest.raises(RigBusy, match="busy with a run or a move"):
        hardware.lend("somebody")
    assert hardware.loan is None
    assert hardware.keep()


def test_the_stop_of_the_service_ends_the_loan_and_tells_why(
    hardware: Hardware, stop: Halt
) -> None:
    loan = hardware.lend("somebody")
    stop.request("stopped by SIGTERM")
    assert loan.over
    assert str(loan.recalled.cause) == "the service ended: stopped by SIGTERM"
    closing = threading.Thread(target=hardware.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()


def test_a_loan_that_comes_after_the_stop_is_over_at_once(hardware: Hardware, stop: Halt) -> None:
    stop.request("stopped by SIGTERM")
    assert hardware.lend("somebody").over


def test_a_stopped_motor_is_the_borrowers_too(hardware: Hardware) -> None:
    loan = hardware.lend("somebody")
    hardware.stop_motion("stopped by an operator")
    assert str(loan.recalled.cause) == "stopped by an operator"
    assert not loan.over
    loan.end()


class Opening:
    """A rig that is just being opened, for as long as the test wants."""

    def __init__(self, hardware: Hardware, monkeypatch: pytest.MonkeyPatch) -> None:
        self._hardware = hardware
        self._begun = threading.Event()
        self.goes_on = threading.Event()
        monkeypatch.setattr("zstackd.service.hardware.open_devices", self._open)

    def _open(self, rig: Rig, **options: Any) -> Any:
        self._begun.set()
        assert self.goes_on.wait(PATIENCE_S)
        return open_devices(rig, **options)

    def begin(self) -> threading.Thread:
        """Open the rig in a thread of its own."""
        thread = threading.Thread(target=self._hardware.keep)
        thread.start()
        assert self._begun.wait(PATIENCE_S)
        return thread


@pytest.fixture
def opening(stop: Halt, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Hardware, Opening]]:
    hardware = Hardware(Rig.model_validate(simulated_rig()), stop)
    found = Opening(hardware, monkeypatch)
    thread = found.begin()
    yield hardware, found
    found.goes_on.set()
    thread.join()
    hardware.close()


def test_a_rig_that_is_being_opened_is_waited_for(opening: tuple[Hardware, Opening]) -> None:
    hardware, found = opening
    threading.Timer(0.5, found.goes_on.set).start()
    loan = hardware.lend("somebody")
    assert found.goes_on.is_set()
    loan.end()


def test_one_that_takes_too_long_to_open_is_told(
    opening: tuple[Hardware, Opening], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zstackd.service.hardware.OPENING_S", 0.0)
    with pytest.raises(NotReady, match="it is being opened; try again"):
        opening[0].lend("somebody")


def test_one_at_a_time_waits_for_it(opening: tuple[Hardware, Opening]) -> None:
    hardware, found = opening
    loans: list[Loan] = []
    first = threading.Thread(target=lambda: loans.append(hardware.lend("the first")))
    first.start()
    while not hardware._asked.locked():
        first.join(0.001)
    with pytest.raises(RigBusy, match="another program asks for the rig already"):
        hardware.lend("the second")
    found.goes_on.set()
    first.join(PATIENCE_S)
    (loan,) = loans
    loan.end()


def test_a_stop_is_not_kept_waiting(stop: Halt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zstackd.service.hardware.OPENING_S", 3600.0)
    hardware = Hardware(Rig.model_validate(simulated_rig()), stop)
    assert hardware._lease.take()  # as whoever opens it does
    threading.Timer(0.5, lambda: stop.request("stopped by SIGTERM")).start()
    with pytest.raises(Interrupted, match="stopped by SIGTERM"):
        hardware.lend("somebody")
    hardware._lease.give_back()
