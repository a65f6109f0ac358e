"""The devices: opened as the service would open them, but never moved."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from zstackd.api.client import Client, client_of
from zstackd.doctor.diagnosis import Diagnosis, failure, fine, warning
from zstackd.store.spool import Spool
from zstackd_config.errors import StorageError, ZstackdError
from zstackd_config.rig import Rig
from zstackd_drivers.axis import Reference
from zstackd_drivers.factory import open_axis, open_camera

STARTING_S: Final = 10.0
"""How long the opening of a rig is waited for: a controller may take 6 s to tell its name."""

_AGAIN_S: Final = 0.2


def devices(rig: Rig) -> list[Diagnosis]:
    """Return what there is to say of controller and camera; nothing moves."""
    if not rig.paths.state.exists():
        # Nobody uses the rig yet, and a folder made here might belong to the wrong user.
        return [*_axis(rig), _camera(rig)]
    try:
        with Spool(rig.paths.state):
            return [*_axis(rig), _camera(rig)]
    except StorageError as error:
        return [_in_use(rig, error)]


def _in_use(rig: Rig, why: StorageError) -> Diagnosis:
    """Return what the service says of the devices, which it has; they are left alone."""
    try:
        with client_of(rig) as client:
            status = _once_started(client)
    except ZstackdError:
        if not os.access(rig.paths.state, os.W_OK, effective_ids=True):
            return warning(
                "devices",
                f"not looked at, since this user may not take the rig ({why})",
                "run it as the user of the service: `sudo -u zstackd zstackd doctor`",
            )
        return warning(
            "devices",
            f"not looked at, since something else uses the rig ({why})",
            "wait for its end, or stop it first",
        )
    said = f"the service has them and is {status['state']}"
    if status["state"] == "degraded":
        return failure("devices", f"{said}: {status['why']}")
    loan = status.get("loan")
    if loan is not None:
        return warning("devices", f"not looked at: lent to {loan['to']}", "look again after it")
    if status["state"] == "starting":
        return warning("devices", f"{said}: {status['why']}", "look again in a moment")
    return fine("devices", said)


def _once_started(client: Client) -> dict[str, Any]:
    """Return the service's status once it has tried to open the rig, or at last as it is."""
    end = time.monotonic() + STARTING_S
    while True:
        status: dict[str, Any] = client.get("/v1/status")
        if status["state"] != "starting" or time.monotonic() > end:
            return status
        time.sleep(_AGAIN_S)


def _axis(rig: Rig) -> list[Diagnosis]:
    with _warnings() as heard:
        try:
            with open_axis(rig) as axis:
                state, cannot_home = axis.snapshot(), axis.cannot_home
                lines = [fine("focus axis", f"{rig.focus.port}: {axis.identity()}")]
        except ZstackdError as error:
            return [failure("focus axis", str(error))]
    if rig.focus.reference == "home" and cannot_home is not None:
        lines.append(failure("focus position", f"no run can begin: it cannot home, {cannot_home}"))
    elif state.reference is not Reference.REFERENCED:
        word = "homes at the first run" if rig.focus.reference == "home" else "waits for you"
        lines.append(fine("focus position", f"not known yet; the axis {word}"))
    lines += [
        warning("focus settings", said, "mend it on the controller or in the rig file")
        for said in heard
    ]
    return lines


def _camera(rig: Rig) -> Diagnosis:
    try:
        with open_camera(rig) as camera:
            info = camera.info()
    except ZstackdError as error:
        return failure("camera", str(error))
    width, height = info.size_px
    kind = "mono" if info.channels == 1 else "colour"
    return fine(
        "camera", f"{info.driver}: {info.model}, {width} x {height} px, {info.bits} bit {kind}"
    )


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect what the drivers warn of meanwhile."""
    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("zstackd_drivers")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield heard
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
