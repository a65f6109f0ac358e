"""The `zstackd` program: finds the command, and turns errors into one line and an exit status."""

import sys
from collections.abc import Callable, Sequence

import click
import typer

from zstackd.logs import configure_logging
from zstackd_config.errors import ZstackdError

app = typer.Typer(
    name="zstackd",
    help="Capture z-stacks with a microscope rig and fuse them into one sharp image.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks and debug messages."),
) -> None:
    configure_logging(debug=debug)


def guarded(call: Callable[[], object], *, debug: bool) -> int:
    """Run `call`; print an error as one line and return the exit status it stands for."""
    try:
        outcome = call()
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        sys.stderr.write(f"zstackd: {error.format_message()}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("zstackd: interrupted\n")
        return 130
    except ZstackdError as error:
        if debug:
            raise
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    except Exception as error:  # the edge of the program
        if debug:
            raise
        sys.stderr.write(
            f"zstackd: internal error: {type(error).__name__}: {error}; "
            "run again with --debug and report what it prints\n"
        )
        return 1
    return outcome if isinstance(outcome, int) else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with `argv` (default: the process' own) and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: app(args=words, standalone_mode=False), debug="--debug" in words)
