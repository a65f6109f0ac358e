"""Files as answers: paths come from the service alone, never from what a client said."""

import json
import mimetypes
import os
import stat
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Final, NoReturn

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_CHUNK_BYTES: Final = 1 << 18
_TYPES: Final = ("image/jpeg", "image/png", "image/tiff", "application/octet-stream")


def absent(what: str) -> NoReturn:
    """Answer that there is no such thing."""
    raise HTTPException(HTTPStatus.NOT_FOUND, what)


def file_contents(description: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entry of an answer that is a file."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": description, "content": dict.fromkeys(_TYPES, schema)}}


def file_answer(path: Path) -> StreamingResponse:
    """Return a file's bytes as they are now; a file that went away meanwhile is answered as absent.

    What is sent is what was opened, even if the name is given to another file meanwhile.
    """
    stream = _opened(path)
    size_bytes = os.fstat(stream.fileno()).st_size
    media_type = mimetypes.guess_type(path.name)[0] or _TYPES[-1]
    return _OpenFile(stream, size_bytes, media_type)


class _OpenFile(StreamingResponse):
    """Sends an open file, and closes it however the sending ends."""

    def __init__(self, stream: BinaryIO, size_bytes: int, media_type: str) -> None:
        headers = {"Content-Length": str(size_bytes), "Cache-Control": "no-store"}
        super().__init__(_chunks(stream, size_bytes), media_type=media_type, headers=headers)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._stream:
            await super().__call__(scope, receive, send)


def published_file(manifest: Path, name: str) -> Path:
    """Return the path of a file that `manifest` names, in its own folder and nowhere else."""
    with _opened(manifest) as stream:
        entries = json.loads(stream.read())["files"]
    known = next((str(entry["name"]) for entry in entries if entry["name"] == name), None)
    if known is None or PurePath(known).name != known:
        absent(f"the result has no file {name}")
    return manifest.with_name(known)


def _opened(path: Path) -> BinaryIO:
    """Open a regular file; a link in its place, or a pipe, is not followed or waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        absent(f"{path.name} is not there any more")
    stream = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        stream.close()
        absent(f"{path.name} is not a plain file")
    return stream


def _chunks(stream: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """Yield what the answer promised."""
    left = size_bytes
    while left > 0 and (chunk := stream.read(min(left, _CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk
