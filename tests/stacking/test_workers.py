"""Parts of one frame, shared out to threads."""

from threading import Barrier, Thread, active_count

import cv2
import pytest

from zstackd_stacking import workers
from zstackd_stacking.workers import mapped


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 3)


def test_results_are_in_the_order_of_the_items() -> None:
    assert mapped(lambda item: item * item, range(50)) == [item * item for item in range(50)]
    assert mapped(str, ()) == []


def test_items_are_worked_on_side_by_side() -> None:
    together = Barrier(2, timeout=20)  # broken, where one thread has to do both
    assert mapped(lambda item: (together.wait(), item)[1], [1, 2]) == [1, 2]


def test_no_more_threads_than_asked_for() -> None:
    mapped(str, range(8))
    before = active_count()
    assert mapped(lambda _: active_count(), range(8), most=1) == [before] * 8


def test_the_first_failure_is_raised_and_ends_the_rest() -> None:
    begun = []

    def work(item: int) -> None:
        begun.append(item)
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item"):
        mapped(work, range(1000))
    assert len(begun) < 10


def test_parts_may_have_parts_and_callers_may_be_many() -> None:
    def work(item: int) -> int:
        return sum(mapped(lambda part: part + item, range(20)))

    found: dict[int, list[int]] = {}
    callers = [
        Thread(target=lambda number=number: found.update({number: mapped(work, range(20))}))
        for number in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert found == {number: [190 + 20 * item for item in range(20)] for number in range(4)}


def test_opencv_starts_no_threads_within_and_has_its_own_again_after() -> None:
    before = cv2.getNumThreads()
    assert set(mapped(lambda _: cv2.getNumThreads(), range(6))) == {1}
    assert cv2.getNumThreads() == before
