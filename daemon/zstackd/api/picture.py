"""A frame as a picture for people and browsers, with what is known of it."""

from typing import Final, Literal, NamedTuple

import cv2
import numpy as np

from zstackd.api.models import ViewAnswer
from zstackd.service.viewfinder import View
from zstackd_drivers.camera import Image
from zstackd_drivers.capture.exposure_lock import brightness
from zstackd_stacking.sharpness import LEAST_SIDE_PX, sharpness
from zstackd_stacking.types import as_image

Kind = Literal["jpg", "png"]

LEAST_SHOWN_PX: Final = 2 * LEAST_SIDE_PX
_SETTINGS: Final = {
    "jpg": [cv2.IMWRITE_JPEG_QUALITY, 90],
    "png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
}
_OF_16_BITS: Final = 1 / 257


class Shown(NamedTuple):
    """A picture's file, and what is known of the frame."""

    picture: bytes
    facts: ViewAnswer


def shown(view: View, kind: Kind, *, max_side_px: int | None, crop_px: int | None) -> Shown:
    """Return a view as a picture, the square of `crop_px` in its middle alone where that is given.

    It is reduced to `max_side_px`. Sharpness and brightness are of what is shown, at full size.
    """
    height, width = view.image.shape[:2]
    part = _middle(view.image, crop_px)
    light = brightness(part)
    facts = ViewAnswer(
        run_id=view.run_id,
        z_um=view.z_um,
        exposure_time_ms=view.exposure.exposure_time_ms,
        analogue_gain=view.exposure.analogue_gain,
        sharpness=sharpness(part),
        brightness=light.mean,
        highlight=light.highlight,
        saturated=light.saturated,
        size_px=(width, height),
        largest_step_um=view.largest_step_um,
    )
    return Shown(_encoded(_reduced(part, max_side_px), kind), facts)


def _middle(image: Image, side_px: int | None) -> Image:
    """Return the square in the middle of an image (H, W[, 3]), as far as the image reaches."""
    if side_px is None:
        return image
    height, width = image.shape[:2]
    top, left = max(height - side_px, 0) // 2, max(width - side_px, 0) // 2
    return image[top : top + side_px, left : left + side_px]


def _reduced(image: Image, max_side_px: int | None) -> Image:
    longest = max(image.shape[:2])
    if max_side_px is None or longest <= max_side_px:
        return image
    height, width = (max(1, round(side * max_side_px / longest)) for side in image.shape[:2])
    return as_image(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


def _encoded(image: Image, kind: Kind) -> bytes:
    """Return an image as a file's bytes; JPEG holds 8 bits."""
    if kind == "jpg" and image.dtype == np.uint16:
        image = np.asarray(cv2.convertScaleAbs(image, alpha=_OF_16_BITS), np.uint8)
    _, encoded = cv2.imencode(f".{kind}", image, _SETTINGS[kind])
    return encoded.tobytes()
