"""Image files become a stack: found, sorted, checked, read ahead, and fed to a stacker."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from zstackd_config.errors import InputError
from zstackd_stacking.files.containers import Header
from zstackd_stacking.files.damage import DamagedError
from zstackd_stacking.files.images import Loaded, load_image, probe_image, upright_size
from zstackd_stacking.files.natural import natural_order
from zstackd_stacking.files.output import FORMATS, Metadata
from zstackd_stacking.files.pages import FrameFile
from zstackd_stacking.methods.catalogue import FrameSink, Rereader, make_stacker
from zstackd_stacking.order import Reference, stacking_order
from zstackd_stacking.types import FrameReport, Image, Method, StackOptions, StackResult

_LOG = logging.getLogger(__name__)
_DEFAULTS: Final = StackOptions()
_PROFILE_SPACE = slice(16, 20)
"""Where a profile says which colours it is for (ICC.1:2022, 7.2.8)."""

OnFrame = Callable[[FrameReport], None]


def find_frames(folder: Path) -> list[Path]:
    """The images in a folder (not below it, nothing hidden), in natural order; may be empty.

    Raises:
        InputError: the folder is missing, is none, or cannot be read.
    """
    try:
        entries = list(folder.iterdir())
    except NotADirectoryError as error:
        raise InputError(
            f"{folder}: is not a folder; give frames as they are, without -i"
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no such folder") from error
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
    return natural_order(
        entry for entry in entries if looks_like_a_frame(entry) and entry.is_file()
    )


def looks_like_a_frame(path: Path) -> bool:
    """Whether a file of that name counts among the frames of the folder that it lies in."""
    return path.suffix.lower() in FORMATS and not path.name.startswith(".")


def stack_files(
    paths: Sequence[FrameFile],
    options: StackOptions = _DEFAULTS,
    *,
    reference: Reference | int | None = None,
    z_step_um: float | None = None,
    heights_um: Sequence[float] | None = None,
    on_frame: OnFrame | None = None,
) -> StackResult:
    """Fuse image files, given from one end of the focus range to the other.

    Args:
        paths: frames in order of focus; all of one size, depth and kind. Of a file that holds a
            whole z-stack: the planes that `zstackd_stacking.files.zstack.read_zstack` finds.
        options: method, alignment, depth map.
        reference: the frame whose geometry the result has: first, middle, last or an index;
            by default the middle one, or for the classic method the first.
        z_step_um: distance between planes; heights are then in µm from the first frame on,
            otherwise in planes.
        heights_um: height of each frame, where they are known one by one; instead of `z_step_um`.
        on_frame: called after each frame, each time it was looked at, with what became of it.

    Raises:
        InputError: no frames, one that cannot be read, or frames that do not match.

    A frame whose image is damaged is left out, as its report says.
    """
    order = frame_order(len(paths), options.method, reference)
    orientation = require_alike(paths, order[0])
    sink = make_stacker(options)
    ahead = options.memory != "low"
    left_out = feed(
        sink,
        paths,
        order,
        ahead=ahead,
        heights_um=_even(len(paths), z_step_um) if heights_um is None else heights_um,
        orientation=orientation,
        on_frame=on_frame,
    )
    result = with_left_out(sink.finish(), left_out)
    if len(paths) == 1:  # a fusion of one is not exactly itself: it has been through a pyramid
        return replace(result, image=load_image(paths[0]).image)
    return result


def _even(count: int, z_step_um: float | None) -> list[float] | None:
    if z_step_um is None:
        return None
    return [index * z_step_um + 0.0 for index in range(count)]  # never -0


def frame_order(
    count: int, method: Method, reference: Reference | int | None = None
) -> tuple[int, ...]:
    """Indices in the order in which a method wants its frames, the reference first.

    Raises:
        InputError: there are no frames, or the reference is none of them.
    """
    if count == 0:
        raise InputError("no frames to stack: name image files, or a folder of them with -i")
    if isinstance(reference, int) and not 0 <= reference < count:
        raise InputError(f"reference frame {reference}: there are frames 0 to {count - 1}")
    usual: Reference = "first" if method == "laplacian" else "middle"
    return stacking_order(count, usual if reference is None else reference)


def require_alike(paths: Sequence[FrameFile], reference: int) -> int | None:
    """Refuse frames that differ in size, bits or channels, by their headers alone.

    Returns the orientation to be applied to all, see `common_orientation`; warns where it is not
    that of each.

    Raises:
        InputError: names the first frame that differs from the reference, and how.
    """
    headers = [probe_image(path) for path in paths]
    orientation = common_orientation(headers)
    if orientation is not None:
        headers = [replace(header, orientation=orientation) for header in headers]
        _LOG.warning(
            "warning: EXIF turns some frames otherwise than others, as cameras that look downward "
            "do; all are turned like most of them"
        )
    wanted = _kind(headers[reference])
    for path, header in zip(paths, headers, strict=True):
        found = _kind(header)
        if found != wanted:
            raise InputError(
                f"{path}: {found}, but {paths[reference]} (the reference) has {wanted}; "
                "frames of one stack must be alike"
            )
    return orientation


def common_orientation(headers: Sequence[Header]) -> int | None:
    """The orientation that most frames note where they differ in that; else None: each its own.

    The camera of a stack stands still, but which way is up is a guess of its own where it looks
    down. Frames that are stored in different sizes were turned by something else.
    """
    noted = Counter(header.orientation for header in headers)
    stored = {(header.width_px, header.height_px) for header in headers}
    return noted.most_common(1)[0][0] if len(noted) > 1 and len(stored) == 1 else None


def _kind(header: Header) -> str:
    width, height = upright_size(header)
    colours = "mono" if header.channels == 1 else "colour"
    return f"{width} × {height} px {header.bits}-bit {colours}"


def feed(
    sink: FrameSink,
    paths: Sequence[FrameFile],
    order: Sequence[int],
    *,
    ahead: bool = True,
    heights_um: Sequence[float] | None = None,
    orientation: int | None = None,
    on_frame: OnFrame | None = None,
) -> list[FrameReport]:
    """Give each frame to `sink` in `order`, and again where it asks for it.

    With `ahead`, the next frame is read meanwhile; without, no two are held at once.
    `orientation` is applied to all, by default each one's own. Returns the reports of damaged
    frames, which the sink does not get.

    Raises:
        InputError: a frame cannot be read, or all are damaged.
    """
    images = _images(paths, order, _read(paths, order, orientation, ahead=ahead))
    left_out: list[FrameReport] = []

    def add(index: int) -> FrameReport:
        z_um = None if heights_um is None else heights_um[index]
        name = paths[index].name
        try:
            # Nothing here keeps the image, so that the sink can let it go early.
            return sink.add(next(images), index=index, z_um=z_um, name=name)
        except DamagedError as error:
            if len(left_out) == len(paths) - 1:
                raise
            left_out.append(_left_out(index, name, z_um, error))
            return left_out[-1]

    def told(reports: Iterable[FrameReport]) -> None:
        for report in reports:
            if on_frame is not None:
                on_frame(report)

    told(map(add, order))
    if isinstance(sink, Rereader):
        for indices in sink.rounds():
            frames = _read(paths, indices, orientation, ahead=ahead)
            told(
                sink.again(_whole(loaded).image, index=i)
                for i, loaded in zip(indices, frames, strict=True)
            )
    return left_out


def with_left_out(result: StackResult, left_out: Sequence[FrameReport]) -> StackResult:
    """The result of a sink with the reports of frames that it did not get."""
    frames = sorted([*result.report.frames, *left_out], key=lambda frame: frame.index)
    return replace(result, report=replace(result.report, frames=tuple(frames)))


def _left_out(index: int, name: str, z_um: float | None, error: DamagedError) -> FrameReport:
    return FrameReport(
        index=index,
        name=name,
        z_um=z_um,
        sharpness=0.0,
        transform=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
        residual_px=None,
        used=False,
        note=f"left out: {error.what}",
    )


def _whole(frame: Loaded | DamagedError) -> Loaded:
    if isinstance(frame, DamagedError):
        raise frame
    return frame


def _images(
    paths: Sequence[FrameFile], order: Sequence[int], frames: Iterator[Loaded | DamagedError]
) -> Iterator[Image]:
    """The images of the frames, going on after a damaged one has raised its error.

    Warns where the first transparency is left out.
    """
    warned = False

    def image(index: int, read: Loaded | DamagedError) -> Image:
        nonlocal warned
        loaded = _whole(read)
        if loaded.header.alpha and not warned:
            _LOG.warning(
                "%s: warning: transparency is left out, here and in all frames", paths[index]
            )
            warned = True
        return loaded.image

    return map(image, order, frames)


def _read(
    paths: Sequence[FrameFile], indices: Sequence[int], orientation: int | None, *, ahead: bool
) -> Iterator[Loaded | DamagedError]:
    wanted = [paths[index] for index in indices]
    if ahead:
        return read_ahead(wanted, orientation)
    return (_load(path, orientation) for path in wanted)


def _load(frame: FrameFile, orientation: int | None) -> Loaded | DamagedError:
    try:
        return load_image(frame, orientation)
    except DamagedError as error:
        return error


def read_ahead(
    paths: Sequence[FrameFile], orientation: int | None = None
) -> Iterator[Loaded | DamagedError]:
    """Yield each image, or its damage, while the next one, never more, is read in a thread."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader:
        coming = reader.submit(_load, paths[0], orientation)
        for number in range(1, len(paths) + 1):
            loaded = coming.result()
            if number < len(paths):
                coming = reader.submit(_load, paths[number], orientation)
            yield loaded


def frame_metadata(path: FrameFile) -> Metadata:
    """EXIF block and colour profile of a frame, to be passed on to the result.

    A profile for other colours than those that the frame is read as (CMYK) is left out, with a
    warning in the log.
    """
    header = probe_image(path)
    space = (header.icc or b"")[_PROFILE_SPACE].decode("ascii", errors="replace")
    if header.icc is None or space == ("GRAY" if header.channels == 1 else "RGB "):
        return Metadata(header.exif, header.icc, header.png_colour)
    _LOG.warning(
        "%s: warning: its colour profile is for %s, not for what it is read as, and is left out: "
        "colours are approximate",
        path, space.strip() if space.isprintable() else "unknown colours",
    )  # fmt: skip
    return Metadata(header.exif)
