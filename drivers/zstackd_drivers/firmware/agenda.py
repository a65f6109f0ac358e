"""What a simulated controller will do later, in rig time."""

import heapq
from collections.abc import Callable
from itertools import count

_NS = 1_000_000_000


class Agenda:
    """Actions in order of their rig time; `now_ns` never goes back. Not thread-safe."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def after(self, seconds: float) -> int:
        """Return the rig time `seconds` from now."""
        return self.now_ns + round(seconds * _NS)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Let `act` be called `seconds` from now."""
        heapq.heappush(self._entries, (self.after(seconds), next(self._order), act))

    def advance(self, now_ns: int) -> None:
        """Let time pass until `now_ns`, and do what comes due on the way."""
        while self._entries and self._entries[0][0] <= now_ns:
            due_ns, _, act = heapq.heappop(self._entries)
            self.now_ns = max(self.now_ns, due_ns)
            act()
        self.now_ns = max(self.now_ns, now_ns)

    def next_ns(self) -> int | None:
        """Return the rig time of the next action."""
        return self._entries[0][0] if self._entries else None

    def clear(self) -> None:
        """Forget all actions."""
        self._entries.clear()
