"""`zstackd stack` as users run it: a process with files, a status, and lines on its streams."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage

from zstackd.stack_command.options import METHODS

PROGRAM = Path(sys.executable).with_name("zstackd")
DEADLINE_S = 60.0

Stack = Callable[..., subprocess.CompletedProcess[str]]


def textured(height: int, width: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    colours = np.asarray(cv2.GaussianBlur(rng.standard_normal((height, width, 3)), (0, 0), 9))
    detail = np.asarray(cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 1))
    return np.clip(128 + 700 * colours + 90 * detail[..., np.newaxis], 0, 255)


def look(path: Path) -> NDArray[np.uint8 | np.uint16]:
    """Read an image with other means than the program's."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image)


def planes(count: int, height: int = 200, width: int = 260) -> list[NDArray[np.float64]]:
    """Frames of which each is sharp in one vertical strip."""
    sharp = textured(height, width)
    frames = []
    for index in range(count):
        blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 3), float)
        strip = slice(index * width // count, (index + 1) * width // count)
        blurred[:, strip] = sharp[:, strip]
        frames.append(blurred)
    return frames


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, plane in enumerate(planes(3)):
        cv2.imwrite(str(folder / f"z{index + 9}.png"), plane.astype(np.uint8))
    return folder


def refused(stack: Stack, *words: str | Path, status: int = 2) -> str:
    """Run what must fail, and return its only line."""
    done = stack(*words, status=status)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_frames_become_one_sharp_image_and_the_last_line_names_it(
    stack: Stack, frames: Path, tmp_path: Path
) -> None:
    done = stack(*sorted(frames.glob("*.png")), "-o", "out.png", "--no-align")
    assert done.stderr == ""
    assert "3 frames of 260 × 200 px" in done.stdout
    assert "wrote out.png" in done.stdout
    fused = look(tmp_path / "out.png").astype(float)
    truth = textured(200, 260)
    errors = [np.mean((frame - truth) ** 2) for frame in planes(3)]
    assert np.mean((fused - truth) ** 2) < 0.25 * min(errors)


@pytest.mark.parametrize("method", METHODS)
def test_a_folder_s_frames_are_sorted_by_number_and_reported_as_json(
    stack: Stack, frames: Path, method: str
) -> None:
    done = stack("-i", frames, "-o", "out.tif", "--json", "--method", method, "--z-step-um", "2")
    report = json.loads(done.stdout)
    assert [frame["name"] for frame in report["frames"]] == ["z9.png", "z10.png", "z11.png"]
    assert [frame["z_um"] for frame in report["frames"]] == [0, 2, 4]
    assert report["outputs"][0]["path"] == "out.tif"
    assert report["outputs"][0]["bytes"] > 200 * 260 * 3
    assert (report["width_px"], report["height_px"]) == (260, 200)
    assert report["method"] == method
    assert set(report["seconds"]) == {"stacking", "writing"}


def test_the_order_of_the_words_does_not_matter(stack: Stack, frames: Path, tmp_path: Path) -> None:
    first, second, third = sorted(frames.glob("*.png"))
    stack(first, second, third, "-o", "a.png")
    stack(third, "-o", "b.png", first, "--quality", "90", second)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_depth_is_written_as_heights_and_as_a_picture(
    stack: Stack, frames: Path, tmp_path: Path
) -> None:
    words = ["--depth", "d.tif", "--depth", "d.png", "--z-step-um", "5", "--pixel-size-um", "0.5"]
    done = stack("-i", frames, "-o", "out.png", *words, "--no-align")
    assert "d.tif" in done.stdout
    assert "d.png" in done.stdout
    with tifffile.TiffFile(tmp_path / "d.tif") as file:
        heights = file.asarray()
    assert heights.dtype == np.float32
    assert np.median(heights[:, 10:70]) < 2
    assert np.median(heights[:, 190:250]) > 8
    with PillowImage.open(tmp_path / "d.png") as picture:
        assert picture.height > picture.width * 200 / 260
    with PillowImage.open(tmp_path / "out.png") as picture:
        assert picture.info["dpi"][0] == pytest.approx(2_000_000 * 0.0254)


@pytest.mark.parametrize(("words", "unit"), [([], "planes"), (["--z-step-um", "5"], "um")])
def test_a_height_map_says_its_unit(
    stack: Stack, frames: Path, tmp_path: Path, words: list[str], unit: str
) -> None:
    done = stack("-i", frames, "-o", "out.png", "--depth", "d.tif", "--json", *words)
    assert json.loads(done.stdout)["depth_unit"] == unit
    with tifffile.TiffFile(tmp_path / "d.tif") as file:
        (page,) = file.pages
        assert isinstance(page, tifffile.TiffPage)
        assert page.description.endswith(f"unit: {unit}")


def test_16_bits_stay_16_bits(stack: Stack, frames: Path, tmp_path: Path) -> None:
    for path, plane in zip(sorted(frames.glob("*.png")), planes(3), strict=True):
        cv2.imwrite(str(path), (plane * 257).astype(np.uint16)[..., 0])
    stack("-i", frames, "-o", "out.png")
    fused = look(tmp_path / "out.png")
    assert fused.dtype == np.uint16
    assert fused.ndim == 2
    assert fused.max() > 40_000


def test_one_frame_is_written_as_it_is_and_that_is_said(
    stack: Stack, frames: Path, tmp_path: Path
) -> None:
    only = frames / "z10.png"
    done = stack(only, "-o", "out.png")
    assert done.stderr == "warning: only one frame: nothing to fuse, it is written as it is\n"
    np.testing.assert_array_equal(look(tmp_path / "out.png"), look(only))
    assert done.stdout.startswith("1 frame of 260 × 200 px")


def test_sizes_of_small_files_are_in_kb(stack: Stack, frames: Path, tmp_path: Path) -> None:
    done = stack("-i", frames, "-o", "out.png", "--report", "r.json")
    assert f"r.json ({(tmp_path / 'r.json').stat().st_size / 1000:.1f} kB)" in done.stdout


def test_what_a_format_cannot_hold_is_a_warning(stack: Stack, frames: Path) -> None:
    for path, plane in zip(sorted(frames.glob("*.png")), planes(3), strict=True):
        clear = np.full((200, 260, 1), 200 * 257)
        cv2.imwrite(str(path), np.dstack([plane * 257, clear]).astype(np.uint16))
    done = stack("-i", frames, "-o", "out.jpg")
    transparency, bits = done.stderr.splitlines()
    assert transparency.startswith(f"{frames / 'z10.png'}: warning: transparency is left out")
    assert bits.startswith("out.jpg: warning: JPEG holds 8 bits per channel")


def test_names_that_begin_with_a_hyphen_stand_behind_two(
    stack: Stack, frames: Path, tmp_path: Path
) -> None:
    for number in (1, 2):
        (tmp_path / f"-z{number}.png").hardlink_to(frames / f"z{number + 8}.png")
    done = stack("frames/z11.png", "-o", "out.png", "--json", "--", "-z1.png", "-z2.png")
    names = [frame["name"] for frame in json.loads(done.stdout)["frames"]]
    assert sorted(names) == ["-z1.png", "-z2.png", "z11.png"]
    done = stack("-o", "out.png", "--", "-z1.png", "-z2.png")
    assert done.stdout.startswith("2 frames of")
    assert refused(stack, "-o", "out.png", "--", "") == (
        "zstackd stack: argument FRAME: an empty name is no file; see zstackd stack --help"
    )


def test_a_folder_that_is_given_twice_is_refused(stack: Stack, frames: Path) -> None:
    said = refused(stack, "-i", frames, "-i", frames.parent, "-o", "out.png")
    assert f"-i/--input: given twice, {frames} and {frames.parent}; give one of them" in said


def test_a_result_among_the_frames_is_warned_of(stack: Stack, frames: Path) -> None:
    words = ["--depth", frames / ".hidden.png", "--report", frames / "r.json"]
    done = stack("-i", frames, "-o", frames / "out.png", *words, "-q")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{frames / 'out.png'}: warning: lies among the frames now")
    assert "one of the input frames" in refused(stack, "-i", frames, "-o", frames / "out.png")


def test_frames_left_out_are_named_on_stderr(stack: Stack, frames: Path) -> None:
    cv2.imwrite(str(frames / "z12.png"), np.full((200, 260, 3), 90, np.uint8))
    done = stack("-i", frames, "-o", "out.png", "--method", "laplacian")
    assert done.stderr == "z12.png: left out: only 0 key points found, 8 are needed\n"
    assert "3 frames" in done.stdout


def test_quiet_says_nothing(stack: Stack, frames: Path) -> None:
    done = stack("-i", frames, "-o", "out.png", "--quiet")
    assert (done.stdout, done.stderr) == ("", "")


def test_no_frames_are_refused(stack: Stack, tmp_path: Path) -> None:
    assert refused(stack, "-o", "out.png").startswith("no frames to stack: ")
    (tmp_path / "empty").mkdir()
    assert refused(stack, "-i", "empty", "-o", "out.png").startswith("empty: no JPEG, PNG or TIFF")


def test_a_missing_folder_is_refused(stack: Stack) -> None:
    assert refused(stack, "-i", "gone", "-o", "out.png") == "gone: no such folder"


def test_frames_of_different_sizes_are_refused(stack: Stack, frames: Path) -> None:
    cv2.imwrite(str(frames / "z10.png"), np.zeros((100, 260, 3), np.uint8))
    line = refused(stack, "-i", frames, "-o", "out.png")
    assert "260 × 100 px" in line
    assert "260 × 200 px" in line


def test_a_truncated_jpeg_is_refused(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "jpegs"
    folder.mkdir()
    for index, plane in enumerate(planes(3)):
        cv2.imwrite(str(folder / f"z{index}.jpg"), plane.astype(np.uint8))
    cut = folder / "z1.jpg"
    cut.write_bytes(cut.read_bytes()[:-5000])
    line = refused(stack, "-i", folder, "-o", "out.png")
    assert line.startswith(f"{cut}: truncated JPEG")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("program", ["stack", "focusstack"])
def test_a_jpeg_that_is_spoilt_in_its_midst_is_left_out_and_named(
    stack: Stack, tmp_path: Path, program: str
) -> None:
    folder = tmp_path / "jpegs"
    folder.mkdir()
    for index, plane in enumerate(planes(4)):
        cv2.imwrite(str(folder / f"z{index}.jpg"), plane.astype(np.uint8))
    spoilt = folder / "z1.jpg"
    data = bytearray(spoilt.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 512] = np.random.default_rng(1).bytes(512)
    spoilt.write_bytes(data)
    if program == "stack":
        done = stack("-i", folder, "-o", "out.png", "-q", "--report", "r.json")
        assert json.loads((tmp_path / "r.json").read_text())["left_out"] == ["z1.jpg"]
    else:
        done = subprocess.run(
            [str(PROGRAM.with_name("focusstack")), "-i", str(folder), "-o", "out.png"],
            cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=True,
        )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert line.startswith("z1.jpg: left out: damaged JPEG (")
    spoilt.unlink()
    stack("-i", folder, "-o", "without.png", "-q", "--method", "laplacian")
    if program == "focusstack":
        assert (tmp_path / "out.png").read_bytes() == (tmp_path / "without.png").read_bytes()


def test_a_text_called_jpg_is_refused(stack: Stack, tmp_path: Path) -> None:
    told = "frame.jpg: not a JPEG, PNG or TIFF image (it starts with {}); remove it or convert it"
    (tmp_path / "frame.jpg").write_text("Dear diary\n")
    assert refused(stack, "frame.jpg", "-o", "out.png") == told.format('"Dear dia"')
    (tmp_path / "frame.jpg").write_bytes(b"\x19{mS\x00\xff\n12")
    line = refused(stack, "frame.jpg", "-o", "out.png")
    assert line == told.format("bytes 19 7b 6d 53 00 ff 0a 31")


@pytest.mark.parametrize("output", ["gone/out.png", "frames/z9.png/out.png", "frames", "out.gif"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    stack: Stack, frames: Path, output: str
) -> None:
    assert refused(stack, "-i", frames, "-o", output).startswith(f"{output}: ")


def test_a_disk_that_takes_no_more_is_one_line_and_status_1(frames: Path, tmp_path: Path) -> None:
    limit = f"ulimit -f 100; exec {PROGRAM} stack -i {frames} -o out.tif"
    done = subprocess.run(
        ["bash", "-c", limit],
        cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "out.tif: cannot be written: File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_an_input_is_never_overwritten(stack: Stack, frames: Path) -> None:
    target = frames / "z10.png"
    before = target.read_bytes()
    assert "one of the input frames" in refused(stack, "-i", frames, "-o", target)
    line = refused(stack, "-i", frames, "-o", "out.png", "--depth", target)
    assert "one of the input frames" in line
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--method", "magic"], "choose from"),
        (["--z-step-um", "0"], "--z-step-um 0: must be 0.001 to 100000 µm; negative where"),
        (["--z-step-um", "-1e300"], "--z-step-um -1e+300: must be"),
        (["--pixel-size-um", "1e-9"], "--pixel-size-um 1e-09: must be 0.001 to 100000 µm"),
        (["--z-step-um", "nan"], "--z-step-um nan: must be"),
        (["--pixel-size-um", "-3"], "--pixel-size-um -3: must be"),
        (["--pixel-size-um", "small"], "'small' is not a number; write a number of µm, such"),
        (["--quality", "1.5"], "'1.5' is not a whole number; write a whole number, such as 2"),
        (["--reference", "4"], "--reference 4: must be first, middle, last or a frame's number"),
        (["--reference", "best"], "--reference best: must be"),
        (["--quality", "101"], "--quality 101: must be 1 to 100"),
        (["--depth", "d.jpg"], "d.jpg: a depth map is"),
        (["--depth", "out.png"], "named for two outputs"),
        (["z.png"], "give one or the other"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_line_and_status_2(
    stack: Stack, frames: Path, words: list[str], said: str
) -> None:
    assert said in refused(stack, "-i", frames, "-o", "out.png", *words)


@pytest.mark.parametrize("word", ["1", "first", "3", "last", "middle"])
def test_the_reference_is_the_frame_that_was_asked_for(
    stack: Stack, frames: Path, word: str
) -> None:
    done = stack("-i", frames, "-o", "out.png", "--reference", word, "--json")
    wanted = {"1": 0, "first": 0, "3": 2, "last": 2, "middle": 1}[word]
    assert json.loads(done.stdout)["reference_index"] == wanted


def test_exif_and_scale_of_the_reference_reach_the_result(
    stack: Stack, frames: Path, tmp_path: Path
) -> None:
    for index, path in enumerate(sorted(frames.glob("*.png"), key=lambda path: int(path.stem[1:]))):
        exif = PillowImage.Exif()
        exif[0x0110] = f"Camera {index}"
        with PillowImage.open(path) as picture:
            picture.save(path, exif=exif)
    stack("-i", frames, "-o", "out.jpg")
    with PillowImage.open(tmp_path / "out.jpg") as picture:
        assert picture.getexif()[0x0110] == "Camera 1"


def test_help_and_debug_work(stack: Stack) -> None:
    assert "--z-step-um" in stack("--help").stdout
    done = subprocess.run(
        [str(PROGRAM), "--debug", "stack", "gone.png", "-o", "out.png"],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == "gone.png: no such file"


def test_progress_is_shown_on_a_terminal_only(frames: Path, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(PROGRAM), "stack", "-i", str(frames), "-o", "out.png"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=slave, text=True,
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    shown, end = b"", time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 0.1)
        try:
            shown += os.read(master, 4096) if ready else b""
        except OSError:  # the terminal closes when the process has ended
            break
    stdout, _ = process.communicate(timeout=DEADLINE_S)
    os.close(master)
    assert process.returncode == 0
    assert b"stacking" in shown
    assert "wrote out.png" in stdout


@pytest.mark.parametrize("name", ["pcb", "macro"])
def test_real_stacks_come_out_sharper_than_any_frame(
    stack: Stack, tmp_path: Path, name: str
) -> None:
    home = Path(os.environ.get("ZSTACKD_STACKS", Path(__file__).parents[3] / "shared" / "stacks"))
    if not (home / name).is_dir():
        pytest.skip(f"the real stacks are not here ({home}); ZSTACKD_STACKS names their folder")
    stack("-i", home / name, "-o", "out.png")

    def sharpness(path: Path) -> float:
        grey = look(path).mean(axis=2)
        small = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return float(cv2.Laplacian(small, cv2.CV_64F).std())

    assert sharpness(tmp_path / "out.png") > 1.1 * max(map(sharpness, (home / name).iterdir()))


def test_nothing_is_left_beside_the_result(stack: Stack, frames: Path, tmp_path: Path) -> None:
    stack("-i", frames, "-o", "out.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames", "out.png"]
    assert len(list(frames.iterdir())) == 3
