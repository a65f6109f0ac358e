"""Did the result appear before zstackd ended? Asked of a run that was caught while publishing."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from zstackd.runs.past import Past
from zstackd.runs.publish import Publisher
from zstackd.store.durable import sha256_of, storage_at

_log = logging.getLogger(__name__)


class _File(BaseModel):
    name: str
    sha256: str


class Promise(BaseModel):
    """The part of a manifest that every version of it has."""

    run_id: str
    files: tuple[_File, ...]


def result_already_out(past: Past, publisher: Publisher) -> Path | None:
    """Return the result that a run let appear, or lets appear now; None where there is none.

    The journal announces the name when the hidden folder is whole and flushed, and nothing but
    the rename takes it away. So where it is gone from the same output folder, the result is out,
    even if a consumer has carried it off. Raises StorageError where the output folder is away.
    """
    announced = past.publishing
    if announced is None:
        return None
    name = str(announced["name"])
    publisher.require_place()  # the result may be in it
    with storage_at(publisher.output):
        return _out_as(name, announced, publisher)


def _out_as(name: str, announced: Mapping[str, Any], publisher: Publisher) -> Path | None:
    target = publisher.output / name
    # First our own folder: a result of that id may be another service's.
    if publisher.hidden.is_dir():
        return _appearing(publisher, name)
    if _is_result_of(target, publisher.run_id):
        publisher.flush()
        return target
    if announced.get("place") == publisher.place():
        return target
    _log.warning("%s: the output folder is another one now; publishing there", publisher.run_id)
    return None


def _appearing(publisher: Publisher, name: str) -> Path | None:
    """Let a whole hidden folder appear; None where it is damaged."""
    if not is_whole(publisher.hidden):
        return None
    taken = (publisher.output / name).exists()
    return publisher.appear(publisher.free_name() if taken else name)


def _is_result_of(folder: Path, run_id: str) -> bool:
    manifest = manifest_in(folder)
    return manifest is not None and manifest.run_id == run_id


def is_whole(folder: Path) -> bool:
    """Return whether every file is there that the folder's manifest promises, with its hash."""
    manifest = manifest_in(folder)
    if manifest is None:
        return False
    try:
        return all(sha256_of(folder / file.name) == file.sha256 for file in manifest.files)
    except OSError:
        return False


def manifest_in(folder: Path) -> Promise | None:
    """Return what the manifest of a result promises; None where there is none."""
    try:
        return Promise.model_validate_json((folder / "manifest.json").read_bytes())
    except (OSError, ValidationError):
        return None
