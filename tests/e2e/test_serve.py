"""`zstackd serve`: what is dropped into the inbox is run in order; nothing bad harms it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import Site, Watcher


MANY_PLANES = {"bottom": 0, "top": 200, "step": 2.5}


def test_runs_are_done_in_order_of_arrival(site: Site, consumer: Watcher) -> None:
    del consumer
    rig = site.rig()
    site.drop(site.short_run(name="waiting since before the start"), "z.yaml")
    with site.serving(rig) as process:
        site.drop(site.short_run(name="second"), "a.yaml")
        site.wait_for_event("published", count=2)
        site.stop(process)
    assert list(site.inbox.iterdir()) == []
    finished = sorted((journal[-1]["at"], journal[0]["name"]) for journal in site.journals())
    assert [name for _, name in finished] == ["waiting since before the start", "second"]
    assert len(site.results()) == 2


def test_a_file_counts_once_it_is_complete(site: Site) -> None:
    text = site.short_run().read_text()
    with site.serving(site.rig()):
        with (site.inbox / "slowly.yaml").open("w") as stream:
            for half in (text[:20], text[20:]):
                stream.write(half)
                stream.flush()
                time.sleep(0.2)
        site.wait_for_event("published")
    assert not list(site.inbox.glob("*.error.txt"))


def test_bad_files_are_answered_and_harm_nothing(site: Site) -> None:
    with site.serving(site.rig()):
        (site.inbox / "broken.yaml").write_text("name: [unclosed\n")
        (site.inbox / "unknown.yaml").write_text("name: x\nz_plam: 3\n")
        site.drop(site.run(z_plan={"bottom": 0, "top": 900, "step": 50}), "far.yaml")
        os.mkfifo(site.inbox / "pipe.yaml")
        (site.inbox / "zero.yaml").symlink_to("/dev/zero")
        (site.inbox / "note.txt").write_text("not a run file")
        site.drop(site.short_run(), "good.yaml")
        site.wait_for_event("published")
        site.wait_for_files("inbox/*.rejected", count=5)
    errors = {path.name: path.read_text() for path in site.inbox.glob("*.error.txt")}
    assert sorted(errors) == [
        f"{name}.yaml.error.txt" for name in ("broken", "far", "pipe", "unknown", "zero")
    ]
    assert "z_plan" in errors["unknown.yaml.error.txt"]
    assert "-100 to 400 µm" in errors["far.yaml.error.txt"]
    assert (site.inbox / "note.txt").exists()
    assert len(site.journals()) == 1


def test_killed_service_goes_on_where_it_was(site: Site, consumer: Watcher) -> None:
    del consumer
    with site.serving(site.rig(focus={"settle_ms": 4000})) as process:
        site.drop(site.run(name="begun", z_plan=MANY_PLANES), "begun.yaml")
        site.wait_for_event("frame", count=3)
        site.drop(site.run(name="queued", z_plan={"absolute": [0, 50]}), "queued.yaml")
        site.wait_for_event("accepted", count=2)
        process.kill()
        process.wait()
    with site.serving(site.rig()):
        site.wait_for_event("published", count=2)
    begun, queued = site.journals()
    assert [journal[0]["name"] for journal in (begun, queued)] == ["begun", "queued"]
    assert begun[-1]["at"] < queued[-1]["at"]
    taken = [entry["index"] for entry in begun if entry["event"] == "frame"]
    assert sorted(taken) == list(range(81))
    assert [entry["event"] for entry in begun].count("started") == 2
    assert len(site.results()) == 2


def test_missing_hardware_is_waited_for(site: Site) -> None:
    port = site.folder / "controller"
    site.drop(site.run(z_plan={"absolute": [0, 100]}), "run.yaml")
    with site.serving(site.rig(focus={"port": str(port)})) as process:
        site.wait_for_log("the rig is not ready")
        assert process.poll() is None
        with site.controller() as twin:
            port.symlink_to(twin.port)
            site.wait_for_event("published")
            site.stop(process)
    log = (site.folder / "serve.log").read_text()
    assert log.count("the rig is not ready") == 1
