"""What a TIFF keeps about the camera: the tags that EXIF and TIFF/EP (ISO 12234-2) share.

A TIFF has no place for a foreign EXIF block, so its fields are written as tags of the image.
"""

import logging
import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from PIL import Image as PillowImage
from PIL.TiffImagePlugin import IFDRational

_LOG = logging.getLogger(__name__)

_EXIF_DIRECTORY = 0x8769
_EXIF_PREFIX = b"Exif\0\0"
_TEXTS = frozenset({271, 272, 306, 315, 33432, 36867})
_EXPOSURE_TIME = 33434
_RATIONALS = frozenset({_EXPOSURE_TIME, 33437, 37386})
_COUNTS = frozenset({34855})
_NAMED = {
    "ExposureTime": _EXPOSURE_TIME,
    "FNumber": 33437,
    "ISOSpeedRatings": 34855,
    "PhotographicSensitivity": 34855,
    "DateTimeOriginal": 36867,
    "FocalLength": 37386,
}
_MAX_SHORT, _MAX_RATIO = 65535, 4000
_ASCII_TYPE, _SHORT_TYPE, _RATIONAL_TYPE = 2, 3, 5

_DAMAGE = (SyntaxError, OSError, ValueError, KeyError, UserWarning)

ExtraTag = tuple[int, int, int, Any, bool]


def exif_from_tags(tags: Mapping[int, Any]) -> bytes | None:
    """An EXIF block of what TIFF tags say about the camera; None where they say nothing."""
    block = PillowImage.Exif()
    inner = block.get_ifd(_EXIF_DIRECTORY)
    for tag, value in {**_nested(tags), **tags}.items():
        if tag in _TEXTS and isinstance(value, str):
            block[tag] = value
        elif tag in _RATIONALS and isinstance(value, tuple):
            inner[tag] = IFDRational(*value)
        elif tag in _COUNTS and isinstance(value, int):
            inner[tag] = value
    found = len(block) or len(inner)
    return block.tobytes().removeprefix(_EXIF_PREFIX) if found else None


def _nested(tags: Mapping[int, Any]) -> dict[int, Any]:
    """Those of a TIFF's own EXIF directory, as tifffile reads it: by their names."""
    named = tags.get(_EXIF_DIRECTORY)
    if not isinstance(named, Mapping):
        return {}
    return {tag: named[name] for name, tag in _NAMED.items() if name in named}


def tags_from_exif(exif: bytes) -> list[ExtraTag]:
    """Extra tags for tifffile, from an EXIF block; empty, with a warning, where it is damaged."""
    try:
        return _tags(exif)
    except _DAMAGE as error:
        _LOG.warning(
            "warning: the EXIF data of the reference frame is damaged and left out: %s",
            str(error).strip(),
        )
        return []


def exposure_s(exif: bytes) -> float | None:
    """The exposure time in seconds that an EXIF block notes; None where it notes none."""
    try:
        tags = _tags(exif)
    except _DAMAGE:
        return None
    for tag, _, _, value, _ in tags:
        if tag == _EXPOSURE_TIME and value[0] > 0:
            return float(Fraction(*value))
    return None


def _tags(exif: bytes) -> list[ExtraTag]:
    block = PillowImage.Exif()
    with warnings.catch_warnings(action="error"):  # Pillow warns of damage, and reads on
        block.load(exif)
        fields = {**block, **block.get_ifd(_EXIF_DIRECTORY)}
    tags = (_extra_tag(tag, value) for tag, value in sorted(fields.items()))
    return [tag for tag in tags if tag is not None]


def _extra_tag(tag: int, value: Any) -> ExtraTag | None:
    if tag in _TEXTS and isinstance(value, str) and value.isascii():
        return tag, _ASCII_TYPE, 0, value, True
    if tag in _COUNTS and isinstance(value, int) and 0 <= value <= _MAX_SHORT:
        return tag, _SHORT_TYPE, 1, value, True
    if tag in _RATIONALS and isinstance(value, int | float | IFDRational):
        number = float(value)
        if 0 <= number <= _MAX_RATIO:  # not where it is no number either
            ratio = Fraction(number).limit_denominator(1_000_000)
            return tag, _RATIONAL_TYPE, 1, (ratio.numerator, ratio.denominator), True
    return None
