"""A diatom slide: one large domed valve with ribs and areolae, slender valves above and below it.

Sizes follow the canvas, heights are fixed: silt at about 10 µm, the dome from 30 to 175 µm.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from zstackd_drivers.specimens.paint import (
    Rgb,
    Rng,
    blended,
    grain,
    grid,
    lit,
    ramp,
    shadowed,
    soft_edge,
    tinted,
    to_bytes,
)
from zstackd_drivers.specimens.specimen import Bytes, Floats, Layer, Specimen

SECTORS = 18
DOME_UM = (32.0, 178.0)
GLASS: tuple[tuple[float, Rgb], ...] = (
    (0.00, (255, 214, 130)),
    (0.30, (250, 180, 92)),
    (0.62, (214, 122, 84)),
    (0.84, (116, 118, 150)),
    (1.00, (120, 190, 205)),
)


@dataclass(frozen=True, slots=True)
class Slender:
    """A boat-shaped valve: centre and half length in canvas heights, heights of its two tips."""

    x: float
    y: float
    half_length: float
    slimness: float
    angle_deg: float
    tips_um: tuple[float, float]
    colour: Rgb


BELOW = (
    Slender(-0.52, -0.28, 0.17, 5.0, 24, (16, 44), (96, 176, 168)),
    Slender(0.53, 0.30, 0.15, 4.2, -38, (18, 34), (150, 178, 120)),
    Slender(-0.56, 0.36, 0.10, 3.4, 62, (14, 24), (196, 166, 110)),
)
ABOVE = (
    Slender(0.40, -0.25, 0.26, 6.5, 38, (196, 92), (172, 214, 206)),
    Slender(-0.38, 0.24, 0.17, 5.2, -52, (64, 150), (226, 196, 140)),
)


def paint_diatom(*, size_px: tuple[int, int], seed: int) -> Specimen:
    """Return the diatom slide on a canvas of `size_px` (width, height)."""
    rng = np.random.default_rng(seed)
    valve = _valve(rng, size_px)
    below = _slender_layer(rng, size_px, BELOW)
    above = _slender_layer(rng, size_px, ABOVE)
    ground = _ground(rng, size_px, casting=(valve.alpha, below.alpha))
    return Specimen(name="diatom", layers=(ground, below, valve, above))


def _ground(rng: Rng, size_px: tuple[int, int], *, casting: tuple[Bytes, ...]) -> Layer:
    """Paint the slide: dark, with silt that leaves some places clear."""
    x, y = grid(size_px)
    width, height = size_px
    clear = np.clip(0.9 + 0.9 * grain(rng, size_px=size_px, scale_px=height / 5), 0, 1)
    silt = grain(rng, size_px=size_px, scale_px=7, octaves=2)
    flakes = np.clip(grain(rng, size_px=size_px, scale_px=15, octaves=2) - 1.5, 0, 0.6)
    relief = clear * (0.55 * silt + 5 * flakes)
    hue = grain(rng, size_px=size_px, scale_px=height / 12)
    light = (0.62 + 0.25 * y / height + 0.13 * x / width) * lit(relief, strength=0.9)
    light = light + clear * (0.10 * silt + 0.9 * flakes)
    colour = blended(
        tinted(light, (38, 74, 92)), tinted(light, (64, 86, 78)), np.clip(0.5 + 0.5 * hue, 0, 1)
    )
    for alpha in casting:
        colour = shadowed(colour, alpha, reach_px=height / 28)
    return Layer(
        colour=to_bytes(colour),
        alpha=np.full((height, width), 255, np.uint8),
        height_um=np.asarray(6 + 8 * x / width + 4 * y / height, np.float32),
    )


def _valve(rng: Rng, size_px: tuple[int, int]) -> Layer:
    """Paint the domed valve: sectors of areolae in rows, ribs between, a rim with striae."""
    x, y = grid(size_px)
    width, height = size_px
    radius_px = 0.405 * height
    x, y = x - 0.49 * width, y - 0.505 * height
    rho = np.asarray(cv2.magnitude(*_pair(x, y)), np.float32)
    angle = cv2.phase(*_pair(x, y))
    r = rho / np.float32(radius_px)
    half = math.pi / SECTORS
    within = np.asarray(np.mod(angle, 2 * half) - half, np.float32)
    to_rib = rho * (half - np.abs(within))
    relief = _areolae(rho, within, pitch_px=max(7.0, height / 118))
    field = np.clip((r - 0.10) * 30, 0, 1) * np.clip((0.93 - r) * 40, 0, 1)
    rib_px = max(1.5, height / 420)
    rib = np.exp(-((to_rib / (rib_px * (0.7 + r))) ** 2)) * np.clip((r - 0.2) * 6, 0, 1)
    rim = np.exp(-(((r - 0.965) / 0.018) ** 2))
    striae = np.cos(angle * 230) * np.clip((r - 0.93) * 60, 0, 1)
    rosette = np.cos(9 * angle) * np.exp(-(((r - 0.06) / 0.022) ** 2))
    fine = grain(rng, size_px=size_px, scale_px=3.2)
    body = field * relief * (1 - rib) + 1.1 * rib + 1.3 * rim + 0.3 * striae + 0.6 * rosette
    shade = lit(np.asarray(2.6 * body + 0.22 * fine, np.float32), strength=1.1)
    shade = shade * (0.55 + 0.42 * body + 0.05 * fine)
    sectors = np.cos(angle * (SECTORS / 2))
    dome = np.sqrt(np.clip(1 - 0.93 * r**2, 0, 1))
    shade = shade * (0.72 + 0.34 * dome + 0.05 * sectors) * (1.02 - 0.14 * (x + y) / radius_px)
    low_um, high_um = DOME_UM
    bulge = 9 * sectors * np.clip(1 - ((r - 0.55) / 0.4) ** 2, 0, 1)
    return Layer(
        colour=to_bytes(ramp(r + 0.03 * sectors, GLASS) * shade[..., None]),
        alpha=soft_edge((1 - r) * radius_px),
        height_um=np.asarray(low_um + (high_um - low_um) * dome + bulge + 3 * rim, np.float32),
    )


def _areolae(rho: Floats, within: Floats, *, pitch_px: float) -> Floats:
    """Return walls (1) and pores (0) of a hexagonal lattice that follows each sector's axis."""
    along = rho * np.cos(within) * np.float32(2 * math.pi / pitch_px)
    across = rho * np.sin(within) * np.float32(2 * math.pi / pitch_px)
    root = np.float32(math.sqrt(3) / 2)
    waves = np.cos(along) + np.cos(along / 2 + root * across) + np.cos(along / 2 - root * across)
    return np.asarray(np.clip(0.62 - 0.62 * waves / 1.5, 0, 1), np.float32)


def _slender_layer(rng: Rng, size_px: tuple[int, int], valves: tuple[Slender, ...]) -> Layer:
    width, height = size_px
    colour = np.zeros((height, width, 3), np.float32)
    alpha = np.zeros((height, width), np.uint8)
    nearest = np.full((height, width), np.inf, np.float32)
    height_um = np.zeros((height, width), np.float32)
    x, y = grid(size_px)
    fine = grain(rng, size_px=size_px, scale_px=3.2)
    for valve in valves:
        half_px = valve.half_length * height
        dx = (x - width / 2 - valve.x * height) / half_px
        dy = (y - height / 2 - valve.y * height) / half_px
        turn = math.radians(valve.angle_deg)
        u = dx * math.cos(turn) + dy * math.sin(turn)
        v = np.asarray((dy * math.cos(turn) - dx * math.sin(turn)) * valve.slimness, np.float32)
        half_width = np.clip(1 - np.abs(u) ** 2.6, 1e-3, None) ** 0.75
        across = np.asarray(np.abs(v) / half_width, np.float32)
        distance = np.maximum(np.abs(u), np.abs(v))
        mine = distance < nearest
        nearest = np.where(mine, distance, nearest)
        low_um, high_um = valve.tips_um
        arch = 7 * np.clip(1 - across**2, 0, 1)
        plane_um = low_um + (high_um - low_um) * (np.clip(u, -1.4, 1.4) + 1) / 2 + arch
        height_um = np.where(mine, plane_um, height_um)
        inside = soft_edge(
            np.where(np.abs(u) < 1, (half_width - np.abs(v)) * (half_px / valve.slimness), -9)
        )
        pitch = max(5.5, half_px / 42) / half_px
        painted = _slender_colour(valve.colour, (u, v, across), fine=fine, pitch=pitch)
        colour = np.where((inside > 0)[..., None], painted, colour)
        alpha = np.maximum(alpha, inside)
    return Layer(colour=to_bytes(colour), alpha=alpha, height_um=np.asarray(height_um, np.float32))


def _slender_colour(
    colour: Rgb, along_across: tuple[Floats, Floats, Floats], *, fine: Floats, pitch: float
) -> Floats:
    """Paint striae `pitch` half lengths apart, a raphe along the middle and a bright margin."""
    u, v, across = along_across
    striae = 0.5 + 0.5 * np.cos(2 * math.pi * (u + 0.05 * across**2) / pitch)
    striae = striae * np.clip((across - 0.16) * 9, 0, 1) * np.clip((0.93 - across) * 14, 0, 1)
    raphe = np.exp(-((v / 0.035) ** 2)) * np.clip(np.abs(u) * 16 - 1, 0, 1)
    margin = np.exp(-(((across - 0.96) / 0.05) ** 2))
    body = 0.42 * striae + 0.5 * raphe + 0.55 * margin + 0.06 * fine
    round_ = np.sqrt(np.clip(1 - 0.75 * across**2, 0, 1))
    shade = lit(np.asarray(3.2 * body, np.float32), strength=0.8) * (0.5 + 0.5 * round_)
    return tinted(np.asarray(shade * (0.62 + 0.6 * body), np.float32), colour)


def _pair(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return two coordinates as whole images, which OpenCV's functions need."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    return (
        np.ascontiguousarray(np.broadcast_to(x, shape)),
        np.ascontiguousarray(np.broadcast_to(y, shape)),
    )
