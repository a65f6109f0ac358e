"""Files may be called anything: every line of `zstackd stack` and `focusstack` stays one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

Stack = Callable[..., subprocess.CompletedProcess[str]]

ODD, SHOWN = "z\n1\x1b[31m", r"z\n1\x1b[31m"


def frame(path: Path, *, alpha: bool = False) -> Path:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(2).integers(0, 256, (40, 60, 3 + alpha), dtype=np.uint8)
    ok, data = cv2.imencode(".png", pixels)
    assert ok
    path.write_bytes(data.tobytes())
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([f"{ODD}.png", "-o", "a.png"], f"{SHOWN}.png: no such file"),
        (["-i", ODD, "-o", "a.png"], f"{SHOWN}: no such folder"),
        (["-i", "in", "-o", f"{ODD}.gif"], f"{SHOWN}.gif: unknown image extension"),
        (["-i", "in", "-o", f"{ODD}/a.png"], f"{SHOWN}/a.png: the output folder"),
        (["in/text.png", "-o", "a.png", f"--{ODD}"], f"arguments: --{SHOWN}; see"),
        ([f"{ODD}.tif", "in/a.png", "-o", "a.png"], f"{SHOWN}.tif: holds 3 images"),
        ([f"{ODD}.tif", "-o", "a.png"], f"{SHOWN}.tif:1: pixels of type float32"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_whatever_the_files_are_called(
    stack: Stack, tmp_path: Path, words: list[str], said: str
) -> None:
    frame(tmp_path / "in" / "a.png")
    pages = np.zeros((3, 40, 60), np.float32)
    tifffile.imwrite(tmp_path / f"{ODD}.tif", pages, photometric="minisblack")
    done = stack(*words, "-q", status=2)
    (line,) = done.stderr.splitlines()
    assert said in line
    assert "\x1b" not in line


def test_warnings_and_results_are_one_line_each(stack: Stack, tmp_path: Path) -> None:
    frame(tmp_path / ODD / f"{ODD}.png", alpha=True)
    done = stack("-i", ODD, "-o", f"{ODD}/out\n.png")
    transparency, single, among = done.stderr.splitlines()
    assert transparency.startswith(f"{SHOWN}/{SHOWN}.png: warning: transparency")
    assert single.startswith("warning: only one frame")
    assert among.startswith(rf"{SHOWN}/out\n.png: warning: lies among the frames")
    (line,) = done.stdout.splitlines()
    assert rf"wrote {SHOWN}/out\n.png" in line


def test_lines_of_a_batch_are_one_each(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    frame(folder / ODD / "a.png")
    (folder / "bad\n").mkdir()
    (folder / "bad\n" / "b\n.png").write_text("text")
    (folder / "empty\n").mkdir()
    done = stack("--batch", "in", status=1)
    passed, failed, single, total = done.stderr.splitlines()
    assert passed == r"in/empty\n: no images in it, passed over"
    assert failed.startswith(r"bad\n: failed: in/bad\n/b\n.png: not a JPEG")
    assert single.startswith(f"{SHOWN}: warning: only one frame")
    assert total.endswith(r"failed: bad\n")


def test_the_classic_tool_keeps_to_its_line_too(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("focusstack")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{ODD}.png").write_text("text")
    done = subprocess.run(
        [str(program), "-i", "in", "-o", "a.png"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"in/{SHOWN}.png: not a JPEG")
