"""What every camera must do; each test runs on every driver with its twin."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from zstackd_config.errors import HardwareError, Interrupted
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.errors import CameraError, CameraTimeout

AUTO = LockedAutoExposure()


def test_frames_have_the_size_channels_bits_and_type_that_info_tells(bench: Any) -> None:
    info = bench.camera.info()
    assert (info.size_px, info.channels, info.bits) == (bench.size_px, bench.channels, bench.bits)
    assert info.model
    bench.camera.lock_exposure(AUTO)
    image = bench.fresh().image
    width, height = info.size_px
    assert image.shape == ((height, width, 3) if info.channels == 3 else (height, width))
    assert image.dtype == (np.uint8 if info.bits == 8 else np.uint16)


def test_a_frame_is_exposed_after_the_moment_asked_for(bench: Any) -> None:
    bench.camera.lock_exposure(AUTO)
    for _ in range(5):
        after_ns = bench.clock.monotonic_ns()
        assert bench.camera.capture(after_ns=after_ns).sensor_timestamp_ns > after_ns


def test_a_moment_in_the_future_is_waited_for(bench: Any) -> None:
    bench.camera.lock_exposure(AUTO)
    after_ns = bench.clock.monotonic_ns() + 300_000_000
    assert bench.camera.capture(after_ns=after_ns).sensor_timestamp_ns > after_ns


def test_exposed_is_told_once_and_when_the_exposure_has_ended(bench: Any) -> None:
    bench.camera.lock_exposure(AUTO)
    told: list[int] = []
    frame = bench.camera.capture(
        after_ns=bench.clock.monotonic_ns(),
        exposed=lambda: told.append(bench.clock.monotonic_ns()),
    )
    assert len(told) == 1
    if bench.reports_exposure:
        assert told[0] >= frame.sensor_timestamp_ns + frame.exposure.exposure_time_ms * 1e6


def test_a_preview_is_small_grey_and_fresh(bench: Any) -> None:
    bench.camera.lock_exposure(AUTO)
    after_ns = bench.clock.monotonic_ns()
    preview = bench.camera.preview(after_ns=after_ns)
    width, height = bench.size_px
    assert preview.image.ndim == 2
    assert max(preview.image.shape) <= 640
    assert preview.image.shape[1] / preview.image.shape[0] == pytest.approx(width / height, 0.05)
    assert preview.sensor_timestamp_ns > after_ns


def test_images_belong_to_their_frames(bench: Any) -> None:
    bench.camera.lock_exposure(AUTO)
    first = bench.fresh()
    copy = first.image.copy()
    for _ in range(6):
        bench.fresh()
    assert np.array_equal(first.image, copy)


def test_a_thousand_captures_leave_no_buffer_lent_and_stay_locked(bench: Any) -> None:
    lock = bench.camera.lock_exposure(AUTO)
    last_ns = 0
    for _ in range(1000 if bench.channels == 3 else 100):
        frame = bench.fresh()
        assert frame.sensor_timestamp_ns > last_ns
        last_ns = frame.sensor_timestamp_ns
        assert frame.exposure == lock
    assert bench.buffers_lent() == 0


def test_cancel_ends_a_wait_and_all_later_ones(bench: Any) -> None:
    bench.camera.lock_exposure(AUTO)
    bench.camera.cancel()
    with pytest.raises(Interrupted):
        bench.fresh()
    with pytest.raises(Interrupted):
        bench.camera.preview(after_ns=0)


def test_it_can_be_opened_again(bench: Any) -> None:
    bench.camera.cancel()
    bench.camera.__exit__(None, None, None)
    with bench.camera:
        bench.camera.lock_exposure(AUTO)
        assert bench.fresh().image.size > 0


def test_frame_duration_covers_the_exposure(bench: Any) -> None:
    lock = bench.camera.lock_exposure(AUTO)
    assert bench.camera.frame_duration_s() >= lock.exposure_time_ms / 1e3


# From here on: cameras with a sensor.


def test_cancel_interrupts_a_wait_in_progress(live_bench: Any) -> None:
    live_bench.camera.lock_exposure(AUTO)
    threading.Timer(0.05, live_bench.camera.cancel).start()
    begun = time.monotonic()
    with pytest.raises(Interrupted):
        live_bench.camera.capture(after_ns=live_bench.clock.monotonic_ns() + 600_000_000_000)
    assert time.monotonic() - begun < 30.0  # it would be 75 s


def test_nothing_is_captured_before_the_exposure_is_locked(live_bench: Any) -> None:
    with pytest.raises(CameraError, match="no exposure is locked"):
        live_bench.fresh()
    with pytest.raises(CameraError, match="no exposure is locked"):
        live_bench.camera.frame_duration_s()


def test_after_a_move_the_frame_shows_the_new_place(live_bench: Any) -> None:
    bench = live_bench
    bench.camera.lock_exposure(AUTO)
    bench.stage.jump(10.0)
    low = bench.fresh().image.astype(float)
    for _ in range(3):
        high = bench.camera.capture(after_ns=bench.stage.jump(170.0)).image.astype(float)
        again = bench.camera.capture(after_ns=bench.stage.jump(10.0)).image.astype(float)
        assert np.abs(again - low).mean() * 3 < np.abs(high - low).mean()


def test_an_automatic_lock_does_not_take_over_the_values_held_before(
    live_bench: Any, dim: ManualExposure
) -> None:
    camera = live_bench.camera
    camera.lock_exposure(AUTO)
    settled = live_bench.fresh().image.mean()
    camera.lock_exposure(dim)
    assert live_bench.fresh().image.mean() < 0.9 * settled
    live_bench.clock.wait(threading.Event(), 2.0)  # frames with the old values queue up
    camera.lock_exposure(AUTO)
    assert live_bench.fresh().image.mean() == pytest.approx(settled, rel=0.1)


def test_the_first_frame_after_a_lock_has_its_values(
    live_bench: Any, dim: ManualExposure, bright: ManualExposure
) -> None:
    means: dict[float, float] = {}
    for wanted in (dim, bright, dim, bright):
        lock = live_bench.camera.lock_exposure(wanted)
        frame = live_bench.fresh()
        assert frame.exposure == lock
        assert lock.exposure_time_ms == pytest.approx(wanted.exposure_time_ms, rel=0.02)
        mean = float(frame.image.mean())
        assert means.setdefault(wanted.exposure_time_ms, mean) == pytest.approx(mean, rel=0.05)
    assert means[12.0] > 1.2 * means[6.0]


def test_automatic_exposure_ends_in_values_that_do_not_flicker(live_bench: Any) -> None:
    lock = live_bench.camera.lock_exposure(AUTO)
    assert {live_bench.fresh().exposure for _ in range(6)} == {lock}


def test_a_target_brightness_is_met_and_kept(live_bench: Any) -> None:
    wish = LockedAutoExposure(target_brightness=0.2)
    lock = live_bench.camera.lock_exposure(wish)
    frame = live_bench.fresh()
    grey = frame.image if frame.image.ndim == 2 else frame.image @ (0.114, 0.587, 0.299)
    assert float(np.mean(grey)) / 255 == pytest.approx(0.2, abs=0.025)
    assert frame.exposure == lock


def test_highlight_headroom_is_kept(live_bench: Any) -> None:
    live_bench.camera.lock_exposure(LockedAutoExposure(highlight_headroom=0.3))
    assert np.quantile(live_bench.fresh().image, 0.999) <= 0.72 * 255


def test_an_exposure_beyond_the_sensor_is_refused_with_its_bounds(live_bench: Any) -> None:
    with pytest.raises(CameraError, match=r"exposure_time_ms 900000 ms is outside .* ms"):
        live_bench.camera.lock_exposure(ManualExposure(mode="manual", exposure_time_ms=9e5))


def test_misexposed_frames_are_never_returned(live_bench: Any) -> None:
    if not live_bench.metadata:
        pytest.skip("a UVC frame does not tell how it was exposed")
    lock = live_bench.camera.lock_exposure(AUTO)
    live_bench.misexpose(5)
    assert {live_bench.fresh().exposure for _ in range(8)} == {lock}
    assert live_bench.buffers_lent() == 0


def test_a_disconnected_camera_says_so_at_once(live_bench: Any) -> None:
    live_bench.camera.lock_exposure(AUTO)
    live_bench.disconnect()
    with pytest.raises(HardwareError) as caught:
        live_bench.fresh()
    assert "\n" not in str(caught.value)
    assert "cable" in str(caught.value)
    assert live_bench.buffers_lent() == 0


def test_a_camera_that_stalls_for_good_ends_in_a_timeout(live_bench: Any) -> None:
    live_bench.camera.lock_exposure(AUTO)
    live_bench.stall()
    begun = time.monotonic()
    with pytest.raises(CameraTimeout) as caught:
        live_bench.fresh()
    assert time.monotonic() - begun < 60.0
    assert "\n" not in str(caught.value)
    assert live_bench.buffers_lent() == 0
