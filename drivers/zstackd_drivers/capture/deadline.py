"""A deadline on calls that have none of their own."""

import threading
from collections.abc import Callable
from typing import TypeVar

from zstackd_drivers.errors import CameraHung

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T], *, what: str) -> T:
    """Return what `call` returns, or raise what it raises; CameraHung after `seconds`.

    The call runs in a thread of its own, which is left behind where it never ends.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:  # noqa: BLE001 - handed over to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name=f"{what} with deadline", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise CameraHung(
            f"{what} did not end within {seconds:g} s; the camera's software hangs: restart the "
            "service, and check the camera's cable"
        )
    if errors:
        raise errors[0]
    return results[0]
