"""What a calibration leaves behind: a fragment for rig.yaml, with its evidence beside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from zstackd.store.durable import write_text
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

    `rig.yaml` itself is never touched: the operator copies what convinces.
    """
    now = datetime.now(UTC)
    home = folder / f"{now:%Y%m%dT%H%M%SZ}_{finding.kind}"
    home.mkdir(parents=True)
    write_image(home / "evidence.png", finding.picture)
    numbers = {"kind": finding.kind, "rig": rig_name, "date": now.isoformat(), **finding.numbers}
    write_text(home / "evidence.json", json.dumps(numbers, indent=1, default=list) + "\n")
    write_text(home / "fragment.yaml", _fragment(finding, now, rig_name))
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
