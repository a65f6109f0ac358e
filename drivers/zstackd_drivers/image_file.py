"""Image files as pixels: 8 and 16 bit, mono and colour, and never half an image."""

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage

from zstackd_drivers.camera import Image

JPEG = frozenset({".jpg", ".jpeg"})
TIFF = frozenset({".tif", ".tiff"})
DAMAGE = (
    ValueError, LookupError, SyntaxError, TypeError, struct.error, zlib.error, cv2.error,
    tifffile.TiffFileError,
)  # fmt: skip
"""What the decoders raise on damaged files."""

BUILT_IN_COMPRESSIONS = frozenset({1, 8, 32946})
"""None and Deflate: what tifffile decodes by itself."""

PNG_END = b"IEND\xaeB`\x82"


class ImageFileError(Exception):
    """Why a file is no usable image, in a few words; callers say where and what to do."""


def read_image(path: Path) -> Image:
    """Return the pixels of a file: (H, W) or (H, W, 3) blue, green, red; uint8 or uint16.

    An alpha channel is dropped. Raises ImageFileError where the file is missing, truncated, not
    an image, or of another kind.
    """
    try:
        if path.suffix.lower() in TIFF:
            pixels = _read_tiff(path)
        elif path.suffix.lower() in JPEG:
            pixels = _bgr(_read_jpeg(path))
        else:
            pixels = _read_png(path)
    except OSError as error:
        raise ImageFileError(error.strerror or _one_line(error)) from error
    except DAMAGE as error:
        raise ImageFileError(f"not a readable image ({_one_line(error)})") from error
    return _checked(pixels)


def read_size_px(path: Path) -> tuple[int, int]:
    """Return width and height from the file's header alone. Raises ImageFileError."""
    try:
        if path.suffix.lower() in TIFF:
            with tifffile.TiffFile(path) as tiff:
                page = tiff.pages.first
                return page.imagewidth, page.imagelength
        with _pillow_opened(path) as image:
            return image.size
    except OSError as error:
        raise ImageFileError(error.strerror or "not a readable image") from error
    except DAMAGE as error:
        raise ImageFileError(f"not a readable image ({_one_line(error)})") from error


def _pillow_opened(path: Path) -> PillowImage.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)
        return PillowImage.open(path)


def _read_jpeg(path: Path) -> NDArray[Any]:
    """Decode with Pillow, which refuses a truncated file where OpenCV would fill it with grey."""
    with _pillow_opened(path) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def _read_tiff(path: Path) -> NDArray[Any]:
    """Decode with tifffile, which knows a damaged file; with OpenCV what it has no codec for."""
    with tifffile.TiffFile(path) as tiff:
        compressed = tiff.pages.first.compression not in BUILT_IN_COMPRESSIONS
        if not compressed:
            return _bgr(np.asarray(tiff.asarray()))
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("the TIFF data is damaged, or compressed in a way that cannot be read")
    return np.asarray(pixels[..., :3] if pixels.ndim == 3 else pixels)  # noqa: PLR2004


def _read_png(path: Path) -> NDArray[Any]:
    """Decode with OpenCV, which keeps 16 bits per channel, after a look at the file's end."""
    data = path.read_bytes()
    if PNG_END not in data[-64:]:
        raise ValueError("the PNG end is missing")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("the PNG data is damaged")
    return np.asarray(pixels[..., :3] if pixels.ndim == 3 else pixels)  # noqa: PLR2004


def _bgr(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):  # noqa: PLR2004
        return pixels[..., 2::-1]
    return pixels


def _checked(pixels: NDArray[Any]) -> Image:
    colour_or_mono = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)  # noqa: PLR2004
    if not colour_or_mono or pixels.dtype not in (np.uint8, np.uint16):
        shape = " x ".join(str(side) for side in pixels.shape)
        raise ImageFileError(
            f"{shape} values of {pixels.dtype} are not an 8 or 16 bit mono or colour image"
        )
    return np.ascontiguousarray(pixels)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
