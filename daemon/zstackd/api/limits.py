"""Bounds on what one client may send, and how long it may take, before any route sees it."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zstackd.api.problems import refusal
from zstackd_config.yaml_text import MAX_BYTES

SIGN_OF_LIFE_S: Final = 15.0
"""How long an answer that is held open says nothing; a client that hears less takes it for dead."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on every client.

    `head_s` is the time for the head of a request, from connecting or from the last answer;
    `body_s` that for a whole body; `unread_s` how long an answer may wait for being read.
    `connections` beyond which new ones are closed; with `at_once` of them, requests are answered
    with 503.
    """

    head_s: float = 10.0
    body_s: float = 10.0
    unread_s: float = 30.0
    head_bytes: int = 16 << 10
    body_bytes: int = MAX_BYTES
    connections: int = 96
    at_once: int = 64


class _Refused(HTTPException):
    """The body is not worth waiting for; its rest is not read, so the connection is of no use."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(status, detail, headers={"Connection": "close"})


class BodyLimit:
    """ASGI middleware: no body that is too large, none that takes too long."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and refuse it where its body goes too far."""
        if scope["type"] != "http":
            return
        body = _Body(receive, self._limits)
        try:
            body.check_announced(Headers(scope=scope).get("content-length"))
        except _Refused as refused:
            await refusal(refused)(scope, receive, send)
        else:
            # What is refused later is answered by the application, like every other problem.
            await self._app(scope, body.receive, send)


class _Body:
    """One request's body as it comes in."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive = receive
        self._most_bytes = limits.body_bytes
        self._most_s = limits.body_s
        self._deadline_s = asyncio.get_running_loop().time() + limits.body_s
        self._bytes = 0
        self._whole = False

    def check_announced(self, length: str | None) -> None:
        if length is not None and length.isdecimal() and int(length[:20]) > self._most_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        if self._whole:  # whoever waits now, waits for the client to go away
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError as error:
            raise _Refused(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the body did not arrive within {self._most_s:g} s; send it at once",
            ) from error
        self._bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._bytes > self._most_bytes:
            raise self._too_large()
        return message

    def _too_large(self) -> _Refused:
        return _Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is larger than {self._most_bytes} bytes; send a smaller document",
        )
