"""HTTP from clients that may be slow, silent or many."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from zstackd.api.limits import Limits


class _Patience:
    """A timer that ends a connection, unless it is called off in time."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float, protocol: H11Protocol) -> None:
        """Begin to wait; goes on where it waits already."""
        if self._timer is None:
            self._timer = protocol.loop.call_later(seconds, protocol.transport.abort)

    def end(self) -> None:
        """Call it off; harmless where nothing is waited for."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol, with the time limits that it leaves to a proxy in front of it."""

    limits = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._for_head = _Patience()
        self._for_reader = _Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take a connection, if there are not too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
        else:
            self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its timers."""
        self._for_head.end()
        self._for_reader.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; more of the same head does not give it more time."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Wait for the next request, for a while."""
        super().on_response_complete()
        self._watch_head()

    def pause_writing(self) -> None:
        """Wait for the client to read, for a while."""
        super().pause_writing()
        self._for_reader.begin(self.limits.unread_s, self)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        self._for_reader.end()
        super().resume_writing()

    def _watch_head(self) -> None:
        """Let a connection live on only while a request is being answered, or one soon comes."""
        # uvicorn declares the cycle as always there; before the first request it is None.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._for_head.begin(self.limits.head_s, self)
        else:
            self._for_head.end()


def guarded_protocol(limits: Limits) -> type[GuardedProtocol]:
    """Return the protocol with limits of its own; uvicorn makes the instances."""
    return type("GuardedProtocol", (GuardedProtocol,), {"limits": limits})
