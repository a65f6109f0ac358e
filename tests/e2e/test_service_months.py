"""What months bring: thousands of files in the inbox, thousands of runs, and long idleness."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.conftest import Report
    from tests.e2e.conftest import Site

    from zstackd.api.client import Client

pytestmark = pytest.mark.alone
SMALL = {"driver": "simulated", "size_px": [64, 48]}
QUICK = {"settle_ms": 1, "speed_um_per_s": 5000}
SHORT_RUN = "name: run {}\nz_plan: {{absolute: [0, 5, 10]}}\nstacking: {{align: false}}\n"
MOST_GROWTH_MIB = 8.0
"""Up to a thousand ended runs are kept in memory, with some kilobytes each."""
MOST_RESIDENT_MIB = 114.4
"""120 MB."""
MOST_OWN_MIB = 90.0
"""The share of that which is the process's own: not files of libraries, which others may share."""
MOST_STOP_S = 5.0
MOST_IDLE_SHARE = 0.01
TRIES = 3
"""Of a busy machine, where the same work takes more of the processor's time."""
SOAK = [pytest.mark.soak, pytest.mark.timeout(5400)]


@dataclass(frozen=True)
class Look:
    """What a process takes at one moment.

    Resident is all memory it has; its own is what is in no file, and would be lost with it.
    """

    resident_mib: float
    own_mib: float
    files: int
    threads: int
    cpu_s: float

    @classmethod
    def at(cls, pid: int) -> Look:
        proc = Path(f"/proc/{pid}")
        sizes = dict(
            line.split(":") for line in (proc / "smaps_rollup").read_text().splitlines()[1:]
        )
        words = (proc / "stat").read_text().rpartition(")")[2].split()
        ticks = int(words[11]) + int(words[12])
        return cls(
            resident_mib=int(sizes["Rss"].split()[0]) / 1024,
            own_mib=int(sizes["Anonymous"].split()[0]) / 1024,
            files=len(os.listdir(proc / "fd")),  # noqa: PTH208 - links that lead nowhere
            threads=int(words[17]),
            cpu_s=ticks / os.sysconf("SC_CLK_TCK"),
        )


def until(look: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for what takes long, without taking the processor from it."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.2)


def count(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(not entry.name.startswith(".") for entry in entries)


def is_idle(client: Client) -> bool:
    status = client.get("/v1/status")
    return bool(status["state"] == "idle" and status["queue"] == 0)


@pytest.mark.parametrize(
    ("batches", "batch", "idle_s"),
    [(3, 8, 10.0), pytest.param(10, 200, 600.0, marks=SOAK)],
    ids=["short", "2000"],
)
def test_memory_and_descriptors_stay_flat_and_idleness_is_cheap(
    site: Site, report: Report, batches: int, batch: int, idle_s: float
) -> None:
    looks: list[Look] = []
    begun = time.monotonic()
    with site.serving(site.rig(camera=SMALL, focus=QUICK), ready=True) as process:
        fresh = Look.at(process.pid)
        with site.client() as client:
            for number in range(1, batches + 1):
                for index in range(batch):
                    path = site.folder / "next.yaml"
                    path.write_text(SHORT_RUN.format(number * batch + index))
                    site.drop(path, f"{index:04d}.yaml")
                until(lambda: count(site.output) >= number * batch, 120 + 5 * batch, "results")  # noqa: B023
                until(lambda: is_idle(client), 120, "idleness")
                looks.append(Look.at(process.pid))
        runs_s = time.monotonic() - begun
        first, last = looks[0], looks[-1]
        shares: list[float] = []
        while len(shares) < TRIES and not any(share < MOST_IDLE_SHARE for share in shares):
            before = Look.at(process.pid)
            time.sleep(idle_s)
            end = Look.at(process.pid)
            shares.append((end.cpu_s - before.cpu_s) / idle_s)
        stopped(process)
    share = shares[-1]
    report(
        runs=batches * batch,
        s_per_run=f"{runs_s / batches / batch:.2f}",
        resident_mib=[round(look.resident_mib, 1) for look in (fresh, *looks, end)],
        own_mib=[round(look.own_mib, 1) for look in (fresh, *looks, end)],
        files=[look.files for look in (fresh, first, last, end)],
        threads=[look.threads for look in (fresh, first, last, end)],
        idle_cpu_percent=f"{100 * share:.2f}",
    )
    assert Counter(site.ends()) == {"published": batches * batch}
    assert last.files <= first.files + 1
    assert last.threads <= first.threads + 1
    assert last.own_mib <= first.own_mib + MOST_GROWTH_MIB
    assert last.resident_mib <= first.resident_mib + MOST_GROWTH_MIB
    assert end.resident_mib < MOST_RESIDENT_MIB
    assert end.own_mib < MOST_OWN_MIB
    assert share < MOST_IDLE_SHARE


def bad_files(folder: Path, count: int) -> None:
    """Drop files that cannot be runs, of every kind in turn."""
    kinds: tuple[Callable[[Path], object], ...] = (
        lambda path: path.write_text("name: [unclosed\n"),
        lambda path: path.write_text("name: x\nz_plam: 3\n"),
        lambda path: path.write_text("name: x\nz_plan: {bottom: 0, top: 9000, step: 50}\n"),
        lambda path: path.write_bytes(os.urandom(300)),
        lambda path: path.write_bytes("name: Prüfung\n".encode("latin-1")),
        lambda path: path.write_bytes(b"#" * (1 << 21)),
        lambda path: path.touch(),
        lambda path: path.symlink_to("/dev/zero"),
        os.mkfifo,
        Path.mkdir,
    )
    for number in range(count):
        kinds[number % len(kinds)](folder / f"bad-{number:05d}.yaml")


@pytest.mark.parametrize(
    ("files", "bad"), [(120, 20), pytest.param(10_000, 1_000, marks=SOAK)], ids=["short", "10000"]
)
def test_every_file_of_a_full_inbox_is_accounted_for(
    site: Site, report: Report, files: int, bad: int
) -> None:
    """Before the start there are half of them; the service is stopped and started meanwhile."""
    rig = site.rig(camera=SMALL, focus=QUICK)
    site.inbox.mkdir(parents=True)
    (site.state / "paused").write_text("for this test\n")
    good = files - bad
    for number in range(good // 2):
        (site.inbox / f"good-{number:05d}.yaml").write_text(SHORT_RUN.format(number))
    bad_files(site.inbox, bad)
    begun = time.monotonic()
    with site.serving(rig) as process:
        for number in range(good // 2, good):
            (site.inbox / f"good-{number:05d}.yaml").write_text(SHORT_RUN.format(number))
        until(lambda: count(site.state / "runs") > good // 3, files / 4 + 120, "a third of them")
        stop_s = stopped(process)
    with site.serving(rig) as process:
        until(lambda: not list(site.inbox.glob("*.yaml")), files / 4 + 120, "an empty inbox")
        taken_s = time.monotonic() - begun
        stopped(process)
    begun = time.monotonic()
    with site.serving(rig) as process:
        with site.client() as client:
            start_s = time.monotonic() - begun
            assert client.get("/v1/status")["queue"] == good
        look = Look.at(process.pid)
        last_stop_s = stopped(process)
    names = Counter(str(journal[0]["name"]) for journal in site.journals())
    assert names == {f"run {number}": 1 for number in range(good)}
    left = Counter(path.name.rpartition(".yaml")[2] for path in site.inbox.iterdir())
    assert left == {".rejected": bad, ".error.txt": bad}
    report(
        files=files, bad=bad, s=f"{taken_s:.0f}", start_s=f"{start_s:.1f}", stop_s=stop_s,
        stop_when_full_s=last_stop_s, resident_mib=f"{look.resident_mib:.0f}",
    )  # fmt: skip


def stopped(process: subprocess.Popen[str]) -> str:
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    seconds = time.monotonic() - begun
    assert seconds < MOST_STOP_S
    return f"{seconds:.1f}"
