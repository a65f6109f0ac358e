"""A bench per camera driver: the camera open on its twin, and the strings to pull on it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import zstackd_config.rig as settings_of
from zstackd_config.camera import Picamera2Camera as Picamera2Settings
from zstackd_config.camera import UvcCamera as UvcSettings
from zstackd_config.run import ManualExposure
from zstackd_drivers.camera import Camera, Frame
from zstackd_drivers.clock import Clock, ScaledClock
from zstackd_drivers.folder_camera import FolderCamera
from zstackd_drivers.picamera2.camera import Picamera2Camera
from zstackd_drivers.picamera2.twin import Attached, LibraryTwin
from zstackd_drivers.simulated.camera_twin import SimulatedCamera
from zstackd_drivers.simulated.sensor_twin import SensorTwin
from zstackd_drivers.uvc.camera import UvcCamera
from zstackd_drivers.uvc.twin import Plugged

TIME_SCALE = 8.0
SIZE_PX = (160, 120)
OPTICS = settings_of.Optics(pixel_size_um=4.0, numerical_aperture=0.25, magnification=4)
DIM = ManualExposure(mode="manual", exposure_time_ms=6.0)
BRIGHT = ManualExposure(mode="manual", exposure_time_ms=12.0)


class Stage:
    """Where the specimen stands: it jumps, and remembers when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heights: list[tuple[int, float]] = [(0, 0.0)]

    def jump(self, z_um: float) -> int:
        """Stand at `z_um` from now on; return the moment."""
        now_ns = self._clock.monotonic_ns()
        self._heights.append((now_ns, z_um))
        return now_ns

    def true_position_um(self, at_ns: int | None = None) -> float:
        known = [z for since, z in self._heights if at_ns is None or since <= at_ns]
        return known[-1]

    def last_motion_end_ns(self) -> int | None:
        return self._heights[-1][0] or None


@dataclass
class CameraBench:
    """One open camera; `live` ones have a sensor whose faults can be scripted."""

    camera: Camera
    clock: ScaledClock
    size_px: tuple[int, int] = SIZE_PX
    channels: int = 3
    bits: int = 8
    live: bool = True
    reports_exposure: bool = True
    stage: Stage | None = None
    buffers_lent: Callable[[], int] = lambda: 0
    stall: Callable[[], None] = lambda: None
    disconnect: Callable[[], None] = lambda: None
    misexpose: Callable[[int], None] = lambda _: None
    cable: Attached | None = None
    bus: Plugged | None = None
    metadata: bool = True

    def fresh(self) -> Frame:
        return self.camera.capture(after_ns=self.clock.monotonic_ns())


OpenCamera = Callable[[Path], AbstractContextManager[CameraBench]]


@contextmanager
def simulated(
    _folder: Path, *, size_px: tuple[int, int] = SIZE_PX, noise: float = 1.0
) -> Iterator[CameraBench]:
    clock = ScaledClock(TIME_SCALE)
    stage = Stage(clock)
    twin = SimulatedCamera(
        settings=settings_of.SimulatedCamera(driver="simulated", size_px=size_px),
        optics=OPTICS,
        simulation=settings_of.Simulation(vibration_um=0, noise=noise),
        clock=clock,
        focus=stage,
    )
    with twin:
        yield CameraBench(
            camera=twin,
            clock=clock,
            size_px=size_px,
            stage=stage,
            buffers_lent=lambda: twin.sensor.buffers_lent,
            stall=twin.sensor.stall,
            disconnect=twin.sensor.disconnect,
            misexpose=lambda frames: twin.sensor.script("wrong_exposure", frames=frames),
        )


def attached(clock: Clock, stage: Stage, **changes: Any) -> Attached:
    """What a picamera2 twin finds on its cable."""
    simulation = settings_of.Simulation(vibration_um=0)
    return Attached(clock=clock, focus=stage, optics=OPTICS, simulation=simulation, **changes)


@contextmanager
def picamera2(
    _folder: Path, *, size_px: tuple[int, int] = SIZE_PX, keep_dng: bool = False, **changes: Any
) -> Iterator[CameraBench]:
    clock = ScaledClock(TIME_SCALE)
    stage = Stage(clock)
    cable = attached(clock, stage, **changes)
    settings = Picamera2Settings(driver="picamera2", size_px=size_px, keep_dng=keep_dng)
    camera = Picamera2Camera(settings=settings, clock=clock, library=lambda: LibraryTwin(cable))
    with camera:

        def sensor() -> SensorTwin:
            assert cable.open_twin is not None
            assert cable.open_twin.sensor is not None
            return cable.open_twin.sensor

        yield CameraBench(
            camera=camera,
            clock=clock,
            size_px=size_px,
            channels=1 if cable.mono else 3,
            stage=stage,
            buffers_lent=lambda: settled(lambda: sensor().buffers_lent) if cable.open_twin else 0,
            stall=cable.die,
            disconnect=cable.unplug,
            misexpose=lambda frames: sensor().script("wrong_exposure", frames=frames),
            cable=cable,
        )


def settled(count: Callable[[], int]) -> int:
    """The count, once an event loop in another thread had the time to bring it to 0."""
    end = time.monotonic() + 60.0
    while count() and time.monotonic() < end:
        time.sleep(0.001)
    return count()


@contextmanager
def picamera2_mono(images: Path) -> Iterator[CameraBench]:
    with picamera2(images, mono=True) as opened:
        yield opened


@contextmanager
def uvc(
    _folder: Path,
    *,
    size_px: tuple[int, int] = SIZE_PX,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> Iterator[CameraBench]:
    clock = ScaledClock(TIME_SCALE)
    stage = Stage(clock)
    simulation = settings_of.Simulation(vibration_um=0)
    bus = Plugged(clock=clock, focus=stage, optics=OPTICS, simulation=simulation, **changes)
    wanted = {"driver": "uvc", "device": "/dev/v4l/by-id/twin", "size_px": size_px}
    camera = UvcCamera(
        settings=UvcSettings.model_validate(wanted | (settings or {})),
        clock=clock,
        find=bus.find,
        open_capture=bus.open,
    )
    with camera:
        yield CameraBench(
            camera=camera,
            clock=clock,
            size_px=size_px,
            channels=camera.info().channels,
            stage=stage,
            stall=bus.die,
            disconnect=bus.unplug,
            metadata=False,
            bus=bus,
        )


@contextmanager
def uvc_mono(images: Path) -> Iterator[CameraBench]:
    with uvc(images, settings={"mono": True}) as opened:
        yield opened


@contextmanager
def folder(images: Path) -> Iterator[CameraBench]:
    count = 1100
    picture = np.full((SIZE_PX[1], SIZE_PX[0], 3), 90, np.uint8)
    first = images / "z0.png"
    cv2.imwrite(str(first), picture)
    for index in range(1, count):
        (images / f"z{index}.png").hardlink_to(first)
    settings = settings_of.FolderCamera(driver="folder", path=images)
    with FolderCamera(settings=settings) as camera:
        yield CameraBench(camera=camera, clock=ScaledClock(1.0), live=False, reports_exposure=False)


BENCHES: dict[str, OpenCamera] = {
    "simulated": simulated,
    "folder": folder,
    "picamera2": picamera2,
    "picamera2_mono": picamera2_mono,
    "uvc": uvc,
    "uvc_mono": uvc_mono,
}
LIVE = sorted(set(BENCHES) - {"folder"})


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CameraBench]:
    """Every camera there is."""
    with BENCHES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=LIVE)
def live_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CameraBench]:
    """Every camera with a sensor."""
    with BENCHES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Fail a test whose camera leaves a thread behind; stacking keeps its helpers for good."""
    before = set(threading.enumerate())
    yield
    after = {each for each in threading.enumerate() if not each.name.startswith("stacking_")}
    assert after <= before


@pytest.fixture(scope="session")
def open_simulated() -> Callable[..., AbstractContextManager[CameraBench]]:
    """The simulated camera's bench, for tests that choose size or noise."""
    return simulated


@pytest.fixture(scope="session")
def open_picamera2() -> Callable[..., AbstractContextManager[CameraBench]]:
    """The picamera2 driver on its twin, for tests that choose what is attached."""
    return picamera2


@pytest.fixture(scope="session")
def open_uvc() -> Callable[..., AbstractContextManager[CameraBench]]:
    """The uvc driver on its twin, for tests that choose what is plugged in."""
    return uvc


@pytest.fixture(scope="session")
def dim() -> ManualExposure:
    return DIM


@pytest.fixture(scope="session")
def bright() -> ManualExposure:
    return BRIGHT
