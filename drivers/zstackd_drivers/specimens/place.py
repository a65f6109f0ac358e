"""Where a part of a specimen lies, its outline, and lettering on it; all lengths in pixels."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from zstackd_drivers.specimens.sheet import Window, window
from zstackd_drivers.specimens.specimen import Floats

OVERSAMPLE = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part lies: centre and half sizes in pixels, angle in degrees."""

    x: float
    y: float
    half_u: float
    half_v: float
    angle_deg: float = 0.0

    def window(self, canvas_px: tuple[int, int], *, margin: float = 1.05) -> Window:
        """Return the window that holds the whole part."""
        reach_px = math.hypot(self.half_u, self.half_v) * margin + 2
        return window(
            canvas_px, centre_px=(self.x, self.y), reach_px=reach_px, angle_deg=self.angle_deg
        )

    def moved(self, u: float, v: float, *, half_u: float, half_v: float) -> "Place":
        """Return a place of another size, `u` along and `v` across from this one."""
        turn = math.radians(self.angle_deg)
        x = self.x + u * math.cos(turn) - v * math.sin(turn)
        y = self.y + u * math.sin(turn) + v * math.cos(turn)
        return Place(x, y, half_u, half_v, self.angle_deg)


def box(on: Window, half_u: float, half_v: float, corner: float) -> Floats:
    """Return the distance from the edge of a rounded box, inside positive, (h, w) float32."""
    du = np.abs(on.u) - np.float32(half_u - corner)
    dv = np.abs(on.v) - np.float32(half_v - corner)
    outside = np.hypot(np.maximum(du, 0), np.maximum(dv, 0))
    return np.asarray(corner - outside - np.minimum(np.maximum(du, dv), 0), np.float32)


def lettering(on: Window, text: str, *, cap_px: float, at: tuple[float, float]) -> Floats:
    """Return how much ink (0 to 1) of `text`, centred at (u, v) `at`, lies on each pixel."""
    scale = OVERSAMPLE * cap_px / 22
    stroke = max(1, round(OVERSAMPLE * cap_px / 8))
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
    margin = 3 * stroke
    plate = np.zeros((height + 2 * margin, width + 2 * margin), np.uint8)
    cv2.putText(
        plate, text, (margin, margin + height), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, stroke,
        cv2.LINE_AA,
    )  # fmt: skip
    plate = np.asarray(cv2.GaussianBlur(plate, (0, 0), OVERSAMPLE / 3), np.uint8)
    across = (on.u - np.float32(at[0])) * OVERSAMPLE + plate.shape[1] / 2
    down = (on.v - np.float32(at[1])) * OVERSAMPLE + plate.shape[0] / 2
    ink = cv2.remap(
        plate, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    return np.asarray(ink, np.float32) / np.float32(255)
