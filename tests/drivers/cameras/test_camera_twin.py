"""The simulated camera against its own truth."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import Image
from zstackd_drivers.errors import CameraError
from zstackd_stacking import Stacker, stacking_order

OpenSimulated = Callable[..., AbstractContextManager[Any]]
AUTO = LockedAutoExposure()


def psnr_db(image: Image, truth: Image) -> float:
    return float(10 * np.log10(255**2 / ((image.astype(float) - truth) ** 2).mean()))


def test_a_stack_of_its_frames_is_6_db_better_than_the_best_and_finds_the_heights(
    open_simulated: OpenSimulated, tmp_path: Path
) -> None:
    planes_um = np.linspace(0, 205, 31)
    with open_simulated(tmp_path, size_px=(320, 240)) as bench:
        bench.camera.lock_exposure(AUTO)
        frames = []
        for z_um in planes_um:
            bench.stage.jump(float(z_um))
            frames.append(bench.fresh().image)
        truth = bench.camera.truth(focus_um=float(planes_um[15]))
    stacker = Stacker()
    for index in stacking_order(len(frames), reference="middle"):
        stacker.add(frames[index], index=index, z_um=float(planes_um[index]))
    result = stacker.result()
    best = max(psnr_db(frame, truth.image) for frame in frames)
    assert psnr_db(result.image, truth.image) >= best + 6.0
    assert result.depth_um is not None
    error_um = np.abs(result.depth_um - truth.height_um)[truth.textured]
    assert truth.textured.mean() > 0.2
    assert np.median(error_um) < 0.5 * (planes_um[1] - planes_um[0])


def test_the_same_frame_is_sharper_near_its_plane(
    open_simulated: OpenSimulated, tmp_path: Path
) -> None:
    with open_simulated(tmp_path, noise=0.0) as bench:
        bench.camera.lock_exposure(AUTO)
        truth = bench.camera.truth(focus_um=10.0)
        low = truth.textured & (truth.height_um < 22)
        errors = []
        for z_um in (10.0, 60.0, 120.0, 190.0):
            bench.stage.jump(z_um)
            difference = np.abs(bench.fresh().image.astype(float) - truth.image).mean(axis=2)
            errors.append(difference[low].mean())
    assert errors[0] == min(errors)
    assert errors[1] > 2 * errors[0]


def test_noise_differs_between_frames_and_grows_with_gain(
    open_simulated: OpenSimulated, tmp_path: Path
) -> None:
    with open_simulated(tmp_path) as bench:
        deviations = []
        for gain, time_ms in ((1.0, 12.0), (12.0, 1.0)):
            wish = ManualExposure(mode="manual", exposure_time_ms=time_ms, analogue_gain=gain)
            bench.camera.lock_exposure(wish)
            first, second = (bench.fresh().image.astype(float) for _ in range(2))
            deviations.append(float((first - second).std()))
    assert deviations[0] > 0.5
    assert deviations[1] > 2 * deviations[0]


def test_focus_breathes(open_simulated: OpenSimulated, tmp_path: Path) -> None:
    with open_simulated(tmp_path) as bench:
        bench.camera.lock_exposure(AUTO)
        near, far = (bench.camera.truth(focus_um=z).image for z in (0.0, 2000.0))
    assert psnr_db(near, far) < 30


def test_a_frame_of_another_size_is_refused(open_simulated: OpenSimulated, tmp_path: Path) -> None:
    with open_simulated(tmp_path) as bench:
        bench.camera.lock_exposure(AUTO)
        bench.camera.sensor.script("wrong_size", frames=40)
        with pytest.raises(CameraError, match="160 x 60 px where the open camera has 160 x 120 px"):
            bench.fresh()
        assert bench.buffers_lent() == 0
