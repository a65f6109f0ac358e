"""What a stack tells about itself: the focus curve, frames left out, a range that is too short."""

import math
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final, Literal

import numpy as np

from zstackd_stacking.types import FrameReport, StackReport, StackResult

_SURE: Final = 0.5
_LEAST_FRAMES: Final = 3
_LEAST_SHARE: Final = 0.03
_LEAST_SURE_SHARE: Final = 0.005
_CLEARLY_SHARPER: Final = 1.2
_LEAST_STEPS: Final = 2
_RANGE_SHARE: Final = 0.25
_ROUNDED: Final = 2.001

End = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class CutOff:
    """An end of the z-range at which the subject seems to go on.

    `at` and `extend_by` are in µm, or in planes where the frames had no heights. `share` is the
    part of the surely measured area that is in focus there; None where no heights were measured,
    and the sharpest frame of all is the outermost.
    """

    end: End
    at: float
    extend_by: float
    share: float | None
    message: str


def height_of(frame: FrameReport) -> float:
    """Where a frame lies: its height in µm, or its index where it has none."""
    return float(frame.index) if frame.z_um is None else frame.z_um


def unit_of(report: StackReport) -> Literal["um", "planes"]:
    """The unit of heights in a report and its result's height map."""
    return "planes" if report.frames[0].z_um is None else "um"


def high_is_near(said: bool | None, report: StackReport) -> bool:
    """Whether greater heights are nearer to the lens.

    Where nobody `said` so: they are in µm; of frames without heights the first is the nearest.
    """
    return unit_of(report) == "um" if said is None else said


def z_step_of(report: StackReport) -> float | None:
    """The usual distance between neighbouring frames in µm; None where it is unknown."""
    heights = sorted(frame.z_um for frame in report.frames if frame.z_um is not None)
    return usual_gap(heights) if len(heights) > 1 else None


def usual_gap(heights: list[float]) -> float:
    """The mean gap of heights that are even but for their rounding to motor steps, or the median.

    Rounded to steps that are shorter than they are, gaps differ by a factor of two at most.
    """
    gaps = np.diff(heights).tolist()
    usual = float(median(gaps))
    return (heights[-1] - heights[0]) / len(gaps) if max(gaps) <= _ROUNDED * usual else usual


def cut_offs(result: StackResult) -> tuple[CutOff, ...]:
    """The ends of the range at which more of the subject is in focus than chance puts there.

    A subject that lies wholly within the range has few places that are sharpest in its outermost
    frame. Where these are more than 3 % of the surely measured area, and more than twice what an
    even spread over all heights would put there, the range ought to be longer: by a quarter, and
    by two steps at least. Without a height map the sharpness of whole frames has to do.
    """
    used = sorted((frame for frame in result.report.frames if frame.used), key=height_of)
    if len(used) < _LEAST_FRAMES:
        return ()
    heights = [height_of(frame) for frame in used]
    step = usual_gap(heights)
    shares = _end_shares(result, heights[0], heights[-1], step)
    if shares is None:
        return _by_sharpness(used, step, result.report)
    bound = max(_LEAST_SHARE, 1 / (len(used) - 1))
    ends: list[tuple[End, float]] = [("low", shares[0]), ("high", shares[1])]
    return tuple(
        _cut_off(end, used, step, share, result.report) for end, share in ends if share > bound
    )


def _end_shares(
    result: StackResult, low: float, high: float, step: float
) -> tuple[float, float] | None:
    """Shares of the surely measured area within half a step of both ends; None without any."""
    if result.depth_um is None or result.confidence is None:
        return None
    sure = result.confidence >= _SURE
    count = np.count_nonzero(sure)
    if count < _LEAST_SURE_SHARE * sure.size:
        return None
    below = np.count_nonzero(sure & (result.depth_um <= low + step / 2))
    above = np.count_nonzero(sure & (result.depth_um >= high - step / 2))
    return below / count, above / count


def _by_sharpness(used: list[FrameReport], step: float, report: StackReport) -> tuple[CutOff, ...]:
    sharpness = [frame.sharpness for frame in used]
    best = int(np.argmax(sharpness))
    if sharpness[best] < _CLEARLY_SHARPER * median(sharpness):
        return ()
    if best == 0:
        return (_cut_off("low", used, step, None, report),)
    if best == len(used) - 1:
        return (_cut_off("high", used, step, None, report),)
    return ()


def _cut_off(
    end: End, used: list[FrameReport], step: float, share: float | None, report: StackReport
) -> CutOff:
    at = height_of(used[0] if end == "low" else used[-1])
    steps = max(_LEAST_STEPS, math.ceil(_RANGE_SHARE * (len(used) - 1)))
    extend_by = steps * step
    if unit_of(report) == "planes":
        where = "the first frame" if end == "low" else "the last frame"
        side = "before" if end == "low" else "after"
        advice = f"take about {steps} more frames {side} it"
    else:
        where = f"the {end} end of the range, {at:zg} µm"
        side, to = ("below", at - extend_by) if end == "low" else ("above", at + extend_by)
        advice = f"extend the range by {extend_by:g} µm {side} it, to {to:zg} µm"
    evidence = (
        f"frames are sharpest at {where}"
        if share is None
        else f"{share:.0%} of the subject is in focus at {where}"
    )
    message = f"{evidence}: the subject may go on beyond; {advice}"
    return CutOff(end, at, extend_by, share, message)


def as_json(result: StackResult) -> dict[str, Any]:
    """The whole report as JSON holds it: frames, focus curve, what was left out, short ranges."""
    report = result.report
    curve = sorted((height_of(frame), frame.sharpness) for frame in report.frames if frame.used)
    return {
        **asdict(report),
        "depth_unit": unit_of(report),
        "focus_curve": {
            "z": [height for height, _ in curve],
            "sharpness": [sharpness for _, sharpness in curve],
        },
        "left_out": [frame.name for frame in report.frames if not frame.used],
        "cut_off": [asdict(found) for found in cut_offs(result)],
    }
