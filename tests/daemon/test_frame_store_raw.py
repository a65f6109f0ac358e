"""The sensor's own data lie beside the frame."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from zstackd.runs.frame_store import CapturedFrame, FrameStore, RawFile
from zstackd.runs.halt import Halt
from zstackd.runs.past import damaged, past_of
from zstackd_config.rig import Frames
from zstackd_drivers.axis import MoveReport
from zstackd_drivers.camera import ExposureValues, Frame


@pytest.mark.parametrize("raw", [b"II*\0 raw data", None])
def test_a_dng_is_written_beside_its_frame_where_there_is_one(
    tmp_path: Path, raw: bytes | None
) -> None:
    store = FrameStore(tmp_path / "frames", Frames(), Halt())
    store.prepare(bits=8)
    frame = Frame(
        image=np.zeros((16, 16, 3), np.uint8),
        sensor_timestamp_ns=1,
        exposure=ExposureValues(1.0, 1.0, None),
        extra={},
        raw=raw,
    )
    move = MoveReport(commanded_um=1.3, reported_um=1.0, z_um=1.25, approach="up", motion_s=0.0)
    stored = store.write(CapturedFrame(3, move, frame))
    dng = tmp_path / "frames" / "z_0003.dng"
    assert stored.file == "z_0003.jpg"
    assert (stored.commanded_um, stored.reported_um, stored.z_um) == (1.3, 1.0, 1.25)
    assert (dng.read_bytes() if dng.exists() else None) == raw
    entry = json.loads(json.dumps({"event": "frame", **asdict(stored)}))
    assert past_of([entry]).frames == (stored,)
    if raw is None:
        assert stored.raw is None
        return
    assert stored.raw == RawFile("z_0003.dng", len(raw), hashlib.sha256(raw).hexdigest())
    assert damaged([stored], store.folder) == []
    dng.write_bytes(raw[:-1])
    assert damaged([stored], store.folder) == [stored]
