"""The tools that are compared, each run as its makers advise for a focus stack."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.process import Cost, ToolError, run

_HERE = Path(__file__).parent
_VENV = _HERE / ".venv"
FOCUSWEAVE = "2.0.0"


class Tool(Protocol):
    """Fuses the frames of a folder into one picture."""

    @property
    def name(self) -> str:
        """As the tables show it."""

    @property
    def version(self) -> str:
        """Of the program, part of the key of cached results."""

    def fuse(self, frames: Sequence[Path], out: Path, work: Path, *, still: bool) -> Cost:
        """Write the fused picture to `out`; `work` is an empty folder for anything else.

        `still`: the stack comes from a rigid rig, of which its user knows.
        """


@dataclass(frozen=True, slots=True)
class Zstackd:
    """The installed package, by its command line."""

    name: str = "zstackd"
    version: str = "work"
    depth: bool = True
    options: tuple[str, ...] = ()

    def fuse(self, frames: Sequence[Path], out: Path, work: Path, *, still: bool) -> Cost:
        """Defaults; with the height map, and the report as JSON in `work`."""
        del still  # the default aligns every stack
        heights: list[str | Path] = []
        if self.depth:
            heights = ["--depth", work / "depth.tif", "--confidence", work / "confidence.tif"]
        command = zstackd_command(frames, out, "--json", *heights, *self.options)
        return run(command, work / "report.json")


def zstackd_command(frames: Sequence[Path], out: Path, *options: str | Path) -> list[str | Path]:
    """The installed program's command line for one stack."""
    return [sys.executable, "-m", "zstackd", "stack", *frames, "-o", out, *options]


def offers_low_memory() -> bool:
    """Whether the installed program has the option --memory."""
    command = [sys.executable, "-m", "zstackd", "stack", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return "--memory" in shown.stdout


@dataclass(frozen=True, slots=True)
class FocusWeave:
    """From PyPI, in a venv of its own."""

    name: str = "FocusWeave"
    version: str = FOCUSWEAVE

    def fuse(self, frames: Sequence[Path], out: Path, work: Path, *, still: bool) -> Cost:
        """Defaults."""
        del still  # the default aligns every stack
        return run([_VENV / "bin" / "focusweave", frames[0].parent, "--output", out], work / "log")


@dataclass(frozen=True, slots=True)
class Enfuse:
    """Debian's enfuse with the weights its manual gives for focus stacks, after
    align_image_stack with the field of view free (-m, for focus stacks) where the stack moves."""

    name: str = "enfuse"
    version: str = "4.2"

    def fuse(self, frames: Sequence[Path], out: Path, work: Path, *, still: bool) -> Cost:
        """The recipe of the manuals."""
        cost = Cost(0.0, 0.0, 0.0)
        layers = list(frames)
        if not still:
            align = ["align_image_stack", "-m", "--use-given-order", "-a"]
            cost += run([*align, str(work / "aligned_"), *map(str, frames)], work / "align.log")
            layers = sorted(work.glob("aligned_*.tif"))
        weights = ["--exposure-weight=0", "--saturation-weight=0", "--contrast-weight=1"]
        command = ["enfuse", *weights, "--hard-mask", f"--output={out}", *map(str, layers)]
        return cost + run(command, work / "enfuse.log")


@dataclass(frozen=True, slots=True)
class Pointed:
    """A tool that the user points to: NAME=COMMAND with {frames}, {folder} and {out} in it."""

    name: str
    command: str

    @property
    def version(self) -> str:
        """Unknown; the command stands for it."""
        return self.command

    def fuse(self, frames: Sequence[Path], out: Path, work: Path, *, still: bool) -> Cost:
        """The command as given."""
        del still
        words: list[str | Path] = []
        for word in shlex.split(self.command):
            if word == "{frames}":
                words += frames
            else:
                words.append(word.format(folder=frames[0].parent, out=out, work=work))
        return run(words, work / "log")


def pointed(text: str) -> Pointed:
    """Read NAME=COMMAND; ToolError where it is something else."""
    name, equals, command = text.partition("=")
    if not (equals and name.strip() and "{out}" in command):
        raise ToolError(f"--peer {text}: must be NAME=COMMAND, with {{frames}} or {{folder}} and "
                        "{out} in the command")  # fmt: skip
    return Pointed(name.strip(), command.strip())


def set_up() -> list[Tool]:
    """Install what can be had; a line for each that is left out."""
    found: list[Tool] = []
    if _focusweave():
        found.append(FocusWeave())
    if _enfuse():
        found.append(Enfuse())
    return found


def _focusweave() -> bool:
    if (_VENV / "bin" / "focusweave").exists():
        return True
    print(f"setting up FocusWeave {FOCUSWEAVE} in {_VENV}")
    python = _VENV / "bin" / "python"
    made = _quiet([sys.executable, "-m", "venv", "--clear", _VENV]) and _quiet(
        [python, "-m", "pip", "install", "--quiet", f"focusweave=={FOCUSWEAVE}"]
    )
    if not made:
        print("FocusWeave is left out: it could not be installed from PyPI")
    return made


def _enfuse() -> bool:
    wanted = ("enfuse", "align_image_stack")
    if all(map(shutil.which, wanted)):
        return True
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("setting up enfuse and hugin-tools")
        _quiet(["apt-get", "update", "-qq"])
        _quiet(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "enfuse",
                "hugin-tools"])  # fmt: skip
    if all(map(shutil.which, wanted)):
        return True
    print("enfuse is left out: install the packages enfuse and hugin-tools to compare with it")
    return False


def _quiet(command: Sequence[str | Path]) -> bool:
    """Whether a command of the set-up went well."""
    words = [str(word) for word in command]
    return subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode == 0
