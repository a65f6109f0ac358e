"""Writes the reference of the commands: `python -m zstackd.commands.reference`."""

import re
import sys
from collections.abc import Iterator
from typing import Final, cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from zstackd.cli import COMMANDS
from zstackd.terminal.typed_commands import typed_app

_INTRODUCTION: Final = """\
# Commands

<!-- Made by `python -m zstackd.commands.reference` from the program; a test holds it to that. -->

`zstackd --help` lists the commands, `zstackd COMMAND --help` tells the options of one, and
`zstackd --version` the version. `--debug`, before or behind the command, adds tracebacks and debug
messages. Shells complete commands, options and ids of runs; `sudo make install` sees to that, and
`zstackd --install-completion` does it for one user.

`--json` prints one JSON document, alone on standard output, with the keys of the control API
([api.md](api.md)): `list` and `logs` a list, others one object. `watch` prints one object on each
line. Errors stay one line each on standard error.

Exit status: 0 done, 1 failed, 2 usage or an invalid file, 3 hardware, 130 interrupted.

The commands that talk to the service find it at `/run/zstackd/control.sock`; elsewhere name its
socket (`--socket`, or `ZSTACKD_SOCKET` in the environment) or its rig file (`--rig`). What a
command names counts before the environment; a rig file never leads to another rig's service.
"""
_ELSEWHERE: Final = {
    "stack": "Its options, and those of `focusstack`, are in [files.md](files.md)."
}


def reference() -> str:
    """Return the whole page."""
    parts = [_INTRODUCTION]
    for name, summary in COMMANDS.items():
        parts.append(f"## `zstackd {name}`\n")
        if name in _ELSEWHERE:
            parts.append(f"{summary} {_ELSEWHERE[name]}\n")
        else:
            parts += _of(name, _command(name))
    return "\n".join(parts)


def _command(name: str) -> TyperCommand | TyperGroup:
    program = cast("TyperGroup", typer.main.get_command(typed_app(name, COMMANDS)))
    return cast("TyperCommand | TyperGroup", program.commands[name])


def _of(path: str, command: TyperCommand | TyperGroup) -> Iterator[str]:
    """Yield the lines of a command, and of the commands below it."""
    yield _text(command.help or "") + "\n"
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield f"### `zstackd {path} {name}`\n"
            if isinstance(below, TyperCommand):
                yield from _of(f"{path} {name}", below)
        return
    rows = [row for row in map(_row, command.params) if row is not None]
    if rows:
        yield "| | meaning | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _row(parameter: object) -> str | None:
    if isinstance(parameter, TyperArgument):
        more = "…" if parameter.nargs != 1 else ""
        name = f"`{parameter.metavar}{more}`"
        return f"| {name} | {_text(parameter.help or '')} | {_default(parameter)} |"
    if isinstance(parameter, TyperOption) and "--help" not in parameter.opts:
        names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
        value = "" if parameter.is_flag else f" `{_value(parameter)}`"
        return f"| {names}{value} | {_text(parameter.help or '')} | {_default(parameter)} |"
    return None


def _value(parameter: TyperOption) -> str:
    return parameter.metavar or str(parameter.name or "").rpartition("_")[2].upper()


def _default(parameter: TyperArgument | TyperOption) -> str:
    if parameter.required:
        return "must be given"
    default = parameter.default
    if default is None or isinstance(default, bool) or default == [] or callable(default):
        return ""
    return f"`{default}`"


def _text(help_text: str) -> str:
    """Return a help text as paragraphs of one line each; a table has room for one."""
    paragraphs = re.split(r"\n\s*\n", help_text.strip())
    return "\n\n".join(" ".join(part.split()) for part in paragraphs).replace("|", r"\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
