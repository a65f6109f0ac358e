"""The installed program on a simulated rig, as real processes in a folder of their own."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from tests.rigs import merged, simulated_rig
from tests.sockets import answers

from zstackd.api.client import Client
from zstackd.store.journal import ENDS, read_journal
from zstackd_config.load import load_rig
from zstackd_drivers.clock import SystemClock
from zstackd_drivers.firmware.other_firmware import Kind
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.grbl.twin import GrblTwin

ZSTACKD = (sys.executable, "-W", "error", "-m", "zstackd")
DEADLINE_S = 120.0
SIZE_PX = (320, 240)
FINE = {"size_px": [512, 384]}
"""For what is judged by the picture, or by the time and room that it takes."""


@dataclass(frozen=True)
class Site:
    """A folder with a small, fast simulated rig and its runs.

    `environment` is what the programs are given beside the test's own.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def inbox(self) -> Path:
        return self.state / "inbox"

    def rig(self, file: str = "rig.yaml", **changes: Any) -> Path:
        """Write a rig file; a change such as `focus={"port": …}` is merged into its section."""
        rig = simulated_rig(camera={"size_px": [*SIZE_PX]}, focus={"settle_ms": 100})
        return self._write(file, merged(rig, changes))

    def run(self, file: str = "run.yaml", **changes: Any) -> Path:
        """Write a run file of 21 planes over the depth of the specimen."""
        plan = {"bottom": 0, "top": 200, "step": 10}
        return self._write(file, {"name": "A small run", "z_plan": plan, **changes})

    def short_run(self, **changes: Any) -> Path:
        """Write a run file of three planes, for what is no matter of the stack itself."""
        return self.run(z_plan={"absolute": [60, 100, 140]}, **changes)

    def slow_run(self) -> Path:
        """Write a run file that takes minutes by its exposures, longer than any test waits."""
        plan = {"bottom": 0, "top": 200, "step": 0.25}
        exposure = {"mode": "manual", "exposure_time_ms": 1900}
        return self.run("slow.yaml", name="slow", z_plan=plan, exposure=exposure)

    def _write(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return path

    @contextmanager
    def controller(
        self, firmware: Kind | Literal["grbl"] = "grbl", focus: dict[str, Any] | None = None
    ) -> Iterator[GrblTwin]:
        """Run a controller twin in real time on a port of its own, outside the program."""
        rig = load_rig(self.rig("twin.yaml", focus=focus or {}))
        setup = replace(GrblSetup.from_rig(rig.focus, rig.simulation), firmware=firmware)
        with GrblTwin(setup=setup, clock=SystemClock()) as twin:
            yield twin

    def zstackd(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        return subprocess.run(
            [*ZSTACKD, *map(str, words)],
            cwd=self.folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
            env={**os.environ, **self.environment},
        )  # fmt: skip

    @contextmanager
    def started(self, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Start the program in a session of its own; kill it on leaving if it still runs."""
        log = self.folder / f"{words[0]}.log"
        with (
            log.open("a") as stream,
            subprocess.Popen(
                [*ZSTACKD, *map(str, words)],
                cwd=self.folder, stdout=stream, stderr=stream, text=True, start_new_session=True,
                env={**os.environ, **self.environment},
            ) as process,
        ):  # fmt: skip
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def drop(self, path: Path, name: str) -> None:
        """Put a file into the inbox as a program does: by rename."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        path.rename(self.inbox / name)

    @contextmanager
    def serving(self, rig: Path, *, ready: bool = False) -> Iterator[subprocess.Popen[str]]:
        """Run the service; `ready` waits until it has opened the rig."""
        log = self.folder / "serve.log"
        log.unlink(missing_ok=True)
        words = "the rig is ready" if ready else "drop run files into"
        with self.started("serve", "--rig", rig) as process:
            self.until(lambda: process.poll() is not None or words in self.log(), f"{words!r}")
            assert process.poll() is None, self.log()
            yield process

    @staticmethod
    def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM, status: int = 0) -> None:
        """Stop a program; how soon it has ended is the matter of test_service_stops.py."""
        process.send_signal(number)
        assert process.wait(timeout=DEADLINE_S) == status

    def log(self) -> str:
        """Return what the service has logged so far, the last character perhaps in part."""
        log = self.folder / "serve.log"
        return log.read_text(errors="replace") if log.exists() else ""

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Ask the service, as soon as it listens: it takes in run files a moment before."""
        path = self.state / "control.sock"
        self.until(lambda: answers(path), "the control socket")
        with Client(path) as client:
            yield client

    def published(self) -> tuple[Path, dict[str, Any]]:
        """Return the only result and its manifest, after checking every promise of it."""
        (result,) = self.results()
        assert faults_of(result) == []
        return result, json.loads((result / "manifest.json").read_text())

    def results(self) -> list[Path]:
        """Return what a consumer sees in the output folder, hidden entries too."""
        return sorted(self.output.iterdir()) if self.output.exists() else []

    def journals(self) -> list[list[dict[str, Any]]]:
        """Return the journal of each run, oldest run first."""
        paths = self.state.glob("runs/*/journal.jsonl")
        found = (read_journal(path) for path in paths)
        return sorted(filter(None, found), key=lambda journal: str(journal[0]["at"]))

    def ends(self) -> list[str]:
        """Return the event that ended each run, oldest run first; `open` where none did."""
        return [
            next((e["event"] for e in reversed(journal) if e["event"] in ENDS), "open")
            for journal in self.journals()
        ]

    def journal(self) -> list[dict[str, Any]]:
        """Return the journal of the only run."""
        (only,) = self.journals()
        return only

    @staticmethod
    def until(look: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
        """Wait until `look` returns something true; fail where it does not in time."""
        end = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
            time.sleep(0.01)

    def wait_for_event(self, event: str, *, count: int = 1) -> None:
        """Wait until the journals of all runs have `count` such entries together."""

        def found() -> bool:
            paths = self.state.glob("runs/*/journal.jsonl")
            lines = "".join(path.read_text(errors="replace") for path in paths)
            failed = [line for line in lines.splitlines() if '"event": "failed"' in line]
            assert event == "failed" or not failed, failed
            return lines.count(f'"event": "{event}"') >= count

        self.until(found, f"{count} × {event} in the journals")

    def wait_for_files(self, pattern: str, *, count: int = 1) -> None:
        """Wait until `count` files of the state folder fit `pattern`."""
        self.until(lambda: len(list(self.state.glob(pattern))) >= count, f"{count} × {pattern}")

    def wait_for_log(self, words: str) -> None:
        """Wait until the service has logged `words`."""
        self.until(lambda: words in self.log(), f"{words!r} in the log")


def faults_of(result: Path) -> list[str]:
    """Return how a published folder differs from what its manifest promises."""
    try:
        manifest = json.loads((result / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        return [f"{result}: {error}"]
    promised = {file["name"]: file for file in manifest["files"]}
    present = {path.name for path in result.iterdir()} - {"manifest.json"}
    faults = [f"{name}: promised or present, not both" for name in present ^ set(promised)]
    for name in present & set(promised):
        data = (result / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if (len(data), digest) != (promised[name]["bytes"], promised[name]["sha256"]):
            faults.append(f"{name}: size or hash differs")
    return faults


@dataclass
class Watcher:
    """A consumer that looks at the output folder all the time and trusts what it sees."""

    folder: Path
    faults: list[str] = field(default_factory=list)
    looks: int = 0
    _seen: set[str] = field(default_factory=set)
    _end: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._end.is_set():
            self.looks += 1
            for name in self._names():
                if not name.startswith(".") and name not in self._seen:
                    self._look_into(name)
            time.sleep(0.001)

    def _look_into(self, name: str) -> None:
        """Look through a folder that is held open: the way to it may be cut meanwhile."""
        try:
            descriptor = os.open(self.folder / name, os.O_RDONLY)
        except FileNotFoundError:
            return  # it is looked for again, once it is back
        try:
            self._seen.add(name)
            faults = faults_of(Path(f"/proc/self/fd/{descriptor}"))
            self.faults += [f"{name}: {fault}" for fault in faults]
        finally:
            os.close(descriptor)

    def _names(self) -> list[str]:
        """Return what is in the folder; nothing while the folder is away."""
        try:
            return [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self.watch, name="consumer")
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()


@contextmanager
def consuming(site: Site) -> Iterator[Watcher]:
    """Watch the output folder meanwhile; fail where a partial result showed."""
    watcher = Watcher(site.output)
    with watcher.watching():
        yield watcher
    assert watcher.looks > 1
    assert watcher.faults == []


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def consumer(site: Site) -> Iterator[Watcher]:
    """Watch the output folder during the test."""
    with consuming(site) as watcher:
        yield watcher


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site on which the small run was done, with its printed words in `printed.txt`."""
    site = Site(tmp_path_factory.mktemp("done"))
    run = site.run(metadata={"slide": "A7", "n": 3})
    with consuming(site):
        ended = site.zstackd("run", run, "--rig", site.rig(camera=FINE))
    assert ended.returncode == 0, ended.stderr
    (site.folder / "printed.txt").write_text(ended.stdout)
    return site


@pytest.fixture
def stack(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `zstackd stack` in the test's folder; it must end with `status`, without a traceback."""

    def call(*words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*ZSTACKD, "stack", *map(str, words)],
            cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return call
