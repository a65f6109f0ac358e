"""`make install` into a staging folder, twice; and what stays after `make uninstall`."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from zstackd_config.load import load_rig

ROOT = Path(__file__).parents[2]
PACKAGES = {"zstackd", "zstackd_config", "zstackd_drivers", "zstackd_stacking"}
DEPENDENCIES = next(path for path in sys.path if path.endswith("site-packages"))
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
CONFIG = "etc/zstackd/rig.yaml"
RUN = "var/lib/zstackd/runs/20261124T101112Z_a/request.yaml"


@dataclass(frozen=True)
class Stage:
    """A staging folder, filled by the Makefile without the network."""

    tree: Path
    wheels: Path

    def make(self, target: str) -> str:
        """Run the Makefile's target on the tree; pip leaves dependencies out."""
        words = [f"{name}={value}" for name, value in self._words().items()]
        return self._run("make", "--silent", target, *words, MAKEFLAGS="")

    def install(self) -> str:
        """Run what the Makefile runs, with dependencies that the program can be started with."""
        return self._run("systemd/install.sh", "install", **self._words(), PYTHONPATH=DEPENDENCIES)

    def _words(self) -> dict[str, str]:
        return {
            "DESTDIR": str(self.tree),
            "WHEELS": str(self.wheels),
            "PYTHON": sys.executable,
            "PIP": "python -m pip",  # by its name, since the path of a clone may have spaces
        }

    @staticmethod
    def _run(*command: str, **environment: str) -> str:
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False,
            env={**os.environ, "PIP_NO_DEPS": "1", "PATH": PATH, **environment},
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def files(self) -> set[str]:
        """Return everything that is no folder, relative to the tree; the program left out."""
        paths = (path for path in self.tree.rglob("*") if path.is_symlink() or path.is_file())
        names = {str(path.relative_to(self.tree)) for path in paths}
        return {name for name in names if not name.startswith("opt/zstackd/")}

    def write(self, name: str, text: str) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder),
            str(ROOT),
        ],
        check=True,
    )  # fmt: skip
    return folder


def test_a_set_up_with_another_python_is_refused_by_name(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 9); $2"\n'
    )
    old.chmod(0o755)
    ended = subprocess.run(
        ["make", f"{tmp_path}/.ready", f"VENV={tmp_path}", f"PYTHON={old}"],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "MAKEFLAGS": ""},
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{old} is no Python 3.11 or newer; name one: make PYTHON=")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Stage:
    stage = Stage(tmp_path_factory.mktemp("a stage"), wheels)
    stage.install()
    return stage


def test_the_wheel_brings_our_packages_and_nothing_else(wheels: Path) -> None:
    (wheel,) = wheels.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)


def test_every_file_is_where_the_system_looks_for_it(stage: Stage) -> None:
    local = "usr/local/lib"
    backoff = f"{local}/systemd/system/zstackd.service.d/backoff.conf"
    examples = {
        f"usr/local/share/zstackd/examples/{path.name}"
        for path in (ROOT / "config/examples").glob("*.yaml")
    }
    pages = {
        f"usr/local/share/doc/zstackd/{path.relative_to(ROOT / 'docs')}"
        for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs/images").iterdir()]
    }
    assert examples
    assert "usr/local/share/doc/zstackd/install.md" in pages
    assert stage.files() - {backoff} == examples | pages | {
        f"{local}/systemd/system/zstackd.service",
        f"{local}/sysusers.d/zstackd.conf",
        f"{local}/tmpfiles.d/zstackd.conf",  # noqa: S108 - no temporary file
        f"{local}/modules-load.d/zstackd.conf",
        f"{local}/udev/rules.d/60-zstackd.rules",
        "usr/local/bin/zstackd",
        "usr/local/bin/focusstack",
        "usr/local/share/bash-completion/completions/zstackd",
        "usr/local/share/zsh/site-functions/_zstackd",
        "usr/local/share/fish/vendor_completions.d/zstackd.fish",
        CONFIG,
    }


def test_the_first_rig_file_is_valid_and_uses_the_service_s_folders(stage: Stage) -> None:
    rig = load_rig(stage.tree / CONFIG)
    state = Path("/var/lib/zstackd")
    assert rig.paths.state == state / "state"
    assert rig.paths.output == state / "output"


def test_the_tree_does_not_know_where_it_was_staged(stage: Stage) -> None:
    staged_at = os.fsencode(stage.tree)
    files = [path for path in stage.tree.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 100
    assert [path for path in files if staged_at in path.read_bytes()] == []


def test_the_unit_starts_a_program_that_runs(stage: Stage) -> None:
    unit = (stage.tree / "usr/local/lib/systemd/system/zstackd.service").read_text()
    (start,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    program = stage.tree / start.removeprefix("ExecStart=/").split()[0]
    assert "/opt/zstackd/bin/python" in program.read_text()
    assert os.access(program, os.X_OK)
    link = stage.tree / "usr/local/bin/zstackd"
    assert os.readlink(link) == "/opt/zstackd/bin/zstackd"  # noqa: PTH115 - a dangling link
    python = stage.tree / "opt/zstackd/bin/python"
    ended = subprocess.run(
        [python, "-c", "import zstackd.cli as c; print(c.__file__); c.main(['--help'])"],
        env={**os.environ, "PYTHONPATH": DEPENDENCIES},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    where, *usage = ended.stdout.splitlines()
    assert Path(where).is_relative_to(stage.tree / "opt/zstackd")
    assert "serve" in "\n".join(usage)


def test_an_upgrade_keeps_configuration_and_runs_and_so_does_removal(stage: Stage) -> None:
    before = stage.files()
    stage.write(CONFIG, "name: mine\n")
    stage.write(RUN, "name: a\n")
    stage.write("opt/zstackd/lib/left_by_the_old_version.py", "")
    assert "is an example" not in stage.make("install")
    assert stage.files() == before | {RUN}
    assert (stage.tree / CONFIG).read_text() == "name: mine\n"
    assert not (stage.tree / "opt/zstackd/lib/left_by_the_old_version.py").exists()
    assert [path.name for path in (stage.tree / "opt").iterdir()] == ["zstackd"]
    for _ in range(2):
        stage.make("uninstall")
        assert stage.files() == {CONFIG, RUN}
        assert list((stage.tree / "opt").iterdir()) == []


@pytest.mark.parametrize(
    ("known", "wanted"),
    [("python3-libcamera", "."), ("python3-libcamera python3-kms++", ".[pi]")],
)
def test_the_camera_comes_only_where_all_its_packages_are_known(
    tmp_path: Path, known: str, wanted: str
) -> None:
    """Debian has one of the two; and of several, apt-cache says yes where it knows any."""
    apt, pip = tmp_path / "apt-cache", tmp_path / "pip"
    look = f'for word; do case " {known} " in *" $word "*) exit 0 ;; esac; done; exit 1'
    apt.write_text(f"#!/bin/sh\n{look}\n")
    pip.write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/words"\nexit 1\n')
    for stub in (apt, pip):
        stub.chmod(0o755)
    environment = {"DESTDIR": str(tmp_path), "PIP": "pip", "PATH": f"{tmp_path}:{PATH}"}
    ended = subprocess.run(
        ["systemd/install.sh", "install"], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": sys.executable, **environment},
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    words = (tmp_path / "words").read_text().split()
    assert words[-1] == wanted
    assert "--use-pep517" in words, "pip of bookworm builds no setup.py otherwise"
