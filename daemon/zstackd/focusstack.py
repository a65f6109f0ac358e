"""`focusstack`: the classic command-line tool, with its options and its method."""

from collections.abc import Sequence

from zstackd.cli import guarded, heed_termination
from zstackd.system.logs import configure_logging
from zstackd.system.streams import prepare_streams
from zstackd.system.thrift import be_thrifty
from zstackd.terminal.arguments import Parser, file_path

_DEFAULT_KERNEL_PX = 5
_OFF = {"0", "false", "no", "off"}


def parser() -> Parser:
    """The classic tool's options."""
    options = Parser(
        "focusstack",
        "Fuse the images in a folder into one that is sharp all over, by the classic\n"
        "Laplacian method. `zstackd stack` gives better images in less time.",
    )
    options.add_argument(
        "-i", "--input", type=file_path, required=True, help="folder of the images to stack"
    )
    options.add_argument(
        "-o", "--output", type=file_path, required=True, help="the result: .png, .tif or .jpg"
    )
    for short, name in (("-g", "gaussian"), ("-l", "laplacian")):
        options.add_argument(
            short,
            f"--{name}",
            type=int,
            default=_DEFAULT_KERNEL_PX,
            help=f"size of the {name.title()} kernel in pixels, odd (default: %(default)s)",
        )
    options.add_argument(
        "-d",
        "--debug",
        nargs="?",
        const=True,
        default=False,
        type=lambda word: word.lower() not in _OFF,
        help="leave the aligned images and their focus measures behind, in a folder beside the "
        "result",
    )
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with `argv` (default: the process' own) and return its exit status."""
    be_thrifty()
    prepare_streams()
    heed_termination()
    configure_logging(debug=False)
    return guarded(lambda: _run(argv), program="focusstack", debug=False)


def _run(argv: Sequence[str] | None) -> None:
    wanted = parser().parse_args(argv)
    from zstackd.stack_command.classic import stack_folder  # noqa: PLC0415 - cv2 and numpy cost start-up

    stack_folder(
        wanted.input,
        wanted.output,
        gaussian_px=wanted.gaussian,
        laplacian_px=wanted.laplacian,
        keep_steps=wanted.debug,
    )
