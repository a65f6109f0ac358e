"""Image files in: JPEG, PNG and TIFF of 8 and 16 bits, mono and colour, each fault in one line."""

import errno
import logging
import mmap
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_config.errors import InputError
from zstackd_stacking.files.containers import (
    Data,
    Header,
    jpeg_header,
    kind_of,
    png_header,
    require_whole_jpeg,
    require_whole_png,
)
from zstackd_stacking.files.damage import DamagedError
from zstackd_stacking.files.decoder_words import decoder_words, is_padding
from zstackd_stacking.files.exif import turn, turned_size
from zstackd_stacking.files.pages import FrameFile, Page, path_of
from zstackd_stacking.types import Image, as_image, without_alpha

_LOG = logging.getLogger(__name__)

MAX_PIXELS: Final = 200_000_000
"""Larger images are refused: a few kilobytes of PNG can claim to be hundreds of gigabytes."""

_START_BYTES = 16
_FLAGS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image, upright, with the header of the file that it came from.

    `header.alpha` tells whether it was transparent anywhere.
    """

    image: Image
    header: Header


def read_image(path: Path) -> Image:
    """Pixels of an image file, upright: (H, W) or (H, W, 3) BGR, uint8 or uint16.

    Transparency is dropped with a warning in the log, a palette is expanded, EXIF orientation is
    applied.

    Raises:
        InputError: the file is missing, damaged, cut off, too large or of another kind.
    """
    loaded = load_image(path)
    if loaded.header.alpha:
        _LOG.warning("%s: warning: the transparency is left out", path)
    return loaded.image


def load_image(frame: FrameFile, orientation: int | None = None) -> Loaded:
    """As `read_image`, with the file's header; says nothing about transparency.

    `orientation` (EXIF's, 1 to 8) is applied instead of the file's own. Of a file of many planes
    only the one is read.
    """
    header = probe_image(frame) if isinstance(frame, Page) else _whole_header(frame)
    if orientation is not None:
        header = replace(header, orientation=orientation)
    if isinstance(frame, Page) or header.kind == "tiff":
        from zstackd_stacking.files.tiff import read_tiff  # noqa: PLC0415 - tifffile costs start-up

        image, transparent = read_tiff(frame, str(frame))
    else:
        image, transparent = _decode(header, frame)
    return Loaded(turn(image, header.orientation), replace(header, alpha=transparent))


def probe_image(frame: FrameFile) -> Header:
    """The header of an image file, at the cost of reading little more than that.

    Raises:
        InputError: as `read_image`, except that damage further into the file goes unnoticed.
    """
    path = path_of(frame)
    _require_file(path)
    try:
        if isinstance(frame, Page):
            return _tiff_header(frame)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _header(data, path)
    except OSError as error:
        raise _unreadable(path, error) from error


def upright_size(header: Header) -> tuple[int, int]:
    """(width, height) in pixels of the image as `read_image` returns it."""
    return turned_size(header.width_px, header.height_px, header.orientation)


def _header(data: Data, path: Path) -> Header:
    kind = kind_of(data[:_START_BYTES])
    if kind == "jpeg":
        header = jpeg_header(data, str(path))
    elif kind == "png":
        header = png_header(data, str(path))
    elif kind == "tiff":
        return _tiff_header(path)
    else:
        raise InputError(
            f"{path}: not a JPEG, PNG or TIFF image (it starts with {_start(data)}); "
            "remove it or convert it"
        )
    _require_sane_size(header, path)
    return header


def _tiff_header(frame: FrameFile) -> Header:
    from zstackd_stacking.files.tiff import tiff_header  # noqa: PLC0415 - as above

    header = tiff_header(frame, str(frame))
    _require_sane_size(header, frame)
    return header


def _start(data: Data) -> str:
    """The first bytes for people: as text where they are text, otherwise as numbers."""
    start = bytes(data[:8])
    text = start.decode("ascii", errors="replace")
    return f'"{text}"' if text.isprintable() and text.isascii() else f"bytes {start.hex(' ')}"


def _require_sane_size(header: Header, path: FrameFile) -> None:
    pixels = header.width_px * header.height_px
    if not 0 < pixels <= MAX_PIXELS:
        raise InputError(
            f"{path}: {header.width_px} × {header.height_px} px; an image has 1 to "
            f"{MAX_PIXELS // 1_000_000} million pixels: crop or reduce it first"
        )


def _whole_header(path: Path) -> Header:
    """The header of a file that is not cut off; what else it holds is let go before decoding."""
    data = _read_bytes(path)
    header = _header(data, path)
    if header.kind == "jpeg":
        require_whole_jpeg(data, str(path))
    elif header.kind == "png":
        require_whole_png(data, str(path))
    return header


def _decode(header: Header, path: Path) -> tuple[Image, bool]:
    """The image, and whether it was transparent anywhere."""
    with decoder_words() as words:
        try:
            decoded = _pixels(path, cv2.IMREAD_UNCHANGED if header.alpha else _FLAGS)
        except cv2.error:
            decoded = None
    said = words.damage()
    if decoded is None or (said and not is_padding(said, _read_bytes(path))):
        raise DamagedError(
            str(path), f"damaged {header.kind.upper()}{f' ({said})' if said else ''}"
        )
    colours, opaque = without_alpha(decoded)
    if header.channels == 1 and colours.ndim > 2:  # noqa: PLR2004 - grey with alpha comes as BGR
        colours = colours[..., 0]
    return as_image(colours), header.alpha and not opaque


def _pixels(path: Path, flags: int) -> NDArray[Any] | None:
    """The pixels of a JPEG or PNG; None where it is damaged."""
    try:
        str(path).encode()
    except UnicodeEncodeError:  # OpenCV takes no such name
        return cv2.imdecode(np.frombuffer(_read_bytes(path), np.uint8), flags)
    # With a place for the result, if only none, OpenCV decodes into it instead of copying there.
    return cv2.imread(str(path), None, flags)


def _read_bytes(path: Path) -> bytes:
    _require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _require_file(path: Path) -> None:
    """Refuse what is missing, empty or no file before opening it: a pipe would wait for ever."""
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder; use -i to stack the images in a folder")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is not a regular file")
    if status.st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); copy it again from the camera")


def _unreadable(path: Path, error: OSError) -> InputError:
    if error.errno == errno.ENOENT:
        return InputError(f"{path}: no such file")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return InputError(f"{path}: cannot be read: {reason}")
