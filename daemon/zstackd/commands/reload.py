"""`zstackd reload`: let the service read its rig file again."""

import typer

from zstackd.commands.options import JsonOption, RigOption, SocketOption, print_json, service


def reload(socket: SocketOption = None, rig: RigOption = None, as_json: JsonOption = False) -> None:
    """Let the service read its rig file again; a bad one is refused, the old settings stay."""
    with service(socket, rig) as client:
        answer = client.post("/v1/reload")
    if as_json:
        print_json(answer)
        return
    changes, note = answer["changes"], answer.get("note")
    said = f"changed: {', '.join(changes)}" if changes else "nothing changed"
    typer.echo(f"{said}; {note}" if note else said)
