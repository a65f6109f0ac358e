"""`zstackd snap`: one frame, to look at and to focus by, while no run uses the rig."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from zstackd.commands.options import JsonOption, SocketOption, asked, finite, print_json
from zstackd.store.durable import write_bytes
from zstackd_config.errors import InputError
from zstackd_config.values import height

if TYPE_CHECKING:  # pydantic costs start-up
    from zstackd_config.rig import Rig

Kind = Literal["jpg", "png"]

_KINDS: Final[dict[str, Kind]] = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png"}


def _pictured(output: Path | None) -> Path | None:
    """Return a file's name that says what it is to hold."""
    if output is not None and output.suffix.lower() not in _KINDS:
        raise InputError(f"{output}: a name that ends in .jpg or .png is needed")
    return output


def snap(
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", callback=_pictured,
            help="Write the picture there, as .png (as the camera gives it) or .jpg.",
        ),
    ] = None,
    crop_px: Annotated[
        int | None,
        typer.Option(metavar="PX", min=32, help="The square of this side in the middle alone."),
    ] = None,
    exposure_time_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS", min=0.001, max=1e6, callback=finite,
            help="Expose for as long; else as the camera finds right.",
        ),
    ] = None,
    analogue_gain: Annotated[
        float | None,
        typer.Option(
            min=0, max=255, callback=finite, help="Analogue gain to this exposure time."
        ),
    ] = None,
    socket: SocketOption = None,
    rig: Annotated[
        Path | None,
        typer.Option(
            "--rig",
            metavar="RIG.yaml",
            help="The rig: of the service, or, where none runs, whose camera to open.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Take a frame and say how sharp and how bright it is; nothing moves.

    While a run has the rig it is that run's newest frame. The page /live of the control API shows
    frames one after the other (see docs/live.md).
    """
    kind: Kind = "jpg" if output is None else _KINDS[output.suffix.lower()]
    words = {
        "format": kind,
        "crop_px": crop_px,
        "exposure_time_ms": exposure_time_ms,
        "analogue_gain": analogue_gain,
    }
    given = {name: value for name, value in words.items() if value is not None}
    light = exposure_time_ms, analogue_gain
    picture, facts = asked(
        socket, rig, lambda client: client.look(given), lambda own: _own(own, kind, crop_px, light)
    )
    if output is not None:
        write_bytes(output, picture)
    if as_json:
        print_json(facts)
    else:
        typer.echo(_line(facts) + ("" if output is None else f"; written to {output}"))


def _own(
    rig: "Rig", kind: Kind, crop_px: int | None, light: tuple[float | None, float | None]
) -> tuple[bytes, dict[str, Any]]:
    """Do it without a service; nobody knows where the axis stands then."""
    from zstackd.api.picture import shown  # noqa: PLC0415 - start-up
    from zstackd.api.view import exposure_of  # noqa: PLC0415
    from zstackd.runs import by_hand  # noqa: PLC0415
    from zstackd.service.viewfinder import View  # noqa: PLC0415
    from zstackd_config.sampling import largest_step_um  # noqa: PLC0415

    frame = by_hand.snap(rig, exposure_of(*light))
    view = View(frame.image, None, None, frame.exposure, largest_step_um(rig.optics))
    picture, facts = shown(view, kind, max_side_px=None, crop_px=crop_px)
    return picture, facts.model_dump()


def _line(facts: dict[str, Any]) -> str:
    whence = "" if facts["run_id"] is None else f"newest frame of {facts['run_id']}, "
    where = "at an unknown height" if facts["z_um"] is None else f"at {height(facts['z_um'])}"
    saturated = ", saturated" if facts["saturated"] else ""
    return (
        f"{whence}{where}: sharpness {facts['sharpness']:.3g}; {facts['exposure_time_ms']:.4g} ms, "
        f"gain {facts['analogue_gain']:.3g}; brightness {100 * facts['brightness']:.0f} %, "
        f"brightest places {100 * facts['highlight']:.0f} %{saturated}"
    )
