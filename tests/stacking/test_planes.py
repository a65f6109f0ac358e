"""A frame's luminance and colour differences, in strips and moved."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd_stacking.geometry import Matrix, identity, shifted
from zstackd_stacking.planes import Planes, finely_coloured, luma, strips, widened

H, W = 200, 240


def coloured(seed: int = 1, blur_px: float = 2.0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.standard_normal((H, W, 3), np.float32), (0, 0), blur_px)
    return np.asarray(np.clip(120 + 40 * texture / texture.std(), 0, 255), np.uint8)


def all_rows(planes: Planes) -> NDArray[np.float32]:
    return np.concatenate([planes.luma_rows(*strip) for strip in strips((H, 4 * W))])


@pytest.mark.parametrize("width", [1, 2048, 9001])
@pytest.mark.parametrize("height", [1, 95, 96, 97, 200, 383])
def test_strips_cover_every_row_once_and_begin_evenly(height: int, width: int) -> None:
    rows = [row for strip in strips((height, width)) for row in range(*strip)]
    assert rows == list(range(height))
    assert all(top % 2 == 0 for top, _ in strips((height, width)))
    assert all(
        0 <= first <= top < bottom <= last <= height and first % 2 == 0
        for top, bottom in strips((height, width))
        for first, last in [widened(top, bottom, height)]
    )


def test_a_frame_in_place_is_what_it_was() -> None:
    image = coloured()
    rows = all_rows(Planes(image, luma(image), None, finely=True))
    np.testing.assert_array_equal(rows, luma(image))


def test_strips_of_a_moved_frame_are_the_whole_one_moved() -> None:
    image = coloured()
    matrix = shifted(identity(), 3.3, -2.6)
    matrix[0, 0] = matrix[1, 1] = 1.01
    whole = cv2.warpAffine(
        luma(image).astype(np.float32), matrix, (W, H), flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    rows = all_rows(Planes(image, luma(image), matrix, finely=True))
    assert np.abs(rows - whole)[8:-8, 8:-8].max() < 1.5


def test_colours_move_with_the_luminance() -> None:
    image = coloured()
    moved = Planes(image, luma(image), shifted(identity(), 8.0, -4.0), finely=True)
    still = Planes(image, luma(image), None, finely=True)
    for part, wanted in zip(
        moved.half_colour_rows(0, H // 2), still.half_colour_rows(0, H // 2), strict=True
    ):
        assert np.abs(part[:-2, 4:] - wanted[2:, :-4]).max() < 0.5


def test_grey_has_no_colours() -> None:
    grey = luma(coloured())
    assert not Planes(grey, grey, None, finely=True).coloured
    assert not finely_coloured(Planes(grey, grey, None, finely=True))


@pytest.mark.parametrize("size", [(1141, 1521), (383, 2047), (33, 4095), (1001, 33)])
def test_frames_of_any_size_are_judged(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
    assert not finely_coloured(Planes(image, luma(image), None, finely=True))


def test_fine_colour_is_told_from_what_files_keep_and_from_noise() -> None:
    """Structures of their own in red and in green count; subsampled colour and noise do not."""
    independent = coloured(blur_px=0.8)
    assert finely_coloured(Planes(independent, luma(independent), None, finely=True))
    grey = np.repeat(coloured(blur_px=0.8)[..., :1], 3, axis=2)
    assert not finely_coloured(Planes(grey, luma(grey), None, finely=True))
    rng = np.random.default_rng(3)
    noisy = np.clip(grey // 8 + 100 + 6 * rng.standard_normal(grey.shape), 0, 255)
    noise = noisy.astype(np.uint8)
    assert not finely_coloured(Planes(noise, luma(noise), None, finely=True))


@pytest.mark.parametrize("matrix", [None, shifted(identity(), 3.25, -1.5)])
def test_gain_multiplies_luminance_and_colour(matrix: Matrix | None) -> None:
    image = coloured()
    plain, lit = (Planes(image, luma(image), matrix, gain=gain, finely=True) for gain in (1, 1.3))
    before = [plain.luma_rows(8, 60), *plain.half_colour_rows(8, 60), *plain.colour_rows(8, 60)]
    after = [lit.luma_rows(8, 60), *lit.half_colour_rows(8, 60), *lit.colour_rows(8, 60)]
    for part, brighter in zip(before, after, strict=True):
        np.testing.assert_allclose(brighter, 1.3 * part, rtol=1e-5, atol=1e-4)
