"""The `zstackd` program itself: its list of commands, wrong words, and being stopped."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from zstackd.cli import COMMANDS

PROGRAM = Path(sys.executable).with_name("zstackd")
DEADLINE_S = 60.0


def wait_until_read(pid: int, size_bytes: int) -> None:
    """Wait until a process has read so much from its files."""
    end = time.monotonic() + DEADLINE_S
    while int(Path(f"/proc/{pid}/io").read_text().split()[1]) < size_bytes:
        assert time.monotonic() < end
        time.sleep(0.01)


def zstackd(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), *words], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--debug", "--help"]])
def test_help_lists_every_command_with_what_it_does(words: list[str]) -> None:
    done = zstackd(*words)
    assert done.returncode == 0
    for command, summary in COMMANDS.items():
        assert f"{command} " in done.stdout
        assert summary in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(command: str) -> None:
    done = zstackd(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"zstackd {command}" in done.stdout


def test_without_words_the_help_is_shown_and_the_status_is_2() -> None:
    done = zstackd()
    assert done.returncode == 2
    assert "Commands:" in done.stderr


@pytest.mark.parametrize(
    ("word", "said"),
    [("stak", "No such command 'stak'. Did you mean"), ("--bogus", "No such option: --bogus")],
)
def test_a_wrong_word_is_one_line_and_status_2(word: str, said: str) -> None:
    done = zstackd(word)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


def test_a_wrong_choice_is_said_without_a_library_s_words() -> None:
    done = zstackd("list", "--state", "foo")
    assert done.returncode == 2
    assert done.stderr.startswith("zstackd: Invalid value for '--state': 'foo' is not one of ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("list -n 0", "'--limit' / '-n': 0 is out of bounds; it must be at least 1"),
        ("list -n 2.5", "'2.5' is not a whole number; write a whole number, such as 2"),
        ("calibrate exposure --rig r --headroom 0.9", "0.9 is out of bounds; it must be at most"),
        ("calibrate settle --rig r --low-um 0 --high-um 9 --watch-ms 1", "be at least 50 ms"),
        ("focus move abc", "'abc' is not a number; write a number of µm, such as 1.5"),
    ],
)
def test_a_wrong_number_is_said_as_of_a_file(words: str, said: str) -> None:
    done = zstackd(*words.split())
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let children heed SIGINT, which a shell's background job ignores and hands down."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="watches the process through /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stack_that_is_stopped_says_so_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 256, (450, 600, 3), dtype=np.uint8)
    for index in range(60):
        cv2.imwrite(str(folder / f"z{index}.jpg"), np.roll(image, index, axis=1))
    all_bytes = sum(path.stat().st_size for path in folder.iterdir())
    out = tmp_path / "out.png"

    def stopped_half_way() -> tuple[int, str]:
        with subprocess.Popen(
            [str(PROGRAM), "stack", "-i", str(folder), "-o", str(out)],
            stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            wait_until_read(process.pid, all_bytes // 2)
            process.send_signal(number)
            _, errors = process.communicate(timeout=DEADLINE_S)
        return process.returncode, errors

    status, errors = stopped_half_way()
    for _ in range(4):
        if status != 0:
            break
        out.unlink()  # it was done before this busy machine came to stop it
        status, errors = stopped_half_way()
    assert (status, errors) == (130, "zstackd: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    path = tmp_path / "z1.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8))
    return path


@pytest.mark.parametrize(
    ("shell", "status"),
    [
        ("{zstackd} stack {frame} -o {out} >&-", 0),
        ("{zstackd} stack {frame} -o {out} 2>&-", 0),
        ("{zstackd} stack {frame} -o {out} >&- 2>&- <&-", 0),
        ("PYTHONIOENCODING=ascii {zstackd} stack {frame} -o {out}", 0),
        ("{zstackd} stack {frame} -o {out} --json | sleep 0; exit ${{PIPESTATUS[0]}}", 141),
    ],
)
def test_streams_that_are_closed_or_know_no_accents_do_no_harm(
    tmp_path: Path, frame: Path, shell: str, status: int
) -> None:
    out = tmp_path / "out.png"
    line = shell.format(zstackd=PROGRAM, frame=frame, out=out)
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == status, done.stderr
    assert done.stderr in {"", "warning: only one frame: nothing to fuse, it is written as it is\n"}
    assert out.exists()


INTERRUPTED_IMPORT = """
import os, signal, sys

class Interruption:
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                if not {swallowed}:
                    raise
            raise ImportError("half imported")

sys.meta_path.insert(0, Interruption())
from {program} import main
sys.exit(main())
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("module", "swallowed"),
    [
        ("zstackd_config.errors", False),
        ("logging", False),
        ("argparse", False),
        ("numpy", False),
        ("numpy", True),
    ],
)
@pytest.mark.parametrize("program", ["zstackd.cli", "zstackd.focusstack"])
def test_an_interruption_during_an_import_is_a_word_and_a_status(
    program: str, module: str, *, swallowed: bool
) -> None:
    """Compiled code makes other errors of it, which `swallowed` stands for."""
    command = ["stack"] if program == "zstackd.cli" else []
    code = INTERRUPTED_IMPORT.format(module=module, program=program, swallowed=swallowed)
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "-i", "gone", "-o", "out.png"],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.stderr == f"{program.removesuffix('.cli').split('.')[-1]}: interrupted\n"
    assert done.returncode == 130


@pytest.fixture
def rig_and_run() -> str:
    examples = Path(__file__).parents[2] / "config" / "examples"
    return f"--rig {examples / 'rig.simulated.yaml'} {examples / 'run.demo.yaml'}"


SHELL_LINES = [
    "{zstackd} --help",
    "{zstackd} --version",
    "{zstackd} check --help",
    "{zstackd} check {rig_and_run}",
    "{zstackd} stack --help",
    "{zstackd} stack {frame} -o {out} -q --json",
    "{focusstack} --help",
]


def bash(line: str, frame: Path, rig_and_run: str) -> subprocess.CompletedProcess[str]:
    line = line.format(
        zstackd=PROGRAM, focusstack=PROGRAM.with_name("focusstack"), frame=frame,
        out=frame.with_name("out.png"), rig_and_run=rig_and_run,
    )  # fmt: skip
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


@pytest.mark.parametrize("line", SHELL_LINES)
def test_a_reader_that_has_enough_is_never_a_failure(
    frame: Path, rig_and_run: str, line: str
) -> None:
    # What is printed waits for the reader to have gone.
    fifo = frame.with_name("fifo")
    gone = f"mkfifo {fifo}; (exec <{fifo}) & exec 3>{fifo}; wait; {line} >&3"
    done = bash(f"{gone} 2>{frame.with_name('errors')}", frame, rig_and_run)
    errors = frame.with_name("errors").read_text().splitlines()
    assert [told for told in errors if "only one frame" not in told] == []
    assert done.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="stands for a full disk")
@pytest.mark.parametrize("line", SHELL_LINES)
def test_an_output_without_room_is_one_line_and_status_1(
    frame: Path, rig_and_run: str, line: str
) -> None:
    done = bash(f"{line} > /dev/full", frame, rig_and_run)
    *_, last = done.stderr.splitlines()
    assert "standard output cannot be written: No space left on device" in last
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
