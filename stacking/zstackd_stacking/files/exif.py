"""What of EXIF must change on the way from a frame to the result.

That is orientation, resolution and the thumbnail. All else in a block is passed through byte by
byte: makers' notes hold offsets that do not survive a rewrite. Source: CIPA DC-008-2019 (Exif
2.32), section 4.6.
"""

import struct
from dataclasses import dataclass

import cv2

from zstackd_stacking.types import Image, as_image

_ORIENTATION, _RESOLUTION_UNIT = 0x0112, 0x0128
_RESOLUTIONS = (0x011A, 0x011B)
_SHORT, _RATIONAL = 3, 5
_PER_CENTIMETRE = 3
_UM_PER_CM = 1e4
_LARGEST = 2**32 - 1
UPRIGHT = 1
"""The orientation of an image that needs no turning."""

_SIDEWAYS, _LAST = 5, 8
_SMALLEST_BLOCK_BYTES = 14
_ENTRY_BYTES = 12

_TURNS = {
    3: cv2.ROTATE_180,
    6: cv2.ROTATE_90_CLOCKWISE,
    8: cv2.ROTATE_90_COUNTERCLOCKWISE,
    5: cv2.ROTATE_90_CLOCKWISE,
    7: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_MIRRORED = {2: 1, 4: 0, 5: 1, 7: 1}


@dataclass(frozen=True, slots=True)
class _Directory:
    """The first directory of a block: byte order, where each tag's entry and its end stand."""

    order: str
    entries: dict[int, int]
    end: int


def orientation(exif: bytes | None) -> int:
    """The orientation 1 to 8 that a block asks for; 1 (upright) where it says nothing usable."""
    found = _directory(exif)
    position = None if exif is None or found is None else _place(exif, found, _ORIENTATION, _SHORT)
    if exif is None or found is None or position is None:
        return UPRIGHT
    value = int(struct.unpack_from(f"{found.order}H", exif, position)[0])
    return value if UPRIGHT <= value <= _LAST else UPRIGHT


def of_result(exif: bytes, pixel_size_um: float | None = None) -> bytes:
    """The block of a frame as it suits the image that it became part of.

    That is upright already, and looks otherwise than the frame's thumbnail. With a pixel size it
    has a resolution of its own, where the block notes one.
    """
    found = _directory(exif)
    if found is None:
        return exif
    changed = bytearray(exif)
    _set_short(changed, found, _ORIENTATION, UPRIGHT)
    if found.end + 4 <= len(exif):
        struct.pack_into(f"{found.order}I", changed, found.end, 0)  # the thumbnail's directory
    if pixel_size_um and _place(exif, found, _RESOLUTION_UNIT, _SHORT) is not None:
        _set_short(changed, found, _RESOLUTION_UNIT, _PER_CENTIMETRE)
        for tag in _RESOLUTIONS:
            _set_rational(changed, found, tag, _UM_PER_CM / pixel_size_um)
    return bytes(changed)


def turn(image: Image, value: int) -> Image:
    """`image` turned and mirrored as orientation `value` asks; the same object for 1."""
    turned = image
    if value in _TURNS:
        turned = as_image(cv2.rotate(turned, _TURNS[value]))
    if value in _MIRRORED:
        turned = as_image(cv2.flip(turned, _MIRRORED[value]))
    return turned


def turned_size(width_px: int, height_px: int, value: int) -> tuple[int, int]:
    """(width, height) in pixels of an image once it is upright."""
    return (height_px, width_px) if value >= _SIDEWAYS else (width_px, height_px)


def _directory(exif: bytes | None) -> _Directory | None:
    """The first directory; None where there is none that can be read."""
    if exif is None or len(exif) < _SMALLEST_BLOCK_BYTES or exif[:2] not in {b"II", b"MM"}:
        return None
    order = "<" if exif.startswith(b"II") else ">"
    start = struct.unpack_from(f"{order}I", exif, 4)[0]
    if start + 2 > len(exif):
        return None
    count = struct.unpack_from(f"{order}H", exif, start)[0]
    end = start + 2 + _ENTRY_BYTES * count
    places = range(start + 2, min(end, len(exif) - _ENTRY_BYTES + 1), _ENTRY_BYTES)
    entries = {struct.unpack_from(f"{order}H", exif, place)[0]: place for place in places}
    return _Directory(order, entries, end)


def _place(exif: bytes | bytearray, found: _Directory, tag: int, kind: int) -> int | None:
    """Where an entry's value or the offset of it stands; None where it is of another kind."""
    entry = found.entries.get(tag)
    if entry is None or struct.unpack_from(f"{found.order}H", exif, entry + 2)[0] != kind:
        return None
    return entry + 8


def _set_short(exif: bytearray, found: _Directory, tag: int, value: int) -> None:
    place = _place(exif, found, tag, _SHORT)
    if place is not None:
        struct.pack_into(f"{found.order}H", exif, place, value)


def _set_rational(exif: bytearray, found: _Directory, tag: int, value: float) -> None:
    place = _place(exif, found, tag, _RATIONAL)
    if place is None:
        return
    offset = struct.unpack_from(f"{found.order}I", exif, place)[0]
    below = 1000 if value * 1000 < _LARGEST else 1
    if offset + 8 <= len(exif):
        above = min(round(value * below), _LARGEST)
        struct.pack_into(f"{found.order}II", exif, offset, above, below)
