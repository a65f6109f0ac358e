"""Full, closed, foreign and vanishing disks: the service stays up, and every run comes to its end.

The file systems are real and small; mounting them takes root.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Site, Watcher

needs_mounts = pytest.mark.skipif(os.geteuid() != 0, reason="mounting file systems takes root")
PLANES = 21
SMALL = {"driver": "simulated", "size_px": [160, 120]}
PLAN = {"bottom": 0, "top": 200, "step": 10}
BLOCK = 4096
SOCKET = "control.sock"
SLOW = {"settle_ms": 4000}
SLOWER = {"settle_ms": 20_000}
"""So that a run lasts for longer than a disk takes to fail: for 4 s, and for 21 s."""


@contextmanager
def mounted(folder: Path, *words: str | Path) -> Iterator[None]:
    """Mount something at a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *words, folder], check=True)
    try:
        yield
    finally:
        if os.path.ismount(folder):
            unmount(folder)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", folder], check=True)


def small_disk(folder: Path) -> Any:
    return mounted(folder, "-t", "tmpfs", "-o", "size=16m", "tmpfs")


def fill(folder: Path, *, leaving: int = 0) -> Path:
    """Fill a file system until so many bytes are left; return the file that does it."""
    ballast = folder / ".ballast"
    with ballast.open("ab", buffering=0) as stream:
        while os.statvfs(folder).f_bavail * BLOCK > leaving:
            with suppress(OSError):  # who fills the last block is not sure: the service writes too
                stream.write(bytes(BLOCK))
    return ballast


def rig_on(site: Site, **changes: Any) -> Path:
    service = {"reserve_mb": 1}
    return site.rig(camera=SMALL, service=service, frames={"keep": "always"}, **changes)


def check_published(site: Site, names: list[str]) -> None:
    """Check that each run was published once, from each of its planes, taken once."""
    journals = site.journals()
    assert sorted(journal[0]["name"] for journal in journals) == sorted(names)
    for journal in journals:
        assert Counter(entry["event"] for entry in journal)["published"] == 1
        planes = [entry["index"] for entry in journal if entry["event"] == "frame"]
        assert sorted(planes) == list(range(PLANES))
    assert len(site.results()) == len(names)


@needs_mounts
@pytest.mark.parametrize("left", [0, pytest.param(500_000, marks=pytest.mark.soak)])
def test_on_a_full_disk_everything_waits_for_room(site: Site, consumer: Watcher, left: int) -> None:
    del consumer
    with small_disk(site.state):
        rig = rig_on(site, focus=SLOWER)
        with site.serving(rig, ready=True) as process:
            hidden = site.inbox / ".later"
            hidden.write_text(site.run(name="later", z_plan=PLAN).read_text())
            site.inbox.joinpath("begun.yaml").write_text(site.run(z_plan=PLAN).read_text())
            site.wait_for_event("frame", count=2)
            ballast = fill(site.state, leaving=left)
            site.wait_for_log("waits: ")
            hidden.rename(site.inbox / "later.yaml")
            if left == 0:
                site.wait_for_log("later.yaml waits where it is")
                refused = site.zstackd("submit", site.run(), "--socket", site.state / SOCKET)
                assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
                assert "No space left on device" in refused.stderr
            process.kill()
            process.wait()
        rig_on(site)
        with site.serving(rig, ready=True) as process:
            site.wait_for_log("make room")
            assert site.results() == []
            ballast.unlink()
            site.wait_for_event("published", count=2)
            site.stop(process)
        check_published(site, ["A small run", "later"])


@needs_mounts
def test_an_output_that_is_another_file_system_full_then_closed(
    site: Site, consumer: Watcher
) -> None:
    del consumer
    with small_disk(site.output):
        rig = rig_on(site)
        ballast = fill(site.output, leaving=BLOCK)
        with site.serving(rig, ready=True):
            site.drop(site.run(name="full", z_plan=PLAN), "full.yaml")
            site.wait_for_log("waits: ")
            ballast.unlink()
            site.wait_for_event("published")
            close(site.output)
            site.drop(site.run(name="closed", z_plan=PLAN), "closed.yaml")
            site.wait_for_log("closed: waits: ")
        (published,) = (path for path in site.state.glob("runs/*") if "full" in path.name)
        assert site.ends() == ["published", "open"]
        assert Counter(entry["event"] for entry in site.journals()[1])["captured"] == 1
        close(site.output, "rw")
        owner = (site.state / "id").read_text().strip()
        left = site.output / f".{published.name}.{owner}.tmp"
        left.mkdir()  # as a crash may leave it
        close(site.output)
        with site.serving(rig, ready=True) as process:
            site.wait_for_log("leftovers of ended runs stay in the output folder")
            close(site.output, "rw")
            site.wait_for_event("published", count=2)
            site.stop(process)
        left.rmdir()
        check_published(site, ["full", "closed"])


def close(folder: Path, mode: str = "ro") -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", folder], check=True)


@needs_mounts
def test_nothing_is_put_where_the_output_is_not_mounted(site: Site, consumer: Watcher) -> None:
    del consumer
    disk = site.folder / "disk"
    rig = rig_on(site, focus=SLOW)
    with small_disk(disk):
        with mounted(site.output, "--bind", disk), site.serving(rig, ready=True):
            site.drop(site.run(name="first", z_plan=PLAN), "first.yaml")
            site.wait_for_event("published")
            site.drop(site.run(name="begun", z_plan=PLAN), "begun.yaml")
            site.wait_for_event("frame", count=PLANES + 3)
            unmount(site.output)
            site.wait_for_log("begun: waits: ")
            assert site.results() == []
        # Nor is it after a reboot.
        rig_on(site)
        with site.serving(rig, ready=True) as process:
            site.drop(site.run(name="captured", z_plan=PLAN), "captured.yaml")
            site.wait_for_event("captured", count=3)
            site.wait_for_event("waiting", count=2)
            assert site.results() == []
            with mounted(site.output, "--bind", disk):
                site.wait_for_event("published", count=3)
                site.stop(process)
                check_published(site, ["first", "begun", "captured"])


def test_an_output_folder_that_vanishes_is_waited_for(site: Site, consumer: Watcher) -> None:
    del consumer
    away = site.folder / "away"
    with site.serving(rig_on(site, focus=SLOW), ready=True) as process:
        site.drop(site.run(name="first", z_plan=PLAN), "first.yaml")
        site.wait_for_event("frame", count=3)
        site.output.rename(away)
        site.drop(site.run(name="second", z_plan=PLAN), "second.yaml")
        site.wait_for_event("captured", count=2)
        site.wait_for_event("waiting", count=2)
        assert not site.output.exists()
        away.rename(site.output)
        site.wait_for_event("published", count=2)
        site.stop(process)
    check_published(site, ["first", "second"])
