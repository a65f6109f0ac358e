"""From a rig's camera settings to its driver."""

from zstackd_config.camera import FolderCamera as FolderSettings
from zstackd_config.camera import Picamera2Camera as Picamera2Settings
from zstackd_config.camera import UvcCamera as UvcSettings
from zstackd_config.rig import Rig
from zstackd_drivers.camera import Camera
from zstackd_drivers.clock import Clock
from zstackd_drivers.folder_camera import FolderCamera
from zstackd_drivers.picamera2.camera import Picamera2Camera
from zstackd_drivers.true_focus import TrueFocus
from zstackd_drivers.uvc.camera import UvcCamera


def make_camera(rig: Rig, *, clock: Clock, truth: TrueFocus) -> Camera:
    """Return the camera of `rig`, not yet open; `truth` is what a simulated one looks at."""
    settings = rig.camera
    if isinstance(settings, FolderSettings):
        return FolderCamera(settings=settings)
    if isinstance(settings, Picamera2Settings):
        return Picamera2Camera(settings=settings, clock=clock)
    if isinstance(settings, UvcSettings):
        return UvcCamera(settings=settings, clock=clock)
    from zstackd_drivers.simulated.camera_twin import (  # noqa: PLC0415 - real rigs save its memory
        SimulatedCamera,
    )

    return SimulatedCamera(
        settings=settings, optics=rig.optics, simulation=rig.simulation, clock=clock, focus=truth
    )
