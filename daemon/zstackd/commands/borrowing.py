"""The rig for a command that opens it for itself: lent by its service, where one runs."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import typer

from zstackd.api.client import Client, Unreachable, client_of
from zstackd.runs.by_hand import alone, opened
from zstackd.runs.halt import Halt
from zstackd.runs.progress import Say
from zstackd_config.rig import Rig
from zstackd_drivers.axis import Reference
from zstackd_drivers.factory import Devices


@contextmanager
def at_hand(
    rig: Rig, at_um: float | None, *, command: str, say: Say, referenced: bool = True
) -> Iterator[Devices]:
    """Open the rig as `opened` does, beside a running service too: that lends it meanwhile."""
    holder = _Holder(command)
    with opened(rig, at_um, referenced=referenced, hold=holder, say=say) as devices:
        try:
            yield devices
        finally:
            axis = devices.axis.snapshot()
            if referenced:
                known = axis.reference is Reference.REFERENCED
                holder.stands_um = axis.position_um if known else None


class _Holder:
    """Keeps others from the rig: by a loan of its service, or as `alone` does where none runs.

    `stands_um` is where the axis stands, as far as is known; whoever moves it keeps that true.
    After a loan the service has to be told where nobody homes the axis, so it is said then.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self.stands_um: float | None = None

    @contextmanager
    def __call__(self, rig: Rig, halt: Halt) -> Iterator[None]:
        """Hold the rig; should the service want it back, it asks for this halt."""
        with ExitStack() as stack:
            try:
                service = stack.enter_context(client_of(rig))
            except Unreachable:
                held: AbstractContextManager[object] = alone(rig, halt)
            else:
                held = self._lent(service, rig, halt)
            stack.enter_context(held)
            yield

    @contextmanager
    def _lent(self, service: Client, rig: Rig, halt: Halt) -> Iterator[None]:
        self.stands_um = _height_of(service.get("/v1/status")["axis"])
        by = f"zstackd {self._command} (process {os.getpid()})"
        with service.borrowing(by, halt.request):
            try:
                yield
            finally:
                if rig.focus.reference == "confirm":
                    typer.echo(_to_confirm(self.stands_um), err=True)


def frame_px_of_service(rig: Rig) -> tuple[int, int] | None:
    """Return width and height as the camera of the running service says; None where none does."""
    try:
        with client_of(rig) as service:
            camera: dict[str, Any] | None = service.get("/v1/status")["camera"]
    except Unreachable:
        return None
    if camera is None:
        return None
    width, height = camera["size_px"]
    return width, height


def _height_of(axis: dict[str, Any] | None) -> float | None:
    """Return where the service knows its axis to stand."""
    if axis is None or axis["reference"] != Reference.REFERENCED.value:
        return None
    height_um: float | None = axis["position_um"]
    return height_um


def _to_confirm(stands_um: float | None) -> str:
    said = "the service waits to be told where the axis stands"
    if stands_um is None:
        return f"{said}: zstackd focus confirm UM"
    return f"{said}; it was left at {stands_um:zg} µm: zstackd focus confirm {stands_um:zg}"
