"""`focusstack` keeps the contract of the classic tool of that name."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

PROGRAM = Path(sys.executable).with_name("focusstack")
DEADLINE_S = 60.0

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(*words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(PROGRAM), *map(str, words)],
            cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        return done

    return call


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three images, each sharp in one vertical third; named so that text order is wrong."""
    folder = tmp_path / "input"
    folder.mkdir()
    rng = np.random.default_rng(4)
    noise = cv2.GaussianBlur(rng.standard_normal((200, 270, 3)), (0, 0), 1.5)
    sharp = np.clip(128 + 150 * noise, 0, 255).astype(np.uint8)
    for index, number in enumerate((8, 9, 10)):
        image = cv2.GaussianBlur(sharp, (0, 0), 2)
        image[:, index * 90 : (index + 1) * 90] = sharp[:, index * 90 : (index + 1) * 90]
        cv2.imwrite(str(folder / f"step{number}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 98])
    return folder


def look(path: Path) -> NDArray[np.uint8]:
    """Read an image with other means than the program's."""
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image, np.uint8)


def sharpness(path: Path) -> float:
    return float(cv2.Laplacian(look(path).mean(axis=2), cv2.CV_64F).std())


def line_of(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = (done.stdout + done.stderr).splitlines()
    return line


def test_a_folder_becomes_one_image_relative_to_the_working_directory(
    run: Run, images: Path, tmp_path: Path
) -> None:
    assert line_of(run("-i", images, "-o", "out.png")) == "out.png: written from 3 images"
    assert sharpness(tmp_path / "out.png") > 1.2 * max(map(sharpness, images.iterdir()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input", "out.png"]


def test_the_first_by_number_is_the_reference(run: Run, images: Path, tmp_path: Path) -> None:
    run("-i", images, "-o", "out.png")
    first = look(images / "step8.jpg").astype(int)
    fused = look(tmp_path / "out.png").astype(int)
    assert np.mean(np.abs(fused - first)[:, 5:80].max(axis=2) <= 1) > 0.7


def test_without_images_it_does_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    assert line_of(run("-i", "empty", "-o", "out.png")).startswith("empty: no images")
    assert not (tmp_path / "out.png").exists()


def test_kernel_sizes_are_honoured(run: Run, images: Path, tmp_path: Path) -> None:
    run("-i", images, "-o", "a.png")
    run("-i", images, "-o", "b.png", "-g", "5", "-l", "5")
    run("-i", images, "-o", "c.png", "--gaussian", "9")
    run("-i", images, "-o", "d.png", "--laplacian", "9")
    usual, same, *others = (
        (tmp_path / f"{name}.png").read_bytes() for name in ("a", "b", "c", "d")
    )
    assert usual == same
    assert usual not in others


@pytest.mark.parametrize(("option", "name"), [("-g", "Gaussian"), ("-l", "Laplacian")])
def test_an_even_kernel_size_is_refused(run: Run, images: Path, option: str, name: str) -> None:
    line = line_of(run("-i", images, "-o", "out.png", option, "4", status=2))
    assert line == f"{name} kernel size 4 px: it must be odd, from 1 to 31; try 5"


@pytest.mark.parametrize("words", [["-d"], ["-d", "True"]])
def test_debug_leaves_the_intermediate_images_behind(
    run: Run, images: Path, tmp_path: Path, words: list[str]
) -> None:
    run("-i", images, "-o", "out.png", *words)
    kept = sorted(path.name for path in (tmp_path / "out_intermediate").iterdir())
    assert kept == [
        *(f"aligned_step{number}.png" for number in (10, 8, 9)),
        *(f"laplacian_step{number}.png" for number in (10, 8, 9)),
    ]
    aligned = look(tmp_path / "out_intermediate" / "aligned_step9.png")
    assert aligned.shape == (200, 270, 3)


def test_an_image_that_cannot_be_aligned_is_named_and_the_status_stays_0(
    run: Run, images: Path
) -> None:
    cv2.imwrite(str(images / "step11.png"), np.full((200, 270, 3), 77, np.uint8))
    done = run("-i", images, "-o", "out.png")
    assert done.stderr == "step11.png: left out: only 0 key points found, 8 are needed\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-i", "gone", "-o", "out.png"], "gone: no such folder"),
        (["-i", "input", "-o", "gone/out.png"], "gone/out.png: the output folder"),
        (["-i", "input", "-o", "input/step9.jpg"], "one of the input frames"),
        (["-i", "input", "-o", "out"], "unknown image extension"),
        (["-i", "input"], "focusstack: the following arguments are required: -o/--output"),
        (["-i", "input", "-o", "out.png", "-g", "x"], "'x' is not a whole number; write a whole"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    run: Run, images: Path, words: list[str], said: str
) -> None:
    assert images.is_dir()
    assert said in line_of(run(*words, status=2))
