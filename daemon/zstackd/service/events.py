"""What happens in the service, told to everyone who listens; nobody who listens can slow it."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

REMEMBERED: Final = 512
"""Events kept for a listener that comes back and says what it heard last."""

QUEUE: Final = REMEMBERED
"""Events that wait for one listener: all that are remembered, for one that comes back."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `number` grows by one from event to event.

    `kind` is a journal's event, or `progress` (facts: stage, done, total), or `service` (facts:
    state, why). `run_id` is None where no single run is meant.
    """

    number: int
    at: str
    kind: str
    run_id: str | None
    facts: Mapping[str, Any]


class Subscription:
    """One listener's queue of at most `size` events; the oldest are dropped and counted."""

    def __init__(self, size: int, leave: Callable[["Subscription"], None]) -> None:
        self._size = size
        self._leave = leave
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._dropped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def dropped(self) -> int:
        """How many events were lost because they were not fetched in time."""
        with self._changed:
            return self._dropped

    @property
    def closed(self) -> bool:
        """Whether no event will come any more, other than those that wait."""
        with self._changed:
            return self._closed

    def get(self, timeout_s: float) -> Event | None:
        """Return the next event; None where none came in time, or all were fetched and closed."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._closed, timeout_s)
            return self._waiting.popleft() if self._waiting else None

    def put(self, event: Event) -> None:
        """Add an event; returns at once."""
        with self._changed:
            if len(self._waiting) >= self._size:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(event)
            self._changed.notify_all()

    def close(self) -> None:
        """Stop listening; a waiting `get` returns."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._leave(self)


class Events:
    """Takes events from any thread and hands each to every subscription."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._recent: deque[Event] = deque(maxlen=REMEMBERED)
        self._subscriptions: list[Subscription] = []

    def tell(self, kind: str, run_id: str | None = None, **facts: Any) -> None:
        """Tell all who listen; returns at once."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self._number += 1
            event = Event(self._number, now, kind, run_id, facts)
            self._recent.append(event)
            for subscription in self._subscriptions:
                subscription.put(event)

    def subscribe(self, *, after: int | None = None, size: int = QUEUE) -> Subscription:
        """Return a new subscription; with `after` it begins with the remembered later events.

        A number that is still to come is one of an earlier start: all that is remembered is later.
        """
        subscription = Subscription(size, self._forget)
        with self._lock:
            if after is not None:
                after = after if after <= self._number else 0
                for event in self._recent:
                    if event.number > after:
                        subscription.put(event)
            self._subscriptions.append(subscription)
        return subscription

    def close(self) -> None:
        """End every subscription."""
        with self._lock:
            subscriptions = tuple(self._subscriptions)
        for subscription in subscriptions:
            subscription.close()

    def _forget(self, subscription: Subscription) -> None:
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
