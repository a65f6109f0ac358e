"""The `zstackd` program: finds the command, and turns errors into one line and an exit status.

`stack` reads its own options: typer, with the pydantic that it converts every value through, takes
0.25 s of processor time, which is much of a whole small stack. All other commands are typer's, and
so is its completion in a shell.

Next to nothing is imported before `guarded` is at work: Ctrl-C during an import, which may take a
second on a small computer, is a word and a status as it is later.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence

from zstackd.system.interruption import heed, was_interrupted
from zstackd.system.streams import give_up_output, prepare_streams

_READER_GONE = 128 + signal.SIGPIPE
_INTERRUPTED = 130
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a stream says that takes no more; of files these are a `StorageError` long before."""

COMMANDS = {
    "run": "Capture, stack and publish one run in the foreground.",
    "serve": "Run what is dropped into the inbox, until SIGTERM.",
    "check": "Validate rig and run files, and print what runs would do.",
    "submit": "Hand run files to the service.",
    "list": "List the service's runs, the newest first.",
    "show": "Show one run.",
    "watch": "Print what happens, as it happens.",
    "cancel": "End runs that wait or are in work.",
    "pause": "Hold a run, or the service, before its next plane.",
    "resume": "Let a paused run, or the service, go on.",
    "status": "Show the service and its rig on one screen.",
    "logs": "Show what happened to a run, or the service's newest messages.",
    "reload": "Let the service read its rig file again.",
    "focus": "Home, confirm, move or stop the idle focus axis.",
    "snap": "Take a frame: how sharp it is, how bright, and its picture.",
    "doctor": "Say what is wrong with this rig, and how to mend it.",
    "calibrate": "Measure what rig.yaml has to say, with the evidence.",
    "stack": "Fuse image files into one that is sharp all over.",
}
"""Each is what bears that name in the module of that name in `zstackd.commands`."""


def guarded(call: Callable[[], object], *, program: str, debug: bool) -> int:
    """Run `call`; print an error as one line and return the exit status it stands for."""
    try:
        status = _status_of(call, program=program, debug=debug)
        sys.stdout.flush()
    except BrokenPipeError:
        give_up_output()
        return _READER_GONE
    except OSError as error:
        give_up_output()
        sys.stderr.write(
            f"{program}: standard output cannot be written: {error.strerror}; make room there, "
            "or send it elsewhere\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        return _INTERRUPTED
    return status


def _status_of(call: Callable[[], object], *, program: str, debug: bool) -> int:
    """As `guarded`, but for interruption and for what ails the output.

    Raises:
        OSError: standard output cannot be written; BrokenPipeError where nobody reads it.
        KeyboardInterrupt: as it comes.
    """
    from zstackd_config.errors import ZstackdError  # noqa: PLC0415 - guarded like all imports

    try:
        outcome = call()
    except ZstackdError as error:
        _show_traceback(shown=debug)
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    except SystemExit as left:  # typer and rich leave with 1 where nobody reads the output
        if isinstance(left.__context__, BrokenPipeError):
            raise left.__context__ from None
        outcome = left.code
    except Exception as error:
        if was_interrupted():
            raise KeyboardInterrupt from error
        if isinstance(error, OSError) and _is_of_output(error):
            raise
        _show_traceback(shown=debug)
        sys.stderr.write(
            f"{program}: internal error: {type(error).__name__}: {error}; "
            "run again with --debug and report what it prints\n"
        )
        return 1
    return outcome if isinstance(outcome, int) else 0


def _is_of_output(error: OSError) -> bool:
    if isinstance(error, BrokenPipeError):
        return True
    return error.filename is None and error.errno in _NO_ROOM


def _show_traceback(*, shown: bool) -> None:
    if shown:
        import traceback  # noqa: PLC0415 - rarely wanted

        traceback.print_exc()


def heed_termination() -> None:
    """Let SIGTERM end a program as Ctrl-C does, so that it cleans up behind itself."""
    heed(signal.SIGTERM)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with `argv` (default: the process' own) and return its exit status."""
    prepare_streams()
    heed(signal.SIGINT)
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    status = guarded(lambda: _start(words, debug=debug), program="zstackd", debug=debug)
    from zstackd.system.leaving import leave  # noqa: PLC0415 - see above

    return leave(status)


def _require_homes_spelt_out(words: Sequence[str]) -> None:
    """Refuse a `~` that the shell has left: it would become a folder of that name."""
    from zstackd_config.errors import InputError  # noqa: PLC0415 - see above

    for word in words:
        _, given, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if value == "~" or value.startswith("~/"):
            apart = " and apart (--option ~/…)" if given else ""
            raise InputError(
                f"zstackd: {word}: the shell has not replaced ~ by a home folder; write it without "
                f"quotes{apart}, or write the whole path"
            )


def _start(words: list[str], *, debug: bool) -> object:
    from zstackd.system.logs import configure_logging  # noqa: PLC0415 - see above
    from zstackd.system.thrift import be_thrifty  # noqa: PLC0415

    be_thrifty()
    configure_logging(debug=debug)
    return _dispatch(words)


def _dispatch(words: list[str]) -> object:
    _require_homes_spelt_out(words)
    named = next((word for word in words if not word.startswith("-")), None)
    if named == "stack":
        from zstackd.commands.stack import stack  # noqa: PLC0415 - start-up

        heed_termination()
        words.remove("stack")
        return stack([word for word in words if word != "--debug"])
    from zstackd.terminal.completing import word_in_completion  # noqa: PLC0415 - start-up
    from zstackd.terminal.typed_commands import run_typed  # noqa: PLC0415

    words = [word for word in words if word != "--debug"]
    named = named or word_in_completion(os.environ)
    return run_typed(words, named if named in COMMANDS else None, COMMANDS)
