"""A circuit board: traces, vias and silk screen below parts of many heights.

Sizes follow the canvas, heights are fixed: the board at about 10 µm, leads and solder from 10 to
110 µm, a moulded chip at 150 µm, a coil and a crystal's can up to 200 µm.
"""

import numpy as np

from zstackd_drivers.specimens.board_ground import paint_ground
from zstackd_drivers.specimens.board_parts import (
    put_ball,
    put_can,
    put_chip,
    put_coil,
    put_fillet,
    put_lead,
    put_passive,
)
from zstackd_drivers.specimens.paint import Rgb, Rng
from zstackd_drivers.specimens.place import Place
from zstackd_drivers.specimens.sheet import Sheet
from zstackd_drivers.specimens.specimen import Layer, Specimen

PINS = 7
CHIP = (-0.30, -0.13, 0.235, 0.165)
"""Centre and half sizes in canvas heights, from the canvas' middle; so are all of these."""

CAN = (0.37, 0.30, 0.20, 0.095)
COIL = (0.42, -0.03, 0.155, 0.085)
BALLS = (0.215, -0.41, 0.098)
RESISTOR: Rgb = (36, 36, 40)
CERAMIC: Rgb = (168, 128, 88)
PASSIVES: tuple[tuple[float, float, float, Rgb, str, float], ...] = (
    (-0.53, 0.31, 0, RESISTOR, "103", 62),
    (-0.30, 0.31, 0, RESISTOR, "472", 66),
    (-0.10, 0.28, 90, CERAMIC, "", 104),
    (0.12, 0.07, 90, CERAMIC, "", 112),
    (0.08, 0.445, 0, RESISTOR, "220", 58),
)
PASSIVE_HALF = (0.078, 0.042)


def paint_board(*, size_px: tuple[int, int], seed: int) -> Specimen:
    """Return the circuit board on a canvas of `size_px` (width, height)."""
    rng = np.random.default_rng(seed)
    low, high = Sheet(size_px), Sheet(size_px)
    _put_leads(low, rng)
    _put_balls(low, rng)
    _put_passives(low, high, rng)
    scale = size_px[1]
    put_chip(high, rng, _place(size_px, CHIP), text=("ZS 2311", "STACK-1", "M4 1107"), top_um=152)
    put_can(high, rng, _place(size_px, CAN, angle=-8), text="24.000", heights_um=(118, 196))
    put_coil(high, rng, _place(size_px, COIL, angle=6), turns=7, heights_um=(70, 182))
    ground: Layer = paint_ground(rng, size_px, casting=(low.alpha, high.alpha), reach_px=scale / 40)
    return Specimen(name="board", layers=(ground, low.layer(), high.layer()))


def _place(
    size_px: tuple[int, int], at: tuple[float, float, float, float], *, angle: float = 0
) -> Place:
    """Return the place in pixels; `at` is centre and half sizes in canvas heights."""
    width, height = size_px
    x, y, half_u, half_v = at
    return Place(
        width / 2 + x * height, height / 2 + y * height, half_u * height, half_v * height, angle
    )


def _put_leads(sheet: Sheet, rng: Rng) -> None:
    """Put gull-wing leads, each with its solder, on both long sides of the chip."""
    scale = sheet.canvas_px[1]
    chip = _place(sheet.canvas_px, CHIP)
    pitch, reach = 2 * chip.half_u / PINS, 0.046 * scale
    for pin in range(PINS):
        along = (pin - (PINS - 1) / 2) * pitch
        for side in (-1, 1):
            across = side * (chip.half_v + 0.72 * reach)
            foot = chip.moved(along, side * (chip.half_v + 1.62 * reach), half_u=0, half_v=0)
            turn = 90.0 * side
            pad = Place(foot.x, foot.y, 0.60 * reach, 0.30 * pitch, turn)
            put_fillet(sheet, rng, pad, from_um=22, to_um=11)
            lead = chip.moved(along, across, half_u=0, half_v=0)
            shape = Place(lead.x, lead.y, 1.15 * reach, 0.19 * pitch, turn)
            put_lead(sheet, rng, shape, from_um=102, to_um=20)


def _put_balls(sheet: Sheet, rng: Rng) -> None:
    """Put a grid of solder balls of different sizes; one is missing."""
    width, height = sheet.canvas_px
    x, y, pitch = BALLS
    for row in range(3):
        for column in range(5):
            if (row, column) == (1, 3):
                continue
            radius = height * rng.uniform(0.030, 0.043)
            centre = (
                width / 2 + height * (x + (column - 1.5) * pitch * 0.95),
                height / 2 + height * (y + row * pitch),
            )
            top = 30 + 2300 * radius / height
            put_ball(sheet, rng, centre, radius_px=radius, heights_um=(0.45 * top, top))


def _put_passives(low: Sheet, high: Sheet, rng: Rng) -> None:
    for x, y, angle, body, text, top_um in PASSIVES:
        tilt = float(rng.normal(0, 1.5))
        place = _place(low.canvas_px, (x, y, *PASSIVE_HALF), angle=angle + tilt)
        for end in (0, 180):
            turned = Place(place.x, place.y, place.half_u, place.half_v, place.angle_deg + end)
            solder = turned.moved(
                1.08 * place.half_u, 0, half_u=0.34 * place.half_u, half_v=0.92 * place.half_v
            )
            put_fillet(low, rng, solder, from_um=0.8 * top_um, to_um=11)
        put_passive(high, rng, place, body=body, text=text, top_um=top_um)
