"""Scripted faults come when they can do harm."""

from zstackd_drivers.firmware.faults import Action, Fault, Script


def test_a_stall_between_two_motions_waits_for_the_next() -> None:
    stall, silence = Fault(Action.STALL, on_motion=1), Fault(Action.SILENCE, on_motion=1)
    script = Script([stall, silence])
    script.see(motions=1, lines=[], now_ns=5)
    assert script.next_ns() == 5
    assert script.take_due(5, moving=False) == [silence]
    assert script.next_ns() is None
    assert script.take_due(9, moving=False) == []
    assert script.take_due(12, moving=True) == [stall]
    assert script.take_due(13, moving=True) == []
