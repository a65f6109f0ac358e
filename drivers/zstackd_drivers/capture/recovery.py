"""What to do when a camera stalls: open it anew once, then ask for a new process."""

import logging
from collections.abc import Callable
from typing import TypeVar

from zstackd_drivers.errors import CameraHung, CameraStalled

_log = logging.getLogger(__name__)
T = TypeVar("T")


def despite_a_stall(action: Callable[[], T], *, reopen: Callable[[], None]) -> T:
    """Return what `action` returns; after a stall, `reopen` and once more.

    Raises CameraHung where the second try stalls too, and whatever else both of them raise.
    """
    try:
        return action()
    except CameraStalled as stall:
        _log.warning("%s; opening the camera anew", stall)
    try:
        reopen()
        return action()
    except CameraStalled as again:
        raise CameraHung(
            f"{again}; it stalled twice in a row, so the process must be started anew"
        ) from again
