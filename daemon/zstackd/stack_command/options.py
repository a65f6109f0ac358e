"""The options of `zstackd stack`. Importing this costs next to nothing: no numpy, no cv2."""

from argparse import Namespace
from collections.abc import Sequence

from zstackd.terminal.arguments import Once, Parser, file_path, micrometres, whole_number

METHODS = {
    "pyramid": "the best image (default)",
    "depthmap": "each pixel from the planes around its height",
    "near": "as depthmap, the nearest of several surfaces wins",
    "far": "the farthest wins",
    "average": "mean of all frames",
    "maximum": "brightest of all frames",
    "laplacian": "the classic of older tools",
}

_DESCRIPTION = """\
Fuse the images of one z-stack into a single one that is sharp all over.

Frames are sorted by the numbers in their names. One that cannot be aligned is
left out and named. Inputs are never overwritten, and each result appears whole
or not at all."""


def read_words(words: Sequence[str]) -> Namespace:
    """What the words that follow `zstackd stack` ask for; all behind a `--` are frames.

    Raises:
        InputError: the words are no valid command line.
    """
    options = list(words)
    end = options.index("--") if "--" in options else len(options)
    wanted = stack_parser().parse_intermixed_args(options[:end])
    # Intermixed parsing takes what looks like an option for one, even here. As `./-z1.jpg` it does
    # not, and is the same path.
    behind = [f"./{word}" if word.startswith("-") else word for word in options[end + 1 :]]
    wanted.frames += stack_parser().parse_intermixed_args(behind).frames
    return wanted


def stack_parser() -> Parser:
    """The parser of the words that follow `zstackd stack`."""
    parser = Parser("zstackd stack", _DESCRIPTION)
    _add_inputs(parser)
    _add_outputs(parser)
    _add_settings(parser)
    shown = parser.add_argument_group("what is printed")
    shown.add_argument("-q", "--quiet", action="store_true", help="warnings and errors only")
    shown.add_argument("--json", action="store_true", help="one JSON object instead of words")
    return parser


def _add_inputs(parser: Parser) -> None:
    group = parser.add_argument_group("what to stack")
    add = group.add_argument
    add("frames", nargs="*", type=file_path, metavar="FRAME", help="images of one z-stack: JPEG, "
        "PNG or TIFF of 8 or 16 bits; or one TIFF (OME-TIFF, ImageJ's) that holds all "
        "planes")  # fmt: skip
    add("-i", "--input", type=file_path, metavar="DIR", action=Once, help="all images in this "
        "folder")  # fmt: skip
    add("--batch", type=file_path, metavar="DIR", action=Once, help="each subfolder of this "
        "folder by itself, and each file in it that holds a whole z-stack; one that fails does not "
        "stop the others; {name} in the names of outputs "
        "stands for the subfolder's or file's name")  # fmt: skip


def _add_outputs(parser: Parser) -> None:
    group = parser.add_argument_group("what to write (all but -o may be given more than once)")

    def add(*names: str, text: str) -> None:
        group.add_argument(
            *names, type=file_path, metavar="FILE", action="append", default=[], help=text
        )

    group.add_argument(
        "-o", "--output", type=file_path, metavar="FILE", action=Once, help="the fused image: "
        ".png, .tif, .jpg, or .ome.tif for microscopy programs (default with --batch: "
        "DIR/{name}.png)",
    )  # fmt: skip
    add("--depth", text="heights: .tif as numbers (float32), .png as a picture with legend")
    add("--confidence", text="how sure each height is: .tif as numbers 0 to 1, .png in grey")
    add("--relief", text="heights as a lit surface: .png or .jpg")
    add("--mesh", text="heights as a coloured surface in µm: .ply or .glb")
    add("--aligned", text="all frames, aligned, as one z-stack: .ome.tif")
    add("--report", text="what became of each frame, as .json; focus curve as .png")


def _add_settings(parser: Parser) -> None:
    add = parser.add_argument_group("how").add_argument
    add("--z-step-um", type=micrometres, metavar="UM", help="height from each frame to the next "
        "in µm, negative for stacks taken downward; without it, and without a z-stack file "
        "that tells it, heights are in planes")  # fmt: skip
    add("--pixel-size-um", type=micrometres, metavar="UM", help="size of a pixel on the specimen "
        "in µm, for scale bars and resolution tags")  # fmt: skip
    methods = "; ".join(f"{name}: {what}" for name, what in METHODS.items())
    add("--method", choices=list(METHODS), default="pyramid", metavar="NAME", help=methods)
    add("--reference", metavar="WHICH", help="the frame that all others are aligned to: first, "
        "middle, last, or its number counted from 1 (default: middle; for laplacian "
        "first)")  # fmt: skip
    add("--near", choices=["first", "last"], metavar="END", help="for the methods near and "
        "far, and for --relief: which frame is focused nearest to the lens, first or last "
        "(default: the higher one by --z-step-um, without it the first)")  # fmt: skip
    add("--memory", choices=["normal", "low"], default="normal", metavar="HOW", help="normal, or "
        "low: half as much, for large frames on a small computer; takes longer, and leaves more "
        "noise in the image")  # fmt: skip
    add("--no-align", action="store_true", help="take the frames as they lie, as from a rigid rig")
    add("--quality", type=whole_number, default=95, metavar="N", help="of .jpg files, 1 to 100 "
        "(default: %(default)s)")  # fmt: skip
    add("--mesh-vertices", type=whole_number, default=500_000, metavar="N", help="most points of a "
        "mesh; larger images are reduced to that (default: %(default)s)")  # fmt: skip
