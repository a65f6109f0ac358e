"""The service in one line: what `systemctl status` shows."""

from zstackd.service.control import ServiceStatus
from zstackd.store.run_state import RunState, RunSummary


def status_line(status: ServiceStatus) -> str:
    """Return what the service is doing, and why it does not, for an operator."""
    parts = [status.state]
    if status.why is not None:
        parts = [f"{status.state}: {status.why}"]
    if status.current is not None:
        parts.append(_work(status.current))
    if status.queue:
        parts.append(f"{status.queue} waiting")
    failed = status.counts.get(RunState.FAILED, 0)
    parts.append(f"{status.counts.get(RunState.PUBLISHED, 0)} published")
    if failed:
        parts.append(f"{failed} failed")
    return "; ".join(parts)


def _work(run: RunSummary) -> str:
    planes = ""
    if run.state is RunState.CAPTURING and run.planes_total is not None:
        planes = f", plane {min(run.planes_done + 1, run.planes_total)} of {run.planes_total}"
    return f"{run.state} {run.run_id}{planes}"
