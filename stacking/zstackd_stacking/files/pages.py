"""A frame that is one plane of a TIFF, and what such a file says of its planes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zstackd_config.lines import one_line

LEAST_UM: Final = 0.001
MOST_UM: Final = 100_000
"""Between these lie the pixel sizes and z steps that there are."""
_UM_IN: Final = {
    "pm": 1e-6, "angstrom": 1e-4, "å": 1e-4, "nm": 1e-3, "nanometer": 1e-3,
    "µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0,
    "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "centimeter": 1e4, "m": 1e6, "meter": 1e6,
    "in": 25_400.0, "inch": 25_400.0, "mil": 25.4,
}  # fmt: skip
_NOT_SQUARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Page:
    """One plane of a TIFF that holds a z-stack.

    `number` counts the planes from 1 in order of focus, `directory` the file's image directories
    from 0; `image` is which of the images it is that lie behind that directory, nearly always 0.
    """

    path: Path
    number: int
    directory: int
    image: int = 0

    @property
    def name(self) -> str:
        """The file's name with the plane's number."""
        return f"{self.path.name}:{self.number}"

    def __str__(self) -> str:
        """The file's path with the plane's number, as messages have it: printable."""
        return f"{one_line(str(self.path))}:{self.number}"


FrameFile = Path | Page
"""Where a frame comes from: a file of its own, or a plane of a file of many."""


def path_of(frame: FrameFile) -> Path:
    """The file that a frame is in."""
    return frame.path if isinstance(frame, Page) else frame


@dataclass(frozen=True, slots=True)
class Described:
    """What a file says of its planes, in µm; None where it says nothing.

    `order` holds the number of each plane's image directory in order of focus; `heights_um` those
    above the first plane, where they are not even. `doubts` are lines for people.
    """

    order: tuple[int, ...]
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    heights_um: tuple[float, ...] | None = None
    by_zstackd: bool = False
    doubts: tuple[str, ...] = ()


def in_um(value: object, unit: object) -> float | None:
    """A positive or negative length in µm; None where it is none, or of an unknown unit."""
    name = str(unit).replace("\\u00B5", "µ").replace("μ", "µ").strip()
    factor = _UM_IN.get(name) or _UM_IN.get(name.casefold())
    if factor is None or not isinstance(value, int | float):
        return None
    return float(value) * factor


def square(x_um: float | None, y_um: float | None) -> tuple[float | None, tuple[str, ...]]:
    """The size of a pixel, and the doubts about it, of what a file says of both of its sides."""
    if not x_um or x_um < 0:
        return None, ()
    if y_um and abs(y_um / x_um - 1) > _NOT_SQUARE:
        sides = f"{x_um:g} × {y_um:g} µm"
        return None, (f"its pixels of {sides} are not square: --pixel-size-um must give one size",)
    return x_um, ()
