"""Keeps web pages of others away from the Unix socket, once a browser can reach it.

A tunnel (`ssh -L 8080:/run/zstackd/control.sock rig`) opens the socket to the browser on the
computer at its other end, and so to every page that is open there: a page of another site may post
to `localhost`, and one that lets its own name point to 127.0.0.1 may read the answers, too.
"""

import ipaddress
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from zstackd.api.problems import problem

_USAGE: Final = 2


class OriginGate:
    """ASGI middleware: 403 for requests of other sites' pages, 421 for hosts that are not here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless a page from elsewhere made it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not is_local(host):
            refusal = problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this is not {host[:100]!r}; ask for localhost, or an address in figures",
                exit_status=_USAGE,
            )
        elif origin is not None and urlsplit(origin).netloc != host:
            refusal = problem(
                HTTPStatus.FORBIDDEN,
                f"the page of {origin[:100]!r} has no say here; open the one of this service",
                exit_status=_USAGE,
            )
        else:
            await self._app(scope, receive, send)
            return
        await refusal(scope, receive, send)


def is_local(host: str) -> bool:
    """Return whether a Host header is nobody's name in the public internet.

    An address in figures, `localhost`, or one word without dots.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if "." not in name and ":" not in name:
        return True
    if name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
