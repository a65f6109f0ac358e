"""The one EXIF field that must change on the way from a frame to the result.

Everything else in an EXIF block is passed through byte by byte: makers' notes hold offsets that
do not survive a rewrite. Source: CIPA DC-008-2019 (Exif 2.32), section 4.6.
"""

import struct

import cv2

from zstackd_stacking.types import Image, as_image

_ORIENTATION, _SHORT = 0x0112, 3
UPRIGHT = 1
"""The orientation of an image that needs no turning."""

_SIDEWAYS, _LAST = 5, 8
_SMALLEST_BLOCK_BYTES = 14

_TURNS = {
    3: cv2.ROTATE_180,
    6: cv2.ROTATE_90_CLOCKWISE,
    8: cv2.ROTATE_90_COUNTERCLOCKWISE,
    5: cv2.ROTATE_90_CLOCKWISE,
    7: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_MIRRORED = {2: 1, 4: 0, 5: 1, 7: 1}


def orientation(exif: bytes | None) -> int:
    """The orientation 1 to 8 that a block asks for; 1 (upright) where it says nothing usable."""
    found = _find(exif)
    if exif is None or found is None:
        return UPRIGHT
    position, order = found
    value = int(struct.unpack_from(f"{order}H", exif, position)[0])
    return value if UPRIGHT <= value <= _LAST else UPRIGHT


def upright(exif: bytes) -> bytes:
    """The same block for an image that has been turned upright already."""
    found = _find(exif)
    if found is None:
        return exif
    position, order = found
    return exif[:position] + struct.pack(f"{order}H", UPRIGHT) + exif[position + 2 :]


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


def _find(exif: bytes | None) -> tuple[int, str] | None:
    """Where in the block the orientation's two bytes stand, and its byte order."""
    if exif is None or len(exif) < _SMALLEST_BLOCK_BYTES or exif[:2] not in {b"II", b"MM"}:
        return None
    order = "<" if exif.startswith(b"II") else ">"
    directory = struct.unpack_from(f"{order}I", exif, 4)[0]
    if directory + 2 > len(exif):
        return None
    count = struct.unpack_from(f"{order}H", exif, directory)[0]
    for position in range(directory + 2, directory + 2 + 12 * count, 12):
        if position + 12 > len(exif):
            return None
        if struct.unpack_from(f"{order}HH", exif, position) == (_ORIENTATION, _SHORT):
            return position + 8, order
    return None
