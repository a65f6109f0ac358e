"""`kill -9` at random moments: every accepted run ends exactly once, whole, and once only."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from zstackd.store.durable import sha256_of

if TYPE_CHECKING:
    from tests.conftest import Report
    from tests.e2e.conftest import Site, Watcher

PLANES = 40
SMALL = {"driver": "simulated", "size_px": [160, 120]}
RUN: dict[str, Any] = {
    "z_plan": {"bottom": 0, "top": 195, "step": 5},
    "stacking": {"align": False},
}
SEED = 20261124
SERIES_EVERY = 4
REPEATS = 2


def check_every_run(site: Site) -> int:
    """Check that each run was published once with each of its frames; return how many runs."""
    folders = sorted(site.state.glob("runs/*"))
    assert all((folder / "request.yaml").exists() for folder in folders)
    journals = site.journals()
    for journal in journals:
        events = Counter(entry["event"] for entry in journal)
        assert events["published"] == 1, journal[-1]
        assert not events.keys() & {"failed", "interrupted", "cancelled", "skipped"}
        frames = [entry for entry in journal if entry["event"] == "frame"]
        assert sorted(entry["index"] for entry in frames) == list(range(PLANES))
        taken = site.state / "runs" / journal[0]["run"] / "frames"
        assert {path.name for path in taken.iterdir()} == {entry["file"] for entry in frames}
        assert all(sha256_of(taken / entry["file"]) == entry["sha256"] for entry in frames)
    manifests = [json.loads((path / "manifest.json").read_text()) for path in site.results()]
    assert len({manifest["run_id"] for manifest in manifests}) == len(manifests) == len(journals)
    for manifest in manifests:
        assert [frame["plane"] for frame in manifest["frames"]] == list(range(PLANES))
        assert manifest["partial_because"] is None
    return len(journals)


class Killer:
    """Starts the service, gives it work, and kills it; counts what was asked for and caught."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.chance = random.Random(SEED)  # noqa: S311 - no secret, and the same moments each time
        self.rig = site.rig(
            camera=SMALL,
            focus={"settle_ms": 300},
            simulation={"time_scale": 10},
            frames={"keep": "always"},
        )
        self.dropped = self.asked = 0
        self.caught = Counter[str]()

    def keep_busy(self) -> None:
        """Have two runs or more on their way."""
        site = self.site
        if site.ends().count("open") + len(list(site.inbox.glob("*.yaml"))) < 2:
            repeat = REPEATS if self.dropped % SERIES_EVERY == SERIES_EVERY - 1 else 1
            site.drop(site.run(repeat=repeat, **RUN), f"{self.dropped}.yaml")
            self.dropped += 1
            self.asked += repeat

    def kill_while_starting(self) -> None:
        """Kill the service while it reads what earlier ones left."""
        lock = self.site.state / "lock"
        with self.site.started("serve", "--rig", self.rig) as process:
            self.site.until(lambda: lock.read_text().strip() == str(process.pid), "the lock")
            self._kill(process, self.chance.uniform(0.0, 0.5))
        self.caught["starting"] += 1

    def kill_at_work(self) -> None:
        """Kill the service at any moment of its work."""
        with self.site.serving(self.rig) as process:
            self.keep_busy()
            if not self.caught:  # the first one at work for certain, however slow the machine is
                self.site.wait_for_event("frame")
                self._kill(process, 0.05)
            else:
                self._kill(process, self.chance.uniform(0.05, 3.0))
        self.caught[last_event(self.site)] += 1

    def _kill(self, process: subprocess.Popen[str], after_s: float) -> None:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=after_s)
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "kills",
    [
        5,
        pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_every_run_ends_once(site: Site, consumer: Watcher, report: Report, kills: int) -> None:
    killer = Killer(site)
    for number in range(kills):
        if number % 3 == 2:
            killer.kill_while_starting()
        else:
            killer.kill_at_work()
    with site.serving(killer.rig):
        site.wait_for_event("published", count=killer.asked)
    assert list(site.inbox.iterdir()) == []
    assert check_every_run(site) == killer.asked
    starts = sum(
        sum(entry["event"] == "started" for entry in journal) for journal in site.journals()
    )
    resumed = starts - killer.asked
    assert resumed >= kills / 5
    report(
        kills=kills,
        runs=killer.asked,
        resumed=resumed,
        looks=consumer.looks,
        caught=dict(killer.caught.most_common()),
    )


def last_event(site: Site) -> str:
    """Return the last event that was journaled in any run."""
    lasts = [journal[-1] for journal in site.journals()]
    return str(max(lasts, key=lambda entry: str(entry["at"]))["event"]) if lasts else "none"
