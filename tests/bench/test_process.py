"""What a process cost, its children included."""

import sys
from pathlib import Path

import pytest
from bench.process import Cost, ToolError, run

BUSY = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
LARGE = "block = b'x' * 120_000_000; print(len(block))"
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"


def test_time_of_children_counts(work: Path) -> None:
    cost = run([sys.executable, "-c", PARENT, BUSY], work / "log")
    assert cost.cpu_s >= 0.3
    assert cost.wall_s >= 0.3


def test_memory_of_children_counts(work: Path) -> None:
    idle = run([sys.executable, "-c", PARENT, ""], work / "log")
    cost = run([sys.executable, "-c", PARENT, LARGE], work / "log")
    assert cost.peak_mb - idle.peak_mb == pytest.approx(120, abs=30)
    assert (work / "log").read_text("utf-8") == "120000000\n"


def test_a_failure_is_told_in_its_last_words(work: Path) -> None:
    code = "import sys; print('fine'); sys.stderr.write('no such frame\\n'); sys.exit(3)"
    with pytest.raises(ToolError, match="status 3: no such frame"):
        run([sys.executable, "-c", code], work / "log")


def test_costs_one_after_the_other_add_up_but_their_peaks() -> None:
    assert Cost(1, 2, 300) + Cost(2, 3, 200) == Cost(3, 5, 300)
