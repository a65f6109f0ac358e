"""The API's thread: one event loop that serves the Unix socket and, if asked for, TCP."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.types import ASGIApp

from zstackd.api.limits import BodyLimit, Limits
from zstackd.api.origin import OriginGate
from zstackd.api.protocol import guarded_protocol
from zstackd.api.sockets import listen_tcp, listen_unix, remove
from zstackd.api.token import TokenGate, read_token
from zstackd_config.api import Tcp

BEAT_S: Final = 2.0
_GRACE_S: Final = 1
_LOOPBACK: Final = ("127.", "::1", "localhost")
_log = logging.getLogger(__name__)


class ApiServer:
    """While entered, serves `app`; `beat` is called now and then by the loop that does it.

    Entering raises what keeps a socket from listening (InputError, StorageError); the token is
    read there too.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        path: Path,
        tcp: Tcp | None,
        beat: Callable[[], None],
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._app = app
        self._path = path
        self._tcp = tcp
        self._beat = beat
        self._stack = ExitStack()
        self._started = threading.Event()

    @property
    def tcp_address(self) -> tuple[str, int] | None:
        """Host and port that TCP listens on; None where it does not."""
        return self._tcp_address

    def __enter__(self) -> Self:
        self._tcp_address: tuple[str, int] | None = None
        with ExitStack() as stack:
            servers = [self._unix(stack)]
            if self._tcp is not None:
                servers.append(self._on_tcp(self._tcp, stack))
            self._loop = asyncio.new_event_loop()
            stack.callback(self._loop.close)
            self._end = asyncio.Event()
            thread = threading.Thread(
                target=self._loop.run_until_complete,
                args=(self._serve(servers),),
                name="api",
                daemon=True,
            )
            thread.start()
            stack.callback(thread.join)
            self._stack = stack.pop_all()
        self._started.wait()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._stack.close()

    def _unix(self, stack: ExitStack) -> tuple[uvicorn.Config, socket.socket]:
        listener = stack.enter_context(listen_unix(self._path))
        stack.callback(remove, self._path)
        _log.info("control socket: %s", self._path)
        return self._config(OriginGate(BodyLimit(self._app, self._limits))), listener

    def _on_tcp(self, tcp: Tcp, stack: ExitStack) -> tuple[uvicorn.Config, socket.socket]:
        bounded = BodyLimit(self._app, self._limits)
        gate = TokenGate(bounded, read_token(tcp.token_file))
        listener = stack.enter_context(listen_tcp(tcp))
        host, port = listener.getsockname()[:2]
        self._tcp_address = (host, port)
        _log.info(
            "control API on TCP: %s port %d, with the token of %s", host, port, tcp.token_file
        )
        if not host.startswith(_LOOPBACK):
            _log.warning("the control API is open to the network, unencrypted: use a VPN or proxy")
        return self._config(gate), listener

    def _config(self, app: ASGIApp) -> uvicorn.Config:
        return uvicorn.Config(
            app,
            http=guarded_protocol(self._limits),
            ws="none",
            loop="none",
            lifespan="off",
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            limit_concurrency=self._limits.at_once,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=self._limits.head_bytes,
        )

    async def _serve(self, servers: list[tuple[uvicorn.Config, socket.socket]]) -> None:
        pending = [
            asyncio.ensure_future(_Server(config, self._end).serve(sockets=[listener]))
            for config, listener in servers
        ]
        self._started.set()
        while not self._end.is_set():
            self._beat()
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._end.wait()
            except TimeoutError:
                continue
        await asyncio.gather(*pending)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


class _Server(uvicorn.Server):
    """uvicorn's server without its ten looks a second, ended by an event."""

    def __init__(self, config: uvicorn.Config, end: asyncio.Event) -> None:
        super().__init__(config)
        self._end = end

    async def main_loop(self) -> None:
        await self._end.wait()
