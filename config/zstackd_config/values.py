"""How a value of a document is shown, with its unit, and what its writer may have meant."""

import re
from collections.abc import Callable
from typing import Any, Final

KeyPath = tuple[str | int, ...]

_UNITS: Final = {
    "_um_per_s": "µm/s", "_per_mm": "per mm", "_um": "µm", "_nm": "nm", "_ms": "ms", "_px": "px",
    "_s": "s", "_days": "days", "_gb": "GB", "_mb": "MB",
}  # fmt: skip
_UNITS_OF_WORDS: Final = {
    **dict.fromkeys(("top", "bottom", "step", "range", "above", "below"), "µm"),
    **dict.fromkeys(("relative", "absolute"), "µm"),
    **dict.fromkeys(("interval", "duration"), "s"),
}
_SHOWN: Final = 60


def unit_of(path: KeyPath) -> str:
    """Return the unit that the last key of a path names, or nothing."""
    word = next((part for part in reversed(path) if isinstance(part, str)), "")
    ending = next((unit for end, unit in _UNITS.items() if word.endswith(end)), "")
    return ending or _UNITS_OF_WORDS.get(word, "")


def shown(value: Any, unit: str = "") -> str:
    """Return a value as one short line, a number with its unit."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, int | float):
        return with_unit(value, unit)
    if isinstance(value, dict | list | tuple):
        return "a section" if isinstance(value, dict) else f"a list of {len(value)}"
    text = str(value)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def with_unit(value: Any, unit: str) -> str:
    """Return a number and its unit."""
    number = f"{value:z.6g}" if isinstance(value, float) else str(value)[:_SHOWN]
    return f"{number} {unit}".rstrip()


_NUMBER: Final = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_FACTORS: Final = {
    ("s", "ms"): 1e3, ("min", "ms"): 6e4, ("us", "ms"): 1e-3, ("µs", "ms"): 1e-3,
    ("ms", "s"): 1e-3, ("min", "s"): 60.0, ("h", "s"): 3600.0,
    ("mm", "µm"): 1e3, ("nm", "µm"): 1e-3, ("um", "nm"): 1e3, ("µm", "nm"): 1e3,
    ("MB", "GB"): 1e-3, ("TB", "GB"): 1e3, ("GB", "MB"): 1e3, ("h", "days"): 1 / 24,
}  # fmt: skip
"""How many of the second unit one of the first is, for units that people mix up."""


def number_hint(text: str, unit: str, *, whole: bool = False) -> str:
    """Return what to write instead of a text that was meant as a number, or as a whole one."""
    for pattern, hint in () if whole and set(".,") & set(text) else _HINTS:
        match = pattern.fullmatch(text.strip())
        if match:
            return hint(match, unit)
    kind, example = ("a whole number", "2") if whole else ("a number", "1.5")
    return f"write {kind}{f' of {unit}' if unit else ''}, such as {example}"


def _sexagesimal(match: re.Match[str], _: str) -> str:
    total = 0
    for part in match[0].split(":"):
        total = 60 * total + int(part)
    return f"it is no number here, though YAML 1.1 reads {total}; write {total} if you mean that"


def _with_its_unit(match: re.Match[str], unit: str) -> str:
    factor = _FACTORS.get((match[2].replace("μ", "µ"), unit))
    if factor is not None:
        return f"write the number alone, in {unit}: {float(match[1]) * factor:g}"
    return f"write the number alone: {match[1]}; it is taken as {unit or 'it is, without a unit'}"


_HINTS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], str]], ...]] = (
    (re.compile(r"[0-9]{1,6}(:[0-5]?[0-9]){1,2}"), _sexagesimal),
    (re.compile(r"([-+]?[0-9]+),([0-9]+)"), lambda m, _: f"write a point: {m[1]}.{m[2]}"),
    (
        re.compile(r"0[xX][0-9a-fA-F]{1,12}|0[oO][0-7]{1,12}"),
        lambda m, _: f"write it in decimal: {int(m[0], 0)}",
    ),
    (re.compile(rf"({_NUMBER}) ?([a-zA-Zµμ°%][a-zA-Z/%]*)"), _with_its_unit),
)


def height(z_um: float) -> str:
    """Return a height to a hundredth of a micrometre: steps of some axes are less than a tenth."""
    return f"{z_um:z.2f}".removesuffix("0") + " µm"
