"""`focusstack`: the classic command-line tool.

As in `zstackd.cli`, next to nothing is imported before `guarded` is at work.
"""

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zstackd.cli import guarded, heed_termination
from zstackd.system.interruption import heed
from zstackd.system.streams import prepare_streams

if TYPE_CHECKING:
    from argparse import Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with `argv` (default: the process' own) and return its exit status."""
    prepare_streams()
    heed(signal.SIGINT)
    heed_termination()
    return guarded(lambda: _run(argv), program="focusstack", debug=False)


def _run(argv: Sequence[str] | None) -> None:
    from zstackd.stack_command.classic_options import classic_parser  # noqa: PLC0415 - see above
    from zstackd.system.logs import configure_logging  # noqa: PLC0415
    from zstackd.system.thrift import be_thrifty  # noqa: PLC0415
    from zstackd.terminal.guarding import errors_in_one_line  # noqa: PLC0415

    be_thrifty()
    configure_logging(debug=False)
    with errors_in_one_line():
        _stack(classic_parser().parse_args(argv))


def _stack(wanted: "Namespace") -> None:
    from zstackd.stack_command.classic import stack_folder  # noqa: PLC0415 - cv2 and numpy cost start-up

    stack_folder(
        wanted.input,
        wanted.output,
        gaussian_px=wanted.gaussian,
        laplacian_px=wanted.laplacian,
        keep_steps=wanted.debug,
    )
