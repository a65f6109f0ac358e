"""Signs of life with a deadline, and the gate at which runs are paused."""

import threading

import pytest

from zstackd.runs.gate import Gate
from zstackd.runs.halt import Cancelled, Halt
from zstackd.runs.pulse import PATIENCE_S, Pulse, Pulses
from zstackd_config.errors import Interrupted


class Time:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_beat_is_due_after_the_expected_time_and_the_patience() -> None:
    time = Time()
    pulse = Pulse(time)
    pulse.beat(expected_s=20)
    time.now_s = 20 + PATIENCE_S
    assert pulse.late_s == 0
    time.now_s += 3
    assert (pulse.late_s, pulse.age_s) == (3, 23 + PATIENCE_S)
    pulse.rest()
    time.now_s += 1e6
    assert pulse.late_s < 0


def test_only_threads_that_hang_are_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zstackd.runs.pulse.PATIENCE_S", -1.0)
    pulses = Pulses()
    pulses.of("hangs").beat()
    pulses.of("waits").rest()
    pulses.of("works").beat(expected_s=100)
    pulses.of("has ended").beat()
    pulses.end("has ended")
    assert set(pulses.overdue_s()) == {"hangs"}
    assert set(pulses.ages_s()) == {"hangs", "waits", "works"}
    assert pulses.of("hangs") is pulses.of("hangs")


def test_an_open_gate_lets_through_and_a_shut_one_until_it_opens() -> None:
    gate, halt, beats = Gate(), Halt(), threading.Event()
    gate.wait(halt, beats.set)
    assert not beats.is_set()
    gate.shut("paused by a test")
    assert gate.reason == "paused by a test"
    thread = threading.Thread(target=lambda: gate.wait(halt, beats.set))
    thread.start()
    assert beats.wait(60)
    gate.open()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("stop", "error"),
    [
        (lambda halt, _gate: halt.request("SIGTERM"), Interrupted),
        (lambda halt, gate: (halt.cancel("by a test"), gate.wake()), Cancelled),
    ],
)
def test_a_stop_frees_who_waits_at_the_gate(stop: object, error: type[Exception]) -> None:
    gate, halt, beats = Gate(), Halt(), threading.Event()
    gate.shut("paused")
    raised: list[Exception] = []

    def wait() -> None:
        try:
            gate.wait(halt, beats.set)
        except Interrupted as caught:
            raised.append(caught)

    thread = threading.Thread(target=wait)
    thread.start()
    assert beats.wait(60)
    assert callable(stop)
    stop(halt, gate)
    thread.join(60)
    assert [type(each) for each in raised] == [error]
