"""Hooks of the running service: told of each end once, and after a crash in its middle, again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Site

TELLS = """
import json, os, sys, time
print("said by the hook")
mine = {key: value for key, value in os.environ.items() if key.startswith("ZSTACKD_")}
with open(sys.argv[1], "a") as stream:
    stream.write(json.dumps(mine) + chr(10))
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def told(site: Site) -> Path:
    return site.folder / "told.jsonl"


def rig_with_hook(site: Site, told: Path, seconds: float) -> Path:
    """Return a rig whose hooks write what they are told, and whose camera has three images."""
    images = site.folder / "images"
    images.mkdir(exist_ok=True)
    for index in range(3):
        picture = np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8)
        cv2.imwrite(str(images / f"{index}.png"), picture)
    hook = {"command": [sys.executable, "-c", TELLS, str(told), str(seconds)], "timeout_s": 120}
    camera = {"driver": "folder", "path": str(images), "size_px": [64, 48]}
    return site.rig(camera=camera, service={"on_published": hook, "on_failed": hook})


def run_of(site: Site, planes: int, name: str) -> Path:
    plan = {"absolute": [10 * index for index in range(planes)]}
    return site.run(name=name, z_plan=plan, stacking={"align": False})


def lines(told: Path) -> list[dict[str, Any]]:
    text = told.read_text() if told.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def hooks(site: Site) -> list[tuple[str, int, str]]:
    """Return what the journals say of the hooks that have ended."""
    entries = [entry for journal in site.journals() for entry in journal]
    return [(e["hook"], e["status"], e["output"]) for e in entries if e["event"] == "hook"]


def test_hooks_are_told_of_every_end(site: Site, told: Path) -> None:
    with site.serving(rig_with_hook(site, told, 0)):
        site.drop(run_of(site, 3, "good"), "good.yaml")
        site.wait_for_event("hook")
        site.drop(run_of(site, 5, "bad"), "bad.yaml")
        site.wait_for_log("on_failed: status 0")
        site.until(lambda: len(hooks(site)) == 2, "the end of the second hook")
    published, failed = lines(told)
    manifest = json.loads(Path(published["ZSTACKD_MANIFEST"]).read_text())
    assert manifest["run_id"] == published["ZSTACKD_RUN_ID"]
    assert (published["ZSTACKD_STATE"], published["ZSTACKD_NAME"]) == ("published", "good")
    assert (failed["ZSTACKD_STATE"], failed["ZSTACKD_MANIFEST"]) == ("failed", "")
    assert "holds 3 images" in failed["ZSTACKD_REASON"]
    assert [len([e for e in j if e["event"] == "hook"]) for j in site.journals()] == [1, 1]
    assert hooks(site) == [(hook, 0, "said by the hook") for hook in ("on_published", "on_failed")]


def test_a_hook_that_a_crash_cut_short_is_started_again(site: Site, told: Path) -> None:
    with site.serving(rig_with_hook(site, told, 60)) as process:
        site.drop(run_of(site, 3, "good"), "good.yaml")
        site.until(lambda: lines(told), "the hook")
        process.kill()
        process.wait()
    with site.serving(rig_with_hook(site, told, 0)):
        site.wait_for_event("hook")
    with site.serving(rig_with_hook(site, told, 0), ready=True):
        site.drop(run_of(site, 3, "next"), "next.yaml")
        site.wait_for_event("hook", count=2)
    assert [line["ZSTACKD_NAME"] for line in lines(told)] == ["good", "good", "next"]
