"""The commands that typer reads the options of."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version

import typer

from zstackd_config.errors import InputError


def run_typed(words: Sequence[str], named: str | None, commands: Mapping[str, str]) -> object:
    """Run the command that `words` name; returns what it returns, usually an exit status.

    Raises:
        InputError: the words are no valid command line.
    """
    try:
        app = typed_app(named, commands)
        return app(args=list(words), prog_name="zstackd", standalone_mode=False)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except typer.TyperException as error:
        if isinstance(error, typer.BadParameter):
            _reword(error)
        message = error.format_message().replace("Value error, ", "")  # pydantic's word
        # Without any word the whole help is the message; it needs no name before it.
        raise InputError(message if "\n" in message else f"zstackd: {message}") from error


def typed_app(named: str | None, commands: Mapping[str, str]) -> typer.Typer:
    """The command line; of a named command only its own module is imported, otherwise none."""
    app = typer.Typer(
        name="zstackd",
        help="Capture z-stacks with a microscope rig and fuse them into one sharp image.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    if named is not None:
        module = import_module(f"zstackd.commands.{named}")
        found = module.as_typed() if hasattr(module, "as_typed") else getattr(module, named)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=named)
        else:
            app.command(named)(found)
        return app
    for command, summary in commands.items():
        app.command(command, help=summary)(_listed)
    return app


def _reword(error: typer.BadParameter) -> None:
    """Say what is wrong with a value as for a file's; what a choice says of itself may stay."""
    from pydantic import ValidationError  # noqa: PLC0415 - start-up

    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return
    wrong = cause.errors()
    if any(each["type"] == "value_error" for each in wrong):
        return
    from zstackd_config.wording import worded  # noqa: PLC0415 - start-up

    name = error.param.name if error.param is not None else None
    error.message = worded(wrong, (name or "",), ())


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"zstackd {version('zstackd')}")
        raise typer.Exit


def _root(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks and debug messages."),
    show_version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", is_eager=True, callback=_version
    ),
) -> None:
    """Shown in the help only: the program has looked for `--debug` by itself already."""
    del debug, show_version


def _listed() -> None:
    """Stands for a command in the list of them; a named command is always the real one."""
