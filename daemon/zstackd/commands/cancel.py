"""`zstackd cancel`: end runs that wait or are in work."""

from typing import Any

import typer

from zstackd.commands.options import (
    JsonOption,
    RigOption,
    RunsArgument,
    SocketOption,
    each,
    service,
    user,
)


def cancel(
    runs: RunsArgument,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End runs: at once where they wait, between planes where they are in work.

    Cancelling a series ends it together with its run in the queue. `--json` prints a list with `id`
    and `error` of each, and what the API answers.
    """
    with service(socket, rig) as client:

        def ask(run: str) -> dict[str, Any]:
            answer = client.post(f"/v1/runs/{run}/cancel", {"by": user()})
            if not as_json:
                ended = answer["state"] == "cancelled"
                typer.echo(f"{run}: {'cancelled' if ended else 'will end at its next plane'}")
            return answer

        each(runs, ask, as_json=as_json, named="id")
