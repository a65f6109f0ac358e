"""What the bytes of a JPEG or PNG file say before anything is decoded.

The decoders are lenient: a truncated JPEG comes back as an image with a grey lower half. So the
structure is walked here first: the size (before memory is taken for it), the metadata that has
to reach the result, and whether the file is all there.
Sources: ITU-T T.81 annex B (JPEG markers), W3C PNG third edition, ICC.1:2022 annex B.4.
"""

import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from zstackd_config.errors import InputError
from zstackd_stacking.files.damage import DamagedError
from zstackd_stacking.files.exif import UPRIGHT, orientation

Data = bytes | mmap.mmap
Kind = Literal["jpeg", "png", "tiff"]

_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE_MARKERS = frozenset(range(0xD0, 0xD9)) | {0x01}
_JPEG_SCAN, _JPEG_EXIF, _JPEG_PROFILE = 0xDA, 0xE1, 0xE2
_JPEG_FILL = 0xFF
_JPEG_SIZE_BYTES, _PNG_HEADER_BYTES = 6, 13
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_PNG_COLOUR_BYTES = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class Header:
    """An image as stored in its file, orientation (EXIF's, 1 to 8) not yet applied.

    `exif` is the TIFF-structured block without any prefix, `icc` a whole profile, `png_colour` the
    bodies of a PNG's chunks that say the same more briefly, by their types.
    """

    kind: Kind
    width_px: int
    height_px: int
    channels: int
    bits: int
    alpha: bool = False
    orientation: int = UPRIGHT
    exif: bytes | None = None
    icc: bytes | None = None
    png_colour: tuple[tuple[bytes, bytes], ...] = ()


def kind_of(start: bytes) -> Kind | None:
    """The format that a file's first bytes announce; None where it is none of ours."""
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    return "tiff" if start.startswith(_TIFF_STARTS) else None


def jpeg_header(data: Data, name: str) -> Header:
    """Header of a JPEG file; InputError where it is cut off or has no size."""
    exif: bytes | None = None
    profile: list[bytes] = []
    size: tuple[int, int, int, int] | None = None
    for marker, start, end in _jpeg_segments(data, name):
        body = data[start:end]
        if marker == _JPEG_EXIF and body.startswith(b"Exif\0\0"):
            exif = exif or body[6:]
        elif marker == _JPEG_PROFILE and body.startswith(b"ICC_PROFILE\0"):
            profile.append(body[12:])
        elif marker in _JPEG_SIZE_MARKERS and len(body) >= _JPEG_SIZE_BYTES:
            size = struct.unpack(">BHHB", body[:_JPEG_SIZE_BYTES])
    if size is None:
        raise InputError(f"{name}: a JPEG without an image in it; copy it again from the camera")
    bits, height, width, components = size
    return Header(
        "jpeg",
        width,
        height,
        channels=1 if components == 1 else 3,
        bits=bits,
        orientation=orientation(exif),
        exif=exif,
        icc=b"".join(part[2:] for part in sorted(profile)) or None,
    )


def require_whole_jpeg(data: Data, name: str) -> None:
    """Refuse a JPEG whose coded data ends before the end-of-image marker.

    It is also refused where another image begins before that: what was left on a disk behind a
    file that was cut off. Looking for markers one by one would hold up other threads for 15 ms a
    megabyte.
    """
    coded = max(end for _, _, end in _jpeg_segments(data, name))
    end = data.find(_JPEG_END, coded)  # coded data has a zero after each 0xff of its own
    if end < 0 or data.find(_JPEG_START, coded, end) >= 0:
        raise truncated("JPEG", len(data), name)


def _jpeg_segments(data: Data, name: str) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of the segments up to and including the first scan's header."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != _JPEG_FILL:
            raise InputError(f"{name}: damaged JPEG at byte {position}; copy it again")
        marker = data[position + 1]
        if marker == _JPEG_FILL or marker in _JPEG_BARE_MARKERS:
            position += 1 if marker == _JPEG_FILL else 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if end > len(data):
            break
        yield marker, position + 4, end
        if marker == _JPEG_SCAN:
            return
        position = end
    raise truncated("JPEG", len(data), name)


def png_header(data: Data, name: str) -> Header:
    """Header of a PNG file; InputError where it is cut off or has none."""
    chunks: dict[bytes, bytes] = {}
    for kind, start, end in _png_chunks(data, name):
        if kind != b"IDAT":
            chunks.setdefault(kind, data[start:end])
    start_chunk = chunks.get(b"IHDR", b"")
    if len(start_chunk) < _PNG_HEADER_BYTES:
        raise InputError(f"{name}: a PNG without an image header; copy it again")
    width, height, bits, colour = struct.unpack(">IIBB", start_chunk[:10])
    return Header(
        "png",
        width,
        height,
        channels=_PNG_CHANNELS.get(colour, 3),
        bits=max(bits, 8),
        alpha=colour in {4, 6} or b"tRNS" in chunks,
        orientation=orientation(chunks.get(b"eXIf")),
        exif=chunks.get(b"eXIf"),
        icc=_png_profile(chunks.get(b"iCCP")),
        png_colour=tuple(
            (kind, chunks[kind])
            for kind, size in _PNG_COLOUR_BYTES.items()
            if len(chunks.get(kind, b"")) == size
        ),
    )


def require_whole_png(data: Data, name: str) -> None:
    """Refuse a PNG of which a chunk is damaged or missing."""
    for kind, start, end in _png_chunks(data, name):
        wanted = int.from_bytes(data[end : end + 4], "big")
        if zlib.crc32(data[start:end], zlib.crc32(kind)) != wanted:
            raise DamagedError(name, f"damaged PNG at byte {start}")


def _png_chunks(data: Data, name: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end) of each chunk's body up to and including the end chunk."""
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        start, end = position + 8, position + 8 + length
        if end + 4 > len(data):
            break
        yield kind, start, end
        if kind == b"IEND":
            return
        position = end + 4
    raise truncated("PNG", len(data), name)


def _png_profile(chunk: bytes | None) -> bytes | None:
    """The colour profile in an iCCP chunk; a damaged one is no reason to refuse the image."""
    if chunk is None or b"\0" not in chunk:
        return None
    packed = chunk[chunk.index(b"\0") + 2 :]
    try:
        return zlib.decompressobj().decompress(packed, 1 << 24)
    except zlib.error:
        return None


def truncated(kind: str, size_bytes: int, name: str) -> InputError:
    """The error for a file that ends too early."""
    return InputError(
        f"{name}: truncated {kind}: the file ends after {size_bytes} bytes, before its image does; "
        "copy it again from the camera"
    )
