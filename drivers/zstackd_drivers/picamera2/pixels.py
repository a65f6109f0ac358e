"""From the arrays of picamera2's streams to images."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_drivers.camera import Image
from zstackd_drivers.errors import CameraError

Array = NDArray[np.uint8]

GREEN = 1

_TO_BGR: dict[str, Callable[[Array], NDArray[Any]]] = {
    "RGB888": lambda array: array,
    "BGR888": lambda array: array[..., ::-1],
    "XRGB8888": lambda array: array[..., :3],
    "XBGR8888": lambda array: array[..., 2::-1],
    "MJPEG": lambda array: array[..., 2::-1],
    "YUV420": lambda array: cv2.cvtColor(array, cv2.COLOR_YUV2BGR_I420),
    "YUYV": lambda array: cv2.cvtColor(array, cv2.COLOR_YUV2BGR_YUYV),
}
"""How each stream format becomes blue, green, red: libcamera's names tell the order backwards."""


def check_format(name: str) -> None:
    """Raise CameraError where frames of this format cannot be read."""
    if name not in _TO_BGR:
        raise CameraError(
            f"picamera2: the camera delivers frames as {name}, which is not one of "
            f"{', '.join(_TO_BGR)}; use the uvc driver for it"
        )


def picture(array: Array, stream: dict[str, Any], *, mono: bool) -> Image:
    """Return (H, W, 3) blue, green, red, or (H, W) of a mono sensor, without any padding."""
    width, height = stream["size"]
    bgr = _TO_BGR[stream["format"]](array)[:height, :width]
    return np.ascontiguousarray(bgr[..., GREEN] if mono else bgr)


def luma(array: Array, stream: dict[str, Any]) -> Image:
    """Return the brightness (h, w) of a YUV420 stream, without its padding."""
    width, height = stream["size"]
    return np.ascontiguousarray(array[:height, :width])
