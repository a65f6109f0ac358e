"""Writes the configuration reference from the models: `python -m zstackd_config.reference`."""

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from zstackd_config.base import Settings
from zstackd_config.rig import Rig
from zstackd_config.run import Run

_INTRODUCTION: Final = """\
# Configuration

<!-- Made by `python -m zstackd_config.reference` from the models; a test holds it to them. -->

A rig is described once, in `rig.yaml`; every run is a file of its own. Both are YAML. A key that is
not known, a value out of bounds and anything else that is wrong is refused, all of it at once, each
with file, line and column; `zstackd check --rig rig.yaml run.yaml` tells before anything moves.
Values are read as in YAML 1.2: `no`, `1:30` and `2026-11-24` stay the text that they are. Where a
switch is wanted, `yes`, `no`, `on` and `off` do as well as `true` and `false`. Examples are in
`config/examples/`.

Units are part of the names: `_um` micrometres, `_ms` milliseconds, `_s` seconds, `_px` pixels,
`_nm` nanometres. Keys without a default must be given.
"""
_WORDS: Final[dict[Any, str]] = {
    datetime: "date and time", AwareDatetime: "date and time with its offset",
    timedelta: "seconds, or hours, minutes and seconds such as `1:30:00`",
    int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path",
    type(None): "nothing",
}  # fmt: skip
_BOUNDS: Final[dict[type, tuple[str, str]]] = {
    Gt: ("gt", "> {}"), Ge: ("ge", "≥ {}"), Lt: ("lt", "< {}"), Le: ("le", "≤ {}"),
}  # fmt: skip


def reference() -> str:
    """Return the whole reference as Markdown."""
    return (
        "\n".join(
            [
                _INTRODUCTION,
                *_sections("The rig file", Rig),
                *_sections("The run file", Run),
            ]
        ).rstrip()
        + "\n"
    )


def _sections(title: str, root: type[BaseModel]) -> Iterator[str]:
    yield f"## {title}\n"
    places = {root: ""}
    waiting = [*_inner(root, "")]
    while waiting:
        path, model = waiting.pop(0)
        if model in places:
            continue
        places[model] = path
        waiting = [*_inner(model, f"{path}."), *waiting]
    for model, path in places.items():
        if path:
            yield f"### `{path}`{_chosen_by(model)}\n"
            yield f"{_summary(model)}\n"
        yield from _table(model, places, prefix=f"{path}." if path else "")


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")


def _chosen_by(model: type[BaseModel]) -> str:
    """Return what chooses this model among others: ` with driver: grbl`, or its required keys."""
    fields = model.model_fields.items()
    for name, field in fields:
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
            others = [f"`{key}`" for key, one in fields if one.is_required() and key != name]
            also = f"{', '.join(others)}, " if name == "step" else ""
            return f" with {also}`{name}: {get_args(field.annotation)[0]}`"
    if issubclass(model, Settings):
        return ""
    return f" with {', '.join(f'`{key}`' for key, field in fields if field.is_required())}"


def _inner(model: type[BaseModel], prefix: str) -> list[tuple[str, type[BaseModel]]]:
    return [
        (f"{prefix}{name}", inner)
        for name, field in model.model_fields.items()
        for inner in _models_in(field.annotation)
    ]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _table(
    model: type[BaseModel], places: Mapping[type[BaseModel], str], prefix: str = ""
) -> Iterator[str]:
    yield "| key | value | default | what it is |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        what = field.description or _of_section(field) or _of_choice(field)
        first = {places[inner] for inner in _models_in(field.annotation)} - {f"{prefix}{name}"}
        also = f" Keys: as `{first.pop()}`." if first else ""
        cells = (f"`{name}`", _value(field), _default(field), f"{what}{also}".replace("|", "\\|"))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _of_section(field: FieldInfo) -> str:
    return "; or ".join(_summary(model).rstrip(".") for model in _models_in(field.annotation))


def _of_choice(field: FieldInfo) -> str:
    chooses = get_origin(field.annotation) is Literal
    return "Chooses this kind." if chooses else "As useq-schema has it."


def _value(field: FieldInfo) -> str:
    return ", ".join([_kind(field.annotation), *_bounds(field.metadata)])


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in _COMPOUND:
        return _COMPOUND[origin](arguments)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return _WORDS.get(annotation, "any value")


def _either(arguments: tuple[Any, ...]) -> str:
    return " or ".join(dict.fromkeys(_kind(each) for each in arguments if each is not type(None)))


_COMPOUND: Final[dict[Any, Callable[[tuple[Any, ...]], str]]] = {
    Annotated: lambda parts: ", ".join([_kind(parts[0]), *_bounds(parts[1:])]),
    Literal: lambda words: " · ".join(f"`{word}`" for word in words),
    Union: _either,
    UnionType: _either,
    tuple: lambda parts: f"list: {'; '.join(_kind(each) for each in parts if each is not ...)}",
    list: lambda parts: f"list of {_kind(parts[0])}",
    dict: lambda _: "keys and values",
}


def _bounds(metadata: Any) -> list[str]:
    """Return bounds such as `≥ 0`, of a field's or an annotation's metadata."""
    found: list[str] = []
    for each in metadata:
        inner = each.metadata if isinstance(each, FieldInfo) else [each]
        for part in inner:
            if type(part) in _BOUNDS:
                key, words = _BOUNDS[type(part)]
                found.append(words.format(f"{getattr(part, key):g}"))
    return found


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "—"
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined or default is None or default == {}:
        return "none"
    if isinstance(default, BaseModel):
        return "see below"
    if isinstance(default, tuple | list):
        return f"`[{', '.join(str(each) for each in default)}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
