"""Events as a stream of server-sent events, for as long as the client listens."""

import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final

import anyio
from anyio import to_thread
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from zstackd.api.limits import SIGN_OF_LIFE_S
from zstackd.api.models import EventAnswer
from zstackd.api.problems import documented
from zstackd.service.control import Control
from zstackd.service.events import Event, Subscription

MOST_LISTENERS: Final = 16
_LOOK_S: Final = 1.0
_SIGN_OF_LIFE_LOOKS: Final = round(SIGN_OF_LIFE_S / _LOOK_S)
_OLDEST: Final = 10**15


def stream_router(control: Control, most_listeners: int = MOST_LISTENERS) -> APIRouter:
    """Return the route of the event stream."""
    routes = APIRouter(tags=["service"])
    # Threads of their own: listeners must not use up those that answer requests.
    threads = anyio.CapacityLimiter(most_listeners)
    listening: set[Subscription] = set()

    @routes.get(
        "/v1/events",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Server-sent events; the `data` of each is an EventAnswer.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **documented(HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS),
        },
        operation_id="events",
    )
    async def events(
        run_id: Annotated[
            str | None, Query(max_length=100, description="Only events of this run.")
        ] = None,
        after: Annotated[
            int | None,
            Query(ge=0, le=_OLDEST, description="Begin after this event, if still remembered."),
        ] = None,
        last_event_id: Annotated[
            int | None, Header(ge=0, le=_OLDEST, description="The same; sent on reconnecting.")
        ] = None,
    ) -> StreamingResponse:
        """Listen to what happens, from now on or from a remembered event on."""
        if run_id is not None:
            await run_in_threadpool(control.run, run_id)  # of a run that there is not, none comes
        if len(listening) >= most_listeners:
            # Every listener costs a thread, and the service has work to do.
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{most_listeners} clients listen to events already; close one of them",
            )
        heard = after if last_event_id is None else last_event_id
        subscription = control.subscribe(after=heard)
        listening.add(subscription)

        async def stream() -> AsyncIterator[bytes]:
            try:
                async for event in _told(subscription, threads):
                    if event is None:
                        yield b": still here\n\n"
                    elif run_id is None or event.run_id == run_id:
                        yield as_text(event)
            finally:
                listening.discard(subscription)
                subscription.close()

        return StreamingResponse(
            stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    return routes


async def _told(
    subscription: Subscription, threads: anyio.CapacityLimiter
) -> AsyncIterator[Event | None]:
    """Yield events as they come, and None now and then, by which a vanished client shows."""
    yield None
    silent = 0
    while True:
        event = await to_thread.run_sync(subscription.get, _LOOK_S, limiter=threads)
        if event is None and subscription.closed:
            return
        silent = 0 if event is not None else silent + 1
        if event is not None or silent % _SIGN_OF_LIFE_LOOKS == 0:
            yield event


def as_text(event: Event) -> bytes:
    """Return an event in the text form of server-sent events."""
    data = EventAnswer.of(event).model_dump(mode="json")
    kind = "".join(event.kind.split())
    return f"id: {event.number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
