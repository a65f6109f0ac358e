"""What a stack of the twin's frames must find: the sharp image and the heights."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_drivers.specimens.specimen import Bytes, Floats, Specimen

WINDOW_PX = 15
TEXTURE_SIGMAS = 3.0
NOISE_LEVELS = 1.3
STEP_UM = 12.0
OPAQUE = 128


def all_in_focus(specimen: Specimen) -> Bytes:
    """Return every layer sharp, far to near, laid over one another: (H, W, 3) uint8."""
    image = specimen.layers[0].colour
    for layer in specimen.layers[1:]:
        alpha = layer.alpha.astype(np.float32) / 255
        image = np.asarray(cv2.blendLinear(layer.colour, image, alpha, 1 - alpha), np.uint8)
    return image


def height_map(specimen: Specimen) -> Floats:
    """Return the height in µm of the nearest opaque layer at each pixel: (H, W) float32."""
    height = specimen.layers[0].height_um.copy()
    for layer in specimen.layers[1:]:
        np.copyto(height, layer.height_um, where=layer.alpha >= OPAQUE)
    return height


def measurable(image: Bytes, height_um: Floats, *, noise: float) -> NDArray[np.bool_]:
    """Return where fine detail exceeds the noise and no step in height is near: (H, W) bool."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), 2.0)
    energy = cv2.boxFilter(detail * detail, -1, (WINDOW_PX, WINDOW_PX))
    kernel = np.ones((WINDOW_PX, WINDOW_PX), np.uint8)
    step_um = cv2.dilate(height_um, kernel) - cv2.erode(height_um, kernel)
    threshold = (TEXTURE_SIGMAS * NOISE_LEVELS * max(noise, 0.3)) ** 2
    return np.asarray((energy > threshold) & (step_um < STEP_UM), np.bool_)
