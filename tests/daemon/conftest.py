"""A house without hardware: real spool, catalogue and output folder, nothing open."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.rigs import simulated_rig

from zstackd.runs.halt import Halt
from zstackd.service.catalogue import Catalogue
from zstackd.service.events import Events
from zstackd.service.hardware import Hardware
from zstackd.service.house import House
from zstackd.store.durable import sha256_of
from zstackd.store.run_state import RunSummary
from zstackd.store.spool import RunFolder, Spool
from zstackd_config.rig import Rig

RIG: dict[str, Any] = {
    "name": "bench",
    "camera": {"driver": "simulated", "size_px": [64, 48]},
    "optics": {"pixel_size_um": 1.0, "numerical_aperture": 0.1, "magnification": 4},
    "focus": {
        "driver": "grbl",
        "port": "simulated",
        "limits_um": [0, 100],
        "backlash_um": 1,
        "speed_um_per_s": 1000,
        "settle_ms": 1,
    },
}


def rig_in(folder: Path, **service: Any) -> Rig:
    paths = {"state": folder / "state", "output": folder / "output"}
    return Rig.model_validate({**RIG, "paths": paths, "service": service})


@pytest.fixture
def stop() -> Halt:
    return Halt()


@pytest.fixture
def hardware(stop: Halt) -> Iterator[Hardware]:
    """The devices of a simulated rig, open; `stop` is the service's."""
    hardware = Hardware(Rig.model_validate(simulated_rig()), stop)
    assert hardware.keep()
    yield hardware
    hardware.close()


@dataclass
class Lodging:
    """A house with runs in any state."""

    house: House
    runs: int = 0

    def accept(self) -> RunFolder:
        self.runs += 1
        return self.house.spool.accept_text(b"name: x", name=f"run {self.runs}")

    def publish(self, *, hook: bool = False, frames: int = 1000) -> RunSummary:
        """Publish a result of one small file by the way of real ones."""
        folder = self.accept()
        folder.frames.mkdir()
        (folder.frames / "z_0000.jpg").write_bytes(b"f" * frames)
        publisher = self.house.publisher(folder.run_id)
        publisher.hidden.mkdir()
        write_result(publisher.hidden, folder.run_id)
        with self.house.spool.journal(folder) as journal:
            journal.append("started", output=str(self.house.output))
            journal.append("publishing", name=folder.run_id, place=publisher.place())
            out = publisher.appear(folder.run_id)
            journal.append("published", result=str(out), hook=hook)
        return self.summary(folder)

    def summary(self, run: RunFolder | RunSummary) -> RunSummary:
        found = self.house.catalogue.get(run.run_id)
        assert found is not None
        return found


def write_result(folder: Path, run_id: str) -> None:
    """Write one file and the manifest that promises it."""
    image = folder / "stack.png"
    image.write_bytes(b"pixels of " + run_id.encode())
    file = {
        "name": image.name,
        "role": "image",
        "bytes": image.stat().st_size,
        "sha256": sha256_of(image),
    }
    manifest = {"run_id": run_id, "files": [file], "of": "any version"}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def lodging(tmp_path: Path) -> Iterator[Lodging]:
    yield from lodgings(tmp_path)


def lodgings(tmp_path: Path, **service: Any) -> Iterator[Lodging]:
    """Yield a house whose rig has these service settings."""
    rig, events = rig_in(tmp_path, **service), Events()
    catalogue = Catalogue(events)
    rig.paths.output.mkdir()
    with Spool(rig.paths.state, catalogue.hear) as spool:
        yield Lodging(
            House(
                spool=spool,
                output=rig.paths.output,
                hardware=Hardware(rig),
                events=events,
                catalogue=catalogue,
                stop=Halt(),
            )
        )
