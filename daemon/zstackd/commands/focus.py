"""`zstackd focus`: the focus axis, by hand, while no run uses it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from zstackd.commands.options import JsonOption, RigOption, SocketOption, print_json, service

focus = typer.Typer(
    help="Home, confirm, move or stop the focus axis while no run uses it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Height = Annotated[float, typer.Argument(metavar="UM", help="Height in micrometres.")]


@focus.command()
def home(socket: SocketOption = None, rig: RigOption = None, as_json: JsonOption = False) -> None:
    """Run the homing cycle; afterwards the position is known."""
    with service(socket, rig) as client:
        _tell(client.home(), as_json=as_json)


@focus.command(context_settings={"ignore_unknown_options": True})
def confirm(
    position_um: Height,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Vouch that the axis stands at this height; nothing moves."""
    _order("/v1/focus/confirm", {"position_um": position_um}, socket, rig, as_json=as_json)


@focus.command(context_settings={"ignore_unknown_options": True})
def move(
    z_um: Height,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move the axis to this height, within the rig's limits."""
    _order("/v1/focus/move", {"z_um": z_um}, socket, rig, as_json=as_json)


@focus.command()
def stop(socket: SocketOption = None, rig: RigOption = None) -> None:
    """Stop the motor now; a run in work is interrupted by it."""
    with service(socket, rig) as client:
        client.post("/v1/focus/stop")
    typer.echo("stopped")


def _order(
    path: str,
    document: Mapping[str, float],
    socket: Path | None,
    rig: Path | None,
    *,
    as_json: bool,
) -> None:
    with service(socket, rig) as client:
        _tell(client.post(path, document=document), as_json=as_json)


def _tell(axis: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(axis)
        return
    where = "?" if axis["position_um"] is None else f"{axis['position_um']:.1f} µm"
    typer.echo(f"the axis stands at {where}, {axis['reference']}")
