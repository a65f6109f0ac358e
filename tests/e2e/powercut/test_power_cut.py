"""A power cut at any moment: what was not flushed is gone, and every promise holds all the same.

The service is recorded at work, with a kill and a restart in it. Each moment of the record gives
disks as a cut may leave them; on some of those the service is started again.
"""

from __future__ import annotations

import fcntl
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.e2e.conftest import Site, consuming
from tests.e2e.powercut.promises import broken, entries_of
from tests.e2e.powercut.replay import Node, Policy, Record, after_cut, read_log
from tests.sockets import answers

if TYPE_CHECKING:
    from tests.conftest import Report

PLANES = 8
SEED = 20261127
POLICIES: tuple[Policy, ...] = ("all lost", "data lost", "torn")
RIG: dict[str, Any] = {
    "camera": {"driver": "simulated", "size_px": [96, 64]},
    "frames": {"keep": "unless_published"},
}
DROP = """
import os, sys
with open(".written", "w") as file:
    file.write(sys.stdin.read())
os.rename(".written", sys.argv[1])
"""


def request(name: str, **changes: Any) -> bytes:
    plan = {"bottom": 0, "top": 10 * (PLANES - 1), "step": 10}
    run = {"name": name, "z_plan": plan, "stacking": {"align": False}, **changes}
    # In braces: a file that its writer did not flush, torn by the cut, is no run file any more.
    return yaml.safe_dump(run, sort_keys=False, default_flow_style=True, width=999).strip().encode()


REQUESTS = {
    "dropped": request("dropped"),
    "sent": request("sent"),
    "bad": b"name: bad\nz_plam: 3\n",
    "series": request("series", repeat=2),
}


PAUSED = {b"pausing": None, b"paused": True, b"resuming": None, b"resumed": False}
"""Marks in the record, and what they say."""


@dataclass(frozen=True)
class Recording:
    """What the service did to its disk; `root` is the inode of the folder of everything."""

    records: list[Record]
    root: int

    def disk(self, moment: int, policy: Policy) -> Node:
        chance = random.Random(f"{SEED} {moment}")  # noqa: S311 - no secret
        return after_cut(self.records[:moment], self.root, policy, chance)

    def arrived(self, moment: int) -> list[bytes]:
        """Return what was on the disk for good, or said to be accepted, by this moment."""
        said = {record.data for record in self.records[:moment] if record.kind == "mark"}
        return [data for data in REQUESTS.values() if data in said]

    def paused(self, moment: int) -> bool | None:
        """Return whether the service was said to be paused; None while it is being told."""
        said = (record.data for record in reversed(self.records[:moment]))
        return next((PAUSED[data] for data in said if data in PAUSED), False)

    def moments(self) -> list[int]:
        """Return the moments after each change of entries and each flush, and after some bytes."""
        kinds = [record.kind for record in self.records]
        return [n for n in range(1, len(kinds) + 1) if kinds[n - 1] != "write" or n % 5 == 0]


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) to build the recorder with")
    library = tmp_path_factory.mktemp("recorder") / "record.so"
    source = Path(__file__).with_name("record.c")
    words = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library)]
    subprocess.run([*words, str(source), "-ldl", "-lpthread"], check=True)
    return library


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, recorder: Path) -> Recording:
    folder, log = tmp_path_factory.mktemp("disk"), tmp_path_factory.mktemp("log") / "log"
    environment = {
        "LD_PRELOAD": str(recorder), "POWERCUT_ROOT": str(folder), "POWERCUT_LOG": str(log),
    }  # fmt: skip
    site = Site(folder, environment)
    _work(site, log)
    recording = Recording(read_log(log), folder.stat().st_ino)
    # Nothing escaped the recorder: its history ends with the files that are there.
    files = recording.disk(len(recording.records), "all kept").files()
    for part in ("state", "output"):
        for path in (folder / part).rglob("*"):
            if path.is_file():
                assert files[str(path.relative_to(folder))] == path.read_bytes(), path
    return recording


def _work(site: Site, log: Path) -> None:
    """Have the service do runs of every kind, be killed, and be started again."""
    rig = site.rig(**RIG)
    with site.serving(rig, ready=True) as process:
        _tell(site, log, "pause", b"pausing", b"paused")
        _drop(site, "dropped")
        # Held up, no run flushes by the way what submitting should have flushed.
        _send(site, log, "sent")
        _tell(site, log, "resume", b"resuming", b"resumed")
        site.wait_for_event("frame", count=3)
        process.kill()
        process.wait()
    with site.serving(rig) as process:
        _drop(site, "bad")
        _drop(site, "series")
        site.wait_for_event("published", count=4)
        site.until(lambda: _is_idle(site), "the end of the series")
        site.stop(process)


def _drop(site: Site, name: str) -> None:
    subprocess.run(
        [sys.executable, "-c", DROP, site.inbox / f"{name}.yaml"],
        cwd=site.folder, env={**site.environment}, input=REQUESTS[name].decode(), text=True,
        check=True,
    )  # fmt: skip


def _send(site: Site, log: Path, name: str) -> None:
    """Submit a run, and mark in the record the moment from which on it is accepted."""
    file = site.folder / f"{name}.txt"
    file.write_bytes(REQUESTS[name])
    _ask(site, "submit", file)
    _mark(log, REQUESTS[name])


def _tell(site: Site, log: Path, order: str, before: bytes, after: bytes) -> None:
    """Pause the service, or let it go on, and mark in the record what it says."""
    _mark(log, before)
    _ask(site, order)
    _mark(log, after)


def _ask(site: Site, *words: str | Path) -> None:
    """Run a command that is not recorded itself."""
    socket = site.state / "control.sock"
    site.until(lambda: answers(socket), "the control socket")
    done = Site(site.folder).zstackd(*words, "--socket", socket)
    assert done.returncode == 0, done.stderr


def _mark(log: Path, data: bytes) -> None:
    with log.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # as the recorder does
        stream.write(b"mark %d\n" % len(data) + data)


def _is_idle(site: Site) -> bool:
    """Return whether nothing is left to do."""
    series = (entries_of(path.read_bytes()) for path in site.state.glob("series/*/journal.jsonl"))
    return (
        not list(site.inbox.glob("*.yaml"))
        and "open" not in site.ends()
        and all(entries and entries[-1]["event"] == "series_ended" for entries in series)
    )


def test_no_cut_breaks_a_promise(recording: Recording, report: Report) -> None:
    arrived: set[bytes] = set()
    faults, disks = [], 0
    for moment in recording.moments():
        arrived.update(recording.arrived(moment))
        for policy in POLICIES:
            files = recording.disk(moment, policy).files()
            disks += 1
            faults += [
                f"after record {moment}, {policy}: {fault}"
                for fault in broken(files, REQUESTS.values(), arrived, recording.paused(moment))
            ]
            if policy == "all lost":
                arrived.update(data for path, data in files.items() if is_taken(path))
    assert faults == []
    assert len(arrived) == 3
    report(records=len(recording.records), disks=disks, faults=len(faults))


def is_taken(path: str) -> bool:
    """Return whether a path is that of an accepted request; points of a series are made anew."""
    return path.endswith("/request.yaml") and "_series-" not in path


@pytest.mark.parametrize(
    "cuts", [3, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_the_service_goes_on_after_a_cut(
    recording: Recording, tmp_path: Path, report: Report, cuts: int
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    first = next(n for n, each in enumerate(recording.records) if "dropped.yaml" in each.names)
    moments = [moment for moment in recording.moments() if moment > first]
    runs = Counter[str]()
    for number in range(cuts):
        # One in each part of the record, so that every phase is met.
        part = moments[number * len(moments) // cuts : (number + 1) * len(moments) // cuts]
        moment, policy = chance.choice(part), POLICIES[number % len(POLICIES)]
        folder = tmp_path / f"{number}"
        folder.mkdir()
        recording.disk(moment, policy).put_on_disk(folder)
        runs.update(_gone_on(Site(folder), recording.arrived(moment)))
    assert set(runs) == {"published"}
    report(cuts=cuts, runs=runs.total(), **runs)


def _gone_on(site: Site, arrived: list[bytes]) -> Counter[str]:
    """Let the service finish what is there, and check it; return how its runs ended."""
    with consuming(site), site.serving(site.rig(**RIG)) as process:
        if (site.state / "paused").exists():
            _ask(site, "resume")
        site.until(lambda: _is_idle(site), "the end of all runs")
        site.stop(process)
    files = {
        str(path.relative_to(site.folder)): path.read_bytes()
        for part in (site.state, site.output)
        for path in part.rglob("*")
        if path.is_file()
    }
    assert broken(files, REQUESTS.values(), arrived) == []
    for journal in site.journals():
        taken = Counter(entry["index"] for entry in journal if entry["event"] == "frame")
        assert taken == Counter(range(PLANES))
    for result in site.results():
        manifest = json.loads((result / "manifest.json").read_text())
        assert [frame["plane"] for frame in manifest["frames"]] == list(range(PLANES))
    return Counter(site.ends())
