"""The picamera2 driver where cameras of libcamera's are special."""

import importlib
import io
import logging
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.capture.deadline import within
from zstackd_drivers.clock import SystemClock
from zstackd_drivers.errors import CameraError, CameraHung
from zstackd_drivers.picamera2.library import load_library
from zstackd_drivers.picamera2.pixels import check_format, luma, picture
from zstackd_drivers.picamera2.source import Picamera2Source, Streams, TakenRequest

AUTO = LockedAutoExposure()
OpenPicamera2 = Callable[..., AbstractContextManager[Any]]


def manual(exposure_time_ms: float) -> ManualExposure:
    return ManualExposure(mode="manual", exposure_time_ms=exposure_time_ms)


# Finding the library.


def failing(error: Exception) -> Callable[[str], Any]:
    def import_module(_name: str) -> Any:
        raise error

    return import_module


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ImportError("gone", name="picamera2"),
            "not installed here: `sudo make install`.*pip install picamera2",
        ),
        (ImportError("gone", name="libcamera"), "python3-libcamera.*--system-site-packages"),
        (ImportError("gone", name="pykms"), r"python3-kms\+\+"),
        (ImportError("gone", name="other"), "cannot be imported.*reinstall"),
        (
            ValueError("numpy.dtype size changed, may indicate binary incompatibility"),
            "another NumPy.*--force-reinstall simplejpeg",
        ),
        (ValueError("odd"), "cannot be imported.*reinstall"),
    ],
)
def test_a_library_that_cannot_be_imported_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    monkeypatch.setattr(importlib, "import_module", failing(error))
    with pytest.raises(CameraError, match=words) as caught:
        load_library()
    assert "\n" not in str(caught.value)


def test_nothing_of_picamera2_is_imported_before_it_is_opened() -> None:
    importlib.import_module("zstackd_drivers.picamera2.camera")
    assert not {"picamera2", "libcamera"} & set(sys.modules)


# Opening.


def test_a_camera_that_another_process_holds_is_refused(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    with (
        pytest.raises(CameraError, match=r"imx477.*cannot be opened.*Another process"),
        open_picamera2(tmp_path, busy=True),
    ):
        pass


def test_no_camera_on_the_cable_is_refused(open_picamera2: OpenPicamera2, tmp_path: Path) -> None:
    with (
        pytest.raises(CameraError, match="no camera is attached; check its ribbon cable"),
        open_picamera2(tmp_path, plugged=False),
    ):
        pass


def test_an_odd_size_is_aligned_and_told(
    open_picamera2: OpenPicamera2, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        open_picamera2(tmp_path, size_px=(163, 121)) as bench,
    ):
        assert bench.camera.info().size_px == (162, 120)
        bench.camera.lock_exposure(AUTO)
        assert bench.fresh().image.shape == (120, 162, 3)
        assert bench.camera.preview(after_ns=0).image.shape == (120, 162)
    assert "163 x 121 was aligned to 162 x 120 px" in caplog.text


# Exposure.


def test_an_exposure_longer_than_the_automatic_one_may_take_is_not_cut_short(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    with open_picamera2(tmp_path) as bench:
        lock = bench.camera.lock_exposure(manual(400.0))
        assert lock.exposure_time_ms == pytest.approx(400.0, rel=0.001)
        assert bench.camera.frame_duration_s() >= 0.4


def test_manual_exposure_without_colour_gains_takes_those_of_the_light(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    with open_picamera2(tmp_path) as bench:
        assert bench.camera.lock_exposure(manual(10.0)).colour_gains == (
            pytest.approx(2.0, abs=0.05),
            pytest.approx(1.6, abs=0.05),
        )


def test_frames_carry_what_else_the_sensor_noted(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    with open_picamera2(tmp_path) as bench:
        bench.camera.lock_exposure(AUTO)
        assert bench.fresh().extra == {"DigitalGain": 1.0, "SensorTemperature": 41.0}


# Cameras that are no modules: their metadata hold a timestamp and nothing else.


def test_a_usb_camera_without_metadata_still_proves_its_frames_fresh(
    open_picamera2: OpenPicamera2, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        open_picamera2(tmp_path, module=False) as bench,
    ):
        lock = bench.camera.lock_exposure(AUTO)
        assert (lock.exposure_time_ms, lock.colour_gains) == (0.0, None)
        for _ in range(3):
            after_ns = bench.stage.jump(50.0)
            assert bench.camera.capture(after_ns=after_ns).sensor_timestamp_ns > after_ns
        assert bench.camera.preview(after_ns=0).image.shape == (120, 160)
        assert bench.buffers_lent() == 0
    assert "lets nobody set its exposure; it cannot be locked" in caplog.text


@pytest.mark.parametrize("wish", [manual(10.0), LockedAutoExposure(target_brightness=0.4)])
def test_a_usb_camera_refuses_wishes_it_cannot_grant(
    open_picamera2: OpenPicamera2, tmp_path: Path, wish: Any
) -> None:
    with (
        open_picamera2(tmp_path, module=False) as bench,
        pytest.raises(CameraError, match="lets nobody set its exposure; use exposure mode"),
    ):
        bench.camera.lock_exposure(wish)


# Raw data.


def test_dng_comes_with_each_frame_where_it_is_kept(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    with open_picamera2(tmp_path, keep_dng=True) as bench:
        bench.camera.lock_exposure(AUTO)
        raw = bench.fresh().raw
    assert raw is not None
    assert tifffile.imread(io.BytesIO(raw)).shape == (120, 160)
    with open_picamera2(tmp_path) as bench:
        bench.camera.lock_exposure(AUTO)
        assert bench.fresh().raw is None


# Stalls.


def test_one_stall_is_mended_by_opening_the_camera_anew(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    with open_picamera2(tmp_path) as bench:
        lock = bench.camera.lock_exposure(AUTO)
        for count in (2, 3):
            bench.cable.stall()
            frame = bench.fresh()
            assert frame.exposure == lock
            assert bench.cable.opened == count
        assert bench.buffers_lent() == 0


def test_a_second_stall_in_a_row_asks_for_a_new_process(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    with open_picamera2(tmp_path) as bench:
        bench.camera.lock_exposure(AUTO)
        bench.cable.die()
        with pytest.raises(CameraHung, match=r"stalled twice in a row.*started anew"):
            bench.fresh()
        assert bench.cable.opened == 2


def test_a_stall_while_locking_is_mended_too(open_picamera2: OpenPicamera2, tmp_path: Path) -> None:
    with open_picamera2(tmp_path) as bench:
        bench.cable.stall()
        assert bench.camera.lock_exposure(AUTO).exposure_time_ms > 0
        assert bench.cable.opened == 2


def test_a_camera_says_what_it_is_while_it_is_opened_anew(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    """The service's status asks at any time, from another thread."""
    with open_picamera2(tmp_path) as bench:
        bench.camera.lock_exposure(AUTO)
        known, load, told = bench.camera.info(), bench.camera._load_library, []

        def asked_meanwhile() -> Any:
            told.append(bench.camera.info())
            return load()

        bench.camera._load_library = asked_meanwhile
        bench.cable.stall()
        bench.fresh()
        assert told == [known]


def test_a_call_that_never_ends_is_given_up() -> None:
    end = threading.Event()
    with pytest.raises(CameraHung, match=r"closing it did not end within 0\.05 s"):
        within(0.05, end.wait, what="closing it")
    end.set()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "closing it" in thread.name:
            thread.join(60.0)
    assert within(60.0, lambda: 7, what="counting") == 7
    with pytest.raises(ZeroDivisionError):
        within(60.0, lambda: 1 // 0, what="dividing")


class LateJob:
    """A job whose request comes just when it is given up."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self.cancelled = False

    def get_result(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - the library's
        if not self.cancelled:
            raise TimeoutError
        return self._request


class Released:
    """A request that counts its releases."""

    def __init__(self) -> None:
        self.releases = 0

    def release(self) -> None:
        self.releases += 1

    def get_metadata(self) -> dict[str, Any]:
        raise RuntimeError("metadata are broken")


class LateCamera:
    """A camera with one late job."""

    def __init__(self, job: LateJob) -> None:
        self._job = job

    def capture_request(self, **_options: Any) -> LateJob:
        return self._job

    def cancel_all_and_flush(self) -> None:
        self._job.cancelled = True


def source_of(camera: Any) -> Picamera2Source:
    streams = Streams(main={"size": (8, 6), "format": "RGB888"}, lores=None, raw=None, mono=False)
    return Picamera2Source(
        camera=camera, streams=streams, clock=SystemClock(), cancelled=threading.Event()
    )


def test_a_request_that_arrives_while_its_job_is_cancelled_is_released() -> None:
    request = Released()
    source = source_of(LateCamera(LateJob(request)))
    assert source.take(deadline_ns=0) is None
    assert request.releases == 1


def test_a_request_without_readable_metadata_is_released() -> None:
    request = Released()
    job = LateJob(request)
    job.cancelled = True
    with pytest.raises(RuntimeError, match="metadata are broken"):
        source_of(LateCamera(job)).take(deadline_ns=SystemClock().monotonic_ns() + 60 * 10**9)
    assert request.releases == 1


def test_a_taken_request_is_released_once_however_often_it_is_told() -> None:
    request: Any = Released()
    streams = Streams(main={}, lores=None, raw=None, mono=False)
    taken = TakenRequest(request, streams, {"SensorTimestamp": 5_000_000, "ExposureTime": 2000})
    assert taken.sensor_timestamp_ns == 3_000_000
    taken.release()
    taken.release()
    assert request.releases == 1


# The twin is as nasty as the library.


def test_the_twins_forgotten_job_takes_a_request_and_starves_the_camera(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    with open_picamera2(tmp_path) as bench:
        library_camera = bench.cable.open_twin
        jobs = [library_camera.capture_request(wait=False) for _ in range(4)]
        held = [job.get_result(timeout=60.0) for job in jobs[:3]]
        with pytest.raises(TimeoutError):
            jobs[3].get_result(timeout=0.1)
        for request in held:
            request.release()
            with pytest.raises(RuntimeError, match="negative ref_count"):
                request.release()
        jobs[3].get_result(timeout=60.0).release()
        library_camera.cancel_all_and_flush()


def test_the_twin_refuses_controls_that_are_not_advertised(
    open_picamera2: OpenPicamera2, tmp_path: Path
) -> None:
    with (
        open_picamera2(tmp_path, mono=True) as bench,
        pytest.raises(RuntimeError, match="Control ColourGains is not advertised"),
    ):
        bench.cable.open_twin.set_controls({"ColourGains": (1.0, 1.0)})


# Pixels.


def test_every_format_becomes_blue_green_red() -> None:
    rng = np.random.default_rng(2)
    bgr = rng.integers(0, 255, (6, 8, 3), np.uint8)
    alpha = np.full((6, 8, 1), 255, np.uint8)
    arrays = {
        "RGB888": bgr,
        "BGR888": bgr[..., ::-1],
        "MJPEG": bgr[..., ::-1],
        "XRGB8888": np.concatenate([bgr, alpha], axis=2),
        "XBGR8888": np.concatenate([bgr[..., ::-1], alpha], axis=2),
    }
    for name, array in arrays.items():
        stream = {"size": (8, 6), "format": name}
        assert np.array_equal(picture(array, stream, mono=False), bgr)
        mono = picture(array, stream, mono=True)
        assert np.array_equal(mono, bgr[..., 1])
        assert mono.flags.c_contiguous


def test_yuv_loses_its_padding() -> None:
    array = np.full((9, 64), 128, np.uint8)
    array[:6, :8] = 77
    stream = {"size": (8, 6), "format": "YUV420"}
    assert np.array_equal(luma(array, stream), np.full((6, 8), 77))
    assert picture(array, stream, mono=False).shape == (6, 8, 3)


def test_a_format_that_cannot_be_read_is_named() -> None:
    check_format("RGB888")
    with pytest.raises(CameraError, match="delivers frames as SRGGB10, which is not one of"):
        check_format("SRGGB10")
