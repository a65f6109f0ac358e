"""A real service on the simulated rig inside the test's process, behind its real API server."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from tests.rigs import simulated_rig

from zstackd.api.app import Application, create_app
from zstackd.api.front import Reloading
from zstackd.api.limits import Limits
from zstackd.api.metrics import Metrics
from zstackd.api.recent import RecentMessages
from zstackd.api.server import ApiServer
from zstackd.runs.halt import Halt
from zstackd.service.catalogue import Catalogue
from zstackd.service.events import Events
from zstackd.service.hardware import Hardware
from zstackd.service.house import House
from zstackd.service.service import Service
from zstackd.store.spool import Spool
from zstackd.system.notify import Notifier
from zstackd_config.load import load_rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zstackd.service.control import Control

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - of a test
RUN = {"name": "A small run", "z_plan": {"bottom": 0, "top": 100, "step": 25}}
LONG_RUN = {
    "name": "A long run",
    "z_plan": {"bottom": 0, "top": 200, "step": 0.25},
    "exposure": {"mode": "manual", "exposure_time_ms": 1900},
}
"""It takes minutes: no test waits for its end, however slow the machine."""

PATIENCE_S = 60.0
FEW = Limits(connections=24, at_once=16)
QUICK = Limits(head_s=0.3, body_s=0.3, unread_s=0.3, connections=24, at_once=16)
"""Bounds that a test can wait for; a busy machine may need longer for a good request."""

RIG = simulated_rig()


@dataclass(frozen=True)
class Running:
    """A service in this process, with its API on a Unix socket and on TCP."""

    folder: Path
    house: House
    control: Control
    app: Application
    server: ApiServer

    @property
    def socket(self) -> Path:
        return self.folder / "control.sock"

    @property
    def tcp(self) -> str:
        host, port = self.server.tcp_address or ("", 0)
        return f"http://{host}:{port}"

    def client(self) -> httpx.Client:
        """Return a client on the Unix socket."""
        transport = httpx.HTTPTransport(uds=str(self.socket), verify=False)
        return httpx.Client(transport=transport, base_url="http://zstackd", timeout=PATIENCE_S)

    def requests(self) -> set[str]:
        """Return every run file below the folder, relative to it, wherever it is."""
        found = self.folder.rglob("request.yaml")
        return {str(path.relative_to(self.folder)) for path in found}

    def submit(self, **changes: Any) -> str:
        """Submit a run through the API and return its id."""
        document = yaml.safe_dump(RUN | changes).encode()
        with self.client() as client:
            run_id: str = client.post("/v1/runs", content=document).json()["run"]["run_id"]
        return run_id

    def until_idle(self) -> None:
        """Wait until nothing is done or waits: the rig is free."""

        def is_idle() -> bool:
            status = self.control.status()
            return status.state == "idle" and status.queue == 0

        until(is_idle, "idleness")

    def wait(self, run_id: str, *kinds: str) -> None:
        """Wait until one of these things has happened to a run."""
        with self.control.subscribe(after=0) as events:
            while (event := events.get(PATIENCE_S)) is not None:
                if event.run_id == run_id and event.kind in kinds:
                    return
        pytest.fail(f"{run_id}: none of {kinds} came")


def until(look: Callable[[], object], what: str) -> None:
    """Wait until `look` returns something true; fail where it does not in time."""
    end = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.01)


@contextmanager
def running(folder: Path, limits: Limits | None = None) -> Iterator[Running]:
    """Run a service in a thread, with its API opened once runs can be accepted."""
    rig_file = folder / "rig.yaml"
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    tcp = {"port": 0, "token_file": "token"}
    rig_file.write_text(yaml.safe_dump(RIG | {"api": {"socket": "control.sock", "tcp": tcp}}))
    rig = load_rig(rig_file)
    stop, events = Halt(), Events()
    catalogue = Catalogue(events)
    with ExitStack() as stack:
        house = House(
            spool=stack.enter_context(Spool(rig.paths.state, catalogue.hear)),
            output=rig.paths.output,
            hardware=Hardware(rig, stop),
            events=events,
            catalogue=catalogue,
            stop=stop,
        )
        service = Service(house)
        opened = threading.Event()
        thread = threading.Thread(target=service.run, args=(opened.set,), name="service")
        thread.start()
        stack.callback(thread.join)
        stack.callback(stop.request, "the test has ended")
        assert opened.wait(PATIENCE_S)
        until(lambda: house.hardware.trouble is None, "the rig to be open")
        metrics = stack.enter_context(Metrics(service.control))
        app = create_app(
            service.control,
            reload=Reloading(service.control, rig_file, Notifier(None)),
            messages=RecentMessages(),
            metrics=metrics,
        )
        path = rig.api.socket
        assert path is not None
        beat = house.pulses.of("api").beat
        server = ApiServer(app, path=path, tcp=rig.api.tcp, beat=beat, limits=limits)
        stack.enter_context(server)
        yield Running(folder, house, service.control, app, server)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a service that the tests of a module share."""
    with running(tmp_path_factory.mktemp("s")) as found:
        yield found


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Running]:
    """Return a service that takes few connections."""
    with running(tmp_path, FEW) as found:
        yield found


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Running]:
    """Return a service whose patience with clients a test can wait for."""
    with running(tmp_path, QUICK) as found:
        yield found
