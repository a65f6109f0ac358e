"""Height pictures say what they show: colours, legend, scale bar, and what is unsure."""

import math
from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from zstackd_stacking.pictures.colour import coloured, viridis
from zstackd_stacking.pictures.height_map import depth_picture, reduced, relief_picture
from zstackd_stacking.pictures.lettering import Pen
from zstackd_stacking.pictures.relief import LEVEL, shading
from zstackd_stacking.pictures.scales import (
    decimals_of,
    length_label,
    round_below,
    round_ticks,
)
from zstackd_stacking.types import FloatMap, Image, as_floats

INK = 64


def ramp(height: int = 300, width: int = 400, top_um: float = 50.0) -> FloatMap:
    return np.tile(np.linspace(0, top_um, width, dtype=np.float32), (height, 1))


def dark_run(row: NDArray[np.uint8]) -> int:
    """Longest run of dark pixels in a row (W, 3)."""
    longest = run = 0
    for dark in np.all(row < INK, axis=1).tolist():
        run = run + 1 if dark else 0
        longest = max(longest, run)
    return longest


def test_heights_take_the_colours_of_the_map_from_low_to_high() -> None:
    colours = coloured(ramp(1, 256, 255.0), low=0, high=255)
    np.testing.assert_array_equal(colours[0], viridis())


def test_brightness_grows_with_height() -> None:
    weights = np.asarray([0.0722, 0.7152, 0.2126])
    luminance = (viridis() / 255.0) ** 2.2 @ weights
    assert np.all(np.diff(luminance) > -0.002)
    assert luminance[-1] > 10 * luminance[0]


def test_the_picture_stands_above_its_legend_at_full_size() -> None:
    picture = depth_picture(ramp(), None, pixel_size_um=None)
    assert picture.dtype == np.uint8
    assert picture.shape[0] > 300
    assert picture.shape[1] == 400
    np.testing.assert_array_equal(picture[0, 5], coloured(ramp(), low=0.2, high=49.8)[0, 5])


def test_unsure_areas_are_grey() -> None:
    sure = np.ones((300, 400), np.float32)
    sure[150:] = 0
    picture = depth_picture(ramp(), sure, pixel_size_um=None).astype(int)
    saturation = np.ptp(picture, axis=2)
    assert saturation[100, 50:].mean() > 3 * saturation[200, 50:].mean()


def test_wild_unsure_heights_do_not_wash_out_the_colours() -> None:
    heights, confidence = ramp(), np.ones((300, 400), np.float32)
    heights[:30], confidence[:30] = 1e6, 0.1
    picture = depth_picture(heights, confidence, pixel_size_um=None)
    plain = depth_picture(ramp(), None, pixel_size_um=None)
    assert np.abs(picture[100:290].astype(int) - plain[100:290]).max() <= 3


@pytest.mark.parametrize("size", [(300, 400), (2400, 3000), (60, 80)])
def test_the_scale_bar_is_as_long_as_it_says(size: tuple[int, int]) -> None:
    picture = depth_picture(ramp(*size), None, pixel_size_um=0.5)
    drawn_width = min(max(size[1], 320), 2048)
    pixel_um = 0.5 * size[1] / drawn_width
    footer = picture[round(size[0] * drawn_width / size[1]) :]
    bar_px = max(dark_run(row) for row in footer)
    assert bar_px == pytest.approx(round_below(drawn_width * pixel_um / 4) / pixel_um, abs=3)


@pytest.mark.parametrize("draw", [depth_picture, relief_picture])
@pytest.mark.parametrize(("width_px", "label"), [(400, "50 µm"), (4096, "500 µm")])
def test_the_scale_bar_says_its_length_on_the_specimen(
    monkeypatch: pytest.MonkeyPatch, draw: Callable[..., object], width_px: int, label: str
) -> None:
    written: list[str] = []
    monkeypatch.setattr(Pen, "write", lambda _, text, **__: written.append(text))
    draw(ramp(60, width_px), None, pixel_size_um=0.5)
    assert written[-1] == label


def test_a_flat_map_and_a_map_of_nothing_sure_are_drawn_too() -> None:
    flat = np.full((50, 60), 3, np.float32)
    for confidence in (None, np.zeros((50, 60), np.float32)):
        assert depth_picture(flat, confidence, pixel_size_um=1.0, unit="planes").size > 0
    assert depth_picture(np.full((50, 60), np.nan, np.float32), None, pixel_size_um=1.0).size > 0


def test_a_label_s_micro_sign_has_its_stem() -> None:
    for size in (12, 20, 37):
        font = ImageFont.load_default(size)
        drawn = {}
        for text in ("u", "µ"):
            sheet = PillowImage.new("RGB", (200, 80), (255, 255, 255))
            Pen(ImageDraw.Draw(sheet), font, (0, 0, 0)).write(text, middle=100, top=10)
            drawn[text] = np.asarray(sheet).min(axis=2) < 128
        extra = drawn["µ"] & ~drawn["u"]
        baseline = np.flatnonzero(drawn["u"].any(axis=1)).max()
        assert not (drawn["u"] & ~drawn["µ"]).any()
        assert np.flatnonzero(extra.any(axis=1)).min() > baseline - size / 4
        assert np.flatnonzero(extra.any(axis=1)).max() > baseline + size / 8
        assert np.ptp(np.flatnonzero(extra.any(axis=0))) <= max(1, size / 8)


@given(st.floats(1e-6, 1e9))
def test_round_lengths_are_round_and_never_longer(value: float) -> None:
    found = round_below(value)
    assert value / 2.6 < found <= value * (1 + 1e-9)
    mantissa = found / 10 ** math.floor(math.log10(found) + 1e-9)
    assert min(abs(mantissa - step) for step in (1, 2, 5)) < 1e-6


@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e5))
def test_ticks_are_few_distinct_and_inside(low: float, span: float) -> None:
    ticks = round_ticks(low, low + span)
    assert 2 <= len(ticks) <= 11
    slack = span * 1e-5 + 1e-9
    assert all(low - slack <= tick <= low + span + slack for tick in ticks)
    labels = [f"{tick:.{decimals_of(ticks)}f}" for tick in ticks]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("pixel_size_um", [None, 2.2])
@pytest.mark.parametrize(
    ("low", "high"), [(-170, -85), (85, 175), (-1200.5, -1199.5), (0.011, 0.018), (0, 50)]
)
@pytest.mark.parametrize("width", [320, 410, 1000])
def test_the_legend_s_numbers_never_touch(
    width: int,
    low: float,
    high: float,
    pixel_size_um: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[tuple[float, float, str]] = []

    def write(pen: Pen, text: str, *, middle: float, top: float) -> None:
        del top
        half = pen.length(text) / 2
        written.append((middle - half, middle + half, text))

    monkeypatch.setattr(Pen, "write", write)
    heights = low + ramp(300, width, high - low)
    depth_picture(heights, None, pixel_size_um=pixel_size_um)
    least_px = 0.5 * (width // 55)
    for (_, end, _), (start, _, _) in pairwise(written):  # the scale bar's number is the last
        assert start - end >= least_px, written
    labels = [text for _, _, text in written]
    numbers = labels[:-1] if pixel_size_um else labels
    assert numbers[-1].endswith(" µm")
    assert len(numbers) >= 2
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    ("length_um", "label"), [(0.2, "200 nm"), (1, "1 µm"), (500, "500 µm"), (2000, "2 mm")]
)
def test_lengths_are_said_in_the_unit_a_person_would_choose(length_um: float, label: str) -> None:
    assert length_label(length_um) == label


@pytest.mark.parametrize("shape", [(100, 200, 3), (200, 100), (5000, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_reduced_image_keeps_kind_and_shape(shape: tuple[int, ...], dtype: type) -> None:
    image: Image = np.full(shape, 77, dtype)
    small = reduced(image, max_side_px=64)
    assert small.dtype == dtype
    assert small.ndim == len(shape)
    assert max(small.shape[:2]) == min(64, max(shape[:2]))
    assert np.all(small == 77)


def hill(height: int = 300, width: int = 400) -> FloatMap:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return as_floats(40 * np.exp(-((x - width / 2) ** 2 + (y - height / 2) ** 2) / 4000))


def test_a_hill_is_bright_towards_the_upper_left_and_dark_behind() -> None:
    light = shading(hill())
    assert light.shape == (300, 400)
    assert 0 <= light.min() <= light.max() <= 1
    bright, dark = light[110, 160], light[190, 240]
    assert bright > LEVEL + 0.15
    assert dark < LEVEL - 0.3
    assert light[5, 5] == pytest.approx(LEVEL, abs=0.02)


@given(st.floats(1e-3, 1e4), st.floats(-1e3, 1e3))
def test_shading_does_not_depend_on_the_unit_of_heights(factor: float, offset: float) -> None:
    usual = shading(hill())
    other = shading(as_floats(hill() * np.float32(factor) + np.float32(offset * factor)))
    assert np.abs(usual - other).max() < 0.02


def test_noise_on_terraces_is_not_blown_up() -> None:
    terraces = np.repeat(np.array([0, 20, 5, 12], np.float32), 100)[np.newaxis].repeat(300, axis=0)
    noise = np.random.default_rng(1).standard_normal(terraces.shape).astype(np.float32)
    light = shading(as_floats(terraces + 0.05 * cv2.GaussianBlur(noise, (0, 0), 4.0) * 7))
    inside = light[20:-20, 120:180]
    assert np.abs(inside - LEVEL).mean() < 0.03
    assert np.ptp(light[150]) > 0.5


def test_a_single_height_has_the_colour_that_its_legend_gives_it() -> None:
    level = np.full((300, 400), 100, np.float32)
    picture = depth_picture(level, None, pixel_size_um=None)
    np.testing.assert_array_equal(picture[150, 200], viridis()[128])


def test_level_ground_has_no_shadows() -> None:
    np.testing.assert_allclose(shading(np.full((30, 40), 7, np.float32)), LEVEL, rtol=1e-5)


def test_a_relief_picture_has_shadows_and_colours_above_its_legend() -> None:
    picture = relief_picture(hill(), None, pixel_size_um=0.5)
    plain = depth_picture(hill(), None, pixel_size_um=0.5)
    assert picture.shape == plain.shape
    assert picture[110, 160].sum() > 1.3 * picture[190, 240].sum()
    assert np.abs(plain[110, 160].astype(int) - plain[190, 240]).max() <= 2
    np.testing.assert_array_equal(picture[-8:], plain[-8:])


def test_what_is_near_stands_out_of_a_relief_whatever_its_height() -> None:
    """A pit seen from below is a hill, and a hill of frame numbers may be a pit."""
    hill_top, pit = (
        relief_picture(hill(), None, pixel_size_um=None, high_is_near=high)
        for high in (True, False)
    )
    assert hill_top[110, 160].sum() > 1.3 * hill_top[190, 240].sum()
    assert pit[190, 240].sum() > 1.3 * pit[110, 160].sum()
    np.testing.assert_array_equal(hill_top[-30:], pit[-30:])


def test_a_relief_of_nothing_is_drawn_too() -> None:
    nothing = np.full((50, 60), np.nan, np.float32)
    assert relief_picture(nothing, None, pixel_size_um=None).size > 0


def test_an_enlarged_relief_of_a_slope_has_no_steps_of_its_pixels() -> None:
    """A slope is evenly lit, however few pixels the map has."""
    slope = np.add.outer(np.arange(16), 2 * np.arange(16)).astype(np.float32)
    picture = relief_picture(slope, None, pixel_size_um=None)[40:280, 40:280].astype(np.int64)
    assert np.abs(np.diff(picture, axis=1)).max() < 6
