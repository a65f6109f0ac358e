"""The sensor twin has the vices of the pipelines it stands in for."""

import threading

import numpy as np
import pytest

from zstackd_config.errors import Interrupted
from zstackd_drivers.camera import ExposureValues, Image
from zstackd_drivers.errors import CameraError
from zstackd_drivers.simulated.sensor_twin import BUFFERS, Exposed, SensorTwin, Views

HEIGHT_PX = 64
VALUES = ExposureValues(exposure_time_ms=2.0, analogue_gain=2.0, colour_gains=(1.5, 1.5))


class HandClock:
    """Rig time that passes only when somebody waits or says so."""

    scale = 1.0

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.now_ns += max(1, round(seconds * 1e9))
        return event.is_set()

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


class Blank:
    """An imager that renders grey, and counts what was asked of it."""

    def __init__(self) -> None:
        self.rendered: list[int] = []

    def views(self, exposed: Exposed) -> Views:
        return [(float(exposed.index), (0.0, 0.0))]

    def image(self, exposed: Exposed, views: Views) -> Image:  # noqa: ARG002 - the protocol's
        self.rendered.append(exposed.index)
        return np.full((HEIGHT_PX, 80, 3), 7, np.uint8)

    def prepare(self) -> None:
        return None


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def imager() -> Blank:
    return Blank()


@pytest.fixture
def cancelled() -> threading.Event:
    return threading.Event()


@pytest.fixture
def sensor(clock: HandClock, imager: Blank, cancelled: threading.Event) -> SensorTwin:
    twin = SensorTwin(height_px=HEIGHT_PX, clock=clock, cancelled=cancelled, imager=imager)
    twin.start()
    return twin


def later(clock: HandClock, seconds: float = 10.0) -> int:
    return clock.monotonic_ns() + round(seconds * 1e9)


def test_after_idling_it_first_hands_out_frames_of_the_past(
    sensor: SensorTwin, clock: HandClock
) -> None:
    clock.sleep(5.0)
    asked_ns = clock.monotonic_ns()
    ages = []
    for _ in range(BUFFERS + 1):
        frame = sensor.take(deadline_ns=later(clock))
        assert frame is not None
        ages.append(frame.sensor_timestamp_ns - asked_ns)
        frame.release()
    assert all(age < 0 for age in ages[:BUFFERS])
    assert ages == sorted(ages)


def test_controls_come_three_and_four_frames_late(sensor: SensorTwin, clock: HandClock) -> None:
    clock.sleep(2.0)
    sensor.set_values(VALUES)
    lines, gains = [], []
    for _ in range(12):
        frame = sensor.take(deadline_ns=later(clock))
        assert frame is not None
        lines.append(round(frame.exposure.exposure_time_ms, 2))
        gains.append(frame.exposure.analogue_gain)
        frame.release()
    exposed_at, gained_at = lines.index(2.0), gains.index(2.0)
    assert exposed_at >= 3
    assert gained_at == exposed_at + 1
    assert set(lines[exposed_at:]) == {2.0}


def test_it_delivers_nothing_while_all_buffers_are_lent(
    sensor: SensorTwin, clock: HandClock
) -> None:
    held = [sensor.take(deadline_ns=later(clock)) for _ in range(BUFFERS)]
    assert all(held)
    assert sensor.buffers_lent == BUFFERS
    assert sensor.take(deadline_ns=later(clock, 1.0)) is None
    for frame in held:
        assert frame is not None
        frame.release()
        frame.release()
    assert sensor.buffers_lent == 0
    assert sensor.take(deadline_ns=later(clock)) is not None


def test_only_frames_whose_image_is_asked_for_are_rendered(
    sensor: SensorTwin, clock: HandClock, imager: Blank
) -> None:
    taken = [sensor.take(deadline_ns=later(clock)) for _ in range(2)]
    assert imager.rendered == []
    assert taken[1] is not None
    assert taken[1].image().shape == (HEIGHT_PX, 80, 3)
    assert imager.rendered == [taken[1].exposed.index]


def test_a_stall_gives_nothing_and_a_disconnect_raises(
    sensor: SensorTwin, clock: HandClock
) -> None:
    sensor.stall()
    assert sensor.take(deadline_ns=later(clock, 1.0)) is None
    sensor.disconnect()
    with pytest.raises(CameraError, match="cable"):
        sensor.take(deadline_ns=later(clock))


def test_lost_frames_leave_a_gap_and_spoiled_ones_are_of_another_size(
    sensor: SensorTwin, clock: HandClock
) -> None:
    first = sensor.take(deadline_ns=later(clock))
    assert first is not None
    first.release()
    sensor.script("stall", frames=3)
    sensor.script("wrong_size", frames=1)
    indices, heights = [first.exposed.index], []
    for _ in range(4):
        frame = sensor.take(deadline_ns=later(clock))
        assert frame is not None
        indices.append(frame.exposed.index)
        heights.append(frame.image().shape[0])
        frame.release()
    assert 4 in np.diff(indices)
    assert HEIGHT_PX // 2 in heights


def test_cancelling_raises(
    sensor: SensorTwin, clock: HandClock, cancelled: threading.Event
) -> None:
    cancelled.set()
    with pytest.raises(Interrupted):
        sensor.take(deadline_ns=later(clock))
