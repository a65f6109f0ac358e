"""Halt, channel and worker: nobody is left waiting, and the first cause is the one reported."""

import os
import signal
import threading
import time

import pytest

from zstackd.runs.capture import Arrival, Mover
from zstackd.runs.channel import Channel
from zstackd.runs.halt import Cancelled, Halt
from zstackd.runs.worker import Worker
from zstackd.system.signals import StopSignals
from zstackd_config.errors import (
    HardwareError,
    InputError,
    Interrupted,
    StackError,
    StorageError,
    ZstackdError,
)

PATIENCE_S = 60.0


def test_the_first_cause_wins_and_every_listener_is_told_once_in_order() -> None:
    halt, told = Halt(), []

    def failing() -> None:
        told.append("motor")
        raise HardwareError("link lost")

    halt.listen(failing)
    halt.listen(lambda: told.append("camera"))
    halt.check()
    halt.request("stopped by SIGTERM")
    halt.fail(StorageError("disk full"))
    halt.listen(lambda: told.append("late"))
    assert told == ["motor", "camera", "late"]
    with pytest.raises(Interrupted, match="stopped by SIGTERM"):
        halt.check()


@pytest.mark.parametrize("error", [StorageError, StackError, InputError])
def test_what_no_device_has_to_do_with_leaves_them_alone_until_a_stop(
    error: type[ZstackdError],
) -> None:
    halt, told = Halt(), []
    halt.listen(lambda: told.append("motor"), of_devices=True)
    halt.listen(lambda: told.append("queue"))
    halt.fail(error("disk full"))
    halt.listen(lambda: told.append("late motor"), of_devices=True)
    assert told == ["queue"]
    halt.fail(error("still full"))
    assert told == ["queue"]
    halt.request("stopped by SIGTERM")
    halt.request("stopped by SIGTERM")
    assert told == ["queue", "motor", "late motor"]
    with pytest.raises(error, match="disk full"):
        halt.check()


@pytest.mark.parametrize("error", [HardwareError, Interrupted, ValueError, MemoryError])
def test_whatever_else_stops_a_run_stops_the_motor(error: type[Exception]) -> None:
    halt, told = Halt(), []
    halt.listen(lambda: told.append("motor"), of_devices=True)
    halt.fail(error("x"))
    halt.listen(lambda: told.append("late motor"), of_devices=True)
    assert told == ["motor", "late motor"]


def test_a_full_channel_waits_for_room_and_keeps_the_order() -> None:
    halt = Halt()
    channel = Channel[int](2, halt)
    most = 0

    def fill() -> None:
        for number in range(100):
            channel.put(number)
        channel.close()

    worker = Worker("fill", fill, halt)
    worker.start()
    taken = []
    while (item := channel.get()) is not None:
        taken.append(item)
        most = max(most, len(channel._items))
    worker.result()
    assert taken == list(range(100))
    assert most <= 2


@pytest.mark.parametrize("waiting_in", ["put", "get"])
def test_a_halt_frees_whoever_waits_at_a_channel(waiting_in: str) -> None:
    halt = Halt()
    channel = Channel[int](1, halt)
    if waiting_in == "put":
        channel.put(0)
    worker = Worker("waits", lambda: channel.put(1) if waiting_in == "put" else channel.get(), halt)
    worker.start()
    halt.fail(StorageError("disk full"))
    with pytest.raises(StorageError, match="disk full"):
        worker.result()
    assert worker.join(time.monotonic() + PATIENCE_S)


def test_an_error_in_a_worker_halts_the_run() -> None:
    halt = Halt()

    def fails() -> None:
        raise StorageError("disk full")

    worker = Worker("fails", fails, halt)
    worker.start()
    assert halt.event.wait(PATIENCE_S)
    with pytest.raises(StorageError, match="disk full"):
        worker.result()


def test_a_cancellation_that_a_worker_meets_stops_no_motor() -> None:
    halt, told = Halt(), []
    halt.listen(lambda: told.append("motor"))
    halt.cancel("cancelled by me")
    worker = Worker("stacking", halt.check_between, halt)
    worker.start()
    with pytest.raises(Cancelled, match="cancelled by me"):
        worker.result()
    assert told == []
    assert halt.cause is None


def test_signals_are_heard_while_the_main_thread_waits() -> None:
    heard: list[str] = []
    woken = threading.Event()

    def stop(name: str) -> None:
        heard.append(name)
        woken.set()

    before = signal.getsignal(signal.SIGTERM)
    with StopSignals(stop):
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        assert woken.wait(PATIENCE_S)
    assert heard == ["SIGTERM"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_lost_terminal_is_a_stop_unless_nohup_ignores_it() -> None:
    def hang_up(seconds: float) -> bool:
        woken = threading.Event()
        with StopSignals(lambda _: woken.set()):
            os.kill(os.getpid(), signal.SIGHUP)
            return woken.wait(seconds)

    assert hang_up(PATIENCE_S)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert not hang_up(0.3)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_move_that_was_prepared_but_not_let_go_is_never_made() -> None:
    prepared, moved = threading.Event(), threading.Event()

    def move(index: int) -> Arrival:
        moved.set()
        raise AssertionError(index)

    with Mover([0, 1], lambda _: prepared.set(), move) as mover:
        mover.begin(0)
        assert prepared.wait(PATIENCE_S)
    assert not moved.is_set()
