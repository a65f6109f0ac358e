"""A diatom: a domed glass valve with ribs and rows of areolae, over fine silt."""

import numpy as np

from zstackd_drivers.specimen import Layer, Specimen
from zstackd_drivers.specimen_paint import grain, lit, soft_edge, tinted, to_bytes


def paint_diatom(*, size_px: tuple[int, int], seed: int) -> Specimen:
    """Return the diatom on a canvas of `size_px` (width, height)."""
    rng = np.random.default_rng(seed)
    width, height = size_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius_px = 0.42 * height
    r = np.hypot(x - width / 2, y - height / 2) / radius_px
    silt = 0.5 + 0.12 * grain(rng, size_px=size_px, scale_px=6, octaves=2)
    ground = Layer(
        colour=to_bytes(tinted(silt, (70, 110, 140))),
        alpha=np.full((height, width), 255, np.uint8),
        height_um=np.full((height, width), 8, np.float32),
    )
    dome = 30 + 160 * np.sqrt(np.clip(1 - 0.9 * r**2, 0, 1))
    pores = 0.8 * grain(rng, size_px=size_px, scale_px=5)
    valve = Layer(
        colour=to_bytes(tinted(lit(pores, strength=1.0) * 0.8, (230, 180, 90))),
        alpha=soft_edge((1 - r) * radius_px),
        height_um=dome.astype(np.float32),
    )
    return Specimen(name="diatom", layers=(ground, valve))
