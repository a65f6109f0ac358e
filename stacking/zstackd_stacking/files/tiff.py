"""TIFF files in, through tifffile; OpenCV decodes only what tifffile alone cannot.

OpenCV reads planar, white-is-zero and premultiplied TIFFs wrongly without a word, so it is asked
only for compressed files of the plainest layout.
"""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from zstackd_config.errors import InputError
from zstackd_stacking.files.camera_tags import exif_from_tags
from zstackd_stacking.files.containers import Header, truncated
from zstackd_stacking.files.exif import UPRIGHT
from zstackd_stacking.types import Image, as_image

_ORIENTATION, _COLOUR_PROFILE = 274, 34675
_RGB = 3
_EIGHT_BITS = 255
_DAMAGE = (
    tifffile.TiffFileError,
    ValueError,
    OSError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
)


def tiff_header(path: Path, name: str) -> Header:
    """Header of a TIFF file; InputError where it is damaged or holds more than one image."""
    try:
        with tifffile.TiffFile(path) as file:
            page = _only_page(file, name)
            _require_whole(page, path.stat().st_size, name)
            return _header(page)
    except _DAMAGE as error:
        raise _unreadable(name, error) from error


def read_tiff(path: Path, name: str) -> Image:
    """Pixels of a TIFF file: (H, W) or (H, W, 3) BGR, uint8 or uint16, orientation not applied."""
    try:
        with tifffile.TiffFile(path) as file:
            page = _only_page(file, name)
            if page.bitspersample not in {8, 16} or page.dtype not in (np.uint8, np.uint16):
                raise InputError(
                    f"{name}: pixels of type {page.dtype} with {page.bitspersample} bits; "
                    "a frame has 8 or 16 bits per channel, unsigned: convert it first"
                )
            return _decode(page, path, name)
    except _DAMAGE as error:
        raise _unreadable(name, error) from error


def _only_page(file: tifffile.TiffFile, name: str) -> tifffile.TiffPage:
    pages = [
        page for page in file.pages if not (isinstance(page, tifffile.TiffPage) and page.is_reduced)
    ]
    if len(pages) > 1:
        raise InputError(
            f"{name}: holds {len(pages)} images; a frame is one image per file: split it first, "
            "in Fiji by File › Save As › Image Sequence"
        )
    page = pages[0] if pages else None
    if not isinstance(page, tifffile.TiffPage) or page.photometric == tifffile.PHOTOMETRIC.CFA:
        raise InputError(
            f"{name}: holds raw data of a camera or a preview only, as a DNG does; develop it into "
            "an RGB TIFF first"
        )
    return page


def _require_whole(page: tifffile.TiffPage, size_bytes: int, name: str) -> None:
    ends = zip(page.dataoffsets, page.databytecounts, strict=False)
    if max((offset + count for offset, count in ends), default=0) > size_bytes:
        raise truncated("TIFF", size_bytes, name)


def _header(page: tifffile.TiffPage) -> Header:
    palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
    coloured = palette or page.samplesperpixel - len(page.extrasamples) >= _RGB
    profile = page.tags.valueof(_COLOUR_PROFILE)
    return Header(
        "tiff",
        int(page.imagewidth),
        int(page.imagelength),
        channels=_RGB if coloured else 1,
        bits=8 if palette else page.bitspersample,
        alpha=bool(page.extrasamples),
        orientation=int(page.tags.valueof(_ORIENTATION, default=UPRIGHT)),
        exif=exif_from_tags({tag.code: tag.value for tag in page.tags}),
        icc=profile if isinstance(profile, bytes) else None,
    )


def _decode(page: tifffile.TiffPage, path: Path, name: str) -> Image:
    try:
        pixels = page.asarray()
    except (ValueError, KeyError) as error:
        if "imagecodecs" not in str(error):
            raise
        return _decode_compressed(page, path, name)
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return _arrange(page, native, name)


def _arrange(page: tifffile.TiffPage, pixels: NDArray[np.uint8 | np.uint16], name: str) -> Image:
    """From the file's own sample order and meaning to mono or BGR with black at zero."""
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == _RGB:
        pixels = np.moveaxis(pixels, 0, -1)
    meaning = page.photometric
    if meaning == tifffile.PHOTOMETRIC.PALETTE:
        table = np.asarray(page.colormap, dtype=np.uint16)
        if table.max() > _EIGHT_BITS:  # otherwise written with 8 bits of the 16, as libtiff has it
            table >>= 8
        return as_image(table[::-1, pixels].transpose(1, 2, 0).astype(np.uint8))
    if meaning == tifffile.PHOTOMETRIC.RGB and pixels.ndim == _RGB:
        return as_image(pixels[..., _RGB - 1 :: -1])
    if meaning in {tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE}:
        mono = pixels if pixels.ndim < _RGB else pixels[..., 0]
        white_is_zero = meaning == tifffile.PHOTOMETRIC.MINISWHITE
        return as_image(np.invert(mono) if white_is_zero else mono)
    raise _unsupported(page, name)


def _decode_compressed(page: tifffile.TiffPage, path: Path, name: str) -> Image:
    plain = {tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR}
    separate = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1
    if separate or page.extrasamples or page.photometric not in plain:
        raise _unsupported(page, name)
    data = np.fromfile(path, dtype=np.uint8)
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(data, flags)
    if image is None:
        raise _unsupported(page, name)
    return as_image(image)


def _unsupported(page: tifffile.TiffPage, name: str) -> InputError:
    return InputError(
        f"{name}: a TIFF of a kind that cannot be read here (compression {int(page.compression)}, "
        f"photometric {int(page.photometric)}); save it as RGB or grey, uncompressed or deflate"
    )


def _unreadable(name: str, error: Exception) -> InputError:
    return InputError(f"{name}: cannot be read as TIFF ({error}); copy it again")
