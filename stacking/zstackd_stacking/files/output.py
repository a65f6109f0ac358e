"""Image files out: JPEG, PNG and TIFF, with their scale and the camera's metadata, whole or not."""

import io
import logging
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_config.errors import InputError
from zstackd_stacking.files.atomic import write_atomically
from zstackd_stacking.files.exif import of_result
from zstackd_stacking.types import FloatMap, Image, level_of

_LOG = logging.getLogger(__name__)

Format = Literal["jpeg", "png", "tiff"]
Parts = list[bytes | memoryview]

FORMATS: Final[dict[str, Format]] = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
}
DEFAULT_QUALITY: Final = 95
CONFIDENCE_NOTE: Final = "confidence of the heights: 0 (filled in) to 1 (measured)"
MAX_QUALITY: Final = 100

_UM_PER_CM, _UM_PER_M = 1e4, 1e6
_JPEG_SEGMENT_BYTES = 65533
_ICC_CHUNK_BYTES = _JPEG_SEGMENT_BYTES - 14
_JFIF_DENSITY = slice(13, 18)
_PER_CM, _MAX_DENSITY = 2, 65535
_PNG_HEADER_END = 33
_PNG_SETTINGS = [
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FAST_FILTERS,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT,
]  # fmt: skip
"""Measured on 3 MP photographs: smaller and faster than OpenCV's own defaults."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What goes from the reference frame to the result: EXIF block and colour profile, raw.

    `png_colour` are chunks of a PNG, type and body, for a result that is one and has no profile.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    png_colour: tuple[tuple[bytes, bytes], ...] = ()


NO_METADATA: Final = Metadata()


def output_format(path: Path) -> Format:
    """The format that a file name asks for.

    Raises:
        InputError: the extension is none that can be written.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise InputError(f"{path}: unknown image extension {path.suffix!r}; use .jpg, .png or .tif")
    return found


def write_image(
    path: Path,
    image: Image,
    *,
    pixel_size_um: float | None = None,
    quality: int = DEFAULT_QUALITY,
    metadata: Metadata = NO_METADATA,
) -> None:
    """Write an image in the format of its extension, by rename.

    Args:
        path: ends in .jpg, .png or .tif.
        image: (H, W) or (H, W, 3) BGR, uint8 or uint16. JPEG holds 8 bits: 16, or those of them
            that are in use, are reduced, with a warning in the log.
        pixel_size_um: size of a pixel on the specimen, noted as the file's resolution.
        quality: of JPEG, 1 to 100.
        metadata: of the reference frame.

    Raises:
        InputError: unknown extension.
        StorageError: the file cannot be written.
    """
    kind = output_format(path)
    if kind == "tiff":
        write_atomically(path, _encode_tiff(image, pixel_size_um, metadata))
    elif kind == "png":
        write_atomically(path, _encode_png(image, pixel_size_um, metadata))
    else:
        write_atomically(
            path, _encode_jpeg(_eight_bits(image, path), quality, pixel_size_um, metadata)
        )


def write_depth_tiff(
    path: Path, depth_um: FloatMap, *, pixel_size_um: float | None = None, unit: str = "um"
) -> None:
    """Write a height map (H, W) float32 in `unit` as TIFF, with resolution tags, by rename.

    TIFF texts are ASCII, so micrometres are "um" there.

    Raises:
        StorageError: the file cannot be written.
    """
    note = f"height of best focus; unit: {unit}"
    write_map_tiff(path, depth_um, pixel_size_um=pixel_size_um, note=note)


def write_map_tiff(
    path: Path, values: FloatMap, *, pixel_size_um: float | None = None, note: str
) -> None:
    """Write numbers (H, W) float32 as TIFF with resolution tags and an ASCII `note`, by rename.

    Raises:
        StorageError: the file cannot be written.
    """
    write_atomically(path, _encode_tiff(values, pixel_size_um, NO_METADATA, note))


def _encode_tiff(
    image: Image | FloatMap, pixel_size_um: float | None, metadata: Metadata, note: str = ""
) -> Parts:
    import tifffile  # noqa: PLC0415 - costs start-up

    from zstackd_stacking.files.camera_tags import tags_from_exif  # noqa: PLC0415 - costs start-up

    buffer = io.BytesIO()
    colour = image.ndim > 2  # noqa: PLR2004 - (H, W, 3)
    tifffile.imwrite(
        buffer,
        image[..., ::-1] if colour else image,
        photometric="rgb" if colour else "minisblack",
        **centimetre_resolution(pixel_size_um),
        description=note or None,
        software="zstackd",
        metadata=None,
        iccprofile=metadata.icc,
        extratags=tags_from_exif(metadata.exif) if metadata.exif else [],
    )
    return [buffer.getvalue()]


def centimetre_resolution(pixel_size_um: float | None) -> dict[str, Any]:
    """The options of tifffile that note a pixel size, or that there is none."""
    if not pixel_size_um:
        return {"resolutionunit": "NONE"}
    per_cm = _UM_PER_CM / pixel_size_um
    return {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}


def _encode_png(image: Image, pixel_size_um: float | None, metadata: Metadata) -> Parts:
    encoded = _encode(".png", image, _PNG_SETTINGS)
    chunks = []
    if metadata.icc:
        chunks.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    else:
        chunks += [_chunk(kind, body) for kind, body in metadata.png_colour]
    if pixel_size_um:
        per_metre = min(round(_UM_PER_M / pixel_size_um), 2**31 - 1)
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)))
    if metadata.exif:
        chunks.append(_chunk(b"eXIf", of_result(metadata.exif, pixel_size_um)))
    return [encoded[:_PNG_HEADER_END], *chunks, encoded[_PNG_HEADER_END:]]


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def _encode_jpeg(
    image: Image, quality: int, pixel_size_um: float | None, metadata: Metadata
) -> Parts:
    encoded = _encode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    first_end = 4 + int.from_bytes(encoded[4:6], "big")  # the JFIF segment stays first
    first = bytearray(encoded[:first_end])
    if pixel_size_um:
        first[_JFIF_DENSITY] = _jfif_density(pixel_size_um)
    exif = metadata.exif
    segments = [] if exif is None else [_exif_segment(of_result(exif, pixel_size_um))]
    segments += _icc_segments(metadata.icc or b"")
    return [bytes(first), *segments, encoded[first_end:]]


def _jfif_density(pixel_size_um: float) -> bytes:
    """Unit (2: pixels per centimetre) and density of JFIF, which holds 1 to 65535 of them."""
    per_cm = round(_UM_PER_CM / pixel_size_um)
    if not 1 <= per_cm <= _MAX_DENSITY:
        _LOG.warning(
            "warning: a JPEG cannot note a pixel size of %g µm, only 0.153 to 10000 µm: "
            "it is left out",
            pixel_size_um,
        )
        return struct.pack(">BHH", 0, 1, 1)
    return struct.pack(">BHH", _PER_CM, per_cm, per_cm)


def _exif_segment(exif: bytes) -> bytes:
    body = b"Exif\0\0" + exif
    if len(body) > _JPEG_SEGMENT_BYTES:
        _LOG.warning(
            "warning: the EXIF data of the reference frame has %d bytes, a JPEG holds %d: "
            "it is left out",
            len(exif), _JPEG_SEGMENT_BYTES,
        )  # fmt: skip
        return b""
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _icc_segments(profile: bytes) -> list[bytes]:
    parts = [
        profile[start : start + _ICC_CHUNK_BYTES]
        for start in range(0, len(profile), _ICC_CHUNK_BYTES)
    ]
    return [
        b"\xff\xe2" + struct.pack(">H", len(part) + 16)
        + b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part
        for number, part in enumerate(parts, start=1)
    ]  # fmt: skip


def _encode(extension: str, image: Image, settings: list[int]) -> memoryview:
    _, encoded = cv2.imencode(extension, image, settings)
    return memoryview(encoded.tobytes())


def _eight_bits(image: Image, path: Path) -> Image:
    if image.dtype != np.uint8:
        _LOG.warning(
            "%s: warning: JPEG holds 8 bits per channel; use .tif or .png to keep all 16", path
        )
    return in_eight_bits(image)


def in_eight_bits(image: Image) -> Image:
    """`image` in 8 bits: of 16 the uppermost that are in use."""
    if image.dtype == np.uint8:
        return image
    reduced: NDArray[np.uint8] = cv2.convertScaleAbs(image, alpha=1 / level_of(image)).astype(
        np.uint8
    )
    return reduced
