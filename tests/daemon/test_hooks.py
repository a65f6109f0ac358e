"""Hooks are bounded in time and in output, are ended with all they started, and never harm."""

import logging
import re
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.daemon.conftest import lodgings

from zstackd.runs.halt import Halt
from zstackd.runs.pulse import Pulses
from zstackd.service import hooks as hooks_module
from zstackd.service.hooks import OUTPUT_BYTES, HookEnd, Hooks, log_end, run_hook
from zstackd.store.journal import read_journal
from zstackd_config.service import Hook

HOUR_S = 3600.0
HOOK = "import sys; open(sys.argv[1], 'a').write('once\\n')"


def hook(code: str, timeout_s: float = 120) -> Hook:
    return Hook(command=(sys.executable, "-c", code), timeout_s=timeout_s)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_status_and_output_are_told_and_the_environment_is_given() -> None:
    code = "import os, sys; print(os.environ['ZSTACKD_NAME']); sys.exit(3)"
    end = run_hook(hook(code), {"ZSTACKD_NAME": "Käfer"}, Halt())
    assert (end.status, end.output, end.note) == (3, "Käfer", None)


def test_only_the_end_of_much_output_is_kept() -> None:
    code = "for i in range(200000): print(i)"
    end = run_hook(hook(code), {}, Halt())
    assert end.status == 0
    assert len(end.output) <= OUTPUT_BYTES
    assert end.output.endswith("199999")


@pytest.mark.parametrize("closes_its_output", [False, True])
def test_a_hook_that_takes_too_long_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closes_its_output: bool
) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        f"{'os.close(1); os.close(2)' if closes_its_output else ''}\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(pids)!r} + '.tmp', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(pids)!r} + '.tmp', {str(pids)!r})\n"
        "time.sleep(600)\n"
    )

    def now_s() -> float:
        """Tell the time, and once the hook has begun, one after its end."""
        return time.monotonic() + (HOUR_S if pids.exists() else 0.0)

    monkeypatch.setattr(hooks_module, "time", SimpleNamespace(monotonic=now_s, sleep=time.sleep))
    end = run_hook(hook(code, timeout_s=HOUR_S / 2), {}, Halt())
    assert end.status is None
    assert end.note == "ended: it took longer than its timeout_s"
    deadline_s = time.monotonic() + 60
    while any(is_running(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_the_stop_of_the_service_ends_a_hook() -> None:
    stop = Halt()
    timer = threading.Timer(0.3, lambda: stop.request("SIGTERM"))
    timer.start()
    began_s = time.monotonic()
    end = run_hook(hook("import time; time.sleep(600)"), {}, stop)
    assert (end.status, end.note) == (None, "ended: the service stops")
    assert time.monotonic() - began_s < 60
    timer.join()


def test_a_program_that_is_not_there_is_said() -> None:
    end = run_hook(Hook(command=("/nowhere/program",)), {}, Halt())
    assert end.status is None
    assert end.note is not None
    assert "/nowhere/program: cannot be started" in end.note


@pytest.mark.parametrize(
    ("end", "level", "said"),
    [
        (HookEnd(0, 1.0, ""), logging.INFO, "r1: on_published: status 0"),
        (HookEnd(3, 1.0, "x"), logging.WARNING, "r1: on_published failed: status 3; `zstackd logs"),
        (HookEnd(None, 1.0, "", "ended: x"), logging.WARNING, "r1: on_published failed: ended: x"),
    ],
)
def test_a_hook_that_fails_is_warned_of(
    caplog: pytest.LogCaptureFixture, end: HookEnd, level: int, said: str
) -> None:
    with caplog.at_level(logging.INFO):
        log_end("r1", "on_published", end)
    (record,) = caplog.records
    assert record.levelno == level
    assert record.getMessage().startswith(said)


def test_a_hook_leaves_no_file_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        run_hook(hook("print('x')"), {}, Halt())
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_a_hook_whose_end_found_no_room_is_not_run_again(tmp_path: Path) -> None:
    ran, command = tmp_path / "ran", (sys.executable, "-c", HOOK)
    hook = {"command": [*command, str(tmp_path / "ran")]}
    with contextmanager(lodgings)(tmp_path, on_published=hook) as lodging:
        hooks = Hooks(lodging.house, Pulses().of("hooks"))
        run = lodging.publish(hook=True)
        spooled = lodging.house.spool.runs / run.run_id
        spooled.rename(spooled.with_name("away"))
        for _ in range(3):
            hooks.turn()
        spooled.with_name("away").rename(spooled)
        hooks.turn()
        hooks.turn()
        ends = [e for e in read_journal(spooled / "journal.jsonl") if e["event"] == "hook"]
    assert ran.read_text() == "once\n"
    assert [end["status"] for end in ends] == [0]


def test_a_hook_is_told_all_that_the_page_of_operations_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| `(ZSTACKD_\w+)` \|", page, flags=re.MULTILINE)
    code = f"import os; print(*[os.environ[word] for word in {words}], sep='|')"
    command = {"command": [sys.executable, "-c", code]}
    with contextmanager(lodgings)(tmp_path, on_published=command) as lodging:
        run = lodging.publish(hook=True)
        Hooks(lodging.house, Pulses().of("hooks")).turn()
        (end,) = (
            entry
            for entry in read_journal(lodging.house.spool.runs / run.run_id / "journal.jsonl")
            if entry["event"] == "hook"
        )
    told = dict(zip(words, end["output"].strip().split("|"), strict=True))
    assert told["ZSTACKD_RIG"] == lodging.house.rig.name
    assert told["ZSTACKD_RUN_ID"] == run.run_id
    assert told["ZSTACKD_MANIFEST"] == f"{run.result}/manifest.json"
