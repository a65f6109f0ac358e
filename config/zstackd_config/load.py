"""Rig and run files: from a path to a model, or every problem at once, each with its place."""

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from zstackd_config.errors import ConfigError, InputError
from zstackd_config.rig import Rig
from zstackd_config.run import Run
from zstackd_config.wording import models_at, worded
from zstackd_config.yaml_text import (
    MAX_BYTES,
    START,
    Document,
    KeyPath,
    Place,
    YamlError,
    parse_document,
)

MAX_PROBLEMS: Final = 100
Model = TypeVar("Model", bound=BaseModel)


def load_rig(path: Path) -> Rig:
    """Return the rig of a file; relative paths in it become relative to the file's folder.

    Raises:
        ConfigError: with every problem of the file.
        InputError: the file cannot be read.
    """
    rig = _parsed(Rig, _content(path), name=str(path))
    return rig.relative_to(path.absolute().parent)


def load_run(path: Path) -> Run:
    """Return the run of a file.

    Raises:
        ConfigError: with every problem of the file.
        InputError: the file cannot be read.
    """
    return _parsed(Run, _content(path), name=str(path))


def parse_run(text: bytes | str, *, name: str) -> Run:
    """Return the run that `text` describes; `name` stands for the file in errors.

    Raises:
        ConfigError: with every problem of the text.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return _parsed(Run, content, name=name)


def _content(path: Path) -> bytes:
    """Return what a regular file holds, a byte more than is allowed at most."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: not a regular file; give a YAML file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read: {reason}; give a YAML file") from error


def _parsed(model: type[Model], content: bytes, *, name: str) -> Model:
    try:
        document = parse_document(content)
    except YamlError as error:
        raise ConfigError(_lines(name, [(p, "", said) for p, said in error.problems])) from error
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        raise ConfigError(_lines(name, _located(error, model, document))) from error


def _lines(name: str, problems: Iterable[tuple[Place, str, str]]) -> tuple[str, ...]:
    """Return `file:line:column: path: what` in the order of the file, each problem once."""
    ordered = sorted(set(problems), key=lambda problem: (problem[0].line, problem[0].column))
    return tuple(
        f"{name}:{place.line}:{place.column}: {path}{': ' if path else ''}{said}"
        for place, path, said in ordered[:MAX_PROBLEMS]
    )


def _located(
    error: ValidationError, model: type[BaseModel], document: Document
) -> list[tuple[Place, str, str]]:
    problems = []
    for each in error.errors(include_url=False):
        path = _in_document(each["loc"], document.values, each["type"])
        models = models_at(model, each["loc"][:-1] if _names_key(each["type"]) else each["loc"])
        said = worded(each, path, models)
        problems.append((_place(path, document, key=_names_key(each["type"])), _dotted(path), said))
    return problems


def _names_key(kind: str) -> bool:
    """Whether the last part of an error's location is a key rather than a value's place."""
    return kind in {"extra_forbidden", "missing"}


def _in_document(loc: tuple[str | int, ...], values: Any, kind: str) -> KeyPath:
    """Return the location without the union tags that pydantic mixes in."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        inside = isinstance(values, dict) and part in values
        inside = inside or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        )
        last_missing = index == len(loc) - 1 and kind == "missing"
        if inside or last_missing:
            path.append(part)
            values = values[part] if inside else None
    return tuple(path)


def _place(path: KeyPath, document: Document, *, key: bool) -> Place:
    """Return where a key or value stands; of what is missing, where its section stands."""
    if key and path in document.keys:
        return document.keys[path]
    while path and path not in document.places:
        path = path[:-1]
    return document.places.get(path, START)


def _dotted(path: KeyPath) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).lstrip(".")
