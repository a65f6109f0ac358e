"""`zstackd calibrate`: measures what rig.yaml has to say; never changes rig.yaml itself."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from pydantic import ValidationError

from zstackd.calibration import findings
from zstackd.calibration.backlash import measure_backlash
from zstackd.calibration.exposure import find_exposure
from zstackd.calibration.fragment import Finding, write_finding
from zstackd.calibration.magnification import measure_breathing
from zstackd.calibration.pixel_size import length_px, measure_rulings
from zstackd.calibration.settle import measure_settling
from zstackd.commands.borrowing import at_hand, frame_px_of_service
from zstackd.commands.options import finite
from zstackd.commands.reach import check_lead, check_range, require_standing
from zstackd.runs.autofocus import depth_of_field_um, find_focus
from zstackd.runs.progress import Say
from zstackd.terminal.live_line import live_line
from zstackd.terminal.show import short
from zstackd_config.errors import InputError
from zstackd_config.load import load_rig
from zstackd_config.rig import Rig
from zstackd_config.run import LockedAutoExposure
from zstackd_config.values import height
from zstackd_drivers.factory import Devices, open_camera
from zstackd_stacking.files.images import read_image
from zstackd_stacking.sharpness import Region
from zstackd_stacking.types import Image

calibrate = typer.Typer(
    help="Measure what rig.yaml has to say; writes a fragment with its evidence. Opens the rig for "
    "itself; a service that runs lends it, between runs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RigFile = Annotated[Path, typer.Option("--rig", metavar="RIG.yaml", help="The rig file.")]
Low = Annotated[
    float, typer.Option("--low-um", help="Lowest height to go to, in µm.", callback=finite)
]
High = Annotated[
    float, typer.Option("--high-um", help="Highest height to go to, in µm.", callback=finite)
]
Standing = Annotated[
    float | None,
    typer.Option(
        "--at-um",
        help="Where the axis stands now, in µm; for rigs with `reference: confirm`.",
        callback=finite,
    ),
]


@calibrate.command("backlash")
def backlash(
    rig: RigFile,
    low_um: Low,
    high_um: High,
    at_um: Standing = None,
    lead_um: Annotated[
        float,
        typer.Option(
            help="Run-up before each sweep, in µm; more than any backlash.", callback=finite
        ),
    ] = 50.0,
) -> None:
    """Measure the backlash. Sweeps through focus on the way up and on the way down."""
    settings = load_rig(rig)
    straight = settings.focus.model_copy(update={"backlash_um": 0.0})
    check_range(straight, low_um, high_um)
    check_lead(straight, low_um, high_um, lead_um=lead_um)
    require_standing(straight, at_um)
    straight_rig = settings.model_copy(update={"focus": straight})
    with _at_hand("backlash", straight_rig, at_um) as (devices, say):
        step_um = depth_of_field_um(settings.optics) / 3
        heights_um = _heights(low_um, high_um, step_um=step_um)
        measured = measure_backlash(
            devices,
            heights_um=heights_um,
            lead_um=lead_um,
            settle_ms=settings.focus.longest_settle_ms,
            say=say,
        )
    _leave(findings.of_backlash(measured), settings)


@calibrate.command("settle")
def settle(
    *,
    rig: RigFile,
    low_um: Low,
    high_um: High,
    at_um: Standing = None,
    moves: Annotated[int, typer.Option(min=6, max=100, help="How many moves to watch.")] = 24,
    watch_ms: Annotated[
        float,
        typer.Option(
            min=50, max=60_000, help="How long to watch after each move, in ms.", callback=finite
        ),
    ] = 1000.0,
) -> None:
    """Measure how long to rest. Watches the image after moves onto the focus."""
    settings = load_rig(rig)
    check_range(settings.focus, low_um, high_um)
    require_standing(settings.focus, at_um)
    with _at_hand("settle", settings, at_um) as (devices, say):
        focus = find_focus(devices, settings, (low_um, high_um), say=say)
        away_um = 2 * depth_of_field_um(settings.optics)
        measured = measure_settling(
            devices,
            near_um=focus.z_um,
            far_um=_far(focus.z_um, (low_um, high_um), away_um=away_um),
            moves=moves,
            watch_ms=watch_ms,
            say=say,
        )
    _leave(findings.of_settling(measured), settings)


@calibrate.command("exposure")
def exposure(
    rig: RigFile,
    headroom: Annotated[
        float,
        typer.Option(
            min=0, max=0.8, help="Share of the scale to keep free, 0 to 0.8.", callback=finite
        ),
    ] = 0.1,
) -> None:
    """Find explicit exposure values for run files. The axis does not move."""
    settings = load_rig(rig)
    with _at_hand("exposure", settings, None, referenced=False) as (devices, say):
        say("letting the camera converge")
        found = find_exposure(devices, headroom=headroom)
    _leave(findings.of_exposure(found), settings)


@calibrate.command("pixel-size")
def pixel_size(
    *,
    rig: RigFile,
    pitch_um: Annotated[
        float | None,
        typer.Option(help="Distance of a stage micrometer's lines, in µm.", callback=finite),
    ] = None,
    length_um: Annotated[
        float | None,
        typer.Option(
            help="Length of a known feature, in µm; with --from and --to.", callback=finite
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="X,Y", help="One end of it, in px.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="X,Y", help="Its other end, in px.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Measure this picture instead of a new frame.")
    ] = None,
) -> None:
    """Measure the pixel size on the specimen. In focus; the axis does not move."""
    settings = load_rig(rig)
    if pitch_um is not None and pitch_um > 0:
        seen = _look(settings) if image is None else read_image(image)
        finding = findings.of_rulings(measure_rulings(seen), pitch_um=pitch_um)
    elif length_um is not None and length_um > 0 and start and end:
        ends = [_point(words) for words in (start, end)]
        _check_inside(settings, image, {"--from": ends[0], "--to": ends[1]})
        length = length_px(*ends)
        if not length > 0:
            raise InputError(f"calibrate pixel-size: {start} and {end} are the same point")
        finding = findings.of_feature(length_px=length, length_um=length_um)
    else:
        raise InputError(
            "calibrate pixel-size: give --pitch-um of a stage micrometer, or --length-um, --from "
            "and --to of a known feature; lengths above 0 µm"
        )
    _leave(finding, settings)


@calibrate.command("magnification")
def magnification(rig: RigFile, low_um: Low, high_um: High, at_um: Standing = None) -> None:
    """Measure how the magnification changes with focus."""
    settings = load_rig(rig)
    depth_um = depth_of_field_um(settings.optics)
    check_range(settings.focus, low_um, high_um)
    require_standing(settings.focus, at_um)
    with _at_hand("magnification", settings, at_um) as (devices, say):
        measured = measure_breathing(
            devices,
            heights_um=_heights(low_um, high_um, step_um=depth_um / 2),
            depth_um=depth_um,
            settle_ms=settings.focus.longest_settle_ms,
            say=say,
        )
    _leave(findings.of_breathing(measured), settings)


@calibrate.command("steps")
def steps(
    *,
    rig: RigFile,
    low_um: Low,
    high_um: High,
    height_um: Annotated[
        float,
        typer.Option(
            min=0.1, help="Known height between the two surfaces, in µm.", callback=finite
        ),
    ],
    lower: Annotated[str, typer.Option(metavar="X,Y,W,H", help="Region on the lower one, in px.")],
    upper: Annotated[str, typer.Option(metavar="X,Y,W,H", help="Region on the upper one, in px.")],
    at_um: Standing = None,
) -> None:
    """Measure µm per controller unit. Needs two surfaces of known height."""
    settings = load_rig(rig)
    regions = {"--lower": _region(lower), "--upper": _region(upper)}
    check_range(settings.focus, low_um, high_um)
    _check_regions(regions, settings.camera.size_px)
    require_standing(settings.focus, at_um)
    with _at_hand("steps", settings, at_um) as (devices, say):
        # A camera may deliver another size than was asked for.
        _check_regions(regions, devices.camera.info().size_px)
        low, high = (
            find_focus(
                devices, settings, (low_um, high_um), region=region, say=partial(_of, say, option)
            )
            for option, region in regions.items()
        )
    if math.isclose(low.z_um, high.z_um, abs_tol=1e-6):
        raise InputError("calibrate steps: both regions are in focus at the same height")
    if high.z_um < low.z_um:
        raise InputError(
            f"calibrate steps: --upper is in focus at {height(high.z_um)}, below --lower at "
            f"{height(low.z_um)}: swap the regions, or, where they are right, turn the sign of "
            "focus.um_per_unit, for the axis goes down where it should go up; then find "
            "origin_um and limits_um anew"
        )
    _leave(findings.of_step(low, high, height_um=height_um, rig=settings), settings)


@contextmanager
def _at_hand(
    what: str, rig: Rig, at_um: float | None, *, referenced: bool = True
) -> Iterator[tuple[Devices, Say]]:
    """Open the rig to calibrate `what`; yields, with its devices, what shows what is done."""
    command = f"calibrate {what}"
    with (
        live_line(what) as say,
        at_hand(rig, at_um, command=command, say=say, referenced=referenced) as devices,
    ):
        yield devices, say


def _of(say: Say, option: str, words: str) -> None:
    say(f"{option.removeprefix('--')}, {words}")


def _look(rig: Rig) -> Image:
    with _at_hand("pixel-size", rig, None, referenced=False) as (devices, say):
        say("letting the camera converge")
        devices.camera.lock_exposure(LockedAutoExposure())
        return devices.camera.capture(after_ns=devices.clock.monotonic_ns()).image


def _far(near_um: float, range_um: tuple[float, float], *, away_um: float) -> float:
    """Return a height `away_um` below or above, or less where the range ends before."""
    low_um, high_um = range_um
    below_um, above_um = (min(away_um, room) for room in (near_um - low_um, high_um - near_um))
    return near_um - below_um if below_um >= above_um else near_um + above_um


def _leave(finding: Finding, rig: Rig) -> None:
    """Write the finding under the state folder and say where.

    Raises InputError, with what was found, where rig.yaml would not take it.
    """
    _check_fits(finding, rig)
    home = write_finding(finding, folder=rig.paths.state / "calibration", rig_name=rig.name)
    typer.echo(f"{finding.summary}\nLook at:")
    for name, what in (
        ("fragment.yaml", f"to copy into {finding.document}"),
        ("evidence.png", "what was measured, as a picture"),
        ("evidence.json", "what was measured, in numbers"),
    ):
        typer.echo(f"  {short(home / name)}  {what}")


def _check_fits(finding: Finding, rig: Rig) -> None:
    if finding.document != "rig.yaml":
        return
    document = rig.model_dump()
    for section, values in finding.settings.items():
        document[section].update(values)
    try:
        Rig.model_validate(document)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"] if part != rig.focus.driver)
        raise InputError(
            f"calibrate {finding.kind}: {finding.summary}; but rig.yaml does not take this for "
            f"{key} ({fault['msg']}): check the lengths given, which are micrometres"
        ) from error


def _heights(low_um: float, high_um: float, *, step_um: float) -> list[float]:
    count = max(5, math.ceil((high_um - low_um) / step_um - 1e-9) + 1)
    return [low_um + index * (high_um - low_um) / (count - 1) for index in range(count)]


def _point(words: str) -> tuple[float, float]:
    x, y = _numbers(words, 2, "X,Y")
    return x, y


def _region(words: str) -> Region:
    numbers = _numbers(words, 4, "X,Y,W,H")
    if not all(number.is_integer() for number in numbers):
        raise InputError(f"{words!r} is no region of whole pixels; write X,Y,W,H without fractions")
    return Region(*map(int, numbers))


def _check_regions(regions: Mapping[str, Region], size_px: tuple[int, int] | None) -> None:
    """Raise InputError where a region leaves the frame; None: its size is not known yet."""
    if size_px is None:
        return
    frame = np.broadcast_to(np.uint8(0), size_px[::-1])
    for option, region in regions.items():
        try:
            region.of(frame)
        except ValueError as error:
            raise InputError(f"{option}: {error}") from error


def _check_inside(rig: Rig, image: Path | None, points: Mapping[str, tuple[float, float]]) -> None:
    """Raise InputError where a point is not on the frame, or not on the picture given."""
    width, height = _frame_px(rig) if image is None else read_image(image).shape[1::-1]
    for option, (x, y) in points.items():
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(
                f"{option} {x:g},{y:g} is outside the frame of {width} x {height} px; count from "
                "0,0 at the top left"
            )


def _frame_px(rig: Rig) -> tuple[int, int]:
    """Return the width and height of a frame: the rig file's, else what the camera says."""
    known = rig.camera.size_px or frame_px_of_service(rig)
    if known is not None:
        return known
    with open_camera(rig) as camera:
        return camera.info().size_px


def _numbers(words: str, count: int, shape: str) -> list[float]:
    try:
        numbers = [float(word) for word in words.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{words!r} is not {shape} in pixels, such as {'100,' * (count - 1)}100")
    return numbers
