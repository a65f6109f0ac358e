"""Bad input and missing hardware: one line that says what to do, and the right exit status."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from tests.e2e.conftest import Site


def one_line(ended: subprocess.CompletedProcess[str], status: int) -> str:
    """Return the only line on stderr, after checking that there is no other."""
    assert ended.returncode == status, ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--output=~/out",),
            "--output=~/out: the shell has not replaced ~ by a home folder; write",
        ),
        (("--output", "~/out"), "~/out: the shell has not replaced ~ by a home folder; write it"),
        (("--state", "~"), "~: the shell has not replaced ~"),
    ],
)
def test_a_home_folder_that_the_shell_has_not_named(
    site: Site, words: tuple[str, ...], said: str
) -> None:
    line = one_line(site.zstackd("run", site.run(), "--rig", site.rig(), *words), 2)
    assert line.startswith(f"zstackd: {said}")
    assert {path.name for path in site.folder.iterdir()} == {"rig.yaml", "run.yaml"}


def test_plan_beyond_the_limits(site: Site) -> None:
    run = site.run(z_plan={"bottom": 0, "top": 420, "step": 20})
    line = one_line(site.zstackd("run", run, "--rig", site.rig()), 2)
    for word in ("run.yaml", "plane 21", "420 µm", "-100 to 400 µm"):
        assert word in line
    assert site.journals() == []


def test_overshoot_beyond_the_limits(site: Site) -> None:
    run = site.run(z_plan={"bottom": -95, "top": 0, "step": 5})
    line = one_line(site.zstackd("run", run, "--rig", site.rig()), 2)
    for word in ("plane 0", "-95 µm", "-107.5 µm", "-100 to 400 µm"):
        assert word in line


def test_plan_that_leaves_the_limits_from_where_the_axis_stands(site: Site) -> None:
    run = site.run(z_plan={"range": 1000, "step": 100})
    ended = site.zstackd("run", run, "--rig", site.rig())
    assert ended.returncode == 2
    assert "plane 0 of 11" in ended.stderr
    assert site.journal()[-1]["event"] == "failed"


def test_rig_that_cannot_find_out_where_it_stands(site: Site) -> None:
    rig = site.rig(focus={"reference": "confirm"})
    line = one_line(site.zstackd("run", site.run(), "--rig", rig), 3)
    assert "vouch for where it stands with --at-um UM, or let the service do the run" in line
    assert site.journals() == []


@pytest.mark.parametrize(
    ("at_um", "said"), [("9999", "--at-um: the focus axis cannot stand"), ("nan", "a finite one")]
)
def test_height_at_which_no_axis_stands(site: Site, at_um: str, said: str) -> None:
    rig = site.rig(focus={"reference": "confirm"})
    line = one_line(site.zstackd("run", site.run(), "--rig", rig, "--at-um", at_um), 2)
    assert said in line
    assert site.journals() == []


def test_port_that_does_not_exist(site: Site) -> None:
    rig = site.rig(focus={"port": "/dev/nowhere"})
    line = one_line(site.zstackd("run", site.run(), "--rig", rig), 3)
    assert "/dev/nowhere" in line
    assert site.journals() == []


def test_controller_that_is_not_grbl(site: Site) -> None:
    with site.controller("repetier") as twin:
        rig = site.rig(focus={"port": twin.port})
        line = one_line(site.zstackd("run", site.run(), "--rig", rig), 3)
        assert twin.motions == 0
    assert twin.port in line
    assert "GRBL 1.1" in line


def test_second_program_on_one_port(site: Site) -> None:
    with site.controller() as twin:
        one = site.rig("one.yaml", focus={"port": twin.port})
        two = site.rig("two.yaml", focus={"port": twin.port}, paths={"state": "s2", "output": "o2"})
        with site.started("run", site.slow_run(), "--rig", one) as first:
            site.wait_for_event("frame")
            line = one_line(site.zstackd("run", site.run(), "--rig", two), 3)
            site.wait_for_event("frame", count=3)
            assert first.poll() is None
        assert twin.violations == []
    assert twin.port in line


def test_second_program_on_one_state_folder(site: Site) -> None:
    rig = site.rig()
    with site.started("run", site.slow_run(), "--rig", rig) as first:
        site.wait_for_event("frame")
        line = one_line(site.zstackd("run", site.run(), "--rig", rig), 1)
        assert str(first.pid) in line
        assert first.poll() is None
    assert len(site.journals()) == 1


@pytest.mark.parametrize("command", ["run", "serve"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--output", "state/results"), "state/results: within the spool"),
        (("--output", "."), "holds the spool"),
        (("--state", "output/spool"), "output: holds the spool output/spool"),
    ],
)
def test_folders_of_the_command_line_keep_apart(
    site: Site, command: str, words: tuple[str, ...], said: str
) -> None:
    request = [site.run()] if command == "run" else []
    line = one_line(site.zstackd(command, *request, "--rig", site.rig(), *words), 2)
    assert said in line
    assert line.endswith("; name a folder beside it")
    assert not site.state.exists()


@pytest.mark.parametrize("command", ["check", "doctor", "run", "serve"])
def test_a_link_that_leads_the_spool_into_the_output_is_seen(site: Site, command: str) -> None:
    rig = site.rig()
    site.state.symlink_to(site.output / "state")
    request = [site.run()] if command == "run" else []
    ended = site.zstackd(command, *request, "--rig", rig)
    assert ended.returncode == (1 if command == "doctor" else 2)
    said = ended.stdout if command == "doctor" else ended.stderr
    assert re.search(r"rig\.yaml:\d+:\d+: paths\.output: 'output': holds the spool state, ", said)
