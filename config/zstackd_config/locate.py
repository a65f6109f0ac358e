"""Where in a document each of pydantic's errors stands."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from zstackd_config.suggest import leaves, models_at
from zstackd_config.values import KeyPath, shown
from zstackd_config.wording import worded
from zstackd_config.yaml_nodes import START, Place
from zstackd_config.yaml_text import Document

Problem = tuple[Place, str, str]
"""Place in the file, dotted path in the document, and what is wrong."""

_NUMBERS = {int, float, timedelta}
_KEY_ERRORS = {"extra_forbidden", "missing", "union_tag_not_found"}


def located(error: ValidationError, model: type[BaseModel], document: Document) -> list[Problem]:
    """Return every problem that validating `document` as `model` has met."""
    problems = []
    for path, errors in _by_path(error, document.values):
        if path in document.unread:
            continue
        loc, kind = errors[0]["loc"], errors[0]["type"]
        models = models_at(model, loc[:-1] if kind in {"extra_forbidden", "missing"} else loc)
        place = _place(path, document, key=kind in _KEY_ERRORS)
        problems.append((place, dotted(path), worded(errors, path, models)))
    return problems


def misplaced_switches(model: type[BaseModel], document: Document) -> list[Problem]:
    """Return a problem for each `true` or `false` where a number belongs.

    pydantic would read them as 1 and 0, or as seconds.
    """
    problems = []
    for path, value in document.switches.items():
        names = [part for part in path if isinstance(part, str)]
        fields = [
            owner.model_fields[names[-1]]
            for owner in models_at(model, names[:-1])
            if names[-1] in owner.model_fields
        ]
        kinds = [set(leaves(field.annotation)) for field in fields]
        if any(each & _NUMBERS for each in kinds) and not any(bool in each for each in kinds):
            said = f"{shown(value)} is a switch; write a number"
            problems.append((document.places[path], dotted(path), said))
    return problems


def _by_path(
    error: ValidationError, values: dict[str, Any]
) -> Iterator[tuple[KeyPath, list[ErrorDetails]]]:
    """Yield the errors of each path together: those of a union's members are about one value."""
    errors = error.errors(include_url=False)
    for path, group in groupby(errors, key=lambda each: _in_document(each, values)):
        yield path, list(group)


def _in_document(error: ErrorDetails, values: Any) -> KeyPath:
    """Return the error's path in the document, without the union members pydantic mixes in."""
    path: list[str | int] = []
    for part in error["loc"]:
        inside = isinstance(values, dict) and part in values
        inside = inside or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        )
        if inside:
            path.append(part)
            values = values[part]
    if error["type"] == "missing" or (not path and len(error["loc"]) == 1):
        path.append(error["loc"][-1])
    if error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        path.append(error["ctx"]["discriminator"].strip("'"))
    return tuple(path)


def _place(path: KeyPath, document: Document, *, key: bool) -> Place:
    """Return where a key or value stands; of what is missing, where its section stands."""
    if key and path in document.keys:
        return document.keys[path]
    while path and path not in document.places:
        path = path[:-1]
    return document.places.get(path, START)


def dotted(path: KeyPath) -> str:
    """Return a path in a document as it is told, such as `output.extras[0]`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).lstrip(".")
