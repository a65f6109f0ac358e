"""Events reach every listener; a slow one loses the oldest and nobody waits for it."""

import threading

from zstackd.service.events import REMEMBERED, Event, Events


def kinds(events: list[Event | None]) -> list[str | None]:
    return [None if event is None else event.kind for event in events]


def test_every_subscription_hears_everything_in_order() -> None:
    events = Events()
    with events.subscribe() as one, events.subscribe() as two:
        events.tell("started", "run", planes=3)
        events.tell("published", "run")
        for each in (one, two):
            first, second = each.get(0), each.get(0)
            assert first is not None
            assert second is not None
            assert (first.kind, first.run_id, first.facts) == ("started", "run", {"planes": 3})
            assert second.number == first.number + 1
            assert each.get(0) is None


def test_a_slow_listener_loses_the_oldest_and_knows_how_many() -> None:
    events = Events()
    with events.subscribe(size=3) as slow:
        for number in range(10):
            events.tell(str(number))
        assert kinds([slow.get(0) for _ in range(4)]) == ["7", "8", "9", None]
        assert slow.dropped == 7


def test_who_comes_back_hears_what_was_missed() -> None:
    events = Events()
    for number in range(REMEMBERED + 5):
        events.tell(str(number))
    with events.subscribe(after=REMEMBERED + 2) as back:
        assert kinds([back.get(0) for _ in range(4)]) == ["514", "515", "516", None]
    with events.subscribe(after=0, size=2 * REMEMBERED) as old:
        first = old.get(0)
        assert first is not None
        assert first.kind == "5"


def test_who_comes_back_after_a_restart_hears_all_since() -> None:
    events = Events()
    for kind in ("recovered", "published"):
        events.tell(kind)
    with events.subscribe(after=5000) as back:
        assert kinds([back.get(0) for _ in range(3)]) == ["recovered", "published", None]


def test_all_that_is_remembered_can_be_heard() -> None:
    events = Events()
    for number in range(REMEMBERED):
        events.tell(str(number))
    with events.subscribe(after=0) as back:
        first = back.get(0)
        assert first is not None
        assert (first.kind, back.dropped) == ("0", 0)


def test_closing_frees_a_waiting_listener_and_forgets_it() -> None:
    events = Events()
    subscription = events.subscribe()
    heard: list[Event | None] = []
    thread = threading.Thread(target=lambda: heard.append(subscription.get(60)))
    thread.start()
    events.close()
    thread.join(60)
    assert heard == [None]
    assert subscription.closed
    events.tell("late")
    assert subscription.get(0) is None
