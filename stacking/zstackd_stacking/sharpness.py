"""How sharp one frame is as a whole: the measure behind autofocus and calibration."""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.planes import luma
from zstackd_stacking.types import FloatMap, Image, as_image

LEAST_SIDE_PX: Final = 16
_BIN_PX: Final = 2


class Region(NamedTuple):
    """A rectangle of a frame, in pixels: left, top, width, height."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int

    def of(self, image: Image) -> Image:
        """Return the part of `image` (H, W[, 3]) inside the region.

        Raises:
            ValueError: the region leaves the image or is too small to measure.
        """
        height, width = image.shape[:2]
        right, bottom = self.x_px + self.width_px, self.y_px + self.height_px
        if min(self.x_px, self.y_px) < 0 or right > width or bottom > height:
            raise ValueError(
                f"region {self.x_px},{self.y_px},{self.width_px},{self.height_px} px leaves the "
                f"frame of {width} x {height} px"
            )
        if min(self.width_px, self.height_px) < 2 * LEAST_SIDE_PX:
            raise ValueError(
                f"region of {self.width_px} x {self.height_px} px is too small to measure; "
                f"at least {2 * LEAST_SIDE_PX} px each way"
            )
        return image[self.y_px : bottom, self.x_px : right]


def sharpness(image: Image) -> float:
    """Return Vollath's F4 of a frame (H, W[, 3]) uint8 or uint16, over the squared mean.

    F4 is the autocorrelation of brightness at a distance of one pixel less that at two. Noise that
    is independent from pixel to pixel cancels in it, however strong; dividing by the squared mean
    makes it blind to exposure. Frames are halved first, which makes a Bayer sensor's interpolated
    pixels independent. No unit; larger is sharper; about 0 where nothing is to be seen.

    Source: D. Vollath, «The influence of the scene parameters and of noise on the behaviour of
    automatic focusing algorithms», J. Microscopy 151 (1988) 133-146.
    """
    grey = _halved_grey(image)
    mean = float(grey.mean())
    if mean <= 0:
        return 0.0
    grey = grey - np.float32(mean)
    across = _lagged(grey, 1) - _lagged(grey, 2)
    down = _lagged(grey.T, 1) - _lagged(grey.T, 2)
    return (across + down) / (2 * mean * mean)


def _halved_grey(image: Image) -> FloatMap:
    height, width = (side // _BIN_PX * _BIN_PX for side in image.shape[:2])
    grey = luma(as_image(image[:height, :width]))
    size = (width // _BIN_PX, height // _BIN_PX)
    return np.asarray(cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _lagged(grey: NDArray[np.float32], lag: int) -> float:
    """Return the mean product of brightness at a distance of `lag` along the second axis."""
    return float(np.einsum("ij,ij->", grey[:, :-lag], grey[:, lag:]) / grey[:, lag:].size)
