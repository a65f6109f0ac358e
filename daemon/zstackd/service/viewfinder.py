"""What the camera sees, for whoever looks: a frame of its own, or the newest one of a run."""

import math
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Final

from zstackd.runs.past import stored_frame
from zstackd.service.house import House
from zstackd.service.lease import RigBusy
from zstackd.store.spool import RunFolder
from zstackd_config.errors import HardwareError, InputError
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_config.sampling import largest_step_um
from zstackd_drivers.axis import Reference
from zstackd_drivers.camera import ExposureValues, Image
from zstackd_drivers.errors import CameraError, CameraHung, CameraTimeout
from zstackd_drivers.factory import Devices
from zstackd_stacking.files.images import read_image

Exposure = LockedAutoExposure | ManualExposure

MOST_IN_LINE: Final = 4
"""How many clients may wait for their look; each takes one of the few threads of the API."""

_SAME_EXPOSURE: Final = 0.01


class NoView(HardwareError):
    """The camera gives no picture as it was asked for; it is opened again, the axis is not."""

    is_fault = False


@dataclass(frozen=True, slots=True)
class View:
    """A frame, full size, and how it was taken.

    `image` is (H, W) or (H, W, 3). `run_id` is the run that it was captured for; None: it was taken
    to be looked at. `z_um` is None where nobody knows the height. `largest_step_um` is the distance
    of planes at which nothing between them is lost.
    """

    image: Image
    run_id: str | None
    z_um: float | None
    exposure: ExposureValues
    largest_step_um: float


class Viewfinder:
    """Looks through the idle rig's camera; while a run has it, at what that captures."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._line = BoundedSemaphore(MOST_IN_LINE)
        self._turn = Lock()
        self._opened = 0
        self._wish: Exposure | None = None
        self._locked: ExposureValues | None = None

    def look(self, wish: Exposure, *, expose_anew: bool = False) -> View:
        """Take a fresh frame, or fetch the newest one of the run that has the rig.

        The exposure is found or set once and then held, so that frames can be compared; again
        where `expose_anew` says so, the wish changed, or a run has used the camera since.

        Raises RigBusy where the rig is used otherwise, or too many look; InputError where the
        camera does not take the exposure, NoView where it gives no frame with it, HardwareError
        where it is not ready.
        """
        if not self._line.acquire(blocking=False):
            raise RigBusy(f"{MOST_IN_LINE} clients wait for a look already; look again later")
        try:
            with self._turn:
                return self._seen(wish, expose_anew=expose_anew)
        finally:
            self._line.release()

    def _seen(self, wish: Exposure, *, expose_anew: bool) -> View:
        captured = self._captured()
        if captured is not None:
            return captured
        with self._house.hardware.glimpsed() as devices:
            return self._taken(devices, wish, expose_anew=expose_anew)

    def _taken(self, devices: Devices, wish: Exposure, *, expose_anew: bool) -> View:
        camera, stop = devices.camera, self._house.stop
        stop.listen(camera.cancel)
        try:
            if expose_anew or not self._holds(wish):
                self._lock(devices, wish)
            frame = camera.capture(after_ns=devices.clock.monotonic_ns())
            if self._locked is None or not _same(frame.exposure, self._locked):
                self._lock(devices, wish)
                frame = camera.capture(after_ns=devices.clock.monotonic_ns())
        except CameraHung:
            raise
        except (CameraError, CameraTimeout) as error:
            raise NoView(str(error)) from error
        finally:
            stop.unlisten(camera.cancel)
        axis = devices.axis.snapshot()
        known = axis.reference is Reference.REFERENCED
        z_um = axis.position_um if known else None
        return self._view(frame.image, None, z_um, frame.exposure)

    def _holds(self, wish: Exposure) -> bool:
        return self._opened == self._house.hardware.cameras_opened and self._wish == wish

    def _lock(self, devices: Devices, wish: Exposure) -> None:
        self._wish = None  # until it is locked
        try:
            self._locked = devices.camera.lock_exposure(wish)
        except CameraError as error:
            if isinstance(wish, ManualExposure):
                raise InputError(str(error)) from error
            raise
        self._wish, self._opened = wish, self._house.hardware.cameras_opened

    def _captured(self) -> View | None:
        """Return the newest frame of the run in work; None where there is none."""
        job, latest = self._house.backlog.in_work(), self._house.catalogue.latest_frame()
        if job is None or latest is None or latest[0] != job.run_id:
            return None
        run_id, entry = latest
        stored = stored_frame(entry)
        try:
            image = read_image(RunFolder(self._house.spool.runs / run_id).frames / stored.file)
        except InputError:
            return None  # gone, or dropped by now
        return self._view(image, run_id, stored.z_um, stored.exposure)

    def _view(
        self, image: Image, run_id: str | None, z_um: float | None, exposure: ExposureValues
    ) -> View:
        step_um = largest_step_um(self._house.rig.optics)
        return View(image, run_id, z_um, exposure, step_um)


def _same(one: ExposureValues, other: ExposureValues) -> bool:
    """Whether a frame carries the exposure that was locked, but for what a sensor rounds."""
    pairs = (
        (one.exposure_time_ms, other.exposure_time_ms),
        (one.analogue_gain, other.analogue_gain),
    )
    return all(math.isclose(a, b, rel_tol=_SAME_EXPOSURE) for a, b in pairs)
