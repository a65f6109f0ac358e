"""A run that is stopped or killed leaves nothing half-written, and its journal tells the truth."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Site, Watcher


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_run_closes_as_interrupted(
    site: Site, consumer: Watcher, how: signal.Signals
) -> None:
    del consumer
    rig = site.rig(frames={"keep": "unless_published"})
    with site.started("run", site.slow_run(), "--rig", rig) as process:
        site.wait_for_event("frame", count=3)
        site.stop(process, how, status=130)
    assert site.results() == []
    assert len(list(site.state.glob("runs/*/frames/z_*"))) >= 3
    last = site.journal()[-1]
    assert (last["event"], last["reason"]) == ("interrupted", f"stopped by {how.name}")
    assert (site.folder / "run.log").read_text().splitlines()[-1] == f"stopped by {how.name}"


def test_a_killed_run_is_closed_by_the_next_start(site: Site, consumer: Watcher) -> None:
    del consumer
    rig = site.rig()
    with site.started("run", site.slow_run(), "--rig", rig) as process:
        site.wait_for_event("frame", count=3)
        process.kill()
        process.wait()
    assert site.results() == []
    killed = site.journal()
    assert killed[-1]["event"] in {"plane", "frame"}
    assert site.zstackd("run", site.short_run(), "--rig", rig).returncode == 0
    site.published()
    first, second = site.journals()
    frames = sum(entry["event"] == "frame" for entry in killed)
    assert (first[-1]["event"], first[-1]["frames"]) == ("interrupted", frames)
    assert second[-1]["event"] == "published"


def test_a_result_half_built_by_a_killed_run_is_removed(site: Site) -> None:
    rig = site.rig()
    with site.started("run", site.slow_run(), "--rig", rig) as process:
        site.wait_for_event("frame")
        process.kill()
        process.wait()
    (run,) = site.state.glob("runs/*")
    owner = (site.state / "id").read_text().strip()
    ours, foreign = (site.output / f".{run.name}.{word}.tmp" for word in (owner, "another"))
    for folder in (ours, foreign):
        folder.mkdir(parents=True)
        (folder / "stack.tif").write_bytes(b"half")
    assert site.zstackd("run", site.short_run(), "--rig", rig).returncode == 0
    assert not ours.exists()
    assert foreign.exists()


def test_a_run_killed_after_its_result_appeared_counts_as_published(site: Site) -> None:
    rig, run = site.rig(), site.short_run()
    assert site.zstackd("run", run, "--rig", rig).returncode == 0
    (journal,) = site.state.glob("runs/*/journal.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]) + lines[-1][:20])
    assert site.zstackd("run", run, "--rig", rig).returncode == 0
    text = journal.read_text().splitlines()
    assert '"event": "published"' in text[-1]
    assert '"found": true' in text[-1]
