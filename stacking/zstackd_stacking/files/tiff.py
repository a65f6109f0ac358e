"""TIFF files in, through tifffile; OpenCV decodes only what tifffile alone cannot.

OpenCV reads planar, white-is-zero and premultiplied TIFFs wrongly without a word, so it is asked
only for compressed files of the plainest layout.
"""

import struct
import zlib
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from zstackd_config.errors import InputError
from zstackd_config.lines import one_line
from zstackd_stacking.files.camera_tags import exif_from_tags
from zstackd_stacking.files.containers import Header, truncated
from zstackd_stacking.files.damage import DamagedError
from zstackd_stacking.files.decoder_words import decoder_words
from zstackd_stacking.files.exif import UPRIGHT
from zstackd_stacking.files.pages import FrameFile, Page, path_of
from zstackd_stacking.types import Image, as_image, without_alpha

_ORIENTATION, _COLOUR_PROFILE = 274, 34675
_RGB = 3
_EIGHT, _EIGHT_BITS = 8, 255
DAMAGE = (
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


def tiff_header(frame: FrameFile, name: str) -> Header:
    """Header of a TIFF file or of a plane in it.

    Raises:
        InputError: it is damaged, has pixels that no frame has, or holds several images.
    """
    try:
        with tifffile.TiffFile(path_of(frame)) as file:
            page = _page(file, frame, name)
            _require_whole(page, path_of(frame).stat().st_size, name)
            _require_camera_pixels(page, name)
            return _header(page, file.pages.first if isinstance(frame, Page) else page)
    except DAMAGE as error:
        raise unreadable(name, error) from error


def read_tiff(frame: FrameFile, name: str) -> tuple[Image, bool]:
    """Pixels of a TIFF file, or of a plane in it, of which no other is read.

    They are (H, W) or (H, W, 3) BGR, uint8 or uint16; orientation is not applied. Beside them
    stands whether they were transparent anywhere.

    Raises:
        InputError: as `tiff_header`.
    """
    try:
        with tifffile.TiffFile(path_of(frame)) as file:
            page = _page(file, frame, name)
            _require_camera_pixels(page, name)
            if isinstance(frame, Page) and frame.image:
                return _arranged(page, _image_behind(page, frame), name)
            return _decode(page, frame, name)
    except (OSError, MemoryError) as error:
        raise unreadable(name, error) from error
    except DAMAGE as error:
        raise DamagedError(name, f"damaged TIFF ({one_line(str(error))})") from error


def is_plane(page: tifffile.TiffPage | tifffile.TiffFrame) -> bool:
    """Whether a page is an image of its own, no smaller copy of another one."""
    return not (isinstance(page, tifffile.TiffPage) and page.is_reduced)


def _page(file: tifffile.TiffFile, frame: FrameFile, name: str) -> tifffile.TiffPage:
    if not len(file.pages):
        raise truncated("TIFF", file.filehandle.size, name)
    page = file.pages[frame.directory] if isinstance(frame, Page) else _only_page(file, name)
    if not isinstance(page, tifffile.TiffPage) or page.photometric == tifffile.PHOTOMETRIC.CFA:
        raise InputError(
            f"{name}: holds raw data of a camera or a preview only, as a DNG does; develop it into "
            "an RGB TIFF first"
        )
    return page


def _only_page(file: tifffile.TiffFile, name: str) -> tifffile.TiffPage | tifffile.TiffFrame | None:
    pages = [page for page in file.pages if is_plane(page)]
    if len(pages) > 1:
        raise InputError(
            f"{name}: holds {len(pages)} images, where frames are one image per file; a file that "
            "holds a whole z-stack is stacked by itself: zstackd stack FILE, or --batch for a "
            "folder of them"
        )
    return pages[0] if pages else None


def _require_camera_pixels(page: tifffile.TiffPage, name: str) -> None:
    if page.bitspersample not in {8, 16} or page.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{name}: pixels of type {page.dtype} with {page.bitspersample} bits; a frame has 8 or "
            "16 bits per channel, unsigned: convert it first, in Fiji by Image › Type › 16-bit"
        )


def _image_behind(page: tifffile.TiffPage, frame: Page) -> NDArray[np.uint8 | np.uint16]:
    """Another of the images that follow a directory, uncompressed and without any of their own."""
    native = np.dtype(np.uint16 if page.bitspersample > _EIGHT else np.uint8)
    stored = native.newbyteorder(page.parent.byteorder)
    offset = page.dataoffsets[0] + frame.image * page.nbytes
    pixels = np.fromfile(frame.path, stored, page.nbytes // native.itemsize, offset=offset)
    return pixels.reshape(page.shape).astype(native, copy=False)


def _require_whole(page: tifffile.TiffPage, size_bytes: int, name: str) -> None:
    ends = zip(page.dataoffsets, page.databytecounts, strict=False)
    if max((offset + count for offset, count in ends), default=0) > size_bytes:
        raise truncated("TIFF", size_bytes, name)


def _header(page: tifffile.TiffPage, first: tifffile.TiffPage) -> Header:
    """Of a page; where it has no profile or camera of its own, with those of the file's first."""
    palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
    coloured = palette or page.samplesperpixel - len(page.extrasamples) >= _RGB
    profile = page.tags.valueof(_COLOUR_PROFILE) or first.tags.valueof(_COLOUR_PROFILE)
    return Header(
        "tiff",
        int(page.imagewidth),
        int(page.imagelength),
        channels=_RGB if coloured else 1,
        bits=8 if palette else page.bitspersample,
        alpha=bool(page.extrasamples),
        orientation=int(page.tags.valueof(_ORIENTATION, default=UPRIGHT)),
        exif=_camera(page) or _camera(first),
        icc=profile if isinstance(profile, bytes) else None,
    )


def _camera(page: tifffile.TiffPage) -> bytes | None:
    return exif_from_tags({tag.code: tag.value for tag in page.tags})


def _decode(page: tifffile.TiffPage, frame: FrameFile, name: str) -> tuple[Image, bool]:
    try:
        pixels = page.asarray()
    except (ValueError, KeyError) as error:
        if "imagecodecs" not in str(error):
            raise
        return _decode_compressed(page, frame, name)
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return _arranged(page, native, name)


def _arranged(
    page: tifffile.TiffPage, pixels: NDArray[np.uint8 | np.uint16], name: str
) -> tuple[Image, bool]:
    """From the file's own sample order and meaning to mono or BGR, and whether transparent."""
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == _RGB:
        pixels = np.moveaxis(pixels, 0, -1)
    transparent = bool(page.extrasamples) and not without_alpha(pixels)[1]
    return _arrange(page, pixels, name), transparent


def _arrange(page: tifffile.TiffPage, pixels: NDArray[np.uint8 | np.uint16], name: str) -> Image:
    """Mono or BGR with black at zero, of samples that lie together."""
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


def _decode_compressed(page: tifffile.TiffPage, frame: FrameFile, name: str) -> tuple[Image, bool]:
    plain = {tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR}
    separate = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1
    odd_alpha = page.extrasamples and page.photometric != tifffile.PHOTOMETRIC.RGB
    if separate or odd_alpha or page.photometric not in plain:
        raise _unsupported(page, name)
    with decoder_words() as words:
        image = _by_opencv(frame, alpha=bool(page.extrasamples))
    said = words.damage()
    if said:
        raise DamagedError(name, f"damaged TIFF ({said})")
    if image is None:
        raise _unsupported(page, name)
    colours, opaque = without_alpha(image)
    if page.extrasamples and not opaque:  # OpenCV has mixed it into the colours
        raise InputError(
            f"{name}: a compressed TIFF with transparency cannot be read here; save it without, in "
            "GIMP by Layer › Transparency › Remove Alpha Channel, or uncompressed"
        )
    return as_image(colours), False


def _by_opencv(frame: FrameFile, *, alpha: bool) -> NDArray[Any] | None:
    flags = (
        cv2.IMREAD_UNCHANGED
        if alpha
        else cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )
    if not isinstance(frame, Page):
        return cv2.imdecode(np.fromfile(frame, dtype=np.uint8), flags)
    try:
        _, images = cv2.imreadmulti(str(frame.path), frame.directory, 1, flags=flags)
    except (UnicodeEncodeError, cv2.error):
        return None
    return images[0] if images else None


def _unsupported(page: tifffile.TiffPage, name: str) -> InputError:
    return InputError(
        f"{name}: a TIFF of a kind that cannot be read here (compression {int(page.compression)}, "
        f"photometric {int(page.photometric)}); save it as RGB or grey, uncompressed or deflate"
    )


def unreadable(name: str, error: Exception) -> InputError:
    """The error for a file that is no whole TIFF."""
    return InputError(f"{name}: cannot be read as TIFF ({one_line(str(error))}); copy it again")
