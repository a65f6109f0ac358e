"""`zstackd focus`: the focus axis, by hand, while no run uses it.

The service has the axis where one runs; else, with `--rig`, the command opens it for itself.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from zstackd.api.client import Client
from zstackd.commands.options import JsonOption, SocketOption, asked, finite, print_json
from zstackd_config.errors import HardwareError, InputError
from zstackd_config.rig import Rig
from zstackd_config.values import height
from zstackd_drivers.axis import AxisSnapshot

focus = typer.Typer(
    help="Home, confirm, move or stop the focus axis while no run uses it. The service has the "
    "axis where one runs; else --rig opens it for this command alone.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Height = Annotated[
    float, typer.Argument(metavar="UM", help="Height in micrometres.", callback=finite)
]
Distance = Annotated[
    float,
    typer.Argument(
        metavar="UM", help="Distance in micrometres; negative is down.", callback=finite
    ),
]
RigOption = Annotated[
    Path | None,
    typer.Option(
        "--rig",
        metavar="RIG.yaml",
        help="The rig: of the service, or, where none runs, whose axis to open.",
    ),
]
Standing = Annotated[
    float | None,
    typer.Option(
        "--at-um",
        metavar="UM",
        help="Without a service: vouch that the axis stands at this height, in micrometres.",
        callback=finite,
    ),
]
_NEGATIVE = {"ignore_unknown_options": True}

Axis = dict[str, Any]


@focus.command()
def home(socket: SocketOption = None, rig: RigOption = None, as_json: JsonOption = False) -> None:
    """Run the homing cycle; afterwards the service knows the position."""
    from zstackd.runs import by_hand  # noqa: PLC0415 - start-up

    _tell(
        asked(socket, rig, _heeded(Client.home), lambda own: _facts(by_hand.home(own))),
        as_json=as_json,
    )


@focus.command()
def where(socket: SocketOption = None, rig: RigOption = None, as_json: JsonOption = False) -> None:
    """Say where the axis stands. Nothing moves."""
    from zstackd.runs import by_hand  # noqa: PLC0415 - start-up

    _tell(asked(socket, rig, _axis, lambda own: _facts(by_hand.where(own))), as_json=as_json)


@focus.command(context_settings=_NEGATIVE)
def confirm(
    position_um: Height,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Vouch that the axis stands at this height; nothing moves."""
    words = {"position_um": position_um}

    def ask(client: Client) -> Axis:
        return client.post("/v1/focus/confirm", document=words)

    def refuse(own: Rig) -> Axis:
        from zstackd.commands.reach import check_confirming  # noqa: PLC0415 - start-up

        check_confirming(own.focus, position_um)
        raise InputError(
            "no service runs that would remember it: start one, or vouch with the move itself "
            f"(zstackd focus move UM --at-um {position_um:zg})"
        )

    _tell(asked(socket, rig, ask, refuse), as_json=as_json)


@focus.command(context_settings=_NEGATIVE)
def move(
    z_um: Height,
    socket: SocketOption = None,
    rig: RigOption = None,
    at_um: Standing = None,
    as_json: JsonOption = False,
) -> None:
    """Move the axis to this height, within the rig's limits."""
    from zstackd.runs import by_hand  # noqa: PLC0415 - start-up

    def ask(client: Client) -> Axis:
        _axis(client)
        _not_vouched(at_um)
        return client.move_to(z_um)

    own = _own(lambda rig: by_hand.move(rig, z_um, at_um=at_um), at_um)
    _tell(asked(socket, rig, _heeded(ask), own), as_json=as_json)


@focus.command(context_settings=_NEGATIVE)
def jog(
    by_um: Distance,
    socket: SocketOption = None,
    rig: RigOption = None,
    at_um: Standing = None,
    as_json: JsonOption = False,
) -> None:
    """Move the axis by this distance, within the rig's limits."""
    from zstackd.runs import by_hand  # noqa: PLC0415 - start-up

    def ask(client: Client) -> Axis:
        axis = _axis(client)
        _not_vouched(at_um)
        before_um = _known_height(axis)
        moved = client.move_to(before_um + by_um)
        if by_um and moved["position_um"] == before_um:
            raise InputError(by_hand.too_small(by_um))
        return moved

    own = _own(lambda rig: by_hand.jog(rig, by_um, at_um=at_um), at_um)
    _tell(asked(socket, rig, _heeded(ask), own), as_json=as_json)


@focus.command()
def auto(
    *,
    low_um: Annotated[
        float,
        typer.Option("--low-um", help="Lowest height to look at, in µm.", callback=finite),
    ],
    high_um: Annotated[
        float,
        typer.Option("--high-um", help="Highest height to look at, in µm.", callback=finite),
    ],
    socket: SocketOption = None,
    rig: RigOption = None,
    at_um: Standing = None,
    as_json: JsonOption = False,
) -> None:
    """Look for the sharpest height within a range, and go there."""
    from zstackd.commands.reach import check_range, require_standing  # noqa: PLC0415 - start-up
    from zstackd.runs import by_hand  # noqa: PLC0415 - start-up
    from zstackd.terminal.live_line import live_line  # noqa: PLC0415 - start-up

    def ask(client: Client) -> dict[str, Any]:
        _not_vouched(at_um)
        return client.find_focus(low_um, high_um)

    def own(settings: Rig) -> dict[str, Any]:
        check_range(settings.focus, low_um, high_um)
        require_standing(settings.focus, at_um)
        with live_line("autofocus", shown=not as_json) as say:
            return asdict(by_hand.auto(settings, (low_um, high_um), at_um=at_um, say=say))

    found = asked(socket, rig, _heeded(ask), own)
    if as_json:
        print_json(found)
    else:
        typer.echo(f"best focus at {height(found['z_um'])} (contrast {found['contrast']:.2f})")


@focus.command()
def stop(socket: SocketOption = None, rig: RigOption = None) -> None:
    """Stop the motor now; a run in work is interrupted by it."""
    from zstackd.runs import by_hand  # noqa: PLC0415 - start-up

    def own(settings: Rig) -> Axis:
        by_hand.stop(settings)
        return {}

    asked(socket, rig, lambda client: client.post("/v1/focus/stop"), own)
    typer.echo("stopped")


def _heeded(ask: Callable[[Client], Axis]) -> Callable[[Client], Axis]:
    """Ctrl-C, and the end of the terminal, stop a motor that the service moves, too."""

    def heeding(client: Client) -> Axis:
        try:
            return ask(client)
        except KeyboardInterrupt:
            client.post("/v1/focus/stop")
            raise

    return heeding


def _own(act: Callable[[Rig], AxisSnapshot], at_um: float | None) -> Callable[[Rig], Axis]:
    from zstackd.commands.reach import check_standing  # noqa: PLC0415 - start-up

    def own(rig: Rig) -> Axis:
        check_standing(rig.focus, at_um)
        return _facts(act(rig))

    return own


def _facts(axis: AxisSnapshot) -> Axis:
    return {**asdict(axis), "reference": axis.reference.value}


def _axis(client: Client) -> Axis:
    axis: Axis | None = client.get("/v1/status")["axis"]
    if axis is None:
        raise HardwareError("the service does not have the axis: see zstackd status")
    return axis


def _known_height(axis: Axis) -> float:
    if axis["reference"] != "referenced" or axis["position_um"] is None:
        raise HardwareError(
            f"the axis does not know its position ({axis['fault'] or 'not referenced yet'}): "
            "home it, or confirm where it stands"
        )
    return float(axis["position_um"])


def _not_vouched(at_um: float | None) -> None:
    if at_um is not None:
        raise InputError("--at-um is for a rig without a service: use zstackd focus confirm UM")


def _tell(axis: Axis, *, as_json: bool) -> None:
    if as_json:
        print_json(axis)
        return
    stands = "?" if axis["position_um"] is None else height(axis["position_um"])
    if axis["reference"] == "referenced":
        typer.echo(f"the axis stands at {stands}, referenced")
    else:
        typer.echo(f"nobody knows where the axis stands (its controller says {stands})")
