"""What a calibration leaves behind: a fragment for rig.yaml, with its evidence beside it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from zstackd.store.durable import write_text
from zstackd_config.errors import StorageError
from zstackd_stacking.files.output import write_image
from zstackd_stacking.pictures.footer import Picture


@dataclass(frozen=True, slots=True)
class Finding:
    """One calibration's outcome.

    `settings` is a part of a rig (or run) file; `summary` says in a line what was found and how
    sure that is; `numbers` are the measurements; `picture` (H, W, 3) uint8 shows them.
    """

    kind: str
    settings: Mapping[str, Any]
    summary: str
    numbers: Mapping[str, Any]
    picture: Picture
    document: str = "rig.yaml"


def write_finding(finding: Finding, *, folder: Path, rig_name: str) -> Path:
    """Write fragment, numbers and picture into a new folder and return that folder.

    `rig.yaml` itself is never touched: the operator copies what convinces. Raises StorageError,
    which tells what was found, where the folder cannot be written.
    """
    now = datetime.now(UTC)
    home = folder / f"{now:%Y%m%dT%H%M%SZ}_{finding.kind}"
    try:
        return _written(finding, now, home=home, rig_name=rig_name)
    except OSError as error:
        raise StorageError(
            f"calibrate {finding.kind}: {home} cannot be written ({error.strerror or error}): make "
            f"room, or use a rig file whose paths.state you may write; found: {finding.summary}"
        ) from error


def _written(finding: Finding, now: datetime, *, home: Path, rig_name: str) -> Path:
    home = _made(home)
    write_image(home / "evidence.png", finding.picture)
    numbers = {"kind": finding.kind, "rig": rig_name, "date": now.isoformat(), **finding.numbers}
    write_text(home / "evidence.json", json.dumps(numbers, indent=1, default=list) + "\n")
    write_text(home / "fragment.yaml", _fragment(finding, now, rig_name))
    return home


def _made(wanted: Path) -> Path:
    """Make a new folder of that name, or one with a number where another calibration was as quick.

    Its evidence must not be written over.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        home = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        with suppress(FileExistsError):
            home.mkdir()
            break
    return home


def _fragment(finding: Finding, now: datetime, rig_name: str) -> str:
    lines = [
        f"# zstackd calibrate {finding.kind}, rig {json.dumps(rig_name)}, {now:%Y-%m-%d %H:%M} UTC",
        f"# {finding.summary}",
        "# The evidence is in evidence.json and evidence.png beside this file.",
        f"# Copy what convinces you into {finding.document}.",
    ]
    settings = yaml.safe_dump(dict(finding.settings), sort_keys=False, allow_unicode=True)
    return "\n".join([*lines, settings])
