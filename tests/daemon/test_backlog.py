"""The queue: priority, arrival, time, what a job needs; nothing is handed out twice."""

import threading
import time
from pathlib import Path

from zstackd.service.backlog import Backlog, Job
from zstackd.store.spool import RunFolder


class Wall:
    """Seconds that only the test lets pass."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def job(name: str, *, priority: int = 0, ready_at: float = 0.0) -> Job:
    return Job(RunFolder(Path(name)), priority=priority, ready_at=ready_at)


def anything(_: Job) -> bool:
    return True


def taken(backlog: Backlog) -> str | None:
    found = backlog.take(0.0, able=anything)
    return None if found is None else found.run_id


def test_priority_goes_before_arrival_and_time_before_both() -> None:
    wall = Wall()
    backlog = Backlog(wall)
    for each in (
        job("first"),
        job("urgent", priority=5),
        job("later", priority=9, ready_at=2000),
        job("second"),
        job("whenever", priority=-1),
    ):
        backlog.put(each)
    assert [taken(backlog) for _ in range(5)] == ["urgent", "first", "second", "whenever", None]
    wall.now_s = 2000.0
    assert taken(backlog) == "later"


def test_a_run_is_in_the_queue_once_until_it_has_left() -> None:
    backlog = Backlog()
    for _ in range(2):
        backlog.put(job("a"))
    assert taken(backlog) == "a"
    backlog.put(job("a"))
    assert backlog.waiting() == []
    backlog.done()
    backlog.put(job("a"))
    assert backlog.remove("a") is not None
    backlog.put(job("a"))
    first = backlog.take(0.0, able=anything)
    assert first is not None
    backlog.put_back(first)
    backlog.done()
    backlog.put(job("a"))
    assert [each.run_id for each in backlog.waiting()] == ["a"]


def test_a_job_put_back_goes_before_its_equals() -> None:
    backlog = Backlog()
    for name in ("a", "b"):
        backlog.put(job(name))
    first = backlog.take(0.0, able=anything)
    assert first is not None
    assert backlog.in_work() is first
    backlog.put_back(first)
    assert backlog.in_work() is None
    assert [each.run_id for each in backlog.waiting()] == ["a", "b"]


def test_a_clock_that_is_set_back_keeps_no_run_from_being_tried_again() -> None:
    wall = Wall()
    backlog = Backlog(wall)
    again, soon = job("again"), job("soon")
    again.again_s = soon.again_s = time.monotonic() + 3600
    for each in (again, soon):
        backlog.put(each)
    wall.now_s = 1.0
    assert taken(backlog) is None
    soon.again_s = time.monotonic() + 0.05
    found = backlog.take(30.0, able=anything)
    assert found is not None
    assert found.run_id == "soon"
    assert taken(backlog) is None


def test_what_cannot_be_done_now_is_passed_over() -> None:
    backlog = Backlog()
    held, free = job("held"), job("free")
    held.gate.shut("paused")
    unable = job("unable")
    for each in (held, unable, free):
        backlog.put(each)
    found = backlog.take(0.0, able=lambda each: each is not unable)
    assert found is free
    held.gate.open()
    assert backlog.take(0.0, able=lambda each: each is not unable) is held


def test_a_taken_job_is_found_but_no_longer_removed() -> None:
    backlog = Backlog()
    for name in ("a", "b"):
        backlog.put(job(name))
    assert taken(backlog) == "a"
    assert backlog.remove("a") is None
    assert backlog.find("a") is not None
    removed = backlog.remove("b")
    assert removed is not None
    assert backlog.find("b") is None
    backlog.done()
    assert backlog.find("a") is None


def test_a_waiting_take_wakes_for_a_new_job_and_for_the_end() -> None:
    backlog = Backlog()
    found: list[Job | None] = []
    thread = threading.Thread(
        target=lambda: found.extend(backlog.take(60, able=anything) for _ in range(2))
    )
    thread.start()
    new = job("new")
    backlog.put(new)
    backlog.close()
    thread.join(60)
    assert not thread.is_alive()
    assert found in ([new, None], [None, None])
