"""`zstackd pause`: hold a run, or the service."""

import typer

from zstackd.commands.options import (
    JsonOption,
    MaybeRunArgument,
    RigOption,
    SocketOption,
    print_json,
    service,
    user,
)


def pause(
    run: MaybeRunArgument = None,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a run, or without RUN the whole service, before its next plane."""
    path = "/v1/pause" if run is None else f"/v1/runs/{run}/pause"
    with service(socket, rig) as client:
        answer = client.post(path, {"by": user()})
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{run or 'the service'} is held before its next plane; zstackd resume goes on")
