"""The options of `focusstack`. Importing this costs next to nothing: no numpy, no cv2."""

from zstackd.terminal.arguments import Parser, file_path, whole_number

_DEFAULT_KERNEL_PX = 5
_OFF = {"0", "false", "no", "off"}


def classic_parser() -> Parser:
    """The parser of the words that follow `focusstack`."""
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
            type=whole_number,
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
