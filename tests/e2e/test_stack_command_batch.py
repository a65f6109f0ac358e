"""`zstackd stack --batch`: a folder of stacks, of which some may be bad."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

Stack = Callable[..., subprocess.CompletedProcess[str]]


def fill(folder: Path, count: int = 3, seed: int = 1) -> None:
    """Frames of which each is sharp in one vertical strip."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed).standard_normal((90, 120, 3)).astype(np.float32)
    sharp = np.clip(128 + 150 * cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255).astype(np.uint8)
    for index in range(count):
        frame = cv2.GaussianBlur(sharp, (0, 0), 2)
        strip = slice(index * 120 // count, (index + 1) * 120 // count)
        frame[:, strip] = sharp[:, strip]
        cv2.imwrite(str(folder / f"z{index}.png"), frame)


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """Three stacks, of which the second has a damaged frame, and folders that are none."""
    folder = tmp_path / "stacks"
    for number, name in enumerate(("s1", "s2", "s10")):
        fill(folder / name, seed=number)
    damaged = folder / "s2" / "z1.png"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    (folder / "notes").mkdir()
    fill(folder / ".hidden")
    return folder


def test_one_failure_does_not_end_the_rest_and_shows_in_the_status(
    stack: Stack, stacks: Path
) -> None:
    done = stack("--batch", stacks, "--no-align", status=1)
    assert {path.name for path in stacks.glob("*.png")} == {"s1.png", "s10.png"}
    first, second = done.stdout.splitlines()
    assert first.startswith("s1: 3 frames of 120 × 90 px")
    assert second.startswith("s10: 3 frames of 120 × 90 px")
    passed, failure, summary = done.stderr.splitlines()
    assert passed == f"{stacks / 'notes'}: no images in it, passed over"
    assert failure.startswith(f"s2: failed: {stacks / 's2' / 'z1.png'}: truncated PNG")
    assert summary == "2 of 3 stacks written; failed: s2"


def test_outputs_are_named_after_the_subfolder_and_a_second_run_stacks_no_results(
    stack: Stack, stacks: Path
) -> None:
    (stacks / "s2" / "z1.png").unlink()
    (stacks / "results").mkdir()
    words = [
        "-o",
        stacks / "results" / "{name}.jpg",
        "--report",
        stacks / "results" / "{name}.json",
    ]
    for _ in range(2):
        done = stack("--batch", stacks, *words, "--json", "--no-align")
        told = json.loads(done.stdout)
        assert [Path(entry["folder"]).name for entry in told["stacks"]] == ["s1", "s2", "s10"]
        assert [len(entry["frames"]) for entry in told["stacks"]] == [3, 2, 3]
        assert told["failed"] == []
    assert sorted(path.name for path in (stacks / "results").iterdir()) == [
        "s1.jpg", "s1.json", "s10.jpg", "s10.json", "s2.jpg", "s2.json",
    ]  # fmt: skip


def test_failures_are_in_the_json_too(stack: Stack, stacks: Path) -> None:
    told = json.loads(stack("--batch", stacks, "--json", "--no-align", status=1).stdout)
    assert told["failed"] == ["s2"]
    assert "truncated PNG" in told["stacks"][1]["error"]
    assert told["stacks"][0]["error"] is None


def test_results_never_go_among_the_frames_of_a_stack(stack: Stack, stacks: Path) -> None:
    fill(stacks / "z0")
    before = {path: path.read_bytes() for path in (stacks / "s1").iterdir()}
    done = stack("--batch", stacks, "-o", stacks / "s1" / "{name}.png", status=2)
    (line,) = done.stderr.splitlines()
    assert "z1.png in it looks like a frame" in line
    assert {path: path.read_bytes() for path in (stacks / "s1").iterdir()} == before


def test_no_stack_of_a_batch_overwrites_a_frame_of_another(stack: Stack, stacks: Path) -> None:
    fill(stacks / "z0")
    before = (stacks / "s1" / "z0.png").read_bytes()
    output = stacks / "s1" / ".." / "s1" / "{name}.png"
    link = stacks.parent / "link"
    link.symlink_to(stacks / "s1")
    for folder in (output.parent, link):
        stack("--batch", stacks, "-o", folder / "{name}.png", status=2)
    (stacks / "out").mkdir()
    (stacks / "out" / "z0.png").hardlink_to(stacks / "s1" / "z0.png")
    done = stack("--batch", stacks, "-o", stacks / "out" / "{name}.png", "-q", status=1)
    assert "z0: failed:" in done.stderr
    assert "is one of the input frames" in done.stderr
    assert (stacks / "s1" / "z0.png").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "better"),
    [
        (["-o", "stacks/{name}/stack.png"], "stacks/{name}_stack.png"),
        (["-o", "stacks/{name}/{name}.TIF"], "stacks/{name}.TIF"),
        (["--depth", "stacks/{name}/depth.png"], "stacks/{name}_depth.png"),
    ],
)
def test_results_that_the_next_batch_would_stack_are_refused_at_once(
    stack: Stack, stacks: Path, words: list[str], better: str
) -> None:
    before = sorted(stacks.rglob("*"))
    done = stack("--batch", "stacks", *words, status=2)
    passed, line = done.stderr.splitlines()
    assert passed.endswith("passed over")
    assert line.startswith(f"{words[1]}: {words[1].replace('{name}', 's1')} would lie among the")
    assert line.endswith(f"such as {better}")
    assert sorted(stacks.rglob("*")) == before


def test_results_that_are_no_images_may_lie_beside_the_frames(stack: Stack, stacks: Path) -> None:
    (stacks / "s2" / "z1.png").unlink()
    for _ in range(2):
        stack("--batch", stacks, "--report", stacks / "{name}" / "r.json", "-q", "--no-align")
    assert len(list(stacks.glob("s*/r.json"))) == 3


def test_warnings_name_their_stack(stack: Stack, stacks: Path) -> None:
    for path in (stacks / "s10").glob("z[12].png"):
        path.unlink()
    done = stack("--batch", stacks, "--no-align", "-q", status=1)
    _, warning, *_ = done.stderr.splitlines()
    assert warning == "s10: warning: only one frame: nothing to fuse, it is written as it is"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--batch", "gone"], "gone: no such folder"),
        (["--batch", "stacks/notes"], "stacks/notes: none of its subfolders holds"),
        (["--batch", "stacks/s1/z0.png"], "is not a folder"),
        (
            ["--batch", "stacks", "-o", "out.png"],
            "put {name} into the path, such as {name}_out.png",
        ),
        (["--batch", "stacks", "--report", "r.json"], "such as {name}_r.json"),
        (["--batch", "stacks", "-i", "stacks/s1"], "--batch takes its frames from subfolders"),
        (["--batch", "stacks", "-o", "{name}.bmp"], "unknown image extension '.bmp'"),
        (["--batch", "stacks", "--quality", "0"], "--quality 0: must be 1 to 100"),
    ],
)
def test_a_batch_that_cannot_be_is_one_line_and_status_2(
    stack: Stack, stacks: Path, words: list[str], said: str
) -> None:
    done = stack(*words, status=2)
    (line,) = done.stderr.splitlines()
    assert said in line
    assert list(stacks.glob("*.png")) == []


def test_quiet_does_not_tell_of_folders_that_are_passed_over(stack: Stack, stacks: Path) -> None:
    (stacks / "empty").mkdir()
    assert "no images in it, passed over" in stack("--batch", stacks, status=1).stderr
    assert "passed over" not in stack("--batch", stacks, "-q", status=1).stderr
