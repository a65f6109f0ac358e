"""A bench per camera driver: the camera open on its twin, and the strings to pull on it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

import zstackd_config.rig as settings_of
from zstackd_config.run import ManualExposure
from zstackd_drivers.camera import Camera, Frame
from zstackd_drivers.camera_twin import SimulatedCamera
from zstackd_drivers.clock import Clock, ScaledClock
from zstackd_drivers.folder_camera import FolderCamera

TIME_SCALE = 20.0
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


BENCHES: dict[str, OpenCamera] = {"simulated": simulated, "folder": folder}
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
    """Fail a test whose camera leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(scope="session")
def open_simulated() -> Callable[..., AbstractContextManager[CameraBench]]:
    """The simulated camera's bench, for tests that choose size or noise."""
    return simulated


@pytest.fixture(scope="session")
def dim() -> ManualExposure:
    return DIM


@pytest.fixture(scope="session")
def bright() -> ManualExposure:
    return BRIGHT
