"""Figures of soak tests in a table; examples of Hypothesis that stay the same.

Hypothesis tries the same examples each time, so that a change alone can make a test fail.
HYPOTHESIS_PROFILE=explore looks for new ones. How long one takes, or takes to be made, says more of
the machine's other work than of the example.
"""

import os
import signal
import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

any_pace = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", any_pace, derandomize=True)
settings.register_profile("explore", any_pace, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

if threading.current_thread() is threading.main_thread():
    # A job in the background begins with Ctrl-C ignored, and the programs it starts inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

Report = Callable[..., None]


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Take figures for the table that `make soak` ends with."""

    def take(**figures: object) -> None:
        words = ", ".join(f"{name} {value}" for name, value in figures.items())
        request.node.user_properties.append(("soak", words))

    return take


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what soak tests measured, one line each."""
    done = [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]
    lines = [
        f"{test.nodeid.rpartition('::')[2]:<60} {test.outcome:<7} {test.duration:7.1f} s  {value}"
        for test in done
        for name, value in test.user_properties
        if name == "soak" and test.when == "call"
    ]
    if lines:
        terminalreporter.section("soak")
        terminalreporter.write_line("\n".join(lines))
