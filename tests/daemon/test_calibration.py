"""Calibration finds what was put into the simulated rig."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from tests.rigs import simulated_rig

from zstackd.calibration import backlash, findings
from zstackd.calibration.backlash import measure_backlash
from zstackd.calibration.exposure import FoundExposure, find_exposure
from zstackd.calibration.fragment import write_finding
from zstackd.calibration.magnification import Breathing, breathing_of, measure_breathing
from zstackd.calibration.pixel_size import measure_rulings
from zstackd.calibration.settle import (
    LEAST_CAUGHT,
    Settling,
    measure_settling,
    require_shaking_frames,
)
from zstackd.runs.autofocus import Sweep, autofocus, depth_of_field_um
from zstackd_config.errors import HardwareError, StackError
from zstackd_config.rig import Optics, Rig
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.axis import FocusAxis, MoveReport
from zstackd_drivers.camera import Camera, ExposureValues, Frame
from zstackd_drivers.capture.exposure_lock import ExposureLimits, explicit
from zstackd_drivers.factory import Devices, open_devices, reference_axis
from zstackd_stacking.types import FloatMap

DEPTH_UM = 12.0
SMALL_PX = (320, 240)


def rig(tmp_path: Path, *, size_px: tuple[int, int] = (640, 480), **simulation: Any) -> Rig:
    return Rig.model_validate(
        simulated_rig(
            camera={"size_px": size_px},
            optics={"pixel_size_um": 0.8, "numerical_aperture": 0.25, "magnification": 10},
            focus={"limits_um": [-200, 400], "backlash_um": 0, "settle_ms": 200},
            paths={"state": tmp_path / "state", "output": tmp_path / "output"},
            simulation={"specimen": "board", **simulation},
        )
    )


@contextmanager
def opened(settings: Rig) -> Iterator[Devices]:
    with open_devices(settings) as devices:
        reference_axis(devices.axis, settings.focus)
        devices.camera.lock_exposure(ManualExposure(mode="manual", exposure_time_ms=4))
        yield devices


def heights(low_um: float, high_um: float, step_um: float) -> list[float]:
    return [float(z_um) for z_um in np.arange(low_um, high_um + 1e-6, step_um)]


@pytest.mark.parametrize("backlash_um", [3.0, 8.0, 20.0])
def test_backlash_is_recovered_within_a_tenth(tmp_path: Path, backlash_um: float) -> None:
    with opened(rig(tmp_path, size_px=SMALL_PX, backlash_um=backlash_um)) as devices:
        measured = measure_backlash(
            devices, heights_um=heights(-20, 230, 5), lead_um=50, settle_ms=200
        )
    assert measured.backlash_um == pytest.approx(backlash_um, rel=0.1)
    assert measured.error_um < 0.1 * backlash_um


@dataclass
class NotedAxis:
    """An axis that notes where it was sent."""

    axis: FocusAxis
    sent_um: list[float] = field(default_factory=list)

    def move_to(self, z_um: float) -> MoveReport:
        self.sent_um.append(z_um)
        return self.axis.move_to(z_um)


def test_both_sweeps_for_the_backlash_have_a_run_up(tmp_path: Path) -> None:
    planes_um = heights(-20, 220, 40)
    said: list[str] = []
    with opened(rig(tmp_path, size_px=SMALL_PX)) as devices:
        noted = NotedAxis(devices.axis)
        watched = replace(devices, axis=cast("FocusAxis", noted))
        with suppress(HardwareError):  # of planes so far apart nothing can be measured
            measure_backlash(
                watched, heights_um=planes_um, lead_um=50, settle_ms=20, say=said.append
            )
    assert noted.sent_um == [-70.0, *planes_um, 270.0, *planes_um[::-1]]
    assert said[:2] == ["way up, plane 1 of 7 at -20.0 µm", "way up, plane 2 of 7 at 20.0 µm"]
    assert said[-2:] == ["way down, plane 7 of 7 at -20.0 µm", "noise of 9 frames"]
    assert len(said) == 2 * len(planes_um) + 1


class Drifting:
    """A focus that sinks by 30 µm from one sweep to the next, as of a rig that warms up."""

    def __init__(self) -> None:
        self._ways = iter((100.0, 130.0))

    def __call__(self, _: Devices, heights_um: list[float], **__: float) -> NDArray[np.float64]:
        bell = np.exp(-(((np.array(heights_um) - next(self._ways)) / 15) ** 2))
        return np.tile(1 + bell[:, None], (1, 12))


def test_a_drift_is_not_taken_for_no_backlash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlash, "_sweep", Drifting())
    monkeypatch.setattr(backlash, "_noise", lambda *_, **__: np.full(12, 1e-4))
    heights_um = [float(z) for z in range(0, 201, 5)]
    with (
        opened(rig(tmp_path)) as devices,
        pytest.raises(HardwareError, match="µm higher than the way up, which no backlash does"),
    ):
        measure_backlash(devices, heights_um=heights_um, lead_um=50, settle_ms=0)


@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_backlash_without_focus_in_range_is_refused(tmp_path: Path, noise: float) -> None:
    settings = rig(tmp_path, noise=noise)
    with opened(settings) as devices, pytest.raises(HardwareError, match="parts of the frame"):
        measure_backlash(devices, heights_um=heights(300, 340, 5), lead_um=50, settle_ms=200)


@pytest.fixture(scope="module")
def focus_um(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Where the specimen of small frames is in focus, found in quick time."""
    with opened(rig(tmp_path_factory.mktemp("focus"), size_px=SMALL_PX)) as devices:
        sweep = Sweep(devices, settle_ms=300)
        return autofocus(sweep, range_um=(-30, 240), depth_um=DEPTH_UM).z_um


@pytest.mark.alone
def test_settling_is_recovered_within_a_tenth(tmp_path: Path, focus_um: float) -> None:
    settings = rig(tmp_path, size_px=SMALL_PX, vibration_um=10, vibration_decay_ms=60, time_scale=2)
    said: list[str] = []
    with opened(settings) as devices:
        measured = measure_settling(
            devices,
            near_um=focus_um,
            far_um=focus_um - 25,
            moves=30,
            watch_ms=360,
            say=said.append,
        )
    assert [words.partition(",")[0] for words in said[:-1]] == [
        f"move {number} of 30" for number in range(1, 31)
    ]
    assert measured.decay_ms == pytest.approx(60, rel=0.1)
    assert measured.settle_ms == pytest.approx(measured.decay_ms * 2.9, rel=0.25)


@dataclass
class SlowCamera:
    """A camera that has the next frame only after a pause of rig time."""

    camera: Camera
    pause_ms: float
    next_ns: int = 0

    def capture(self, *, after_ns: int) -> Frame:
        frame = self.camera.capture(after_ns=max(after_ns, self.next_ns))
        self.next_ns = frame.sensor_timestamp_ns + round(self.pause_ms * 1e6)
        return frame


def slowed(devices: Devices, pause_ms: float) -> Devices:
    return replace(devices, camera=cast("Camera", SlowCamera(devices.camera, pause_ms)))


@pytest.mark.alone
def test_a_slow_camera_tells_the_decay_from_frames_at_staggered_times(
    tmp_path: Path, focus_um: float
) -> None:
    settings = rig(tmp_path, size_px=SMALL_PX, vibration_um=10, vibration_decay_ms=60, time_scale=8)
    with opened(settings) as devices:
        measured = measure_settling(
            slowed(devices, 300), near_um=focus_um, far_um=focus_um - 25, moves=40, watch_ms=400
        )
    assert measured.decay_ms == pytest.approx(60, rel=0.5)
    assert 0 < measured.error_ms < measured.settle_ms


def test_too_few_frames_within_the_shake_are_refused() -> None:
    def seen(caught: int) -> Settling:
        since_ms = (*[5.0] * caught, *[900.0] * 40)
        moved_px = (*[3.0] * caught, *[0.0] * 40)
        return Settling(3.0, 60.0, 0.02, 140.0, 0.0, since_ms, moved_px)

    require_shaking_frames(seen(LEAST_CAUGHT))
    with pytest.raises(StackError, match=r"only 11 frames.*settle_ms: auto"):
        require_shaking_frames(seen(LEAST_CAUGHT - 1))


@pytest.mark.parametrize(("per_mm", "is_told"), [(0.01, True), (-0.019, True), (-0.02, False)])
def test_breathing_that_its_error_hides_is_told(per_mm: float, is_told: bool) -> None:
    measured = Breathing(per_mm, 0.01, (10.0, 20.0), (0.1, 0.2))
    assert ("warning: so little beside its error" in findings.of_breathing(measured).summary) == (
        is_told
    )


def test_breathing_is_recovered_within_a_tenth(tmp_path: Path) -> None:
    settings = rig(tmp_path, size_px=(640, 480), breathing_per_mm=-0.03, seed=3)
    said: list[str] = []
    with opened(settings) as devices:
        measured = measure_breathing(
            devices,
            heights_um=heights(-20, 220, 6),
            depth_um=DEPTH_UM,
            settle_ms=300,
            say=said.append,
        )
    assert said[0] == "plane 1 of 41 at -20.0 µm"
    assert said[40:] == [
        "plane 41 of 41 at 220.0 µm",
        "noise of 5 frames",
        "how the parts of the frame move",
    ]
    assert measured.per_mm == pytest.approx(-0.03, rel=0.1)
    assert abs(measured.per_mm + 0.03) < 3 * measured.error_per_mm < 0.25 * 0.03
    copied = findings.of_breathing(measured).settings["optics"]
    optics = Optics.model_validate({**settings.optics.model_dump(), **copied})
    assert optics.breathing_per_mm == pytest.approx(-0.03, rel=0.1)


def test_sharpness_that_only_noise_makes_rise_and_fall_is_no_way_through_focus() -> None:
    rng = np.random.default_rng(4)
    detail = 120 + 12 * cv2.GaussianBlur(rng.standard_normal((240, 320), np.float32), (0, 0), 2) * 7

    def look() -> FloatMap:
        return np.asarray(detail + 25 * rng.standard_normal(detail.shape), np.float32)

    frames = [look() for _ in range(9)]
    with pytest.raises(StackError, match="parts of the frame go through focus"):
        breathing_of(frames, heights(0, 40, 5), still=[look() for _ in range(5)], depth_um=DEPTH_UM)


def test_exposure_keeps_the_headroom(tmp_path: Path) -> None:
    with opened(rig(tmp_path)) as devices:
        found = find_exposure(devices, headroom=0.2)
        again = devices.camera.lock_exposure(
            ManualExposure(mode="manual", **as_manual(findings.of_exposure(found).settings))
        )
    assert found.brightest == pytest.approx(0.8, abs=0.06)
    assert again.exposure_time_ms == pytest.approx(found.values.exposure_time_ms, rel=0.01)


def as_manual(settings: Any) -> dict[str, Any]:
    return {key: value for key, value in settings["exposure"].items() if key != "mode"}


def rulings(
    pitch_px: float, angle_deg: float, size_px: tuple[int, int] = (800, 600), *, seed: int = 1
) -> NDArray[np.uint8]:
    """Thin dark lines, blurred and noisy, on an unevenly lit ground."""
    width, height = size_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    turn = np.deg2rad(angle_deg)
    phase = (x * np.cos(turn) + y * np.sin(turn)) / pitch_px
    distance_px = np.abs(phase - np.round(phase)) * pitch_px
    light = 180 - 0.06 * x - 120 * np.exp(-((distance_px / 1.8) ** 2))
    noisy = light + np.random.default_rng(seed).normal(0, 6, light.shape)
    return np.asarray(np.clip(cv2.GaussianBlur(noisy, (0, 0), 0.8), 0, 255), np.uint8)


@pytest.mark.parametrize(("pitch_px", "angle_deg"), [(11.3, 0), (27.77, 12.5), (60.2, 93.0)])
def test_pixel_size_from_rulings(pitch_px: float, angle_deg: float) -> None:
    measured = measure_rulings(rulings(pitch_px, angle_deg))
    assert measured.pitch_px == pytest.approx(pitch_px, rel=0.0005)
    finding = findings.of_rulings(measured, pitch_um=10)
    assert finding.settings["optics"]["pixel_size_um"] == pytest.approx(10 / pitch_px, rel=0.003)


@pytest.mark.parametrize("pitch_px", [25.0, 34.0])
def test_the_error_of_a_pixel_size_is_told_as_it_is_on_few_lines_too(pitch_px: float) -> None:
    size_px = (320, 240)
    apart = []
    for seed in range(20):
        measured = measure_rulings(rulings(pitch_px, 9.0 * seed, size_px, seed=seed))
        assert 4 <= measured.count <= 7
        apart.append(abs(measured.pitch_px - pitch_px) / measured.error_px)
    assert np.median(apart) < 1.2
    assert np.mean(np.array(apart) < 3) > 0.75


def test_a_frame_without_rulings_is_refused() -> None:
    noise = np.random.default_rng(1).normal(120, 20, (400, 500))
    with pytest.raises(StackError, match="evenly spaced lines"):
        measure_rulings(np.clip(noise, 0, 255).astype(np.uint8))


def test_a_finding_leaves_fragment_numbers_and_picture(tmp_path: Path) -> None:
    finding = findings.of_feature(length_px=400.0, length_um=100.0)
    home = write_finding(finding, folder=tmp_path / "calibration", rig_name='a "rig"')
    assert sorted(path.name for path in home.iterdir()) == [
        "evidence.json",
        "evidence.png",
        "fragment.yaml",
    ]
    text = (home / "fragment.yaml").read_text()
    assert text.startswith("# zstackd calibrate pixel-size, rig")
    assert yaml.safe_load(text) == {"optics": {"pixel_size_um": 0.25}}
    assert json.loads((home / "evidence.json").read_text())["length_um"] == 100.0


@pytest.mark.parametrize("gain", [0.0, 1.1228070259094238, 22.2608699798584, 128.0])
def test_a_run_takes_the_exposure_that_was_found_at_an_end_of_the_sensor(gain: float) -> None:
    values = ExposureValues(exposure_time_ms=4.0, analogue_gain=gain, colour_gains=None)
    finding = findings.of_exposure(FoundExposure(values, 0.4, 0.9, (1.0,) * 64))
    written = yaml.safe_load(yaml.safe_dump(dict(finding.settings)))
    exposure = ManualExposure.model_validate(written["exposure"])
    sensor = ExposureLimits("sensor", (0.1, 200.0), (gain, gain), None)
    assert explicit(exposure, sensor, neutral=None).analogue_gain == pytest.approx(gain, abs=1e-3)


def test_a_camera_that_does_not_tell_its_exposure(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "z0.png"), np.full((48, 64), 90, np.uint8))
    folder = simulated_rig(camera={"driver": "folder", "path": tmp_path, "size_px": None})
    with (
        open_devices(Rig.model_validate(folder)) as devices,
        pytest.raises(HardwareError, match="the folder camera does not tell its exposure"),
    ):
        find_exposure(devices, headroom=0.1)


def test_automatic_exposure_suits_calibration(tmp_path: Path) -> None:
    settings = rig(tmp_path)
    with opened(settings) as devices:
        devices.camera.lock_exposure(LockedAutoExposure())
        sweep = Sweep(devices, settle_ms=200)
        found = autofocus(sweep, range_um=(-30, 240), depth_um=depth_of_field_um(settings.optics))
    assert -30 < found.z_um < 240
