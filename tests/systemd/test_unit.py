"""The unit, its users, folders and modules, judged by systemd's own tools."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "zstackd.service"
MOST_EXPOSURE = 1.6

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def settings(text: str) -> dict[str, list[str]]:
    """Return the values of each key; comments and sections left out."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@needs_analyze
def test_the_unit_verifies_without_a_word(tmp_path: Path) -> None:
    """The program is not installed here, so another stands in for it."""
    text = UNIT.read_text().replace("/opt/zstackd/bin/zstackd", "/bin/true")
    unit = tmp_path / "zstackd.service"
    unit.write_text(text)
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


@needs_analyze
def test_the_sandbox_leaves_little_exposed() -> None:
    ended = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNIT)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", ended.stdout)
    assert found is not None, ended.stdout
    assert float(found[1]) <= MOST_EXPOSURE


@needs_analyze
def test_every_exception_to_the_sandbox_is_explained() -> None:
    ended = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNIT)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    counted = set(re.findall(r"^✗ (\w+)=", ended.stdout, flags=re.MULTILINE))
    comments = "\n".join(line for line in UNIT.read_text().splitlines() if line.startswith("#"))
    assert {"PrivateDevices", "PrivateNetwork"} <= counted
    assert {name for name in counted if name not in comments} == {
        "DeviceAllow",  # explained under PrivateDevices
        "SupplementaryGroups",  # explained where it stands
    }


def test_the_service_never_gives_up_and_stops_in_time() -> None:
    unit = settings(UNIT.read_text())
    assert unit["Type"] == ["notify"]
    assert unit["Restart"] == ["on-failure"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert 5 < int(unit["TimeoutStopSec"][0].removesuffix("s")) <= 30
    assert int(unit["WatchdogSec"][0].removesuffix("s")) >= 10


def test_devices_of_late_plugged_controllers_are_known_at_start() -> None:
    """`DeviceAllow=char-X` counts only if the driver of X is loaded when the unit starts."""
    allowed = settings(UNIT.read_text())["DeviceAllow"]
    modules = (SYSTEMD / "zstackd.modules").read_text().split()
    assert {"char-ttyACM rw", "char-ttyUSB rw"} <= set(allowed)
    assert {"cdc_acm", "usbserial"} <= set(modules)


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd is not installed")
def test_sysusers_makes_the_user_with_its_groups(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("dialout:x:20:\nvideo:x:44:\n")
    for _ in range(2):  # an upgrade runs it again
        subprocess.run(
            ["systemd-sysusers", f"--root={tmp_path}", str(SYSTEMD / "zstackd.sysusers")],
            check=True, capture_output=True,
        )  # fmt: skip
    (user,) = [
        line.split(":")
        for line in (tmp_path / "etc/passwd").read_text().splitlines()
        if line.startswith("zstackd:")
    ]
    groups = {
        line.split(":")[0]: line.split(":")[3]
        for line in (tmp_path / "etc/group").read_text().splitlines()
    }
    assert user[5:] == ["/var/lib/zstackd", "/usr/sbin/nologin"]
    assert (groups["dialout"], groups["video"]) == ("zstackd", "zstackd")
    assert groups["zstackd"] == ""
    assert settings(UNIT.read_text())["SupplementaryGroups"] == ["dialout video"]


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="systemd is not installed")
def test_tmpfiles_makes_an_inbox_for_the_group(tmp_path: Path) -> None:
    lines = (SYSTEMD / "zstackd.tmpfiles").read_text()
    # Only root may give folders away; modes are what this test is about.
    owned = re.sub(r"(zstackd zstackd|root root) -", "- - -", lines)
    owned = re.sub(r"^d ", f"d {tmp_path}", owned, flags=re.MULTILINE)
    (tmp_path / "zstackd.conf").write_text(owned)
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/lib").mkdir(parents=True)
    ended = subprocess.run(
        ["systemd-tmpfiles", "--create", str(tmp_path / "zstackd.conf")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    state = tmp_path / "var/lib/zstackd"
    modes = {path.name: oct(path.stat().st_mode & 0o7777) for path in state.rglob("*")}
    assert modes == {"state": "0o750", "inbox": "0o2770", "output": "0o2770"}


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_installer_passes_shellcheck() -> None:
    ended = subprocess.run(
        ["shellcheck", str(SYSTEMD / "install.sh")], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")
