"""From what was measured to what the operator reads: settings, one line, numbers, a picture."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from zstackd.calibration.backlash import Backlash
from zstackd.calibration.exposure import FoundExposure
from zstackd.calibration.fragment import Finding
from zstackd.calibration.magnification import Breathing
from zstackd.calibration.pixel_size import Rulings
from zstackd.calibration.settle import Settling
from zstackd.runs.autofocus import FoundFocus
from zstackd.runs.settling import STILL_PX
from zstackd_config.rig import Rig
from zstackd_stacking.pictures.chart import Series, chart

SETTLE_MARGIN: Final = 1.25
LEAST_ERRORS: Final = 2.0
"""A change of magnification of fewer standard errors may as well be none."""

_UNSURE: Final = (
    "; warning: so little beside its error cannot be told from no change: leave breathing_per_mm "
    "out, or measure a specimen with more detail over a wider range"
)


def of_backlash(measured: Backlash) -> Finding:
    """Return the finding of two sweeps; the curves are each way's mean over the tiles."""
    curves = [np.mean(each, axis=1) for each in (measured.up, measured.down)]
    up, down = (tuple(zip(measured.heights_um, curve.tolist(), strict=True)) for curve in curves)
    return Finding(
        kind="backlash",
        settings={"focus": {"backlash_um": round(max(0.0, measured.backlash_um), 2)}},
        summary=f"backlash {measured.backlash_um:z.2f} ± {measured.error_um:.2f} µm, "
        f"from {measured.tiles_used} parts of the frame",
        numbers=asdict(measured),
        picture=chart(
            Series("on the way up", up),
            Series("on the way down", down),
            x_label="commanded height, µm",
            y_label="sharpness (no unit)",
        ),
    )


def of_settling(measured: Settling) -> Finding:
    """Return the finding of watched moves; the rest asked for has room for its error and more."""
    settle_ms = round(SETTLE_MARGIN * (measured.settle_ms + measured.error_ms))
    watched_ms = max(measured.since_ms, default=1.0)
    times_ms = np.linspace(0, watched_ms, 200)
    fit_px = measured.shake_px * 3.0 ** (-times_ms / measured.decay_ms)
    return Finding(
        kind="settle",
        settings={"focus": {"settle_ms": settle_ms}},
        summary=f"the image shakes by {measured.shake_px:.2f} px after a move and by a third of "
        f"that every {measured.decay_ms:.0f} ms; below {STILL_PX:g} px after "
        f"{measured.settle_ms:.0f} ± {measured.error_ms:.0f} ms, {settle_ms} ms with a margin",
        numbers=asdict(measured),
        picture=chart(
            Series(
                "frames", tuple(zip(measured.since_ms, measured.moved_px, strict=True)), dots=True
            ),
            Series("fit", tuple(zip(times_ms.tolist(), fit_px.tolist(), strict=True))),
            x_label="time since the move, ms",
            y_label="distance from the resting place, px",
        ),
    )


def of_exposure(found: FoundExposure) -> Finding:
    """Return the finding of an exposure; its settings belong into run files."""
    values = found.values
    exposure: dict[str, object] = {
        "mode": "manual",
        "exposure_time_ms": round(values.exposure_time_ms, 3),
        "analogue_gain": round(values.analogue_gain, 3),
    }
    if values.colour_gains is not None:
        exposure["colour_gains"] = [round(gain, 3) for gain in values.colour_gains]
    classes = [(100 * (index + 0.5) / 64, 100 * s) for index, s in enumerate(found.histogram)]
    return Finding(
        kind="exposure",
        settings={"exposure": exposure},
        summary=f"{values.exposure_time_ms:.3g} ms at gain {values.analogue_gain:.3g}: mean "
        f"{found.mean:.0%}, brightest thousandth {found.brightest:.0%} of full scale",
        numbers=asdict(found),
        picture=chart(
            Series("", tuple(classes)), x_label="level, % of full scale", y_label="values, %"
        ),
        document="the run file",
    )


def of_rulings(measured: Rulings, *, pitch_um: float) -> Finding:
    """Return the finding of a stage micrometer whose lines are `pitch_um` apart."""
    pixel_size_um = pitch_um / measured.pitch_px
    error_um = pixel_size_um * measured.error_px / measured.pitch_px
    places_um = [index * pixel_size_um for index in range(len(measured.profile))]
    return Finding(
        kind="pixel-size",
        settings={"optics": {"pixel_size_um": float(f"{pixel_size_um:.5g}")}},
        summary=f"pixel size {pixel_size_um:.5g} ± {error_um:.1g} µm, from {measured.count} lines "
        f"{pitch_um:g} µm apart, {measured.pitch_px:.3f} px each",
        numbers={**asdict(measured), "pitch_um": pitch_um},
        picture=chart(
            Series("", tuple(zip(places_um, measured.profile, strict=True))),
            x_label="distance across the lines, µm",
            y_label="brightness",
        ),
    )


def of_feature(*, length_px: float, length_um: float) -> Finding:
    """Return the finding of a feature of known length between two points of a frame."""
    pixel_size_um = length_um / length_px
    return Finding(
        kind="pixel-size",
        settings={"optics": {"pixel_size_um": float(f"{pixel_size_um:.5g}")}},
        summary=f"pixel size {pixel_size_um:.5g} µm, from a feature of {length_um:g} µm that is "
        f"{length_px:.1f} px long",
        numbers={"length_px": length_px, "length_um": length_um},
        picture=chart(Series("", ((0.0, 0.0), (length_px, length_um))), x_label="px", y_label="µm"),
    )


def of_breathing(measured: Breathing) -> Finding:
    """Return the finding of parts of the frame that move outwards with focus."""
    far_px = max(measured.radius_px)
    line = ((0.0, 0.0), (far_px, measured.per_mm * far_px))
    dots = tuple(zip(measured.radius_px, measured.drift_px_per_mm, strict=True))
    unsure = abs(measured.per_mm) < LEAST_ERRORS * measured.error_per_mm
    return Finding(
        kind="magnification",
        settings={"optics": {"breathing_per_mm": round(measured.per_mm, 6)}},
        summary=f"magnification changes by {100 * measured.per_mm:.3g} ± "
        f"{100 * measured.error_per_mm:.1g} % per mm of focus, from {len(dots)} parts of the frame"
        + (_UNSURE if unsure else ""),
        numbers=asdict(measured),
        picture=chart(
            Series("parts of the frame", dots, dots=True),
            Series("fit", line),
            x_label="distance from the middle of the frame, px",
            y_label="motion outwards, px per mm of focus",
        ),
    )


def of_step(lower: FoundFocus, upper: FoundFocus, *, height_um: float, rig: Rig) -> Finding:
    """Return the finding of two surfaces that are `height_um` apart, both brought into focus.

    All lengths of the rig file that are counted in controller units grow with the unit, so that its
    limits stay at the same places: what was 1 mm above the slide must not get to lie within it.
    """
    measured_um = abs(upper.z_um - lower.z_um)
    factor = height_um / measured_um
    unit_um, settings = rig.focus.um_per_unit, _rescaled(rig, factor)
    curves = [
        Series(name, tuple((s.z_um, s.sharpness) for s in focus.samples))
        for name, focus in (("lower", lower), ("upper", upper))
    ]
    return Finding(
        kind="steps",
        settings=settings,
        summary=f"{measured_um:.2f} µm by the present setting are {height_um:g} µm: "
        f"{unit_um * factor:.5g} µm per controller unit instead of {unit_um:g}; limits_um "
        f"{_listed(rig.focus.limits_um)} µm become {_listed(settings['focus']['limits_um'])} µm, "
        "the same places of the motor: copy all lengths of the fragment together, and multiply "
        f"the heights of run files by {factor:.5g}",
        numbers={"lower_um": lower.z_um, "upper_um": upper.z_um, "height_um": height_um},
        picture=chart(*curves, x_label="height by the present setting, µm", y_label="sharpness"),
    )


def _listed(limits_um: Sequence[float]) -> str:
    return " to ".join(f"{limit_um:zg}" for limit_um in limits_um)


def _rescaled(rig: Rig, factor: float) -> dict[str, dict[str, Any]]:
    """Return all of a rig that changes where a unit is `factor` times as long as it was taken."""

    def by(length: float) -> float:
        return float(f"{length * factor:.5g}")

    focus = rig.focus
    settings: dict[str, dict[str, Any]] = {
        "focus": {
            "um_per_unit": by(focus.um_per_unit),
            "origin_um": by(focus.origin_um),
            "limits_um": [by(limit_um) for limit_um in focus.limits_um],
            "backlash_um": by(focus.backlash_um),
            "speed_um_per_s": by(focus.speed_um_per_s),
        }
    }
    if rig.optics.breathing_per_mm:
        settings["optics"] = {"breathing_per_mm": round(rig.optics.breathing_per_mm / factor, 6)}
    return settings
