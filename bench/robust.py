"""What must hold whatever the stack: bad frames do not end it, and the bytes never change."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from bench.costs import emptied
from bench.peers import zstackd_command
from bench.process import ToolError, run
from bench.verdict import Check

_MANY_LEVELS = 1000


def bad_frames_check(frames: Sequence[Path], stranger: Path, work: Path) -> Check:
    """A stack with a black frame and one of another subject: it ends well, and names both."""
    folder = emptied(work / "bad")
    bad = {len(frames) // 4: "black", 3 * len(frames) // 4: "unrelated"}
    for index, path in enumerate(frames):
        target = folder / path.name
        if bad.get(index) == "black":
            image = np.asarray(cv2.imread(str(path)), np.uint8)
            cv2.imwrite(str(target), np.zeros_like(image))
        else:
            shutil.copyfile(stranger if index in bad else path, target)
    what = "a black and an unrelated frame among the others: the stack ends, both are named"
    try:
        run(
            zstackd_command(sorted(folder.iterdir()), work / "bad.png", "--json"), work / "bad.json"
        )
    except ToolError as error:
        return Check(what, str(error), "2 named", passed=False)
    described = json.loads((work / "bad.json").read_text("utf-8"))
    named = [f["index"] for f in described["frames"] if f["note"] or not f["used"]]
    return Check(what, f"{len(set(named) & set(bad))} named, {len(set(named) - set(bad))} others",
                 "2 named, 0 others", set(named) == set(bad))  # fmt: skip


def same_bytes_checks(frames: Sequence[Path], work: Path) -> Iterator[Check]:
    """One stack in another order of the command line, and on one core."""
    first = _digest(zstackd_command(frames, work / "a.png"), work)
    turned = _digest(zstackd_command(frames[::-1], work / "a.png"), work)
    yield Check("same bytes with the frames named in another order", _same(first, turned),
                "same", first == turned)  # fmt: skip
    if shutil.which("taskset"):
        single = _digest(["taskset", "-c", "0", *zstackd_command(frames, work / "a.png")], work)
        yield Check("same bytes on one core", _same(first, single), "same", first == single)


def sixteen_bit_checks(frames: Sequence[Path], work: Path) -> Iterator[Check]:
    """Frames of 16 bits, in colour and mono, give a picture of 16 bits that uses them."""
    out = work / "deep.tif"
    for kind, flag in (("colour", cv2.IMREAD_COLOR), ("mono", cv2.IMREAD_GRAYSCALE)):
        folder = emptied(work / "deep")
        image = np.empty(0, np.uint16)
        for path in frames:
            image = np.asarray(cv2.imread(str(path), flag), np.uint16)
            deep = image * np.uint16(200) + np.uint16(77)  # no multiple of 257
            cv2.imwrite(str(folder / f"{path.stem}.tif"), deep)
        run(zstackd_command(sorted(folder.iterdir()), out, "--no-align"), work / "log")
        made = np.asarray(cv2.imread(str(out), cv2.IMREAD_UNCHANGED))
        levels = len(np.unique(made))
        good = made.dtype == np.uint16 and made.shape == image.shape and levels > _MANY_LEVELS
        yield Check(f"16 bits end to end, {kind}: levels in the picture", f"{levels}",
                    f"> {_MANY_LEVELS}", good)  # fmt: skip


def _digest(command: Sequence[str | Path], work: Path) -> str:
    run(command, work / "log")
    return hashlib.sha256((work / "a.png").read_bytes()).hexdigest()


def _same(a: str, b: str) -> str:
    return "same" if a == b else "different"
