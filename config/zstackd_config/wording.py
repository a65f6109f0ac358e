"""From what pydantic says of a value to one line for the person who wrote it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from zstackd_config.suggest import known_keys, nearest
from zstackd_config.values import KeyPath, number_hint, shown, unit_of, with_unit

_BOUNDS: Final = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_NUMBERS: Final = {
    "float_type": "a number", "float_parsing": "a number",
    "int_type": "a whole number", "int_parsing": "a whole number",
    "int_from_float": "a whole number", "int_parsing_size": "a whole number of usual size",
}  # fmt: skip
_WANTED: Final = {
    **_NUMBERS,
    "finite_number": "a finite number; write one",
    "string_type": "text; put it into quotes", "string_unicode": "text",
    "bool_type": "a switch; write true or false", "bool_parsing": "a switch; write true or false",
    **dict.fromkeys(
        ("dict_type", "model_type", "model_attributes_type", "dataclass_type"),
        "a section; write `key: value` lines below it",
    ),
    "list_type": "a list; write [one, two]", "tuple_type": "a list; write [one, two]",
    "time_delta_parsing": "a time-span; write seconds, 86400 for a day",
    "time_delta_type": "a time-span; write seconds, h:mm:ss, or such as {minutes: 5}",
    "path_type": "a path; write text",
    "timezone_aware": "a time with its offset; write such as 2026-11-24T18:30:00+01:00",
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing",
         "datetime_object_invalid"),
        "a date and time; write such as 2026-11-24T18:30:00+01:00",
    ),
}  # fmt: skip


def worded(errors: Sequence[ErrorDetails], path: KeyPath, models: Iterable[type[BaseModel]]) -> str:
    """Return what is wrong at `path`, with the value, its unit, the bound and what to do.

    `errors` are those of the several kinds of value that could stand there, `models` those that
    may; the models name the known keys.
    """
    bounds = [error for error in errors if error["type"] in _BOUNDS]
    if len(errors) == 1 or bounds:
        return _one(bounds[0] if bounds else errors[0], path, models)
    return _several(errors, path)


def _one(error: ErrorDetails, path: KeyPath, models: Iterable[type[BaseModel]]) -> str:
    kind = error["type"]
    unit = unit_of(path)
    value = shown(error.get("input"), unit)
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = with_unit(error["ctx"][key], unit)
        given = error.get("input")
        # A number may come as text, as on the command line; it was read as one.
        said = with_unit(given, unit) if isinstance(given, str) else value
        return f"{said} is out of bounds; it must be {words} {bound}"
    if kind in _NUMBERS and isinstance(error.get("input"), str):
        hint = number_hint(error["input"], unit, whole=kind.startswith("int_"))
        return f"{value} is not {_NUMBERS[kind]}; {hint}"
    if kind in _WANTED:
        return f"{value} is not {_WANTED[kind]}"
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(error, value, path, models)
    return f"{value}: {error['msg']}"


def _several(errors: Sequence[ErrorDetails], path: KeyPath) -> str:
    """Return one line for a value of which no kind would do."""
    value = errors[0].get("input")
    words = [word for error in errors for word in _expected(error)]
    close = nearest(value, words) if isinstance(value, str) and words else ""
    kinds = [_WANTED[error["type"]].split(";")[0] for error in errors if error["type"] in _WANTED]
    measured = next((error for error in errors if error["type"] in _NUMBERS), None)
    if measured is not None and isinstance(value, str) and value[:1] in "+-.0123456789":
        return _one(measured, path, ())
    wanted = " or ".join([*dict.fromkeys(kinds), *([f"one of {', '.join(words)}"] * bool(words))])
    hint = f"; {close}" if close.startswith("did you mean") else f"; write {wanted}"
    return f"{shown(value, unit_of(path))} is not possible{hint}"


def _expected(error: ErrorDetails) -> list[str]:
    """Return the words that a literal allows."""
    if error["type"] not in {"literal_error", "enum"}:
        return []
    expected: str = error["ctx"]["expected"]
    return expected.replace("' or '", "', '").replace("'", "").split(", ")


def _unknown_key(_: ErrorDetails, __: str, path: KeyPath, models: Iterable[type[BaseModel]]) -> str:
    if str(path[-1]).isdecimal():
        return (
            "unknown key; a comma ends a value between braces: write decimals with a point, as 0.5"
        )
    return f"unknown key; {nearest(path[-1], known_keys(models))}"


def _missing(_: ErrorDetails, __: str, path: KeyPath, models: Iterable[type[BaseModel]]) -> str:
    fields = [model.model_fields.get(str(path[-1])) for model in models]
    said = next((field.description for field in fields if field and field.description), None)
    return f"missing; add it: {said}" if said else "missing; add it"


def _no_choice(error: ErrorDetails, value: str, _: KeyPath, __: Iterable[type[BaseModel]]) -> str:
    return f"{value} is not possible; {nearest(error['input'], _expected(error))}"


def _no_tag(error: ErrorDetails, _: str, __: KeyPath, ___: Iterable[type[BaseModel]]) -> str:
    tags = [tag.strip(" '") for tag in error["ctx"]["expected_tags"].split(",")]
    tag = error["ctx"]["tag"]
    return f"{shown(tag)} is not possible; {nearest(tag, tags)}"


def _tag_missing(
    error: ErrorDetails, _: str, __: KeyPath, models: Iterable[type[BaseModel]]
) -> str:
    key = error["ctx"]["discriminator"].strip("'")
    literals = [get_args(m.model_fields[key].annotation) for m in models if key in m.model_fields]
    return f"missing; add one of {', '.join(word for each in literals for word in each)}"


def _as_said(error: ErrorDetails, value: str, _: KeyPath, __: Iterable[type[BaseModel]]) -> str:
    said = str(error.get("ctx", {}).get("error", error["msg"]))
    return said if isinstance(error.get("input"), dict | list) else f"{value}: {said}"


def _length(error: ErrorDetails, value: str, _: KeyPath, __: Iterable[type[BaseModel]]) -> str:
    words = ("too short", "at least", "min_length"), ("too long", "at most", "max_length")
    how, bound, key = next(each for each in words if each[-1] in error["ctx"])
    most = error["ctx"][key]
    unit = "" if error["type"].startswith("too_") else f" character{'' if most == 1 else 's'}"
    return f"{value} is {how}; {bound} {most}{unit}"


def _pattern(error: ErrorDetails, value: str, _: KeyPath, __: Iterable[type[BaseModel]]) -> str:
    return f"{value} has characters that cannot be there; it must match {error['ctx']['pattern']}"


_SPECIAL: Final[dict[str, Callable[[ErrorDetails, str, KeyPath, Any], str]]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "literal_error": _no_choice,
    "enum": _no_choice,
    "union_tag_invalid": _no_tag,
    "union_tag_not_found": _tag_missing,
    "value_error": _as_said,
    "no_plan": _as_said,
    "too_short": _length,
    "too_long": _length,
    "string_too_short": _length,
    "string_too_long": _length,
    "string_pattern_mismatch": _pattern,
}
