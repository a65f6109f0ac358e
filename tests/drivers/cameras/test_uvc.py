"""The uvc driver where USB microscopes and webcams are special."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.capture.exposure_lock import brightness
from zstackd_drivers.clock import SystemClock
from zstackd_drivers.errors import CameraError, CameraHung
from zstackd_drivers.uvc.device import fourcc, open_v4l, video_index, words
from zstackd_drivers.uvc.reader import UvcReader
from zstackd_drivers.uvc.twin import BUFFERS, VideoCaptureTwin

AUTO = LockedAutoExposure()
OpenUvc = Callable[..., AbstractContextManager[Any]]


def manual(exposure_time_ms: float, **more: Any) -> ManualExposure:
    return ManualExposure(mode="manual", exposure_time_ms=exposure_time_ms, **more)


def refused(open_uvc: OpenUvc, folder: Path, **changes: Any) -> str:
    """The one line with which opening such a camera fails."""
    with pytest.raises(CameraError) as caught, open_uvc(folder, **changes):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Finding and opening.


def test_a_device_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"camera\.device .*missing does not exist; plug"):
        video_index(tmp_path / "missing")


def test_a_path_that_is_no_video_device_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "camera"
    link.symlink_to(os.devnull)
    with pytest.raises(CameraError, match="is no video device; name one of /dev/v4l/by-id"):
        video_index(link)


def test_opencv_says_when_there_is_no_such_camera() -> None:
    capture = open_v4l(251)
    assert not capture.isOpened()
    assert not capture.grab()
    assert capture.get(cv2.CAP_PROP_EXPOSURE) == -1.0
    capture.release()


def test_a_camera_that_another_process_holds_is_refused(open_uvc: OpenUvc, tmp_path: Path) -> None:
    assert "another process may use it" in refused(open_uvc, tmp_path, busy=True)


def test_an_unplugged_camera_is_refused(open_uvc: OpenUvc, tmp_path: Path) -> None:
    assert "does not exist; check the USB cable" in refused(open_uvc, tmp_path, unplugged=True)


def test_a_size_that_it_does_not_offer_is_refused_with_what_it_gives(
    open_uvc: OpenUvc, tmp_path: Path
) -> None:
    line = refused(open_uvc, tmp_path, size_px=(300, 200))
    assert "delivers 320 x 240 px where camera.size_px 300 x 200 px is asked for" in line


def test_a_format_that_it_does_not_offer_is_refused(open_uvc: OpenUvc, tmp_path: Path) -> None:
    line = refused(open_uvc, tmp_path, settings={"fourcc": "NV12"})
    assert "delivers MJPG where camera.fourcc NV12 is asked for" in line


# Lens.


def test_autofocus_is_switched_off_and_the_lens_moved(open_uvc: OpenUvc, tmp_path: Path) -> None:
    with open_uvc(tmp_path, lens=250, settings={"lens_focus": 120}) as bench:
        assert bench.bus.capture.get(cv2.CAP_PROP_AUTOFOCUS) == 0
        assert bench.bus.capture.get(cv2.CAP_PROP_FOCUS) == 120


def test_a_lens_position_out_of_reach_is_refused(open_uvc: OpenUvc, tmp_path: Path) -> None:
    far = {"lens_focus": 400}
    assert "but it stands at 250" in refused(open_uvc, tmp_path, lens=250, settings=far)
    assert "but it has no focus motor" in refused(open_uvc, tmp_path, settings=far)


# Exposure.


def test_the_lock_keeps_the_brightness_that_the_camera_chose_though_it_does_not_tell_its_exposure(
    open_uvc: OpenUvc, tmp_path: Path
) -> None:
    with open_uvc(tmp_path) as bench:
        told_ms = bench.bus.capture.get(cv2.CAP_PROP_EXPOSURE) / 10
        lock = bench.camera.lock_exposure(AUTO)
        assert lock.exposure_time_ms == pytest.approx(12.0, rel=0.12)
        assert abs(told_ms - 12.0) > 3.0
        locked = brightness(bench.fresh().image).mean
        assert bench.camera.lock_exposure(manual(12.0)).exposure_time_ms == 12.0
        assert brightness(bench.fresh().image).mean == pytest.approx(locked, abs=0.03)


def test_an_exposure_that_the_camera_does_not_take_is_refused_with_what_it_took(
    open_uvc: OpenUvc, tmp_path: Path
) -> None:
    with (
        open_uvc(tmp_path, exposure_steps=(3, 500)) as bench,
        pytest.raises(CameraError, match="exposure of 80 ms was set, but the camera took 50 ms"),
    ):
        bench.camera.lock_exposure(manual(80.0))


GRID = (10, 20, 40, 80, 160, 320)


@pytest.mark.parametrize("target", [None, 0.5])
def test_of_a_camera_that_takes_some_exposures_only_the_nearest_is_locked_and_told(
    open_uvc: OpenUvc, tmp_path: Path, caplog: pytest.LogCaptureFixture, target: float | None
) -> None:
    with caplog.at_level(logging.WARNING), open_uvc(tmp_path, exposure_grid=GRID) as bench:
        lock = bench.camera.lock_exposure(LockedAutoExposure(target_brightness=target))
        assert round(lock.exposure_time_ms * 10) in GRID
        assert bench.fresh().exposure == lock
        seen = brightness(bench.fresh().image).mean
        (line,) = caplog.messages
        assert f"exposure {lock.exposure_time_ms:.3f} ms" in line
        assert "takes some exposures only" in line
        others = []
        for step in GRID:
            bench.camera.lock_exposure(manual(step / 10))
            others.append(brightness(bench.fresh().image).mean)
        wanted = float(line.rpartition(" ")[2])
        assert abs(seen - wanted) <= min(abs(other - wanted) for other in others) + 0.02


def test_of_such_a_camera_none_that_leaves_no_headroom_is_taken(
    open_uvc: OpenUvc, tmp_path: Path
) -> None:
    with open_uvc(tmp_path, exposure_grid=GRID) as bench:
        bench.camera.lock_exposure(LockedAutoExposure(highlight_headroom=0.2))
        assert brightness(bench.fresh().image).highlight <= 0.81


def test_a_brightness_beyond_all_that_a_camera_takes_is_refused(
    open_uvc: OpenUvc, tmp_path: Path
) -> None:
    with (
        open_uvc(tmp_path, exposure_steps=(3, 20)) as bench,
        pytest.raises(CameraError, match="it takes no longer exposure: give more light"),
    ):
        bench.camera.lock_exposure(LockedAutoExposure(target_brightness=0.6))


def test_a_camera_without_exposure_control_is_used_as_it_is(
    open_uvc: OpenUvc, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), open_uvc(tmp_path, lockable=False) as bench:
        lock = bench.camera.lock_exposure(AUTO)
        assert lock.exposure_time_ms == 0.0
        assert bench.fresh().exposure == lock
        for wish in (manual(10.0), LockedAutoExposure(target_brightness=0.4)):
            with pytest.raises(CameraError, match="lets nobody set its exposure; use exposure"):
                bench.camera.lock_exposure(wish)
    assert "brightness may change from plane to plane" in caplog.text


def test_the_white_balance_is_held_and_noted(open_uvc: OpenUvc, tmp_path: Path) -> None:
    with open_uvc(tmp_path) as bench:
        bench.camera.lock_exposure(AUTO)
        assert bench.bus.capture.get(cv2.CAP_PROP_AUTO_WB) == 0
        assert bench.fresh().extra == {"white_balance_k": 4600.0}


# Frames.


@pytest.mark.parametrize("timestamps", [True, False])
def test_frames_are_fresh_with_and_without_the_drivers_timestamps(
    open_uvc: OpenUvc, tmp_path: Path, timestamps: bool
) -> None:
    with open_uvc(tmp_path, timestamps=timestamps) as bench:
        bench.camera.lock_exposure(AUTO)
        bench.stage.jump(10.0)
        low = bench.fresh().image.astype(float)
        for _ in range(4):
            high = bench.camera.capture(after_ns=bench.stage.jump(170.0)).image.astype(float)
            again = bench.camera.capture(after_ns=bench.stage.jump(10.0)).image.astype(float)
            assert np.abs(again - low).mean() * 3 < np.abs(high - low).mean()


def test_a_damaged_frame_is_passed_over(open_uvc: OpenUvc, tmp_path: Path) -> None:
    with open_uvc(tmp_path) as bench:
        bench.camera.lock_exposure(AUTO)
        bench.bus.damaged = 3
        assert bench.fresh().image.shape == (120, 160, 3)
        assert bench.bus.damaged == 0


def test_one_stall_is_mended_by_opening_the_camera_anew(open_uvc: OpenUvc, tmp_path: Path) -> None:
    with open_uvc(tmp_path) as bench:
        lock = bench.camera.lock_exposure(AUTO)
        bench.bus.stall()
        assert bench.fresh().exposure == lock
        assert bench.bus.opened == 2


def test_a_second_stall_in_a_row_asks_for_a_new_process(open_uvc: OpenUvc, tmp_path: Path) -> None:
    with open_uvc(tmp_path) as bench:
        bench.camera.lock_exposure(AUTO)
        bench.bus.die()
        with pytest.raises(CameraHung, match="stalled twice in a row"):
            bench.fresh()


# The reader.


class Broken:
    """A capture whose calls raise."""

    released = False

    def grab(self) -> bool:
        raise cv2.error("no such ioctl")

    def release(self) -> None:
        self.released = True


class Backwards:
    """A capture whose driver dates each frame 30 ms before the last one."""

    def __init__(self, clock: SystemClock) -> None:
        self._dated_ms = clock.monotonic_ns() / 1e6

    def grab(self) -> bool:
        time.sleep(0.002)
        self._dated_ms -= 30
        return True

    def retrieve(self) -> tuple[bool, Any]:
        return True, np.zeros((4, 4, 3), np.uint8)

    def get(self, _: int) -> float:
        return self._dated_ms

    def release(self) -> None:
        pass


def test_a_drivers_clock_that_runs_backwards_makes_no_frame_younger() -> None:
    clock = SystemClock()
    capture: Any = Backwards(clock)
    reader = UvcReader(capture, clock=clock, cancelled=threading.Event(), name="uvc test")
    reader.start()
    for _ in range(12):
        reader.next(after_ns=0, deadline_ns=clock.monotonic_ns() + 60 * 10**9, properties=())
    assert reader.interval_ns > 0
    reader.stop()


def test_a_capture_that_raises_ends_the_reader_and_whoever_waits_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    capture: Any = Broken()
    clock = SystemClock()
    reader = UvcReader(capture, clock=clock, cancelled=threading.Event(), name="uvc test")
    reader.start()
    with pytest.raises(CameraError, match="delivers no more frames at all"):
        reader.next(after_ns=0, deadline_ns=clock.monotonic_ns() + 60 * 10**9, properties=())
    reader.stop()
    assert capture.released
    assert "reading ended" in caplog.text


def test_a_command_that_fails_is_told_to_whoever_gave_it(open_uvc: OpenUvc, tmp_path: Path) -> None:
    with open_uvc(tmp_path) as bench:
        reader = bench.camera._source.reader
        with pytest.raises(ZeroDivisionError):
            reader.ask(lambda _: 1 // 0)
        assert reader.ask(lambda capture: capture.isOpened())


# The twin is as nasty as a camera.


def test_the_twin_hands_out_the_oldest_frames_first(open_uvc: OpenUvc, tmp_path: Path) -> None:
    with open_uvc(tmp_path) as bench:
        capture = VideoCaptureTwin(bench.bus)
        clock = bench.clock
        begun_ms = clock.monotonic_ns() / 1e6
        clock.wait(threading.Event(), 2.0)
        ages = []
        for _ in range(BUFFERS + 1):
            assert capture.grab()
            ages.append(capture.get(cv2.CAP_PROP_POS_MSEC) - begun_ms)
        capture.release()
    assert ages[0] < 200
    assert ages == sorted(ages)
    assert ages[BUFFERS] > 1500


def test_the_twin_offers_no_more_than_it_has(open_uvc: OpenUvc, tmp_path: Path) -> None:
    with open_uvc(tmp_path) as bench:
        capture = VideoCaptureTwin(bench.bus)
        assert capture.get(cv2.CAP_PROP_ZOOM) == -1.0
        assert not capture.set(cv2.CAP_PROP_ZOOM, 3)
        assert capture.retrieve() == (False, None)
        capture.release()


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=4))
def test_four_character_codes_come_back(name: str) -> None:
    assert words(fourcc(name)) == name


@given(st.integers(min_value=-(2**31), max_value=2**32 - 1))
def test_any_number_has_a_printable_code(number: int) -> None:
    assert len(words(number)) == 4
    assert words(number).isprintable()
