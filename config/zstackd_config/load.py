"""Rig and run files: from a path to a model, or every problem at once, each with its place."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from zstackd_config.errors import ConfigError, InputError
from zstackd_config.folders import Ground
from zstackd_config.lines import one_line
from zstackd_config.locate import Problem, located, misplaced_switches
from zstackd_config.rig import GROUND, Rig
from zstackd_config.run import Run
from zstackd_config.yaml_nodes import Place, YamlError
from zstackd_config.yaml_text import MAX_BYTES, Document, parse_document

MAX_PROBLEMS: Final = 100
_KINDS: Final[dict[type[BaseModel], str]] = {Rig: "a rig file", Run: "a run file"}
Model = TypeVar("Model", bound=BaseModel)


def load_rig(path: Path, *, follow: bool = False) -> Rig:
    """Return the rig of a file; relative paths in it become relative to the file's folder.

    `follow` holds spool and output folder against each other by where symbolic links lead; see
    `Ground`.

    Raises:
        ConfigError: with every problem of the file.
        InputError: the file cannot be read.
    """
    folder = path.absolute().parent
    context = {GROUND: Ground(folder, follow)}
    rig = _parsed(Rig, read_document(path), name=str(path), context=context)
    return rig.relative_to(folder)


def load_run(path: Path) -> Run:
    """Return the run of a file.

    Raises:
        ConfigError: with every problem of the file.
        InputError: the file cannot be read.
    """
    return _parsed(Run, read_document(path), name=str(path))


def parse_run(text: bytes | str, *, name: str) -> Run:
    """Return the run that `text` describes; `name` stands for the file in errors.

    Raises:
        ConfigError: with every problem of the text.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return _parsed(Run, content, name=name)


def told_at(name: str | Path, content: bytes | None, problem: str) -> str:
    """Return `problem`, which begins with the dotted path of a key, after where that key stands.

    `content` is the document of that `name`; None where there is none to look into.
    """
    key, _, _ = problem.partition(": ")
    parts = tuple(key.split("."))
    try:
        keys = {} if content is None else parse_document(content).keys
    except YamlError:
        keys = {}
    place = next((keys[parts[:n]] for n in range(len(parts), 0, -1) if parts[:n] in keys), None)
    return f"{name}:{place.line}:{place.column}: {problem}" if place else f"{name}: {problem}"


def read_document(path: Path) -> bytes:
    """Return what a regular file holds, a byte more than is allowed at most.

    Raises:
        InputError: it cannot be read, or is no regular file.
    """
    try:
        _refuse_others(path, path.stat())
        # What was a file a moment ago may be a pipe by now, which must not be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _refuse_others(path, os.fstat(descriptor))
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        denied = isinstance(error, PermissionError)
        remedy = "let the user who runs zstackd read it" if denied else "give a YAML file"
        raise InputError(f"{path}: cannot be read: {reason}; {remedy}") from error


def _refuse_others(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: not a regular file; give a YAML file")


def _parsed(
    model: type[Model], content: bytes, *, name: str, context: dict[str, Any] | None = None
) -> Model:
    try:
        document = parse_document(content)
    except YamlError as error:
        raise ConfigError(_lines(name, _unnamed(error.problems))) from error
    problems = [*_unnamed(document.problems), *misplaced_switches(model, document)]
    try:
        settings = model.model_validate(document.values, context=context)
    except ValidationError as error:
        if (mistaken := _of_other_kind(model, document)) is not None:
            raise ConfigError(_lines(name, [mistaken])) from error
        problems += located(error, model, document)
        raise ConfigError(_lines(name, problems)) from error
    if problems:
        raise ConfigError(_lines(name, problems))
    return settings


def _of_other_kind(model: type[BaseModel], document: Document) -> Problem | None:
    """Return the one problem of a document that is a run where a rig is wanted, or the reverse."""
    for other in (kind for kind in _KINDS if kind is not model):
        foreign = [key for key in document.values if key in _only_in(other, model)]
        if foreign and not any(key in _only_in(model, other) for key in document.values):
            said = f"this is {_KINDS[other]}; give {_KINDS[model]} here"
            return document.keys[foreign[0],], "", said
    return None


def _only_in(model: type[BaseModel], other: type[BaseModel]) -> set[str]:
    """Return the keys of a model that the other one does not have."""
    return set(model.model_fields) - set(other.model_fields)


def _unnamed(problems: Iterable[tuple[Place, str]]) -> list[Problem]:
    """Return problems that belong to a place in the file but to no key."""
    return [(place, "", said) for place, said in problems]


def _lines(name: str, problems: Iterable[Problem]) -> tuple[str, ...]:
    """Return `file:line:column: path: what` in the order of the file, each problem once."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem[0])
    lines = [
        f"{name}:{place.line}:{place.column}: {path}{': ' if path else ''}{said}"
        for place, path, said in ordered[:MAX_PROBLEMS]
    ]
    if len(ordered) > MAX_PROBLEMS:
        place, *_ = ordered[MAX_PROBLEMS]
        more = f"{len(ordered) - MAX_PROBLEMS} problems more from here on; mend the others first"
        lines.append(f"{name}:{place.line}:{place.column}: {more}")
    return tuple(one_line(line) for line in lines)
