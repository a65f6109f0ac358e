"""The order in which people count: `z2` before `z10`, `z1.25` before `z1.5`, `z-5` before `z0`."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

_NUMBERS: Final = re.compile(r"((?<!\d)(?<!\d\.)\d+\.\d+(?!\d)(?!\.\d)|\d+)")
"""Three and more numbers with points between them are a date or version, and no decimals."""
_LENGTHS: Final = ("um", "μm", "nm", "mm")  # a micro sign is a Greek letter once case is folded

Lead = tuple[int, str]
"""What leads to a number: how many were before, and the text between."""


@dataclass(frozen=True, slots=True)
class _Number:
    lead: Lead
    digits: str
    behind: str

    @property
    def fraction(self) -> str:
        return self.digits.partition(".")[2]

    @property
    def has_unit(self) -> bool:
        return self.behind.lstrip(" _").startswith(_LENGTHS)


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Each file once, sorted as people count.

    A hyphen is a minus sign where other names have the number without it: `z-5`, `z0`, `z5`.
    A point between two numbers is a decimal point (`z1.25`, `z1.5`, `z2`), unless they are counted
    on: `img_1.9`, `img_1.10`. A length in µm is never counted on.
    """
    given = list(paths)
    numbers = [number for path in given for number in _numbers(path)]
    before = frozenset(number.lead for number in numbers)
    counted = _counted(numbers)
    once: dict[tuple[int, int] | Path, Path] = {}
    for path in sorted(given, key=lambda path: _key(path, before, counted)):
        status = path.stat() if path.exists() else None
        once.setdefault((status.st_dev, status.st_ino) if status else path, path)
    return list(once.values())


def _numbers(path: Path) -> Iterator[_Number]:
    parts = _NUMBERS.split(str(path).casefold())
    for place in range(0, len(parts) - 1, 2):
        yield _Number((place, parts[place]), parts[place + 1], parts[place + 2])


def _counted(numbers: Iterable[_Number]) -> frozenset[Lead]:
    """The leads behind which what follows a point is counted on (1.9, 1.10) and no fraction.

    Where all have as many digits, it makes no difference. Otherwise nobody writes a fraction with
    a zero at its end beside a shorter one, nor counts with a zero at the beginning.
    """
    fractions: dict[Lead, set[str]] = {}
    lengths: set[Lead] = set()
    for number in numbers:
        if number.fraction:
            fractions.setdefault(number.lead, set()).add(number.fraction)
        if number.has_unit:
            lengths.add(number.lead)
    return frozenset(
        lead
        for lead, found in fractions.items()
        if lead not in lengths
        and len({len(each) for each in found}) > 1
        and any(len(each) > 1 and each.endswith("0") for each in found)
        and not any(len(each) > 1 and each.startswith("0") for each in found)
    )


def _key(
    path: Path, before: frozenset[Lead], counted: frozenset[Lead]
) -> tuple[list[tuple[str, int | Fraction]], str]:
    key: list[tuple[str, int | Fraction]] = []
    for number in _numbers(path):
        place, text = number.lead
        unsigned = text.removesuffix("-")
        negative = unsigned != text and (place, unsigned) in before
        sign, text = (-1, unsigned) if negative else (1, text)
        if number.fraction and number.lead not in counted:
            key.append((text, sign * Fraction(number.digits)))
            continue
        whole, _, counter = number.digits.partition(".")
        key.append((text, sign * int(whole)))
        if counter:
            key.append((".", int(counter)))
    return [*key, (_NUMBERS.split(str(path).casefold())[-1], 0)], str(path)
