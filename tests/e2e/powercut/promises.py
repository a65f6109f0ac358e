"""The promises about runs and results, held against the files that a disk may have after a cut."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

Files = Mapping[str, bytes]
Entries = list[dict[str, Any]]


@lru_cache(maxsize=4096)
def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=4096)
def entries_of(journal: bytes) -> Entries:
    """Return the whole lines of a journal."""
    found = []
    for line in journal.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def folders_in(files: Files, below: str) -> list[str]:
    """Return the folders right below one; hidden ones are left out, as by any consumer."""
    names = {path[len(below) :].split("/")[0] for path in files if path.startswith(below)}
    return [f"{below}{name}/" for name in sorted(names) if name and not name.startswith(".")]


def broken(
    files: Files,
    requests: Iterable[bytes],
    arrived: Iterable[bytes],
    paused: bool | None = None,
) -> list[str]:
    """Return every promise that these files break.

    `requests` are the texts of all run files there ever were, each another one; those in
    `arrived` were on the disk, or said to be accepted, before the cut. `paused`: whether the
    service was said to be; None where it was being told.
    """
    places = Counter(data for path, data in files.items() if path.startswith("state/inbox/"))
    found = []
    runs: list[Entries] = []
    for folder in folders_in(files, "state/runs/") + folders_in(files, "state/series/"):
        journal = entries_of(files.get(f"{folder}journal.jsonl", b""))
        request = files.get(f"{folder}request.yaml")
        if request is None:
            continue  # never accepted
        if not journal or journal[0].get("event") != "accepted":
            found.append(f"{folder}: accepted, but its journal does not say so")
            continue
        if "series" not in journal[0]:
            places[request] += 1
        if request not in requests:
            found.append(f"{folder}: its request is torn: {request[:20]!r}, {len(request)} bytes")
        runs.append(journal)
        found += _broken_frames(files, folder, journal)
    found += [f"{places[each]} × {each[:20]!r}" for each in requests if places[each] > 1]
    found += [f"lost: {each[:20]!r}" for each in arrived if not places[each]]
    if paused is not None and paused != ("state/paused" in files):
        found.append(f"the service was paused: {paused}, and is not so after the cut")
    return found + _broken_results(files, runs)


def _broken_frames(files: Files, folder: str, journal: Entries) -> list[str]:
    frames = [entry for entry in journal if entry["event"] == "frame"]
    are_dropped = any(entry["event"] == "frames_dropped" for entry in journal)
    taken = Counter(entry["index"] for entry in frames)
    twice = [f"{folder}: plane {index} taken twice" for index, n in taken.items() if n > 1]
    return twice + [
        f"{folder}{entry['file']}: not what the journal says"
        for entry in frames
        if not are_dropped
        and digest(files.get(f"{folder}frames/{entry['file']}", b"")) != entry["sha256"]
    ]


def _broken_results(files: Files, runs: Iterable[Entries]) -> list[str]:
    found, published = [], Counter[str]()
    for folder in folders_in(files, "output/"):
        manifest = _manifest_in(files, folder)
        if manifest is None:
            found.append(f"{folder}: visible without a whole manifest")
            continue
        published[manifest["run_id"]] += 1
        if not _keeps_its_manifest(files, folder, manifest):
            found.append(f"{folder}: files are not what its manifest says")
    found += [f"{run_id}: {n} results" for run_id, n in published.items() if n > 1]
    # Once it is announced, a hidden folder that is gone means that the result is out.
    announced = [run[0]["run"] for run in runs if _has_announced_its_result(run)]
    found += [
        f"{run_id}: its result is out unannounced, and the next start would make another"
        for run_id in published
        if run_id not in announced
    ]
    return found + [
        f"{run_id}: its result is lost"
        for run_id in announced
        if not published[run_id] and not _is_ready(files, run_id)
    ]


def _has_announced_its_result(run: Entries) -> bool:
    events = [entry["event"] for entry in run]
    begun = max((n for n, event in enumerate(events) if event == "started"), default=0)
    return "publishing" in events[begun:] or "published" in events


def _is_ready(files: Files, run_id: str) -> bool:
    """Return whether a result stands whole beside the others, to appear at the next start."""
    hidden = f"output/.{run_id}.{files['state/id'].decode().strip()}.tmp/"
    manifest = _manifest_in(files, hidden)
    return manifest is not None and _keeps_its_manifest(files, hidden, manifest)


def _manifest_in(files: Files, folder: str) -> dict[str, Any] | None:
    try:
        manifest: dict[str, Any] = json.loads(files[f"{folder}manifest.json"])
    except (KeyError, ValueError):
        return None
    return manifest


def _keeps_its_manifest(files: Files, folder: str, manifest: dict[str, Any]) -> bool:
    promised = {file["name"]: file["sha256"] for file in manifest["files"]}
    present = {
        path[len(folder) :]: digest(data)
        for path, data in files.items()
        if path.startswith(folder) and path != folder
    }
    del present["manifest.json"]
    return present == promised
