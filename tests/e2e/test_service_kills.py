"""`kill -9` at random moments: every accepted run ends exactly once, whole, and once only."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Report
    from tests.e2e.conftest import Site, Watcher

PLANES = 40
SMALL = {"driver": "simulated", "size_px": [160, 120]}
SEED = 20261124


def check_every_run(site: Site) -> int:
    """Check that each run was published once with each of its frames; return how many runs."""
    journals = site.journals()
    for journal in journals:
        events = Counter(entry["event"] for entry in journal)
        assert events["published"] == 1, journal[-1]
        assert not events.keys() & {"failed", "interrupted", "cancelled", "skipped"}
        planes = [entry["index"] for entry in journal if entry["event"] == "frame"]
        assert sorted(planes) == list(range(PLANES))
    manifests = [json.loads((path / "manifest.json").read_text()) for path in site.results()]
    assert len({manifest["run_id"] for manifest in manifests}) == len(manifests) == len(journals)
    for manifest in manifests:
        assert [frame["plane"] for frame in manifest["frames"]] == list(range(PLANES))
        assert manifest["partial_because"] is None
    return len(journals)


@pytest.mark.parametrize(
    "kills", [6, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_every_run_ends_once(site: Site, consumer: Watcher, report: Report, kills: int) -> None:
    del consumer
    chance = random.Random(SEED)  # noqa: S311 - no secret, and the same moments each time
    rig = site.rig(camera=SMALL, focus={"settle_ms": 300}, simulation={"time_scale": 10})
    dropped, caught = 0, Counter[str]()
    for _ in range(kills):
        with site.serving(rig) as process:
            if site.ends().count("open") + len(list(site.inbox.glob("*.yaml"))) < 2:
                plan = {"bottom": 0, "top": 195, "step": 5}
                site.drop(site.run(z_plan=plan, stacking={"align": False}), f"{dropped}.yaml")
                dropped += 1
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0.05, 3.0))
            process.kill()
            process.wait()
        caught[last_event(site)] += 1
    with site.serving(rig):
        site.wait_for_event("published", count=dropped)
    assert check_every_run(site) == dropped
    resumed = sum(
        sum(entry["event"] == "started" for entry in journal) - 1 for journal in site.journals()
    )
    assert resumed >= kills / 4
    report(kills=kills, runs=dropped, resumed=resumed, caught=dict(caught))


def last_event(site: Site) -> str:
    """Return the last event that was journaled in any run."""
    lasts = [journal[-1] for journal in site.journals()]
    return str(max(lasts, key=lambda entry: str(entry["at"]))["event"]) if lasts else "none"
