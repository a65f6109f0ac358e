"""`zstackd cancel`: end runs that wait or are in work."""

import typer

from zstackd.commands.options import (
    JsonOption,
    RigOption,
    RunsArgument,
    SocketOption,
    print_json,
    service,
    user,
)


def cancel(
    runs: RunsArgument,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End runs: at once where they wait, between planes where they are in work."""
    with service(socket, rig) as client:
        answers = [client.post(f"/v1/runs/{run}/cancel", {"by": user()}) for run in runs]
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        ended = answer["state"] == "cancelled"
        typer.echo(f"{answer['run_id']}: {'cancelled' if ended else 'will end at its next plane'}")
