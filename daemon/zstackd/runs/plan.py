"""What a run will do and need, worked out and judged before anything moves."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

from zstackd_config.camera import Picamera2Camera
from zstackd_config.errors import ConfigError, InputError
from zstackd_config.focus import StepperFocus
from zstackd_config.load import told_at
from zstackd_config.rig import Rig
from zstackd_config.run import ManualExposure, Run
from zstackd_config.sampling import largest_step_um
from zstackd_config.z_plan import AutoPlan, even_step_um, span_um
from zstackd_drivers.camera import CameraInfo
from zstackd_drivers.errors import LimitError
from zstackd_drivers.stepping.approach import check_reach, overshoot_um

MoveSeconds = Callable[[float, float], float]

STACKER_BYTES_PER_PIXEL: Final = {"normal": 60, "low": 40}
FRAMES_IN_FLIGHT: Final = 4
"""Frames held at once: one in the camera, two in the queue, one being written."""

_INTERPRETER_BYTES: Final = 120 << 20
_USUAL_EXPOSURE_MS: Final = 30.0
_USUAL_LOCK_S: Final = 0.5
_ROUNDING: Final = 1.001
_SAME_UM: Final = 1e-6
_MS_PER_S: Final = 1000.0
_COMPRESSED: Final = {"jpg": 0.5, "png": 1.0, "tif": 1.0}
"""Largest part of the raw size that a frame file takes; noise hardly compresses."""

_MAPS_BYTES_PER_PIXEL: Final = 4 + 3 + 1
"""Published beside the image: depth as float32, its picture, the preview."""

_SMALL_FILES_BYTES: Final = 1 << 18
_MANIFEST_BYTES_PER_PLANE: Final = 1500
_MESH_VERTICES: Final = 500_000
_MESH_BYTES_PER_VERTEX: Final = 45


@dataclass(frozen=True, slots=True)
class Plan:
    """One run in figures; `seconds` is an estimate in rig time, the bytes are upper bounds.

    `from_current`: the planes are relative to where the axis will stand, or the focus be found,
    which nobody knows yet, so they were not held against the limits. `warnings` say what would be
    better otherwise.
    """

    planes_um: tuple[float, ...]
    from_current: bool
    seconds: float
    frame_bytes: int
    result_bytes: int
    peak_memory_bytes: int
    warnings: tuple[str, ...] = ()

    @property
    def disk_bytes(self) -> int:
        """Return the bytes of all frames in the spool and of the published result."""
        return self.bytes_from(0) + self.result_bytes

    def bytes_from(self, index: int) -> int:
        """Return the bytes in the spool of the frames from plane `index` on."""
        return (len(self.planes_um) - index) * self.frame_bytes


def plan_run(
    rig: Rig,
    run: Run,
    *,
    source: str,
    content: bytes | None = None,
    camera: CameraInfo | None = None,
    reference_um: float | None = None,
    step_um: float | None = None,
    move_s: MoveSeconds | None = None,
) -> Plan:
    """Return the plan of `run` on `rig`; `source` names the run in errors.

    `content` is the text of its run file, where errors are to tell the line. `camera` is the open
    camera, where there is one; `reference_um` is where the axis stands, if known, `step_um` what a
    motor step moves. Raises InputError where a plane, or the overshoot before it, is out of reach;
    nothing is ever clipped.
    """
    from_current = reference_um is None and starts_from_current(run)
    told = partial(told_at, source, content)
    planes_um = _planes(rig, run, reference_um or 0.0, told)
    problems = [] if from_current else _out_of_reach(planes_um, rig.focus)
    if problems and reference_um is not None and starts_from_current(run):
        problems[0] += f"; {_REFERENCES[run.z_reference_um].format(f'{reference_um:zg}')}"
    problems += _search_out_of_reach(run, rig.focus)
    problems += _missing_reference(run, len(planes_um))
    if problems:
        raise InputError("\n".join(told(problem) for problem in problems))
    pixels, frame_raw_bytes = _frame_size(rig, camera)
    return Plan(
        planes_um=planes_um,
        from_current=from_current,
        seconds=_seconds(planes_um, rig.focus, run, move_s or _rough_move_s(rig.focus)),
        frame_bytes=round(frame_raw_bytes * _COMPRESSED[rig.frames.format]) + _dng_bytes(rig),
        result_bytes=frame_raw_bytes
        + _MAPS_BYTES_PER_PIXEL * pixels
        + _extras_bytes(run, pixels)
        + _SMALL_FILES_BYTES
        + _MANIFEST_BYTES_PER_PLANE * len(planes_um),
        peak_memory_bytes=_INTERPRETER_BYTES
        + STACKER_BYTES_PER_PIXEL[run.stacking.memory] * pixels
        + FRAMES_IN_FLIGHT * frame_raw_bytes,
        warnings=(*_beside_the_range(run, planes_um), *_warnings(rig, planes_um, step_um)),
    )


def _beside_the_range(run: Run, planes_um: Sequence[float]) -> Iterator[str]:
    """Yield what to say of planes that are not the range that was asked for: useq-schema rounds.

    A highest plane that lies lower than the range is near enough to its top, by half a step, other
    than one that is alone.
    """
    asked_um = None if isinstance(run.z_plan, AutoPlan) else span_um(run.z_plan)
    if asked_um is None:
        return
    step_um = getattr(run.z_plan, "step", 0.0)
    beyond_um = max(planes_um) - min(planes_um) - asked_um
    if beyond_um > _SAME_UM:
        yield (
            f"z_plan: the highest plane lies {beyond_um:.4g} µm above the range, as step "
            f"{step_um:g} µm does not divide its {asked_um:g} µm; give step "
            f"{even_step_um(asked_um, step_um):.5g}, or auto"
        )
    elif len(planes_um) == 1 and asked_um > _SAME_UM:
        yield (
            f"z_plan: a single plane, at {planes_um[0]:zg} µm, is all of the range of {asked_um:g} "
            f"µm, as step {step_um:g} µm is greater: what lies above it stays blurred; give step "
            "auto"
        )


def _warnings(rig: Rig, planes_um: Sequence[float], step_um: float | None) -> Iterator[str]:
    """Yield what to say of planes further apart than the optics allow, or closer than motor steps.

    Planes that are listed twice are meant so.
    """
    ways_um = [high - low for low, high in pairwise(sorted(planes_um))]
    apart_um = [way_um for way_um in ways_um if way_um > _SAME_UM]
    largest_um = largest_step_um(rig.optics)
    widest_um, least_um = max(apart_um, default=0.0), min(apart_um, default=math.inf)
    if widest_um > largest_um * _ROUNDING:
        yield (
            f"z_plan: planes lie up to {widest_um:.4g} µm apart, but the optics (numerical "
            f"aperture {rig.optics.numerical_aperture:g}, {rig.optics.pixel_size_um:g} µm pixels) "
            f"need them at most {largest_um:.3g} µm apart: what lies between stays blurred; give "
            "step auto"
        )
    if step_um is not None and least_um * _ROUNDING < step_um:
        yield (
            f"z_plan: planes lie {least_um:.3g} µm apart, but a motor step is {step_um:.3g} µm: "
            f"some are taken at the same height; give a step of {step_um:.3g} µm or more"
        )


def _planes(
    rig: Rig, run: Run, reference_um: float, told: Callable[[str], str]
) -> tuple[float, ...]:
    try:
        return run.planes_um(reference_um, largest_step_um=largest_step_um(rig.optics))
    except ConfigError as error:
        raise InputError(told(str(error))) from error


_REFERENCES: Final[Mapping[float | str, str]] = {
    "current": "the plan is relative to where the axis stands, at {} µm: give z_reference_um a "
    "height, or submit the run to the service after `zstackd focus move`",
    "autofocus": "the plan is relative to the focus that was found, at {} µm",
}


def starts_from_current(run: Run) -> bool:
    """Return whether the planes depend on what is known only when the run begins."""
    return run.is_relative and isinstance(run.z_reference_um, str)


def _out_of_reach(planes_um: Sequence[float], focus: StepperFocus) -> list[str]:
    """Return what the first plane out of reach suffers from, and how many others do."""
    found = []
    for index, z_um in enumerate(planes_um):
        try:
            check_reach(
                z_um,
                limits_um=focus.limits_um,
                backlash_um=focus.backlash_um,
                approach=focus.approach,
                overshoots=index == 0 or _turns(planes_um[index - 1], z_um, focus),
            )
        except LimitError as error:
            found.append((index, str(error)))
    if not found:
        return []
    (first, error_said), others = found[0], len(found) - 1
    also = f"; {others} more planes are out of reach" if others else ""
    return [f"z_plan: plane {first} of {len(planes_um)} (counted from 0): {error_said}{also}"]


def _search_out_of_reach(run: Run, focus: StepperFocus) -> list[str]:
    if run.autofocus is None:
        return []
    fault = sweep_fault(run.autofocus.range_um, focus)
    return [f"autofocus.range_um: {fault[1]}"] if fault else []


def sweep_fault(range_um: tuple[float, float], focus: StepperFocus) -> tuple[int, str] | None:
    """Return which end of a sweep from low to high is out of reach, and why; None: neither."""
    for index, z_um in enumerate(range_um):
        try:
            check_reach(
                z_um,
                limits_um=focus.limits_um,
                backlash_um=focus.backlash_um,
                approach=focus.approach,
                overshoots=index == 0 or focus.approach == "down",
            )
        except LimitError as error:
            return index, str(error)
    return None


def check_sweep(
    range_um: tuple[float, float],
    focus: StepperFocus,
    *,
    named: tuple[str, str] = ("low_um", "high_um"),
) -> None:
    """Raise InputError where a sweep from low to high, as `named`, is none, or is out of reach."""
    low_um, high_um = range_um
    if not low_um < high_um:
        raise InputError(f"{named[0]} {low_um:zg} must be less than {named[1]} {high_um:zg}")
    fault = sweep_fault(range_um, focus)
    if fault:
        end, said = fault
        raise InputError(f"{named[end]}: {said}")


def _turns(from_um: float, to_um: float, focus: StepperFocus) -> bool:
    return to_um < from_um if focus.approach == "up" else to_um > from_um


def _missing_reference(run: Run, count: int) -> list[str]:
    reference = run.stacking.reference
    if isinstance(reference, str) or reference < count:
        return []
    problem = (
        f"stacking.reference: plane {reference} does not exist, the plan has planes 0 to "
        f"{count - 1}; choose one of them, or first, middle, last"
    )
    return [problem]


def _frame_size(rig: Rig, camera: CameraInfo | None) -> tuple[int, int]:
    """Return the pixels and the raw bytes of one frame; zeros where nobody knows yet."""
    if camera is not None:
        pixels = camera.size_px[0] * camera.size_px[1]
        return pixels, pixels * camera.channels * (2 if camera.bits > 8 else 1)  # noqa: PLR2004
    width, height = rig.camera.size_px or (0, 0)
    return width * height, width * height * 3


def _dng_bytes(rig: Rig) -> int:
    """Return the bytes of one plane's raw file: 16 bits for each pixel of the sensor."""
    camera = rig.camera
    if not (isinstance(camera, Picamera2Camera) and camera.keep_dng):
        return 0
    mode = camera.sensor_mode
    width, height = camera.size_px if mode is None else mode.size_px
    return 2 * width * height + _SMALL_FILES_BYTES


def _extras_bytes(run: Run, pixels: int) -> int:
    vertices = min(pixels, _MESH_VERTICES)
    sizes = {
        "confidence": 4 * pixels,
        "relief": 3 * pixels,
        "mesh": _MESH_BYTES_PER_VERTEX * vertices,
        "focus_curve": _SMALL_FILES_BYTES,
    }
    return sum(sizes[extra] for extra in set(run.output.extras))


def _seconds(
    planes_um: Sequence[float], focus: StepperFocus, run: Run, move_s: MoveSeconds
) -> float:
    exposure_ms = _USUAL_EXPOSURE_MS
    if isinstance(run.exposure, ManualExposure):
        exposure_ms = run.exposure.exposure_time_ms
    each_s = (focus.longest_settle_ms + exposure_ms) / _MS_PER_S
    moves_s = sum(move_s(before, after) for before, after in pairwise(planes_um))
    return _USUAL_LOCK_S + moves_s + len(planes_um) * each_s


def _rough_move_s(focus: StepperFocus) -> MoveSeconds:
    """Return the time of a move without its acceleration, which only the controller knows."""

    def move_s(from_um: float, to_um: float) -> float:
        extra_um = 2 * overshoot_um(focus.backlash_um) if _turns(from_um, to_um, focus) else 0.0
        return (abs(to_um - from_um) + extra_um) / focus.speed_um_per_s

    return move_s
