"""What the lender of the rig says to the borrower, heard by a thread of its own."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx

_GONE = "the service that lent the rig ended"


@contextmanager
def heeded(response: httpx.Response, recall: Callable[[str], None]) -> Iterator[None]:
    """Call `recall` with what the lender says, and where it says nothing more, while entered."""
    left = threading.Event()

    def hear() -> None:
        with suppress(httpx.TransportError):  # it is gone, or silent for too long
            for line in response.iter_lines():
                if line:
                    recall(line)
        if not left.is_set():
            recall(_GONE)

    thread = threading.Thread(target=hear, name="recalls", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        _hang_up(response)
        thread.join()


def _hang_up(response: httpx.Response) -> None:
    """End the connection for the thread that reads it; closing alone would not wake it."""
    connection: socket.socket = response.extensions["network_stream"].get_extra_info("socket")
    with suppress(OSError):  # the service closed it already
        connection.shutdown(socket.SHUT_RDWR)
