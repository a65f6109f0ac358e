"""The stacks that are rendered: ten subjects, each hard for another reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench import things
from bench.motion import Motion
from bench.optics import Sensor
from bench.scene import Scene, Thing
from bench.texture import band, fractal, palette, smooth_field, surface

Floats = NDArray[np.float32]
Rng = np.random.Generator
Shape = tuple[int, int]


_STILL = Motion()
_ORDINARY = Sensor()


@dataclass(frozen=True, slots=True)
class Built:
    """A scene, and where its ground carries texture (H, W bool)."""

    scene: Scene
    textured: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """One stack: its subject, its planes, and what camera and lens do to it.

    `slope_px`: radius of the disc of defocus per plane. `flicker`: standard deviation of the
    light's gain from frame to frame. `vignette`: loss of light in the corners.
    """

    name: str
    what: str
    build: Callable[["Case", Rng, Shape], Built]
    planes: int
    slope_px: float
    seed: int
    motion: Motion = _STILL
    sensor: Sensor = _ORDINARY
    flicker: float = 0.0
    vignette: float = 0.12
    suffix: str = ".jpg"
    size_px: tuple[int, int] = (2048, 1536)
    margin_px: int = 64

    @property
    def canvas(self) -> Shape:
        """(height, width) of the scene, margin included."""
        return self.size_px[1] + 2 * self.margin_px, self.size_px[0] + 2 * self.margin_px

    def of_size(self, size_px: tuple[int, int], planes: int) -> "Case":
        """The same subject in another size, on a z-range of another number of planes."""
        return replace(self, size_px=size_px, planes=planes)


def _relief(case: Case, rng: Rng, shape: Shape, *, low: float = 0.08, high: float = 0.92) -> Floats:
    hills = smooth_field(rng, shape, 520.0) + 0.25 * smooth_field(rng, shape, 190.0)
    hills = (hills - hills.min()) / np.ptp(hills)
    return np.asarray((low + (high - low) * hills) * (case.planes - 1), np.float32)


def _whole(shape: Shape) -> NDArray[np.bool_]:
    return np.ones(shape, bool)


def relief(case: Case, rng: Rng, shape: Shape) -> Built:
    """Rough coloured rock."""
    ground = surface(rng, shape, hue=0.08)
    return Built(Scene(ground, _relief(case, rng, shape), case.slope_px), _whole(shape))


def bare_relief(case: Case, rng: Rng, shape: Shape) -> Built:
    """Rock with polished places that show nothing but noise."""
    ground, textured = _with_bare(rng, shape, 0.3)
    return Built(Scene(ground, _relief(case, rng, shape), case.slope_px), textured)


def _with_bare(rng: Rng, shape: Shape, share: float) -> tuple[Floats, NDArray[np.bool_]]:
    ground = surface(rng, shape, hue=0.3, level=0.2)
    field = smooth_field(rng, shape, 260.0)
    bare = field > np.quantile(field[::8, ::8], 1 - share)
    tone = np.full(3, 0.2, np.float32) * (1 + 0.1 * smooth_field(rng, shape, 700.0)[..., None])
    return np.where(bare[..., None], tone, ground).astype(np.float32), ~bare


def steps(case: Case, rng: Rng, shape: Shape) -> Built:
    """Terraces one above the other, with upright walls."""
    top = case.planes - 1
    ground = surface(rng, shape, hue=0.55, level=0.18)
    piles = []
    for index, share in enumerate((0.3, 0.5, 0.7, 0.9)):
        size = (170 + 60 * index, 420)
        mask = things.rectangles(rng, shape, 9 - 2 * index, width_px=size, length_px=size)
        level = surface(rng, shape, hue=0.1 + 0.2 * index, level=0.16 + 0.05 * index)
        piles.append(things.plateau(mask, level, share * top))
    depth = np.full(shape, 0.1 * top, np.float32)
    return Built(Scene(ground, depth, case.slope_px, piles), _whole(shape))


_BOARD_PAINTS = ((0.10, 0.24, 0.09), (0.36, 0.50, 0.55), (0.03, 0.03, 0.03), (0.5, 0.52, 0.52))
"""Of tracks, pads, chips and lettering: blue, green, red."""


def board(case: Case, rng: Rng, shape: Shape) -> Built:
    """A tilted circuit board: tracks, pads and lettering-like marks on a woven ground."""
    weave = 1 + 0.12 * band(rng, shape, 2.5) + 0.1 * fractal(rng, shape, beta=1.0)
    ground = weave[..., None] * np.array([0.05, 0.13, 0.04], np.float32)
    masks = (
        things.rectangles(rng, shape, 260, width_px=(5, 14), length_px=(60, 420), turn_deg=45),
        things.rectangles(rng, shape, 150, width_px=(14, 44), length_px=(16, 70), turn_deg=90),
        things.rectangles(rng, shape, 16, width_px=(60, 200), length_px=(80, 260), turn_deg=90),
        things.lettering(rng, shape, 160),
    )
    for mask, colour in zip(masks, _BOARD_PAINTS, strict=True):
        stain = (1 + 0.12 * fractal(rng, shape, beta=0.9))[..., None]
        paint = np.maximum(stain, 0) * np.array(colour, np.float32)
        ground = ground + mask[..., None] * (paint - ground)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    ramp = 0.05 + 0.9 * (0.85 * x / shape[1] + 0.15 * y / shape[0])
    depth = np.asarray(ramp * (case.planes - 1), np.float32)
    return Built(Scene(np.asarray(ground, np.float32), depth, case.slope_px), _whole(shape))


def beads(case: Case, rng: Rng, shape: Shape) -> Built:
    """Bright balls above a dark ground of weak texture."""
    ground = surface(rng, shape, hue=0.6, level=0.035, contrast=0.6)
    depth = np.asarray(0.06 * case.planes + 1.5 * smooth_field(rng, shape, 500.0), np.float32)
    return Built(
        Scene(ground, depth, case.slope_px, _balls(case, rng, shape, 16, 0.6)), _whole(shape)
    )


def _balls(case: Case, rng: Rng, shape: Shape, count: int, level: float) -> list[Thing]:
    """Balls of different sizes at different heights above the ground, apart from each other."""
    px_per_plane = 10.0
    taken: list[tuple[float, float, float]] = []
    balls = []
    colours = palette(rng, count, hue=0.1, spread=0.3)
    for colour in colours / colours.max(axis=1, keepdims=True) * level:
        radius = rng.uniform(36, 95)
        for _ in range(60):
            y, x = rng.uniform(0.08, 0.92) * shape[0], rng.uniform(0.07, 0.93) * shape[1]
            if all(np.hypot(y - v, x - u) > 0.85 * (radius + r) for v, u, r in taken):
                break
        taken.append((y, x, radius))
        highest = 0.95 * case.planes - radius / px_per_plane
        base = rng.uniform(0.2 * case.planes, highest)
        balls.append(
            things.bead(
                rng,
                centre_px=(y, x),
                radius_px=radius,
                base=base,
                px_per_plane=px_per_plane,
                colour=(0.35 * level + 0.65 * colour),
            )
        )
    return balls


def fibres(case: Case, rng: Rng, shape: Shape) -> Built:
    """Threads that cross each other at unrelated depths above a textured ground."""
    ground = surface(rng, shape, hue=0.12, level=0.10, contrast=0.7)
    depth = np.full(shape, 0.04 * case.planes, np.float32) + 2 * smooth_field(rng, shape, 500.0)
    threads = []
    colours = palette(rng, 18, hue=0.05, spread=0.25)
    for colour in colours / colours.max(axis=1, keepdims=True):
        points = things.curve(rng, shape)
        along = np.linspace(0, 1, len(points))
        ends = rng.uniform(0.15, 0.95, 2) * (case.planes - 1)
        depths = ends[0] + (ends[1] - ends[0]) * along
        tone = colour * rng.uniform(0.12, 0.6)
        width = float(rng.uniform(3.0, 15.0))
        threads.append(
            things.fibre(
                rng,
                points_px=points,
                depths=np.asarray(depths, np.float32),
                width_px=width,
                colour=tone,
            )
        )
    scene = Scene(ground, np.asarray(depth, np.float32), case.slope_px, threads)
    return Built(scene, _whole(shape))


def faint(case: Case, rng: Rng, shape: Shape) -> Built:
    """Pale unstained tissue: hardly any contrast."""
    ground = surface(rng, shape, hue=0.9, level=0.42, contrast=0.16)
    return Built(Scene(ground, _relief(case, rng, shape), case.slope_px), _whole(shape))


def grains(case: Case, rng: Rng, shape: Shape) -> Built:
    """Dull balls on rock, neither bright nor dark."""
    ground = surface(rng, shape, hue=0.15, level=0.2)
    depth = _relief(case, rng, shape, low=0.05, high=0.4)
    balls = _balls(case, rng, shape, 10, 0.4)
    return Built(Scene(ground, depth, case.slope_px, balls), _whole(shape))


def _named(*cases: Case) -> Mapping[str, Case]:
    return {case.name: case for case in cases}


CASES = _named(
    Case("relief", "smooth relief", relief, planes=24, slope_px=1.2, seed=11),
    Case("steps", "terraces with upright walls", steps, planes=20, slope_px=1.3, seed=12),
    Case(
        "board", "tilted board, macro lens that breathes 1.5 %", board, planes=30, slope_px=1.1,
        seed=13, motion=Motion(magnification=-0.015, shift_px=(3.0, -2.0), jitter_px=0.3),
    ),
    Case("beads", "bright beads above a dark ground", beads, planes=32, slope_px=1.2, seed=14),
    Case("fibres", "thin fibres crossing in depth", fibres, planes=40, slope_px=1.0, seed=15),
    Case(
        "noise", "strong sensor noise, bare places", bare_relief, planes=20, slope_px=1.4, seed=16,
        sensor=Sensor(shot=1.6e-3, read=0.006),
    ),
    Case("faint", "low contrast", faint, planes=20, slope_px=1.3, seed=17, suffix=".png"),
    Case(
        "breathing", "3 % magnification, 20 px drift, 1 degree", grains, planes=24, slope_px=1.2,
        seed=18,
        motion=Motion(magnification=0.03, rotation_deg=1.0, shift_px=(16.0, -12.0), jitter_px=0.4),
    ),
    Case(
        "flicker", "light flickers by 5 %", relief, planes=16, slope_px=1.5, seed=19, flicker=0.05
    ),
    Case(
        "vignette", "corners lose 55 % of the light", grains, planes=24, slope_px=1.2, seed=20,
        vignette=0.55,
    ),
)  # fmt: skip
