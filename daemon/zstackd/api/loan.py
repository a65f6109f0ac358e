"""Lending the rig: for as long as the borrower holds the answer open."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from zstackd.api.limits import SIGN_OF_LIFE_S
from zstackd.api.problems import documented
from zstackd.api.runs import Words
from zstackd.service.control import Control
from zstackd.service.loan import Loan


def loan_router(control: Control) -> APIRouter:
    """Return the route of the loan."""
    routes = APIRouter(tags=["rig"])

    @routes.post(
        "/v1/loan",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Lent until the connection closes. Empty lines are signs of life; "
                "any other says why the motor is to be stopped and the rig to be given back.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **documented(
                HTTPStatus.FORBIDDEN,
                HTTPStatus.CONFLICT,
                HTTPStatus.UNPROCESSABLE_ENTITY,
                HTTPStatus.SERVICE_UNAVAILABLE,
            ),
        },
        operation_id="lend",
    )
    async def lend(request: Request, by: Words = "API") -> StreamingResponse:
        """Close the devices of the idle rig, so that the client opens them, while it listens."""
        if request.client is not None:  # who comes through a Unix socket has no address
            raise HTTPException(
                HTTPStatus.FORBIDDEN,
                "the rig is lent to programs on this machine alone: ask through the Unix socket",
            )
        return _Lent(await run_in_threadpool(control.lend, by))

    return routes


class _Lent(StreamingResponse):
    """An answer that ends the loan by ending, however it ends."""

    def __init__(self, loan: Loan) -> None:
        super().__init__(
            _told(loan), media_type="text/plain", headers={"Cache-Control": "no-store"}
        )
        self._loan = loan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._loan.end()


async def _told(loan: Loan) -> AsyncIterator[bytes]:
    """Yield lines for the borrower until the loan is over."""
    with _recalling(loan) as recalled:
        while True:
            recalled.clear()
            yield f"{loan.recalled.cause or ''}\n".encode()
            if loan.over:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(SIGN_OF_LIFE_S):
                    await recalled.wait()


@contextmanager
def _recalling(loan: Loan) -> Iterator[asyncio.Event]:
    """Inside, the event is set in this loop once the loan is recalled, from whatever thread."""
    recalled, loop = asyncio.Event(), asyncio.get_running_loop()

    def tell() -> None:
        loop.call_soon_threadsafe(recalled.set)

    loan.recalled.listen(tell)
    try:
        yield recalled
    finally:
        loan.recalled.unlisten(tell)
