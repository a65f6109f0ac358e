"""`focusstack`: the classic command-line tool, with its options and its method."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from zstackd.cli import guarded, save_cpu_time
from zstackd.logs import configure_logging

_DEFAULT_KERNEL_PX = 5
_OFF = {"0", "false", "no", "off"}


def parser() -> argparse.ArgumentParser:
    """The classic tool's options."""
    options = argparse.ArgumentParser(
        prog="focusstack",
        description="Fuse the images in a folder into one that is sharp all over, by the classic "
        "Laplacian method. `zstackd stack` gives better images in less time.",
    )
    options.add_argument(
        "-i", "--input", type=Path, required=True, help="folder of the images to stack"
    )
    options.add_argument(
        "-o", "--output", type=Path, required=True, help="the result: .png, .tif or .jpg"
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
    save_cpu_time()
    arguments = parser().parse_args(argv)
    configure_logging(debug=False)
    from zstackd.classic import stack_folder  # noqa: PLC0415 - cv2 and numpy cost start-up

    return guarded(
        lambda: stack_folder(
            arguments.input,
            arguments.output,
            gaussian_px=arguments.gaussian,
            laplacian_px=arguments.laplacian,
            keep_steps=arguments.debug,
        ),
        program="focusstack",
        debug=False,
    )
