"""The facts of an entry in a run's journal, or of an event, in one line for people."""

from typing import Any, Final

from zstackd.terminal.amounts import size_text

_OURS: Final = frozenset({"run", "place", "sha256", "sensor_timestamp_ns"})
"""For programs, which read them with `--json`."""

_HOOK_DUE: Final = ("hook", True)
_SAID_ALONE: Final = frozenset({"reason", "why", "note", "seconds", "bytes"})
_UNITS: Final = {"um": "µm", "ms": "ms", "s": "s", "seconds": "s", "px": "px", "bytes": ""}
_FEW: Final = 3


def facts_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what an entry of a journal says beyond the event and its time."""
    return {name: value for name, value in entry.items() if name not in {"at", "event"}}


def facts_text(facts: dict[str, Any], most: int = 100) -> str:
    """Return the facts in one line of at most `most` characters."""
    words = (_fact(name, value) for name, value in facts.items() if name not in _OURS)
    text = ", ".join(word for word in words if word)
    return text if len(text) <= most else text[: most - 1] + "…"


def _fact(name: str, value: Any) -> str:
    """Return a fact as `name value unit`; nothing where it says nothing."""
    if value in (None, [], "") or value is False or isinstance(value, dict):
        return ""
    if (name, value) == _HOOK_DUE:
        return ""
    stem, _, unit = name.rpartition("_")
    called = (stem if stem and unit in _UNITS else name).replace("_", " ")
    if value is True:
        return called
    if isinstance(value, list) and len(value) > _FEW:
        return f"{len(value)} {called}"
    text = size_text(value) if unit == "bytes" else f"{_value(value)} {_UNITS.get(unit, '')}"
    text = text.rstrip()
    return text if name in _SAID_ALONE else f"{called} {text}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_value(each) for each in value)
    return f"{value:z.4g}" if isinstance(value, float) else " ".join(str(value).split())
