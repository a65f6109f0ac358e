"""One user of the rig at a time; who works with it waits for who only looks, not the other way."""

from __future__ import annotations

import threading

import pytest

from zstackd.service.lease import Lease


@pytest.fixture
def lease() -> Lease:
    return Lease()


def taking(lease: Lease) -> tuple[threading.Thread, list[bool]]:
    """Take the lease in a thread of its own; it counts as waiting once this returns."""
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(lease.take()), daemon=True)
    thread.start()
    while thread.is_alive() and not lease._awaited:
        thread.join(0.001)
    return thread, taken


def test_a_second_user_is_refused_at_once(lease: Lease) -> None:
    assert lease.take()
    assert not lease.take()
    assert not lease.glimpse(0)
    lease.give_back()
    assert lease.take()


def test_a_glimpse_is_waited_for(lease: Lease) -> None:
    assert lease.glimpse()
    thread, taken = taking(lease)
    assert taken == []
    lease.give_back()
    thread.join(30)
    assert taken == [True]


def test_nobody_looks_before_one_who_waits(lease: Lease) -> None:
    assert lease.glimpse()
    thread, taken = taking(lease)
    assert not lease.glimpse(0)
    lease.give_back()
    thread.join(30)
    assert taken == [True]
    assert not lease.glimpse(0)
    lease.give_back()
    assert lease.glimpse(0)


def test_a_glimpse_waits_for_who_has_the_rig_for_a_moment(lease: Lease) -> None:
    assert lease.take()
    glimpsed: list[bool] = []
    thread = threading.Thread(target=lambda: glimpsed.append(lease.glimpse(30)), daemon=True)
    thread.start()
    thread.join(0.02)
    assert glimpsed == []
    lease.give_back()
    thread.join(30)
    assert glimpsed == [True]


def test_a_user_after_a_glimpse_is_no_glimpse(lease: Lease) -> None:
    assert lease.glimpse()
    lease.give_back()
    assert lease.take()
    assert not lease.take()


def test_taking_at_last_waits_for_anybody(lease: Lease) -> None:
    assert lease.take()
    thread = threading.Thread(target=lease.take_at_last, daemon=True)
    thread.start()
    thread.join(0.02)
    assert thread.is_alive()
    lease.give_back()
    thread.join(30)
    assert not thread.is_alive()
