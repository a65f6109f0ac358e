"""The service under a stand-in for systemd: a notify socket that listens, kills and restarts."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE_S = 120.0
WATCHDOG_S = 3.0
RIG: dict[str, Any] = {
    "name": "bench",
    "camera": {"driver": "simulated", "size_px": [160, 120]},
    "optics": {"pixel_size_um": 1.2, "numerical_aperture": 0.12, "magnification": 4},
    "focus": {
        "driver": "grbl", "port": "simulated", "limits_um": [-100, 400], "backlash_um": 10,
        "speed_um_per_s": 1000, "settle_ms": 10,
    },
    "paths": {"state": "state", "output": "output"},
    "simulation": {"time_scale": 20},
}  # fmt: skip
ESSENTIAL = {"runs", "inbox", "hooks", "housekeeping", "api", "status"}
RUN = {"name": "A run", "z_plan": {"bottom": 0, "top": 200, "step": 2}}

HANGING = """
import os, sys, threading
from pathlib import Path
from zstackd.runs import pulse
from zstackd.cli import main

pulse.PATIENCE_S = 1.0  # a test cannot wait a minute
fsync = os.fsync

def hang_where_asked(descriptor):
    if Path("hang").exists() and threading.current_thread().name == "frame writer":
        Path("hangs").touch()
        threading.Event().wait()
    fsync(descriptor)

os.fsync = hang_where_asked
sys.exit(main())
"""
"""The program on a file system that stops answering, as a dead disk or server does."""


@dataclass
class Systemd:
    """What systemd does with a service of type notify, as far as the service can tell."""

    folder: Path
    listener: socket.socket
    heard: list[str] = field(default_factory=list)
    _fed_at: float = 0.0

    def __post_init__(self) -> None:
        self.listener.bind(str(self.folder / "notify"))
        self.listener.settimeout(0.05)

    def start(self, *program: str) -> subprocess.Popen[bytes]:
        self.heard.clear()
        self._fed_at = time.monotonic() + DEADLINE_S  # until READY=1
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
            "PYTHONFAULTHANDLER": "1",
        }
        words = [sys.executable, "-W", "error", *program, "serve", "--rig", "rig.yaml"]
        with (self.folder / "serve.log").open("ab") as log:
            return subprocess.Popen(words, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def listen(self) -> None:
        """Take what was said; returns soon."""
        try:
            message = self.listener.recv(4096).decode()
        except TimeoutError:
            return
        for line in message.splitlines():
            self.heard.append(line)
            if line in {"READY=1", "WATCHDOG=1"}:
                self._fed_at = time.monotonic()

    def until(self, look: Callable[[], object], what: str) -> None:
        """Listen until `look` returns something true."""
        end = time.monotonic() + DEADLINE_S
        while not look():
            assert time.monotonic() < end, f"waited for {what}; heard {self.heard}"
            self.listen()

    def until_heard(self, beginning: str) -> str:
        """Listen until a line begins so, and return it."""
        self.until(lambda: self._line(beginning), beginning)
        return self._line(beginning) or ""

    def _line(self, beginning: str) -> str | None:
        return next((line for line in self.heard if line.startswith(beginning)), None)

    @property
    def is_starved(self) -> bool:
        """Whether nothing feeds the watchdog; what was said already is heard first."""
        said = -1
        while said != len(self.heard):
            said = len(self.heard)
            self.listen()
        return time.monotonic() - self._fed_at > WATCHDOG_S


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump(RIG))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        yield Systemd(tmp_path, listener)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Kill the process on leaving if it still runs."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def drop(systemd: Systemd, run: dict[str, Any]) -> None:
    path = systemd.folder / "run.yaml"
    path.write_text(yaml.safe_dump(run))
    path.rename(systemd.folder / "state/inbox/run.yaml")


def journal(systemd: Systemd) -> list[dict[str, Any]]:
    """Return the entries of the only run's journal so far."""
    texts = [path.read_text() for path in systemd.folder.glob("state/runs/*/journal.jsonl")]
    return [json.loads(line) for text in texts for line in text.splitlines(keepends=True)
            if line.endswith("\n")]  # fmt: skip


def watched_threads(systemd: Systemd) -> set[str]:
    """Return the threads whose progress feeds the watchdog."""
    transport = httpx.HTTPTransport(uds=str(systemd.folder / "state/control.sock"))
    with httpx.Client(transport=transport, timeout=DEADLINE_S) as client:
        text = client.get("http://zstackd/metrics").text
    return set(re.findall(r'^zstackd_thread_silence_seconds\{thread="(.+)"\}', text, re.MULTILINE))


def events(systemd: Systemd) -> list[str]:
    return [entry["event"] for entry in journal(systemd)]


def test_ready_once_runs_can_be_accepted_and_stopping_at_the_end(systemd: Systemd) -> None:
    with ended(systemd.start("-m", "zstackd")) as process:
        systemd.until_heard("READY=1")
        assert (systemd.folder / "state/inbox").is_dir()
        assert (systemd.folder / "state/control.sock").exists()
        systemd.until_heard("WATCHDOG=1")
        systemd.until_heard("STATUS=idle")
        assert watched_threads(systemd) == ESSENTIAL
        drop(systemd, RUN)
        systemd.until(lambda: "published" in events(systemd), "the result")
        systemd.until_heard("STATUS=idle; 1 published")
        process.send_signal(signal.SIGTERM)
        assert systemd.until_heard("STOPPING=1")
        assert process.wait(timeout=DEADLINE_S) == 0
    assert systemd.until_heard("STATUS=stopped by SIGTERM")


def test_missing_hardware_is_ready_but_degraded_and_says_why(systemd: Systemd) -> None:
    rig = {**RIG, "focus": {**RIG["focus"], "port": "/dev/zstackd-nowhere"}}
    (systemd.folder / "rig.yaml").write_text(yaml.safe_dump(rig))
    with ended(systemd.start("-m", "zstackd")) as process:
        systemd.until_heard("READY=1")
        systemd.until_heard("STATUS=degraded: serial port /dev/zstackd-nowhere does not exist")
        assert process.poll() is None
        (systemd.folder / "rig.yaml").write_text(yaml.safe_dump(RIG))
        systemd.heard.clear()
        process.send_signal(signal.SIGHUP)
        systemd.until_heard("STATUS=idle")


def test_sighup_takes_a_good_rig_file_and_keeps_the_old_one(systemd: Systemd) -> None:
    log = systemd.folder / "serve.log"
    with ended(systemd.start("-m", "zstackd")) as process:
        systemd.until_heard("STATUS=idle")
        for content, answer in (
            ("name: [", "is not taken, the old settings stay"),
            (yaml.safe_dump(RIG | {"name": "other"}), "again: name"),
        ):
            (systemd.folder / "rig.yaml").write_text(content)
            systemd.heard.clear()
            process.send_signal(signal.SIGHUP)
            systemd.until_heard("RELOADING=1")
            systemd.until_heard("MONOTONIC_USEC=")
            systemd.until_heard("READY=1")
            assert answer in log.read_text()
        assert process.poll() is None


@pytest.mark.alone
def test_the_watchdog_bites_a_hanging_thread_and_the_run_goes_on(systemd: Systemd) -> None:
    with ended(systemd.start("-c", HANGING)) as process:
        systemd.until_heard("READY=1")
        drop(systemd, RUN)
        systemd.until(lambda: events(systemd).count("frame") >= 3, "frames")
        (systemd.folder / "hang").touch()
        systemd.until((systemd.folder / "hangs").exists, "the thread that hangs")
        assert not systemd.is_starved
        systemd.until(lambda: systemd.is_starved, "the watchdog")
        process.send_signal(signal.SIGABRT)  # as systemd does
        assert process.wait(timeout=DEADLINE_S) == -signal.SIGABRT
    said = (systemd.folder / "serve.log").read_text()
    assert "no progress" in said
    assert "hang_where_asked" in said, "the stack of the hanging thread is in the log"
    (systemd.folder / "hang").unlink()
    with ended(systemd.start("-m", "zstackd")) as process:
        systemd.until(lambda: "published" in events(systemd), "the result after the restart")
        process.send_signal(signal.SIGTERM)
        systemd.until(lambda: process.poll() is not None, "the end")
    planes = [entry["index"] for entry in journal(systemd) if entry["event"] == "frame"]
    assert sorted(set(planes)) == list(range(101))
    assert events(systemd).count("published") == 1
    assert len(list((systemd.folder / "output").iterdir())) == 1
