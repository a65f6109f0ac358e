"""An insect's leg over a leaf: femur, tibia, tarsus and claws, with hairs that overhang.

Sizes follow the canvas, heights are fixed: the leaf at about 10 µm, the leg from 30 to 165 µm,
hairs from below the leg up to 200 µm.
"""

import math
from dataclasses import dataclass

import numpy as np

from zstackd_drivers.specimens.hairs import Hair, HairLayer
from zstackd_drivers.specimens.leaf import paint_leaf, put_pollen
from zstackd_drivers.specimens.paint import Rgb, Rng, blended, grain, lit, tinted
from zstackd_drivers.specimens.place import Place
from zstackd_drivers.specimens.sheet import Sheet, Window
from zstackd_drivers.specimens.specimen import Floats, Specimen

CHITIN: Rgb = (150, 78, 30)
AMBER: Rgb = (226, 146, 62)
SHINE: Rgb = (255, 238, 214)
OVERHANG_UM = 150.0
TOP_UM = 200.0
FLANK = 0.75
HANGING = 0.45
"""Share of the hairs on the flanks that hang below the leg."""


@dataclass(frozen=True, slots=True)
class Joint:
    """One piece of the leg from end to end, in canvas heights; heights of its axis at the ends."""

    start: tuple[float, float]
    end: tuple[float, float]
    radii: tuple[float, float]
    flare: float
    heights_um: tuple[float, float]
    hairs: int

    @property
    def length(self) -> float:
        """Return its length in canvas heights."""
        return math.dist(self.start, self.end)

    @property
    def heading_deg(self) -> float:
        """Return the direction from start to end."""
        return math.degrees(math.atan2(self.end[1] - self.start[1], self.end[0] - self.start[0]))

    def at(self, t: float) -> tuple[float, float]:
        """Return the point of the axis at `t` (0 to 1)."""
        (x0, y0), (x1, y1) = self.start, self.end
        return x0 + (x1 - x0) * t, y0 + (y1 - y0) * t

    def radius(self, t: Floats) -> Floats:
        """Return the radius along the piece, wider before its far end."""
        thin, thick = self.radii
        swell = self.flare * np.exp(-(((t - 0.90) / 0.09) ** 2))
        return np.asarray(thin + (thick - thin) * np.clip(t, 0, 1) + swell, np.float32)


LEG = (
    Joint((-0.86, 0.10), (-0.43, -0.255), (0.092, 0.074), 0.0, (52, 118), 34),
    Joint((-0.455, -0.27), (0.135, 0.035), (0.050, 0.044), 0.014, (128, 96), 62),
    Joint((0.130, 0.032), (0.262, 0.115), (0.030, 0.034), 0.007, (96, 82), 11),
    Joint((0.255, 0.110), (0.366, 0.190), (0.026, 0.030), 0.007, (82, 66), 9),
    Joint((0.360, 0.186), (0.452, 0.264), (0.023, 0.026), 0.006, (66, 50), 8),
    Joint((0.447, 0.260), (0.560, 0.376), (0.020, 0.024), 0.008, (50, 34), 8),
)
CLAWS = ((0.566, 0.366, 2.0, 78.0), (0.552, 0.384, 88.0, -70.0))
POLLEN = (
    (-0.52, 0.30, 34), (-0.46, 0.345, 30), (-0.10, 0.36, 36), (0.18, -0.30, 32), (0.44, -0.18, 34),
    (0.48, -0.135, 28), (-0.02, -0.38, 30), (0.05, 0.40, 28), (0.56, 0.02, 33),
)  # fmt: skip


def paint_insect(*, size_px: tuple[int, int], seed: int) -> Specimen:
    """Return the insect's leg on a canvas of `size_px` (width, height)."""
    rng = np.random.default_rng(seed)
    leg, below = Sheet(size_px), Sheet(size_px)
    for joint in LEG:
        _put_joint(leg, rng, joint)
    for x, y, low_um in POLLEN:
        radius = size_px[1] * rng.uniform(0.021, 0.029)
        put_pollen(below, rng, _pixels(size_px, (x, y)), radius_px=radius, low_um=low_um - 8)
    hairs = [hair for joint in LEG for hair in _hairs(rng, size_px, joint)]
    hairs += [_claw(size_px, *claw) for claw in CLAWS]
    under, over, overhanging = (HairLayer(size_px) for _ in range(3))
    for hair in sorted(hairs, key=lambda one: one.top_um):
        if hair.heights_um[1] < hair.heights_um[0]:
            under.put(hair)
        else:
            (over if hair.top_um < OVERHANG_UM else overhanging).put(hair)
    ground = paint_leaf(
        rng, size_px, casting=(leg.alpha, below.alpha, under.alpha), reach_px=size_px[1] / 24
    )
    layers = (ground, below.layer(), under.layer(), leg.layer(), over.layer(), overhanging.layer())
    return Specimen(name="insect", layers=layers)


def _pixels(size_px: tuple[int, int], at: tuple[float, float]) -> tuple[float, float]:
    width, height = size_px
    return width / 2 + at[0] * height, height / 2 + at[1] * height


def _put_joint(sheet: Sheet, rng: Rng, joint: Joint) -> None:
    """Put one piece: a shining, ridged cylinder with translucent flanks."""
    scale = sheet.canvas_px[1]
    x, y = _pixels(sheet.canvas_px, joint.at(0.5))
    half_u, half_v = joint.length * scale / 2, max(joint.radii) * scale * 1.4
    place = Place(x, y, half_u + half_v, half_v, joint.heading_deg)
    on = place.window(sheet.canvas_px)
    t = np.asarray((on.u / half_u + 1) / 2, np.float32)
    radius = joint.radius(t) * np.float32(scale)
    cap = np.clip((np.abs(on.u) - half_u + 0.5 * radius) / (0.75 * radius), 0, 1)
    radius = np.asarray(radius * np.sqrt(1 - cap**2) + 1e-3, np.float32)
    across = np.asarray(on.v / radius, np.float32)
    round_ = np.sqrt(np.clip(1 - across**2, 0, 1))
    low_um, high_um = joint.heights_um
    rise = 40 * max(joint.radii) / 0.08
    height = low_um + (high_um - low_um) * np.clip(t, -0.1, 1.1) + rise * round_
    sheet.put(
        on,
        colour=_chitin(rng, on, across=across, t=t, scale=scale),
        inside_px=np.asarray(np.where(cap < 1, radius - np.abs(on.v), -1), np.float32),
        height_um=np.asarray(height, np.float32),
    )


def _chitin(rng: Rng, on: Window, *, across: Floats, t: Floats, scale: float) -> Floats:
    """Paint horn: ridges along, scales across, a broken streak of light, amber at the edges."""
    size = (on.u.shape[1], on.u.shape[0])
    fine = grain(rng, size_px=size, scale_px=3, octaves=2)
    clouds = grain(rng, size_px=size, scale_px=scale / 30)
    bow = np.asarray(np.arcsin(np.clip(across, -1, 1)), np.float32)
    pitch = max(6.0, scale / 150)
    wave = on.u / pitch * 6.283 + 1.6 * np.sin(11 * bow) + 0.7 * clouds
    ridges = np.cos(22 * bow + 0.5 * clouds)
    round_ = np.sqrt(np.clip(1 - across**2, 0, 1))
    relief = 0.5 * np.cos(wave) * round_ + 0.9 * ridges * round_ + 0.35 * fine
    shade = lit(np.asarray(relief, np.float32), strength=0.8)
    shade = shade * (0.34 + 0.72 * round_) * (1 - 0.22 * across) + 0.05 * fine + 0.03 * clouds
    amber = 0.85 * np.abs(across) ** 5 + 0.35 * np.exp(-(((t - 0.97) / 0.05) ** 2))
    amber = np.clip(amber + 0.18 + 0.14 * clouds, 0, 1)
    joint = np.exp(-(((t - 1.0) / 0.03) ** 2)) + np.exp(-((t / 0.035) ** 2))
    shade = np.asarray(shade * (1 - 0.55 * np.clip(joint, 0, 1)), np.float32)
    colour = blended(tinted(shade, CHITIN), tinted(shade, AMBER), np.asarray(amber, np.float32))
    streak = np.exp(-(((across + 0.36) / 0.11) ** 2)) * np.clip(0.7 + 0.35 * np.cos(wave), 0, 1)
    streak = 0.62 * streak * np.clip(0.8 + 0.3 * clouds, 0, 1)
    return blended(colour, tinted(np.ones_like(shade), SHINE), np.asarray(streak, np.float32))


def _hairs(rng: Rng, size_px: tuple[int, int], joint: Joint) -> list[Hair]:
    """Return long bristles on a piece, and three times as many short hairs."""
    long_ = [_hair(rng, size_px, joint, length=rng.uniform(0.5, 1.0)) for _ in range(joint.hairs)]
    short = [
        _hair(rng, size_px, joint, length=rng.uniform(0.10, 0.24)) for _ in range(2 * joint.hairs)
    ]
    return short + long_


def _hair(rng: Rng, size_px: tuple[int, int], joint: Joint, *, length: float) -> Hair:
    """Return a hair that leans towards the leg's end; `length` is relative to the longest."""
    scale = size_px[1]
    t = float(rng.uniform(0.03, 0.99))
    side = float(rng.choice((-1, 1)) * (1 - 0.9 * rng.uniform(0, 1) ** 1.7))
    radius = float(joint.radius(np.full(1, t, np.float32))[0])
    heading = math.radians(joint.heading_deg)
    x, y = joint.at(t)
    root = (x - math.sin(heading) * side * radius, y + math.cos(heading) * side * radius)
    low_um, high_um = joint.heights_um
    rise = 40 * max(joint.radii) / 0.08 * math.sqrt(1 - side**2)
    root_um = low_um + (high_um - low_um) * t + rise
    lean = math.copysign(24 + 44 * abs(side), side) + rng.normal(0, 9)
    reach = length * (0.06 + 1.9 * max(joint.radii))
    hangs = abs(side) > FLANK and rng.uniform() < HANGING
    tip_um = root_um + length * (-60 if hangs else 85) * rng.uniform(0.5, 1)
    return Hair(
        root_px=_pixels(size_px, root),
        length_px=reach * scale,
        heading_deg=joint.heading_deg + lean,
        bend_deg=-0.55 * lean + rng.normal(0, 8),
        width_px=max(1.3, scale * (0.0022 + 0.0042 * length)),
        heights_um=(root_um, min(max(tip_um, 14.0), TOP_UM)),
        pale=float(rng.uniform(0, 0.5)),
    )


def _claw(size_px: tuple[int, int], x: float, y: float, heading_deg: float, bend: float) -> Hair:
    """Return one of the two hooks at the leg's end."""
    return Hair(
        root_px=_pixels(size_px, (x - 0.008, y)),
        length_px=0.085 * size_px[1],
        heading_deg=heading_deg,
        bend_deg=bend,
        width_px=0.019 * size_px[1],
        heights_um=(46, 20),
        pale=-0.25,
    )
