"""The commands that talk to the service, as real processes against a real one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import cv2
import pytest
import yaml
from rich.text import Text
from tests.api.conftest import LONG_RUN, PATIENCE_S, RIG, RUN, until
from tests.sockets import answers

from zstackd.api import client, sockets
from zstackd.api.client import Client, RunJson
from zstackd.commands.status import axis_text
from zstackd.commands.wording import runs_table
from zstackd_config.load import load_rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZSTACKD = (sys.executable, "-W", "error", "-m", "zstackd")


@dataclass(frozen=True)
class Desk:
    """A folder with a running service, and an operator's shell in it."""

    folder: Path
    process: subprocess.Popen[bytes]

    def zstackd(
        self, *words: str, status: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, which must be `status`."""
        ended = subprocess.run(
            [*ZSTACKD, *words], cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S,
            check=False, env={**os.environ, "ZSTACKD_SOCKET": "state/control.sock", **environment},
        )  # fmt: skip
        said = ended.stdout + ended.stderr
        log = (self.folder / "serve.log").read_text()[-2000:]
        assert ended.returncode == status, f"{said}\n{self.process.poll()}: {log}"
        return ended

    def said(self, *words: str, **environment: str) -> str:
        """Run a command that succeeds without a complaint, and return what it printed."""
        ended = self.zstackd(*words, status=0, **environment)
        assert ended.stderr == ""
        return ended.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.said(*words, "--json"))

    def complaint(self, *words: str, status: int, **environment: str) -> str:
        """Run a command that fails, and return its one line."""
        ended = self.zstackd(*words, status=status, **environment)
        assert ended.stdout == ""
        (line,) = ended.stderr.splitlines()
        return line

    def write(self, name: str, content: Any) -> str:
        (self.folder / name).write_text(yaml.safe_dump(content))
        return name

    def status(self) -> dict[str, Any]:
        """Return what the service itself says, sooner than a command does."""
        with Client(self.folder / "state/control.sock") as client:
            return client.get("/v1/status")

    def until_idle(self) -> None:
        """Wait until no run is left of the tests before: the rig is free."""
        until(lambda: (self.status()["state"], self.status()["queue"]) == ("idle", 0), "idleness")

    def submitted(self, **changes: Any) -> str:
        (accepted,) = self.json("submit", self.write("run.yaml", RUN | changes))
        run_id: str = accepted["run"]["run_id"]
        return run_id


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("d")
    (folder / "rig.yaml").write_text(yaml.safe_dump(RIG))
    with (
        (folder / "serve.log").open("w") as log,
        subprocess.Popen(
            [*ZSTACKD, "serve", "--rig", "rig.yaml"], cwd=folder, stdout=log, stderr=log
        ) as process,
    ):
        try:
            end = time.monotonic() + PATIENCE_S
            while not answers(folder / "state/control.sock"):
                assert process.poll() is None, (folder / "serve.log").read_text()
                assert time.monotonic() < end
                time.sleep(0.02)
            yield Desk(folder, process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=PATIENCE_S) == 0
        finally:
            process.kill()
    assert not (folder / "state/control.sock").exists()


@pytest.fixture(scope="module")
def done(desk: Desk) -> str:
    run_id = desk.submitted()
    desk.zstackd("watch", run_id)
    return run_id


def test_submit_prints_the_id_of_each_run(desk: Desk) -> None:
    desk.write("a.yaml", RUN)
    desk.write("b.yaml", RUN | {"name": "b", "repeat": 2})
    first, second = desk.said("submit", "a.yaml", "b.yaml").splitlines()
    assert first.startswith("a.yaml: accepted as 2")
    assert first.endswith("_a-small-run")
    assert second.startswith("b.yaml: accepted as series 2")
    assert second.endswith(" of 2 runs")


def test_submit_warns_of_what_the_plan_would_do_better(desk: Desk) -> None:
    desk.write("fine.yaml", RUN | {"z_plan": {"bottom": 0, "top": 1, "step": 0.1}})
    ended = desk.zstackd("submit", "fine.yaml")
    assert ended.stdout.startswith("fine.yaml: accepted as ")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        "fine.yaml: warning: z_plan: planes lie 0.1 µm apart, but a motor step is 0.25 µm: "
    )
    (accepted,) = desk.json("submit", "fine.yaml")
    assert len(accepted["warnings"]) == 1


def test_what_is_refused_does_not_keep_the_others_from_being_done(desk: Desk) -> None:
    desk.write("a.yaml", RUN)
    ended = desk.zstackd("submit", "missing.yaml", "a.yaml", "--json", status=2)
    refused, accepted = json.loads(ended.stdout)
    assert refused == {"file": "missing.yaml", "error": ended.stderr.strip()}
    assert (accepted["file"], accepted["error"]) == ("a.yaml", None)
    assert ended.stderr == "missing.yaml: cannot be read: No such file or directory\n"
    run_id = accepted["run"]["run_id"]
    desk.zstackd("watch", run_id)
    long = desk.submitted(**LONG_RUN)
    ended = desk.zstackd("cancel", "never", run_id, long, status=2)
    assert ended.stdout.startswith(f"{long}: ")
    assert [line.split("; ")[0] for line in ended.stderr.splitlines()] == [
        "no run 'never' in the spool",
        f"run {run_id} is published already",
    ]
    ended = desk.zstackd("cancel", "never", "--json", status=2)
    assert json.loads(ended.stdout) == [{"id": "never", "error": ended.stderr.strip()}]


@pytest.mark.parametrize(
    ("command", "word"),
    [("show", ""), ("cancel", "../pause"), ("pause", "a?b"), ("logs", "é"), ("watch", "x" * 101)],
)
def test_what_is_no_id_is_told_so_and_never_asked_for(desk: Desk, command: str, word: str) -> None:
    complaint = desk.complaint(command, word, status=2)
    assert complaint == f"{word!r} is no id of a run; `zstackd list` names them"


def test_a_series_is_listed_shown_and_cancelled(desk: Desk) -> None:
    plan = {"interval": {"hours": 1}, "loops": 5}
    series = desk.write("series.yaml", RUN | {"name": "hourly", "time_plan": plan})
    (accepted,) = desk.json("submit", series)
    series_id = accepted["series"]["series_id"]
    assert series_id in desk.said("list")
    assert series_id in desk.said("status")
    assert series_id in [one["series_id"] for one in desk.json("list", "--series")]
    assert "of 5 begun" in desk.said("show", series_id)
    assert desk.json("show", series_id)["count"] == 5
    assert desk.complaint("logs", series_id, status=2).startswith(
        f"{series_id} is a series, not a run: `zstackd list` names its runs"
    )
    assert "is a series: pause its run" in desk.complaint("pause", series_id, status=2)
    desk.said("cancel", series_id)
    assert series_id not in [one["series_id"] for one in desk.json("list", "--series")]


def test_doctor_asks_the_service_that_has_the_devices(desk: Desk) -> None:
    lines = desk.json("doctor", "--rig", "rig.yaml")
    (devices,) = [line for line in lines if line["subject"] == "devices"]
    assert devices["level"] == "ok"
    assert devices["finding"].startswith("the service has them and is ")


def test_the_version_is_told(desk: Desk) -> None:
    assert desk.said("--version") == f"zstackd {version('zstackd')}\n"


def test_submit_tells_every_problem_with_its_place(desk: Desk) -> None:
    desk.write("bad.yaml", {"name": "x", "z_plan": {"bottom": 0, "top": 900, "step": 50}})
    assert "-100 to 400 µm" in desk.complaint("submit", "bad.yaml", status=2)
    assert "cannot be read: No such file" in desk.complaint("submit", "missing.yaml", status=2)
    (desk.folder / "huge.yaml").write_bytes(b"#" * 2_000_000)
    assert "larger than 1048576 bytes" in desk.complaint("submit", "huge.yaml", status=2)


def test_watch_ends_with_its_run_and_its_status(desk: Desk) -> None:
    run_id = desk.submitted()
    printed = desk.said("watch", run_id)
    assert f"  {run_id}  published  result " in printed
    again = desk.said("watch", run_id)
    assert again.endswith(f"  {run_id}  published  result {desk.folder}/output/{run_id}\n")
    assert again.count("\n") == 1
    (end,) = [json.loads(line) for line in desk.said("watch", run_id, "--json").splitlines()]
    assert (end["kind"], end["run_id"]) == ("published", run_id)
    long = desk.submitted(**LONG_RUN)
    desk.said("cancel", long)
    desk.zstackd("watch", long, status=130)


def test_watch_as_json_is_one_event_a_line(desk: Desk) -> None:
    run_id = desk.submitted(**LONG_RUN)
    with subprocess.Popen(
        [*ZSTACKD, "watch", run_id, "--json", "--socket", "state/control.sock"],
        cwd=desk.folder, stdout=subprocess.PIPE, text=True,
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        assert first["run_id"] == run_id
        desk.said("cancel", run_id)
        events = [json.loads(line) for line in watching.stdout]
        assert events[-1]["kind"] == "cancelled"
        assert watching.wait(timeout=PATIENCE_S) == 130


def test_list_and_show(desk: Desk, done: str) -> None:
    assert done in desk.said("list", "-n", "1000")
    assert desk.json("list", "--state", "failed") == []
    assert desk.said("list", "--state", "failed") == "no runs\n"
    shown = desk.said("show", done, COLUMNS="40")
    assert "published" in shown
    assert str(desk.folder / "output" / done) in shown, "nothing is cut off"
    assert desk.json("show", done)["planes_done"] == 5


def test_snap_says_what_it_sees_and_writes_it(desk: Desk) -> None:
    desk.said("focus", "move", "60")
    line = desk.said("snap", "-o", "look.png", "--crop-px", "100")
    assert line.startswith("at 60.0 µm: sharpness ")
    assert line.endswith("; written to look.png\n")
    image = cv2.imread(str(desk.folder / "look.png"))
    assert image is not None
    assert image.shape == (100, 100, 3)
    facts = desk.json("snap", "--exposure-time-ms", "5")
    assert (facts["z_um"], facts["run_id"]) == (60.0, None)
    assert facts["exposure_time_ms"] == pytest.approx(5, rel=0.02)
    assert ".jpg or .png" in desk.complaint("snap", "-o", "look.bmp", status=2)
    assert "give exposure_time_ms too" in desk.complaint("snap", "--analogue-gain", "2", status=2)
    refused = desk.complaint("snap", "--exposure-time-ms", "90000", status=2)
    assert "is outside the sensor's" in refused


def test_snap_without_a_service_opens_the_camera_for_itself(tmp_path: Path) -> None:
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump(RIG))

    def snap(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ZSTACKD, "snap", *words], cwd=tmp_path, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    seen = snap("--rig", "rig.yaml", "-o", "look.jpg")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert seen.stdout.startswith("at an unknown height: sharpness ")
    assert (tmp_path / "look.jpg").read_bytes()[:2] == b"\xff\xd8"
    alone = snap("--socket", "nobody.sock")
    assert (alone.returncode, alone.stdout) == (1, "")
    assert alone.stderr.startswith("nobody.sock: no service answers there")


def test_the_service_looks_for_the_focus(desk: Desk) -> None:
    found = desk.json("focus", "auto", "--low-um", "-60", "--high-um", "260")
    assert 0 <= found["z_um"] <= 200
    line = desk.said("focus", "auto", "--low-um", "-60", "--high-um", "260", "--rig", "rig.yaml")
    assert re.fullmatch(r"best focus at [0-9.]+ µm \(contrast 0\.\d\d\)\n", line)
    refused = desk.complaint("focus", "auto", "--low-um", "300", "--high-um", "390", status=3)
    assert refused.startswith("autofocus: ")
    words = ("focus", "auto", "--low-um", "0", "--high-um", "90", "--at-um", "0")
    assert "for a rig without a service" in desk.complaint(*words, status=2)


def test_focus_by_hand(desk: Desk) -> None:
    desk.until_idle()
    assert desk.said("focus", "home").startswith("the axis stands at")
    assert desk.said("focus", "move", "-50") == "the axis stands at -50.0 µm, referenced\n"
    assert "-100 to 400 µm" in desk.complaint("focus", "move", "5000", status=2)
    refused = desk.complaint("focus", "move", "up", status=2)
    assert refused.endswith("'up' is not a number; write a number of µm, such as 1.5")
    assert desk.said("focus", "confirm", "12.5") == "the axis stands at 12.5 µm, referenced\n"
    for words in (("confirm", "nan"), ("move", "nan"), ("move", "1e400"), ("jog", "inf")):
        assert "give a finite one" in desk.complaint("focus", *words, status=2)
        assert "finite" in desk.complaint("focus", *words, "--rig", "rig.yaml", status=2)
    refused = desk.complaint("focus", "confirm", "9999", status=2)
    assert refused.startswith("the focus axis cannot stand at 9999 µm")
    assert "-100 to 400 µm" in refused
    assert desk.json("focus", "where")["position_um"] == 12.5, "what was known is still known"
    assert desk.json("focus", "home")["reference"] == "referenced"


def test_the_socket_is_found_by_the_rig_file_too(desk: Desk) -> None:
    first = desk.said("status", "--rig", "rig.yaml", ZSTACKD_SOCKET="").splitlines()[0]
    assert " is " in first


def test_what_a_command_names_counts_before_the_environment(desk: Desk, tmp_path: Path) -> None:
    desk.said("status", "--rig", "rig.yaml", ZSTACKD_SOCKET="another-rig.sock")
    desk.said("status", "--socket", "state/control.sock", ZSTACKD_SOCKET="another-rig.sock")
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(RIG))
    for words in (["cancel", "x"], ["focus", "move", "10"]):
        said = desk.complaint(*words, "--rig", str(other), "--socket", "s.sock", status=2)
        assert said == f"--socket s.sock and --rig {other} both name a service; give one of them"
    said = desk.complaint("status", "--rig", str(other), status=1)
    assert said.startswith(f"{tmp_path / 'state/control.sock'}: no service answers there")


def test_no_rig_file_leads_to_another_rig_s_service(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = desk.folder / "state/control.sock"
    monkeypatch.setattr(sockets, "DEFAULT_SOCKET", usual)
    monkeypatch.setattr(client, "DEFAULT_SOCKET", usual)
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(RIG))
    with pytest.raises(client.Unreachable, match="another rig's, with the state folder "):
        client.client_of(load_rig(other)).__enter__()
    with client.client_of(load_rig(desk.folder / "rig.yaml")) as own:
        assert own.get("/v1/status")["spool"]["folder"] == str(desk.folder / "state")


def test_logs_of_a_run_and_of_the_service(desk: Desk, done: str) -> None:
    journal = desk.said("logs", done)
    assert "accepted" in journal.splitlines()[0]
    assert "published" in journal.splitlines()[-1]
    assert desk.json("logs", done)[0]["event"] == "accepted"
    assert "the rig is ready" in desk.said("logs")
    assert {message["level"] for message in desk.json("logs")} <= {"info", "warning", "error"}


def test_status_is_one_readable_screen(desk: Desk, done: str) -> None:
    del done
    lines = desk.said("status", COLUMNS="100").splitlines()
    assert lines[0].startswith("bench is ")
    assert len(lines) <= 24
    assert any(line.startswith("focus ") and "µm" in line for line in lines)
    assert any(line.startswith("output ") and "GB free of" in line for line in lines)
    assert desk.json("status")["rig"] == "bench"


def test_a_height_that_nobody_knows_is_not_shown() -> None:
    axis = {"position_um": 0.0, "reference": "unreferenced", "moving": False, "fault": None}
    assert axis_text(axis) == "[yellow]position not known[/yellow]"
    assert axis_text({**axis, "reference": "referenced"}) == "0.0 µm"


def test_a_long_why_is_cut_off_on_a_terminal() -> None:
    run = {
        "run_id": "20261124T043827Z_a", "state": "failed", "planes_done": 1, "planes_total": 2,
        "accepted_at": "2026-11-24T04:38:27+00:00", "reason": f"[red] {'no focus ' * 20}at last",
    }  # fmt: skip
    runs = [RunJson(**run), RunJson(**{**run, "reason": None})]  # type: ignore[typeddict-item]
    whole = Text.from_markup(runs_table(runs)).plain.splitlines()
    assert whole[1].endswith("  [red] " + "no focus " * 20 + "at last")
    title, wide, plain = Text.from_markup(runs_table(runs, 120)).plain.splitlines()
    assert title == whole[0]
    assert len(wide) == 120
    assert wide[:70] == whole[1][:70]
    assert wide.endswith("…")
    assert plain == whole[2]
    _, first, below, _ = Text.from_markup(runs_table(runs, 80)).plain.splitlines()
    assert first == whole[2]
    assert (len(below), below[:16], below[-1]) == (80, "    [red] no foc", "…")


def test_pause_and_resume_the_service_and_a_run(desk: Desk) -> None:
    assert "the service is held" in desk.said("pause")
    assert "is paused: paused by" in desk.said("status")
    assert desk.said("resume") == "the service goes on\n"
    run_id = desk.submitted(**LONG_RUN)
    assert f"{run_id} is held" in desk.said("pause", run_id)
    assert desk.said("resume", run_id) == f"{run_id} goes on\n"
    desk.said("pause", run_id)
    desk.said("pause")
    said = desk.said("resume", run_id)
    assert said.startswith(f"{run_id} goes on once the service does, which is paused by ")
    assert said.endswith("; see zstackd resume\n")
    desk.said("resume")
    assert run_id in desk.said("cancel", run_id)
    desk.zstackd("watch", run_id, status=130)
    assert "cancelled" in desk.complaint("cancel", run_id, status=2)
    for order in ("pause", "resume"):
        refused = desk.complaint(order, run_id, status=2)
        assert refused.endswith(f"is cancelled: only a run that is not ended can be {order}d")
    assert "no run 'never'" in desk.complaint("cancel", "never", status=2)


def test_reload_takes_a_good_rig_file_and_keeps_the_old_one(desk: Desk) -> None:
    rig_file = desk.folder / "rig.yaml"
    good = rig_file.read_text()
    assert desk.said("reload") == "nothing changed\n"
    rig_file.write_text(good + "colour: blue\n")
    assert "colour" in desk.complaint("reload", status=2)
    rig_file.write_text(good.replace("output: output", "output: elsewhere"))
    refused = desk.complaint("reload", status=2)
    line = good[: good.index("paths:")].count("\n") + 1
    assert refused.endswith(
        f"rig.yaml:{line}:1: paths: can only be changed by a restart of the service"
    )
    desk.write("rig.yaml", RIG | {"name": "third"})
    os.kill(desk.process.pid, signal.SIGHUP)
    until(lambda: desk.status()["rig"] == "third", "the new settings")
    rig_file.write_text(good)
    assert desk.said("reload") == "changed: name\n"


def test_reload_says_from_when_on_the_settings_hold_and_what_becomes_of_the_position(
    desk: Desk,
) -> None:
    rig_file = desk.folder / "rig.yaml"
    good = rig_file.read_text()
    run_id = desk.submitted(**LONG_RUN)
    until(lambda: f"in work  {run_id}" in desk.said("status"), "the run in work")
    desk.write("rig.yaml", RIG | {"focus": RIG["focus"] | {"settle_ms": 77}})
    opened = "the rig is opened anew for that, and its axis"
    assert desk.said("reload") == (
        f"changed: focus; in force once {run_id} has ended; {opened} has to be homed again\n"
    )
    desk.said("cancel", run_id)
    desk.zstackd("watch", run_id, status=130)
    until(lambda: "in work  nothing" in desk.said("status"), "the end of the run")
    desk.write("rig.yaml", RIG | {"focus": RIG["focus"] | {"reference": "confirm"}})
    assert desk.said("reload").endswith(f"; {opened} waits for `zstackd focus confirm`\n")
    rig_file.write_text(good)
    desk.said("reload")


def test_no_service_is_said_in_one_line(desk: Desk) -> None:
    for words in (["list"], ["status", "--json"], ["watch"], ["submit", "rig.yaml"]):
        complaint = desk.complaint(*words, status=1, ZSTACKD_SOCKET="nowhere.sock")
        assert complaint.startswith("nowhere.sock: no service answers there")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("zstackd sta", {"status", "stack"}),
        ("zstackd list --so", {"--socket"}),
        ("zstackd focus ho", {"home"}),
        ("zstackd stack ", set()),
        ("zstackd stack --me", {"--mesh", "--mesh-vertices", "--method", "--memory"}),
        ("zstackd stack a.png --method l", {"laplacian"}),
        ("zstackd stack --depth d.tif --depth d.png --co", {"--confidence"}),
    ],
)
def test_the_shell_completes_words(desk: Desk, words: str, expected: set[str]) -> None:
    assert set(completed(desk, words)) == expected


def test_the_shell_completes_ids_of_runs(desk: Desk, done: str) -> None:
    assert done in completed(desk, "zstackd show 2")
    assert done in completed(desk, "zstackd cancel 2")
    assert completed(desk, "zstackd show x") == []


def test_the_shell_s_script_names_the_program(desk: Desk) -> None:
    for shell in ("bash", "zsh", "fish"):
        program = desk.said(_ZSTACKD_COMPLETE=f"source_{shell}")
        assert "_ZSTACKD_COMPLETE" in program


def completed(desk: Desk, words: str) -> list[str]:
    position = len(words.split(" ")) - 1
    return desk.said(
        _ZSTACKD_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(position)
    ).split()
