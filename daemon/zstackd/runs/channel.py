"""A bounded queue between two threads of one run that nobody can be left waiting at."""

import threading
from collections import deque
from typing import Generic, TypeVar

from zstackd.runs.halt import Halt

T = TypeVar("T")


class Channel(Generic[T]):
    """First in, first out, at most `size` items; `put` and `get` end when the run is halted."""

    def __init__(self, size: int, halt: Halt) -> None:
        self._size = size
        self._halt = halt
        self._items: deque[T] = deque()
        self._closed = False
        self._changed = threading.Condition()
        halt.listen(self._wake)

    def put(self, item: T) -> None:
        """Add an item, waiting for room; raises the halt's cause where the run was stopped."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._size or self._halted())
            self._halt.check()
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T | None:
        """Return the next item, or None once closed and empty; raises the halt's cause."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._items) or self._closed or self._halted())
            self._halt.check()
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Say that no item will follow."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _halted(self) -> bool:
        return self._halt.event.is_set()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
