"""The bearer token, without which nobody on TCP learns anything but that one is needed."""

import hashlib
import hmac
import os
import stat
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from zstackd.api.problems import problem
from zstackd_config.errors import InputError

LEAST_CHARACTERS: Final = 16
_MOST_BYTES: Final = 4096
_USAGE: Final = 2
_MAKE_ONE: Final = "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def read_token(path: Path) -> str:
    """Return the token of a file.

    Raises:
        InputError: the file cannot be read, or everybody can read it, or what it holds is no token.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{path}: the token cannot be read: {error.strerror}; {_MAKE_ONE}"
        ) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise InputError(f"{path}: everybody may read or write the token; chmod 640 {path}")
    token = content.decode("ascii", "replace").strip()
    if len(token) < LEAST_CHARACTERS or not token.isprintable() or " " in token:
        raise InputError(
            f"{path}: no token in it: one word of at least {LEAST_CHARACTERS} letters and digits "
            f"is needed; {_MAKE_ONE}"
        )
    return token


class TokenGate:
    """ASGI middleware: 401 for whoever does not show the token, before anything is read."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._digest = _digest(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on only if it carries the token."""
        if scope["type"] != "http":
            return
        scheme, _, shown = Headers(scope=scope).get("authorization", "").partition(" ")
        # Digests are of one length, so comparing them takes the same time whatever was shown.
        matches = hmac.compare_digest(_digest(shown.strip()), self._digest)
        if matches and scheme.lower() == "bearer":
            await self._app(scope, receive, send)
            return
        refusal = problem(
            HTTPStatus.UNAUTHORIZED,
            "a bearer token is needed",
            exit_status=_USAGE,
            headers={"WWW-Authenticate": "Bearer", "Connection": "close"},
        )
        await refusal(scope, receive, send)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1", "replace")).digest()
