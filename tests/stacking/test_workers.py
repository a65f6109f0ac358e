"""Parts of one frame, shared out to threads."""

from threading import Barrier, Thread, get_ident
from time import sleep

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
    together = Barrier(2, timeout=60)  # broken, where one thread has to do both
    assert mapped(lambda item: (together.wait(), item)[1], [1, 2]) == [1, 2]


def test_no_more_threads_than_asked_for() -> None:
    def work(_: int) -> int:
        sleep(0.005)
        return get_ident()

    assert set(mapped(work, range(8), most=1)) == {get_ident()}
    assert len(set(mapped(work, range(24), most=2))) <= 2


@pytest.mark.parametrize("caller_fails", [True, False], ids=["caller", "helper"])
def test_a_failure_is_raised_and_no_further_item_is_begun(*, caller_fails: bool) -> None:
    begun, caller, both = [], get_ident(), Barrier(2, timeout=60)

    def work(item: int) -> None:
        begun.append(item)
        if item < 2:
            both.wait()
        if (get_ident() == caller) is caller_fails:
            raise ValueError(f"item {item}")
        sleep(0.001)

    with pytest.raises(ValueError, match="item"):
        mapped(work, range(100_000), most=2)
    assert len(begun) < 50_000


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
