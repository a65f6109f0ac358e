"""From what pydantic says of a value to one line for the person who wrote it."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from zstackd_config.yaml_text import KeyPath

_UNITS: Final = {
    "_um_per_s": "µm/s", "_per_mm": "per mm", "_um": "µm", "_nm": "nm", "_ms": "ms", "_px": "px",
    "_s": "s", "_days": "days", "_gib": "GiB", "_mib": "MiB",
}  # fmt: skip
_UNITS_OF_WORDS: Final = {
    **dict.fromkeys(("top", "bottom", "step", "range", "above", "below"), "µm"),
    **dict.fromkeys(("relative", "absolute"), "µm"),
}
_BOUNDS: Final = {
    "greater_than": ("gt", "it must be greater than"),
    "greater_than_equal": ("ge", "it must be at least"),
    "less_than": ("lt", "it must be less than"),
    "less_than_equal": ("le", "it must be at most"),
}
_WANTED: Final = {
    "float_type": "a number", "float_parsing": "a number", "finite_number": "a finite number",
    "int_type": "a whole number", "int_parsing": "a whole number",
    "int_from_float": "a whole number", "int_parsing_size": "a whole number of usual size",
    "string_type": "text (quote it)", "string_unicode": "text", "bool_type": "true or false",
    "bool_parsing": "true or false", "dict_type": "a section of `key: value` lines",
    "model_type": "a section of `key: value` lines", "list_type": "a list",
    "model_attributes_type": "a section of `key: value` lines", "tuple_type": "a list",
    "path_type": "a path",
}  # fmt: skip
_SHOWN: Final = 60


def worded(error: ErrorDetails, path: KeyPath, models: Iterable[type[BaseModel]]) -> str:
    """Return what is wrong at `path`, with the value, its unit, the bound and what to do.

    `models` are those that may stand where the error is; they name the known keys.
    """
    kind = error["type"]
    context = error.get("ctx", {})
    value = shown(error.get("input"), unit_of(path))
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{value} is out of bounds; {words} {_with_unit(context[key], unit_of(path))}"
    if kind in _WANTED:
        return f"{value} is not {_WANTED[kind]}"
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(error, value, path, models)
    return f"{value}: {error['msg']}"


def known_keys(models: Iterable[type[BaseModel]]) -> list[str]:
    """Return the keys of the models, in the order of the documentation."""
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def models_at(root: type[BaseModel], loc: Iterable[str | int]) -> list[type[BaseModel]]:
    """Return the models that may stand at a location; union tags in it choose among them."""
    models = [root]
    for part in loc:
        inside = [model.model_fields[part] for model in models if part in model.model_fields]
        if inside:
            models = [found for field in inside for found in _models_in(field.annotation)]
        elif isinstance(part, str):
            models = [model for model in models if part in _tags(model)] or models
    return list(dict.fromkeys(models))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _tags(model: type[BaseModel]) -> set[str]:
    """Return the words by which a union may name the model: its literal values, and its keys."""
    values = [get_args(field.annotation) for field in model.model_fields.values()]
    literals = {word for words in values for word in words if isinstance(word, str)}
    keys = [key for key in model.model_fields if key not in {"step", "go_up"}]
    return {*literals, "/".join(keys[:2]), "/".join([*keys[:1], "step"]), f"{keys[0]} list"}


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
        return _with_unit(value, unit)
    if isinstance(value, dict | list | tuple):
        return "a section" if isinstance(value, dict) else f"a list of {len(value)}"
    text = str(value).replace("\n", " ")
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _with_unit(value: Any, unit: str) -> str:
    number = f"{value:.6g}" if isinstance(value, float) else str(value)[:_SHOWN]
    return f"{number} {unit}".rstrip()


def nearest(word: Any, known: Iterable[str]) -> str:
    """Return `; did you mean …?` where a known word is near, else what is known."""
    known = list(known)
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def _unknown_key(_: ErrorDetails, __: str, path: KeyPath, models: Iterable[type[BaseModel]]) -> str:
    return f"unknown key; {nearest(path[-1], known_keys(models))}"


def _missing(_: ErrorDetails, __: str, path: KeyPath, models: Iterable[type[BaseModel]]) -> str:
    fields = [model.model_fields.get(str(path[-1])) for model in models]
    said = next((field.description for field in fields if field and field.description), None)
    return f"missing; add it: {said}" if said else "missing; add it"


def _no_choice(error: ErrorDetails, value: str, _: KeyPath, __: Iterable[type[BaseModel]]) -> str:
    expected = error["ctx"]["expected"].replace("' or '", "', '").replace("'", "")
    return f"{value} is not possible; {nearest(error['input'], expected.split(', '))}"


def _no_tag(error: ErrorDetails, _: str, __: KeyPath, ___: Iterable[type[BaseModel]]) -> str:
    tags = [tag.strip(" '") for tag in error["ctx"]["expected_tags"].split(",")]
    key = error["ctx"]["discriminator"].strip("'")
    return f"{key} {error['ctx']['tag']!r} is not possible; {nearest(error['ctx']['tag'], tags)}"


def _tag_missing(
    error: ErrorDetails, _: str, __: KeyPath, models: Iterable[type[BaseModel]]
) -> str:
    key = error["ctx"]["discriminator"].strip("'")
    literals = [get_args(m.model_fields[key].annotation) for m in models if key in m.model_fields]
    words = ", ".join(word for each in literals for word in each)
    return f"key {key!r} is missing; add one of {words}"


def _as_said(error: ErrorDetails, value: str, _: KeyPath, __: Iterable[type[BaseModel]]) -> str:
    said = str(error.get("ctx", {}).get("error", error["msg"]))
    return said if isinstance(error.get("input"), dict | list) else f"{value}: {said}"


def _length(error: ErrorDetails, value: str, _: KeyPath, __: Iterable[type[BaseModel]]) -> str:
    context = error["ctx"]
    if "min_length" in context:
        return f"{value} is too short; at least {context['min_length']}"
    return f"{value} is too long; at most {context['max_length']}"


_SPECIAL: Final[dict[str, Callable[..., str]]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "literal_error": _no_choice,
    "union_tag_invalid": _no_tag,
    "union_tag_not_found": _tag_missing,
    "value_error": _as_said,
    "z_plan": _as_said,
    "too_short": _length,
    "too_long": _length,
    "string_too_short": _length,
    "string_too_long": _length,
}
