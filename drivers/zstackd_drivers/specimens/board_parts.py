"""The parts of the circuit board: each is painted into a window and put onto a sheet.

Lengths are in pixels, heights in micrometres above the slide; `u` runs along a part.
"""

import cv2
import numpy as np

from zstackd_drivers.specimens.paint import Rgb, Rng, blended, grain, lit, tinted
from zstackd_drivers.specimens.place import Place, box, lettering
from zstackd_drivers.specimens.sheet import Sheet, Window, window
from zstackd_drivers.specimens.specimen import Floats

TIN: Rgb = (196, 200, 206)
MOULD: Rgb = (50, 49, 55)
MIRRORED: Rgb = (44, 92, 66)
"""What the lower half of a solder ball mirrors: the board."""

LAMPS = 8


def put_chip(sheet: Sheet, rng: Rng, place: Place, *, text: tuple[str, ...], top_um: float) -> None:
    """Put a moulded body with laser marking and a dimple at its first pin."""
    on = place.window(sheet.canvas_px)
    inside = box(on, place.half_u, place.half_v, 0.05 * place.half_v)
    bevel = 0.06 * place.half_v
    rough = _rough(rng, on, scale_px=2.6, octaves=2)
    pits = np.clip(_rough(rng, on, scale_px=5) - 1.4, 0, 1)
    relief = 1.2 * np.clip(inside / bevel, 0, 1) * bevel + 0.9 * rough - 2 * pits
    dimple = np.hypot(on.u + 0.82 * place.half_u, on.v - 0.7 * place.half_v) / (0.09 * place.half_v)
    relief -= 0.25 * place.half_v * np.clip(1 - dimple**2, 0, 1) ** 0.5
    shade = lit(np.asarray(relief, np.float32), strength=0.55) + 0.06 * rough - 0.3 * pits
    shade = shade * (1.05 - 0.18 * (on.u + on.v) / (place.half_u + place.half_v))
    colour = tinted(np.asarray(shade, np.float32), MOULD)
    ink = _marking(on, text, cap_px=0.26 * place.half_v, worn=np.clip(0.75 + 0.2 * rough, 0, 1))
    colour = blended(
        colour, tinted(np.asarray(0.9 + 0.1 * rough, np.float32), (164, 160, 150)), ink
    )
    tilt = 9 * on.u / place.half_u + 4 * on.v / place.half_v
    height = top_um + tilt - 14 * np.clip(1 - inside / bevel, 0, 1)
    height = height - 6 * np.clip(1 - dimple**2, 0, 1)
    sheet.put(on, colour=colour, inside_px=inside, height_um=np.asarray(height, np.float32))


def _marking(on: Window, text: tuple[str, ...], *, cap_px: float, worn: Floats) -> Floats:
    """Return the ink of several lines of text, as far as it is not `worn` off."""
    ink = np.zeros_like(on.u)
    for row, line in enumerate(text):
        down = (row - (len(text) - 1) / 2) * 2.0 * cap_px
        np.maximum(ink, lettering(on, line, cap_px=cap_px, at=(0, down)), out=ink)
    return np.asarray(ink * worn, np.float32)


def put_lead(sheet: Sheet, rng: Rng, place: Place, *, from_um: float, to_um: float) -> None:
    """Put a gull-wing lead that comes out at one end and goes down to its foot at the other."""
    on = place.window(sheet.canvas_px)
    along = (on.u / place.half_u + 1) / 2
    drop = 1 / (1 + np.exp(np.clip((along - 0.42) * 15, -30, 30)))
    inside = box(on, place.half_u, place.half_v, 0.35 * place.half_v)
    streaks = _rough(rng, on, scale_px=2.2) + 0.8 * _rough(rng, on, scale_px=9)
    roll = np.clip(inside / (0.35 * place.half_v), 0, 1)
    slope = np.exp(-(((along - 0.42) / 0.11) ** 2))
    shade = lit(0.28 * streaks + 4 * roll, strength=0.7) * (0.74 + 0.14 * drop - 0.46 * slope)
    shade = shade + 0.04 * streaks
    shade = shade + 0.5 * np.exp(-(((along - 0.27) / 0.04) ** 2)) * roll
    height = to_um + (from_um - to_um) * drop
    sheet.put(
        on,
        colour=tinted(np.asarray(shade, np.float32), TIN),
        inside_px=inside,
        height_um=np.asarray(height, np.float32),
    )


def put_fillet(sheet: Sheet, rng: Rng, place: Place, *, from_um: float, to_um: float) -> None:
    """Put solder that climbs from `to_um` at the far end (u positive) to `from_um`."""
    on = place.window(sheet.canvas_px)
    inside = box(on, place.half_u, place.half_v, 0.5 * min(place.half_u, place.half_v))
    along = np.clip((1 - on.u / place.half_u) / 2, 0, 1)
    bulge = np.clip(inside / (0.5 * place.half_v), 0, 1) ** 0.6
    wrinkles = _rough(rng, on, scale_px=max(4.0, place.half_v / 3), octaves=3)
    relief = bulge * place.half_v * 0.5 + 0.5 * wrinkles
    shade = 0.20 + 0.44 * lit(np.asarray(relief, np.float32), strength=0.9) + 0.05 * wrinkles
    glint = np.exp(-(((along - 0.38 - 0.04 * wrinkles) / 0.09) ** 2))
    shade = shade + 0.7 * glint * np.clip(1.3 - (on.v / (0.6 * place.half_v)) ** 2, 0, 1)
    height = to_um + (from_um - to_um) * along**2 + 3 * bulge
    sheet.put(
        on,
        colour=tinted(np.asarray(shade, np.float32), TIN),
        inside_px=inside,
        height_um=np.asarray(height, np.float32),
    )


def put_ball(
    sheet: Sheet, rng: Rng, centre_px: tuple[float, float], *, radius_px: float,
    heights_um: tuple[float, float],
) -> None:  # fmt: skip
    """Put a solder ball that mirrors a ring of lamps; heights are of its equator and its top."""
    on = window(sheet.canvas_px, centre_px=centre_px, reach_px=radius_px + 2)
    r = np.hypot(on.u, on.v) / np.float32(radius_px)
    up = np.sqrt(np.clip(1 - r**2, 0, 1))
    rough = _rough(rng, on, scale_px=max(2.5, radius_px / 9), octaves=2)
    turn = np.arctan2(on.v, on.u)
    lamps = np.exp(-(((r - 0.47) / 0.055) ** 2)) * np.clip(np.cos(LAMPS * turn) * 2.2 - 0.6, 0, 1)
    sky = 0.30 + 0.42 * np.clip((0.62 - r) * 3, 0, 1) - 0.34 * np.exp(-((r / 0.20) ** 2))
    sky = sky - 0.22 * np.exp(-(((r - 0.72) / 0.08) ** 2))
    shade = sky * (1 - 0.28 * (on.u + on.v) / radius_px) + 0.045 * rough + 1.1 * lamps
    below = np.asarray(np.clip((r - 0.80) * 5, 0, 0.6), np.float32)
    low_um, high_um = heights_um
    sheet.put(
        on,
        colour=blended(
            tinted(np.asarray(shade, np.float32), TIN),
            tinted(np.asarray(0.75 + 0.1 * rough, np.float32), MIRRORED),
            below,
        ),
        inside_px=np.asarray((1 - r) * radius_px, np.float32),
        height_um=np.asarray(low_um + (high_um - low_um) * up, np.float32),
    )


def put_passive(
    sheet: Sheet, rng: Rng, place: Place, *, body: Rgb, text: str, top_um: float
) -> None:
    """Put a chip resistor or capacitor: a body with metal caps at both ends."""
    on = place.window(sheet.canvas_px)
    inside = box(on, place.half_u, place.half_v, 0.14 * place.half_v)
    rough = _rough(rng, on, scale_px=3, octaves=2)
    edge = np.clip(inside / (0.14 * place.half_v), 0, 1)
    relief = 6.0 * edge + 0.35 * rough
    shade = lit(np.asarray(relief, np.float32), strength=0.6) + 0.07 * rough
    colour = tinted(np.asarray(shade, np.float32), body)
    if text:
        ink = lettering(on, text, cap_px=0.62 * place.half_v, at=(0, 0))
        ink = ink * np.clip(0.85 + 0.15 * rough, 0, 1)
        colour = blended(colour, tinted(np.ones_like(shade), (222, 222, 212)), ink)
    wave = 0.02 * place.half_u * _rough(rng, on, scale_px=place.half_v / 2)
    dull = _rough(rng, on, scale_px=place.half_v / 3, octaves=3)
    cap = np.clip(np.abs(on.u) - 0.62 * place.half_u + wave, 0, 1)
    silver = 0.74 * lit(np.asarray(9 * edge + 0.4 * rough, np.float32), strength=0.6)
    silver = silver * (1.08 - 0.22 * on.v / place.half_v) + 0.06 * dull + 0.03 * rough
    colour = blended(colour, tinted(np.asarray(silver, np.float32), TIN), cap)
    height = top_um - 12 * (1 - edge) + 4 * cap
    sheet.put(on, colour=colour, inside_px=inside, height_um=np.asarray(height, np.float32))


def put_can(
    sheet: Sheet, rng: Rng, place: Place, *, text: str, heights_um: tuple[float, float]
) -> None:
    """Put a crystal's metal can: a brushed lid on a flange; heights of flange and lid."""
    on = place.window(sheet.canvas_px)
    inside = box(on, place.half_u, place.half_v, place.half_v)
    low_um, high_um = heights_um
    flange = 0.13 * place.half_v
    wall = np.clip((inside - flange) / (0.16 * place.half_v), 0, 1)
    wall = wall * wall * (3 - 2 * wall)
    brushed = _brushed(rng, on)
    relief = 0.16 * place.half_v * wall + 2.5 * np.clip(inside / 3, 0, 1) + 0.5 * brushed
    shade = 0.78 * lit(np.asarray(relief, np.float32), strength=1.3) + 0.05 * brushed
    shade = shade * (1.1 - 0.3 * on.v / place.half_v)
    ink = lettering(on, text, cap_px=0.34 * place.half_v, at=(0, 0))
    colour = blended(
        tinted(np.asarray(shade, np.float32), (204, 202, 194)),
        tinted(np.asarray(0.5 + 0.1 * brushed, np.float32), (120, 116, 110)),
        np.asarray(0.8 * ink, np.float32),
    )
    height = low_um + (high_um - low_um) * wall
    sheet.put(on, colour=colour, inside_px=inside, height_um=np.asarray(height, np.float32))


def put_coil(
    sheet: Sheet, rng: Rng, place: Place, *, turns: int, heights_um: tuple[float, float]
) -> None:
    """Put a coil of bare copper wire lying on its side; heights of its flanks and its top."""
    on = place.window(sheet.canvas_px)
    pitch = 2 * place.half_u / (turns + 0.5)
    across = np.clip(on.v / place.half_v, -1, 1)
    slant = on.u / pitch + 0.3 * across + turns / 2
    turn = np.clip(np.floor(slant), 0, turns - 1)
    within = slant - turn - np.float32(0.5)
    wire = np.float32(0.38)
    end = place.half_v - np.abs(on.v) - 0.18 * pitch * (within / wire) ** 2
    inside = np.minimum((wire - np.abs(within)) * pitch, end)
    round_ = np.sqrt(np.clip(1 - (within / wire) ** 2, 0, 1))
    arch = np.sqrt(np.clip(1 - across**2, 0, 1))
    rough = _rough(rng, on, scale_px=3, octaves=2)
    drawn = _rough(rng, on, scale_px=max(8.0, pitch / 3), octaves=2)
    shade = lit(np.asarray(0.32 * pitch * round_ + 0.22 * rough, np.float32), strength=0.9)
    shade = shade * (0.30 + 0.66 * arch) + 0.05 * rough + 0.04 * drawn
    glint = np.exp(-(((within + 0.09) / 0.06) ** 2)) * np.exp(-(((across + 0.2) / 0.45) ** 2))
    glint = glint * (0.8 + 0.25 * drawn)
    colour = blended(
        tinted(np.asarray(shade, np.float32), (206, 120, 66)),
        tinted(np.ones_like(shade), (255, 226, 190)),
        np.asarray(np.clip(0.75 * glint, 0, 1), np.float32),
    )
    low_um, high_um = heights_um
    height = low_um + (high_um - low_um) * arch + 6 * (round_ - 1)
    sheet.put(
        on,
        colour=colour,
        inside_px=np.asarray(inside, np.float32),
        height_um=np.asarray(height, np.float32),
    )


def _rough(rng: Rng, on: Window, *, scale_px: float, octaves: int = 1) -> Floats:
    height, width = on.u.shape
    return grain(rng, size_px=(width, height), scale_px=scale_px, octaves=octaves)


def _brushed(rng: Rng, on: Window) -> Floats:
    """Return fine streaks along `u`, mean 0, deviation about 1."""
    rough = rng.standard_normal(on.u.shape, np.float32)
    reach = 2 * max(4, on.u.shape[1] // 24) + 1
    streaks = cv2.GaussianBlur(rough, (reach, 1), reach / 4)
    streaks = streaks + 0.04 * cv2.GaussianBlur(rough, (0, 0), 1.2)
    return np.asarray(streaks / max(float(streaks.std()), 1e-6), np.float32)
