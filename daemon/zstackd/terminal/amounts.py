"""Amounts as people read them."""

from typing import Final

_LEAST_MB_BYTES: Final = 1e5


def size_text(size_bytes: float) -> str:
    """Return a size in kilobytes or megabytes (10^3, 10^6 bytes)."""
    if size_bytes < _LEAST_MB_BYTES:
        return f"{size_bytes / 1e3:.1f} kB"
    return f"{size_bytes / 1e6:.1f} MB"
