"""Whatever stops a run stops the motor first, but for what no device has to do with."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from zstackd.runs.halt import Cancelled, Halt
from zstackd.store.room import NoRoom
from zstackd_config.errors import HardwareError
from zstackd_drivers.factory import Devices

_AGAIN_S = 0.02
BETWEEN_PLANES = (Cancelled, NoRoom)
"""Raised by the checkpoint alone: the devices need not be stopped."""


@contextmanager
def motor_stops_with(halt: Halt, devices: Devices) -> Iterator[None]:
    """Inside, the halt stops the motor, then frees whoever waits for the camera.

    Not where the disk is full or a stack cannot be made (see `Halt`): the move in work ends, the
    next one is not begun. An error raised inside halts the run too, other than those that can only
    be raised between planes, where nothing moves. A stop that came between two moves would be
    missed by the next one, so it is said again until the body is left.
    """
    left = threading.Event()

    def repeat() -> None:
        while not left.wait(_AGAIN_S):
            with suppress(HardwareError):  # a lost link is reported by the move itself
                devices.axis.stop()

    def stop() -> None:
        devices.axis.stop()
        threading.Thread(target=repeat, name="motor stop", daemon=True).start()

    listeners = (stop, devices.camera.cancel)
    for listener in listeners:
        halt.listen(listener, of_devices=True)
    try:
        yield
    except BETWEEN_PLANES:
        raise
    except BaseException as error:
        halt.fail(error)
        raise
    finally:
        left.set()
        for listener in listeners:
            halt.unlisten(listener)
