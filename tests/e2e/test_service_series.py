"""A time-lapse over a crash: each point once, at its time or by the policy for late ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from zstackd.store.journal import read_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Site, Watcher

SMALL = {"driver": "simulated", "size_px": [160, 120]}
INTERVAL_S = 4.0
LOOPS = 4
LATE_S = 1.0


def time_lapse(site: Site, when_late: str) -> Path:
    return site.run(
        z_plan={"absolute": [0, 50, 100]},
        time_plan={"interval": {"seconds": INTERVAL_S}, "loops": LOOPS},
        when_late=when_late,
        late_after_s=LATE_S,
        stacking={"align": False},
    )


def series_journal(site: Site) -> list[dict[str, Any]]:
    (journal,) = site.state.glob("series/*/journal.jsonl")
    return read_journal(journal)


def is_over(site: Site) -> bool:
    return series_journal(site)[-1]["event"] == "series_ended" and "open" not in site.ends()


def published(site: Site, count: int) -> Callable[[], bool]:
    return lambda: site.ends() == ["published"] * count


def test_each_run_of_a_series_starts_from_where_its_first_one_did(
    site: Site, consumer: Watcher
) -> None:
    """Whatever moves the axis meanwhile, as a run of the queue does."""
    del consumer
    rig = site.rig(camera=SMALL)
    with site.serving(rig, ready=True):
        moved = site.zstackd("focus", "move", "50", "--rig", rig)
        assert moved.returncode == 0, moved.stderr
        request = site.run(z_plan={"range": 20, "step": 10}, repeat=3, stacking={"align": False})
        site.drop(request, "series.yaml")
        site.wait_for_event("started")
        site.until(lambda: is_over(site), "the end of the series")
    entries = [entry for journal in site.journals() for entry in journal]
    planes_um = [entry["planes_um"] for entry in entries if entry["event"] == "planned"]
    assert planes_um == [[40.0, 50.0, 60.0]] * 3


def test_a_run_around_the_present_height_leaves_the_axis_there(
    site: Site, consumer: Watcher
) -> None:
    """A second one would else begin higher, and a third higher still."""
    del consumer
    rig = site.rig(camera=SMALL)
    with site.serving(rig, ready=True), site.client() as client:

        def is_back() -> bool:
            status = client.get("/v1/status")
            return (status["state"], status["axis"]["position_um"]) == ("idle", 50)

        moved = site.zstackd("focus", "move", "50", "--rig", rig)
        assert moved.returncode == 0, moved.stderr
        for done in (1, 2):
            request = site.run(z_plan={"range": 20, "step": 10}, stacking={"align": False})
            site.drop(request, f"run{done}.yaml")
            site.until(published(site, done), "the end of the run")
            site.until(is_back, "the axis back at 50 µm")
    entries = [entry for journal in site.journals() for entry in journal]
    planes_um = [entry["planes_um"] for entry in entries if entry["event"] == "planned"]
    assert planes_um == [[40.0, 50.0, 60.0]] * 2


@pytest.mark.parametrize("when_late", [pytest.param("run", marks=pytest.mark.soak), "skip"])
def test_a_time_lapse_goes_on_after_a_crash(site: Site, consumer: Watcher, when_late: str) -> None:
    del consumer
    rig = site.rig(camera=SMALL)
    with site.serving(rig, ready=True) as process:
        site.drop(time_lapse(site, when_late), "series.yaml")
        site.wait_for_event("started")
        process.kill()
        process.wait()
    begins = datetime.fromisoformat(series_journal(site)[0]["begins"])
    # Points 1 and 2 pass while the service is down.
    back_at = begins + timedelta(seconds=2 * INTERVAL_S + 1.5)
    site.until(lambda: datetime.now(begins.tzinfo) > back_at, "the time of two points")
    with site.serving(rig, ready=True):
        site.until(lambda: is_over(site), "the end of the series")
    points = [journal[0]["point"] for journal in site.journals() if "point" in journal[0]]
    assert len(set(points)) == len(points)
    ends = dict(zip(points, site.ends(), strict=True))
    said = [entry for entry in series_journal(site) if entry["event"] == "point"]
    skipped = [entry for entry in said if entry.get("skipped")]
    passed = {n for entry in skipped for n in range(entry["point"], entry["last"] + 1)}
    assert passed.isdisjoint(ends)
    assert passed | ends.keys() == set(range(LOOPS))
    if when_late == "run":
        assert set(ends.values()) == {"published"}
        assert any(entry["late_s"] > LATE_S for entry in said)
    else:
        assert set(ends.values()) <= {"published", "skipped"}
        assert passed or "skipped" in ends.values()
    for journal in site.journals():
        due = begins + timedelta(seconds=INTERVAL_S * journal[0]["point"])
        starts = [entry["at"] for entry in journal if entry["event"] == "started"]
        # A journal's times are cut to whole milliseconds.
        assert all(datetime.fromisoformat(at) > due - timedelta(milliseconds=1) for at in starts)
