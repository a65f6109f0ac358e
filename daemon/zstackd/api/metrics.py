"""Figures for Prometheus: what the service says of itself, and what its events add up to."""

import threading
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zstackd.service.control import Control, ServiceStatus
from zstackd.service.events import Event, Subscription
from zstackd.store.run_state import ENDED, RunState
from zstackd.system.temperature import temperature_c
from zstackd_drivers.axis import Reference

_QUEUE: Final = 4096
_LOOK_S: Final = 1.0
_STATES: Final = ("starting", "idle", "running", "paused", "lent", "degraded", "stopping")
_PHASES: Final = {"captured": "capture", "stacked": "stack", "published": "publish"}
"""The event that ends each phase; it began with the one before, or with `started`."""

_SECONDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Metrics:
    """A registry that is asked at each scrape; while entered, it also counts events."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_Snapshot(control))
        self._counts = _Counts(self.registry)

    def __enter__(self) -> Self:
        self._subscription = self._control.subscribe(size=_QUEUE)
        self._thread = threading.Thread(
            target=self._counts.listen, args=(self._subscription,), name="metrics", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._subscription.close()
        self._thread.join()


class _Counts:
    """Counters since the start of the service, fed by events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "zstackd_runs", "Runs that ended, by outcome.", ["outcome"], registry=registry
        )
        for state in sorted(ENDED):
            self._ended.labels(outcome=state.value)
        self._planes = Counter("zstackd_planes", "Frames captured.", registry=registry)
        self._lost = Counter(
            "zstackd_metrics_lost_events", "Events that came too fast to count.", registry=registry
        )
        self._phases = Histogram(
            "zstackd_phase_seconds",
            "Duration of the phases of runs, in seconds.",
            ["phase"],
            buckets=_SECONDS,
            registry=registry,
        )
        for phase in _PHASES.values():
            self._phases.labels(phase=phase)
        self._since: dict[str, datetime] = {}

    def listen(self, subscription: Subscription) -> None:
        """Count until the subscription is closed."""
        lost = 0
        while True:
            event = subscription.get(_LOOK_S)
            if event is None and subscription.closed:
                return
            if event is not None:
                self._count(event)
            self._lost.inc(subscription.dropped - lost)
            lost = subscription.dropped

    def _count(self, event: Event) -> None:
        if event.run_id is None:
            return
        if event.kind == "frame":
            self._planes.inc()
        elif event.kind == "started":
            self._since[event.run_id] = datetime.fromisoformat(event.at)
        elif event.kind in _PHASES:
            self._end_phase(_PHASES[event.kind], event.run_id, datetime.fromisoformat(event.at))
        if event.kind in ENDED:
            self._ended.labels(outcome=event.kind).inc()
            self._since.pop(event.run_id, None)

    def _end_phase(self, phase: str, run_id: str, at: datetime) -> None:
        since = self._since.get(run_id)
        if since is not None:
            self._phases.labels(phase=phase).observe(max(0.0, (at - since).total_seconds()))
            self._since[run_id] = at


class _Snapshot(Collector):
    """What the service says of itself at the moment of a scrape."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: the service need not run when this is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        status = self._control.status()
        yield from _service(status)
        yield from _folders(status)
        yield from _rig(status)
        yield _gauge(
            "zstackd_thread_silence_seconds",
            "Seconds since each essential thread last showed that it lives.",
            "thread",
            self._control.beats_s(),
        )


def _service(status: ServiceStatus) -> Iterator[Metric]:
    info = GaugeMetricFamily("zstackd_info", "Version and rig.", labels=["version", "rig"])
    info.add_metric([status.version, status.rig], 1)
    yield info
    states = {state: float(state == status.state) for state in _STATES}
    yield _gauge("zstackd_state", "1 for the state the service is in.", "state", states)
    yield GaugeMetricFamily("zstackd_queue", "Runs that wait.", value=status.queue)
    present = {str(state): float(status.counts.get(state, 0)) for state in RunState}
    yield _gauge("zstackd_runs_present", "Runs in memory by state.", "state", present)
    yield CounterMetricFamily("zstackd_faults", "Hardware faults.", value=status.faults)


def _folders(status: ServiceStatus) -> Iterator[Metric]:
    spaces = {"spool": status.spool, "output": status.output}
    yield _gauge(
        "zstackd_disk_free_bytes", "Bytes free on the file system of each folder.", "folder",
        {name: space.free_bytes for name, space in spaces.items()},
    )  # fmt: skip
    yield _gauge(
        "zstackd_disk_size_bytes", "Size of the file system of each folder.", "folder",
        {name: space.total_bytes for name, space in spaces.items()},
    )  # fmt: skip
    yield GaugeMetricFamily(
        "zstackd_disk_reserved_bytes",
        "Bytes that the run in work will still write.",
        value=status.reserved_bytes,
    )


def _rig(status: ServiceStatus) -> Iterator[Metric]:
    ready = {"axis": float(status.axis is not None), "camera": float(status.camera is not None)}
    yield _gauge("zstackd_device_open", "1 while the device is there.", "device", ready)
    if status.axis is not None:
        known = float(status.axis.reference is Reference.REFERENCED)
        yield GaugeMetricFamily(
            "zstackd_axis_referenced", "1 while the position of the axis is known.", value=known
        )
        if status.axis.position_um is not None:
            yield GaugeMetricFamily(
                "zstackd_axis_position_um",
                "Height of the axis, in micrometres.",
                value=status.axis.position_um,
            )
    degrees = temperature_c()
    if degrees is not None:
        yield GaugeMetricFamily(
            "zstackd_temperature_celsius", "Temperature of the computer.", value=degrees
        )


def _gauge(name: str, text: str, label: str, values: dict[str, Any]) -> GaugeMetricFamily:
    """Return a gauge with one label; what is not known is left out."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        if value is not None:
            family.add_metric([key], float(value))
    return family
