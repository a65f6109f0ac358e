"""Rest until the image is still: how motion is measured, and when waiting ends."""

from dataclasses import dataclass
from functools import partial
from typing import cast

import cv2
import numpy as np
import pytest

from zstackd.runs.settling import (
    QUIET_FRAMES,
    STILL_PX,
    FixedRest,
    NotStillError,
    StillImage,
    motion_px,
)
from zstackd_config.rig import Rig
from zstackd_config.run import ManualExposure
from zstackd_drivers.camera import Camera, Frame
from zstackd_drivers.factory import Devices, open_devices, reference_axis
from zstackd_stacking.types import Image

pytestmark = pytest.mark.alone
DECAY_MS = 60.0
SHAKE_UM = 6.0


def picture(*, seed: int = 3, side: int = 256) -> Image:
    random = np.random.default_rng(seed).uniform(0, 255, (side, side)).astype(np.float32)
    smooth = cv2.GaussianBlur(random, (0, 0), 2.5)
    return np.asarray(np.clip(128 + 8 * (smooth - smooth.mean()), 0, 255), np.uint8)


def shifted(image: Image, x_px: float, y_px: float) -> Image:
    height, width = image.shape[:2]
    matrix = np.array([[1, 0, x_px], [0, 1, y_px]], np.float64)
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


@pytest.mark.parametrize(("x_px", "y_px"), [(0.0, 0.0), (0.2, 0.0), (0.0, -0.6), (0.5, 0.5)])
def test_small_motions_are_measured(x_px: float, y_px: float) -> None:
    image = picture()
    moved_px = motion_px(image, shifted(image, x_px, y_px))
    assert moved_px == pytest.approx(np.hypot(x_px, y_px), abs=0.06)


@pytest.mark.parametrize("distance_px", [2.0, 5.0])
def test_large_motions_are_no_rest(distance_px: float) -> None:
    image = picture()
    assert motion_px(image, shifted(image, distance_px, 0)) > STILL_PX


def test_noise_alone_does_not_move() -> None:
    random = np.random.default_rng(5)
    frames = [random.normal(100, 5, (480, 640, 3)).clip(0, 255).astype(np.uint8) for _ in range(2)]
    assert motion_px(frames[0], frames[1]) < STILL_PX


def test_an_empty_field_does_not_move() -> None:
    flat = np.full((64, 64), 80, np.uint16)
    assert motion_px(flat, flat) == 0.0


def rig(*, shake_um: float = SHAKE_UM, decay_ms: float = DECAY_MS) -> Rig:
    return Rig.model_validate(
        {
            "name": "bench",
            "camera": {"driver": "simulated", "size_px": [320, 240]},
            "optics": {"pixel_size_um": 1.0, "numerical_aperture": 0.2, "magnification": 10},
            "focus": {
                "driver": "grbl",
                "port": "simulated",
                "limits_um": [-100, 400],
                "backlash_um": 10,
                "speed_um_per_s": 2000,
                "settle_ms": "auto",
            },
            "paths": {"state": "s", "output": "o"},
            "simulation": {
                "specimen": "board",
                "vibration_um": shake_um,
                "vibration_decay_ms": decay_ms,
                "time_scale": 2,
            },
        }
    )


def moved_to_focus(devices: Devices, settings: Rig) -> int:
    """Move into the specimen; return when the axis stood."""
    reference_axis(devices.axis, settings.focus)
    devices.camera.lock_exposure(ManualExposure(mode="manual", exposure_time_ms=8))
    devices.axis.move_to(100)
    return devices.clock.monotonic_ns()


@dataclass
class CountingCamera:
    """A camera, and how many frames were asked of it."""

    camera: Camera
    taken: int = 0

    def capture(self, *, after_ns: int) -> Frame:
        self.taken += 1
        return self.camera.capture(after_ns=after_ns)


def note_now(devices: Devices, moments_ns: list[int]) -> None:
    moments_ns.append(devices.clock.monotonic_ns())


def test_the_frame_is_taken_once_the_shake_is_over() -> None:
    settings = rig()
    left_px: list[float] = []
    with open_devices(settings) as devices:
        moved_to_focus(devices, settings)
        for z_um in range(100, 110, 2):
            devices.axis.move_to(z_um)
            arrived_ns = devices.clock.monotonic_ns()
            moved_on_ns: list[int] = []
            taken = StillImage(devices.camera, 5000.0).take(
                arrived_ns, partial(note_now, devices, moved_on_ns)
            )
            settled_ns = taken.settled_ns
            assert settled_ns == taken.frame.sensor_timestamp_ns
            assert len(moved_on_ns) == 1
            assert moved_on_ns[0] > settled_ns
            since_ms = (settled_ns - arrived_ns) / 1e6
            left_px.append(SHAKE_UM * 3 ** (-since_ms / DECAY_MS))
    assert np.median(left_px) < 2 * STILL_PX


def test_a_still_rig_waits_for_four_frames_only() -> None:
    settings = rig(shake_um=0)
    with open_devices(settings) as devices:
        arrived_ns = moved_to_focus(devices, settings)
        camera = CountingCamera(devices.camera)
        StillImage(cast("Camera", camera), 5000.0).take(arrived_ns, lambda: None)
    assert camera.taken == 1 + QUIET_FRAMES


def test_an_image_that_never_rests_is_refused_within_the_bound() -> None:
    settings = rig(shake_um=20, decay_ms=60_000)
    with open_devices(settings) as devices:
        arrived_ns = moved_to_focus(devices, settings)
        with pytest.raises(NotStillError, match=r"raise focus\.settle_limit_ms, now 200 ms"):
            StillImage(devices.camera, 200.0).take(arrived_ns, lambda: None)
        assert devices.clock.monotonic_ns() - arrived_ns < 60_000_000_000


def test_a_given_time_is_waited_for() -> None:
    settings = rig(shake_um=0)
    with open_devices(settings) as devices:
        arrived_ns = moved_to_focus(devices, settings)
        frame, settled_ns = FixedRest(devices.camera, 150.0).take(arrived_ns, lambda: None)
    assert settled_ns == arrived_ns + 150_000_000
    assert frame.sensor_timestamp_ns > settled_ns
