"""The `zstackd` program: finds the command, and turns errors into one line and an exit status."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

import typer

from zstackd.logs import configure_logging
from zstackd_config.errors import ZstackdError

COMMANDS = {
    "run": "Capture, stack and publish one run in the foreground.",
    "serve": "Run what is dropped into the inbox, until SIGTERM.",
    "check": "Validate a rig file and run files, and print the plan of each run; nothing moves.",
    "stack": "Fuse the images of one z-stack into a single one that is sharp all over.",
}
"""Each is the function of that name in the module of that name in `zstackd.commands`."""


def build_app(words: Sequence[str]) -> typer.Typer:
    """The command line for `words`; only the command that they name is imported."""
    app = typer.Typer(
        name="zstackd",
        help="Capture z-stacks with a microscope rig and fuse them into one sharp image.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    named = next((word for word in words if not word.startswith("-")), None)
    if named in COMMANDS:
        app.command(named)(getattr(import_module(f"zstackd.commands.{named}"), named))
        return app
    for command, summary in COMMANDS.items():
        app.command(command, help=summary)(_listed)
    return app


def _listed() -> None:
    """Stands for a command in the list of them; a named command is always the real one."""


def _root(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks and debug messages."),
) -> None:
    configure_logging(debug=debug)


def guarded(call: Callable[[], object], *, program: str, debug: bool) -> int:
    """Run `call`; print an error as one line and return the exit status it stands for."""
    try:
        outcome = call()
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write(f"{program}: interrupted\n")
        return 130
    except typer.TyperException as error:
        # No arguments at all shows the help, which is many lines and needs no name before it.
        message = error.format_message()
        sys.stderr.write(f"{message}\n" if "\n" in message else f"{program}: {message}\n")
        return 2
    except ZstackdError as error:
        if debug:
            raise
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    except Exception as error:  # the edge of the program
        if debug:
            raise
        sys.stderr.write(
            f"{program}: internal error: {type(error).__name__}: {error}; "
            "run again with --debug and report what it prints\n"
        )
        return 1
    return outcome if isinstance(outcome, int) else 0


def save_cpu_time() -> None:
    """Keep numpy from starting a thread per core for linear algebra, which nothing here needs.

    They only spin; the image work is done by OpenCV's own threads. Must come before numpy.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with `argv` (default: the process' own) and return its exit status."""
    save_cpu_time()
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(
        lambda: build_app(words)(args=words, standalone_mode=False),
        program="zstackd",
        debug="--debug" in words,
    )
