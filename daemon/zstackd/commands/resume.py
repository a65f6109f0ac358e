"""`zstackd resume`: let a paused run, or the paused service, go on."""

import typer

from zstackd.commands.options import (
    JsonOption,
    MaybeRunArgument,
    RigOption,
    SocketOption,
    print_json,
    service,
)


def resume(
    run: MaybeRunArgument = None,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a paused run, or without RUN the whole service, go on."""
    path = "/v1/resume" if run is None else f"/v1/runs/{run}/resume"
    with service(socket, rig) as client:
        answer = client.post(path)
        service_now = answer if run is None else client.get("/v1/status")
    if as_json:
        print_json(answer)
    elif service_now["state"] == "paused":
        why = service_now["why"]
        typer.echo(f"{run} goes on once the service does, which is {why}; see zstackd resume")
    else:
        typer.echo(f"{run or 'the service'} goes on")
