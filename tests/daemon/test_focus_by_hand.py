"""`zstackd focus` where no service runs: the axis is opened for one command."""

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.rigs import simulated_rig

from zstackd.cli import main
from zstackd.runs import by_hand
from zstackd.store.spool import Spool
from zstackd_config.load import load_rig
from zstackd_drivers.factory import Devices

RIG = simulated_rig(simulation={"time_scale": 100})


_LOGGED = re.compile(r"zstackd: (?!Invalid value)")


class Hand:
    """Runs `zstackd focus` on a rig file in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys

    def __call__(self, *words: str, **focus: Any) -> tuple[int, str, str]:
        rig = self._folder / "rig.yaml"
        rig.write_text(yaml.safe_dump({**RIG, "focus": {**RIG["focus"], **focus}}))
        status = main(["focus", *words[:1], "--rig", str(rig), *words[1:]])
        out, err = self._capsys.readouterr()
        lines = [line for line in err.splitlines() if not _LOGGED.match(line)]
        return status, out.strip(), "\n".join(lines)


@pytest.fixture
def hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Hand:
    monkeypatch.setenv("ZSTACKD_SOCKET", "")
    monkeypatch.chdir(tmp_path)
    return Hand(tmp_path, capsys)


def test_home_and_move(hand: Hand) -> None:
    status, out, _ = hand("home")
    assert (status, out.endswith("µm, referenced")) == (0, True)
    assert hand("move", "120")[:2] == (0, "the axis stands at 120.0 µm, referenced")


def test_where_claims_nothing(hand: Hand) -> None:
    status, out, _ = hand("where")
    assert status == 0
    assert out == "nobody knows where the axis stands (its controller says 0.0 µm)"
    status, out, _ = hand("where", "--json")
    assert json.loads(out)["reference"] == "unreferenced"


def test_jog_from_where_the_operator_says_it_stands(hand: Hand) -> None:
    status, out, _ = hand("jog", "--at-um", "50", "-30")
    assert (status, out) == (0, "the axis stands at 20.0 µm, referenced")


@pytest.mark.parametrize("driver", ["grbl", "marlin", "sangaboard"])
def test_every_driver(hand: Hand, driver: str) -> None:
    changes = {"um_per_unit": 0.25} if driver == "sangaboard" else {}
    moved = hand("move", "60", "--at-um", "50", driver=driver, reference="confirm", **changes)
    assert moved[:2] == (0, "the axis stands at 60.0 µm, referenced")


def test_a_fine_step_can_be_seen(hand: Hand) -> None:
    fine = {"driver": "sangaboard", "um_per_unit": 0.05, "reference": "confirm"}
    moved = hand("jog", "0.05", "--at-um", "50", **fine, backlash_um=0)
    assert moved[:2] == (0, "the axis stands at 50.05 µm, referenced")


def test_a_jog_of_less_than_half_a_step_is_refused(hand: Hand) -> None:
    status, _, err = hand("jog", "0.1", "--at-um", "50")
    assert status == 2
    assert err == (
        "nothing moved: 0.1 µm is less than half a motor step; jog farther, such steps do "
        "not add up"
    )
    assert hand("jog", "0.2", "--at-um", "50")[1] == "the axis stands at 50.25 µm, referenced"


def test_beyond_the_limits(hand: Hand) -> None:
    status, out, err = hand("move", "5000")
    assert (status, out) == (2, "")
    assert "focus height 5000 µm is beyond the limits -100 to 400 µm" in err


def test_a_rig_that_cannot_home_asks_for_the_operators_word(hand: Hand) -> None:
    status, out, err = hand("move", "60", reference="confirm")
    assert (status, out) == (3, "")
    assert "confirm where it stands (--at-um UM)" in err


def test_confirm_alone_would_be_forgotten(hand: Hand) -> None:
    status, _, err = hand("confirm", "12")
    assert status == 2
    assert "zstackd focus move UM --at-um 12" in err
    assert "zstackd focus move UM --at-um 0)" in hand("confirm", "-0")[2]


def test_minus_nothing_is_no_height(hand: Hand) -> None:
    status, out, _ = hand("move", "-0", "--at-um", "-0", "--json", reference="confirm")
    assert (status, str(json.loads(out)["position_um"])) == (0, "0.0")


@pytest.mark.parametrize(
    "words", [("move", "60"), ("jog", "5"), ("auto", "--low-um", "0", "--high-um", "9")]
)
def test_nobody_vouches_for_a_height_far_beyond_the_limits(
    hand: Hand, tmp_path: Path, words: tuple[str, ...]
) -> None:
    status, out, err = hand(*words, "--at-um", "9999", reference="confirm")
    assert (status, out) == (2, "")
    assert err.startswith("--at-um: the focus axis cannot stand at 9999 µm")
    assert "-150 to 450 µm" in err
    assert not (tmp_path / "state").exists(), "refused before the rig is opened"


def test_confirm_of_a_height_far_beyond_the_limits(hand: Hand) -> None:
    status, _, err = hand("confirm", "9999")
    assert status == 2
    assert err.startswith("the focus axis cannot stand at 9999 µm")


@pytest.mark.parametrize("number", ["nan", "inf", "1e400"])
@pytest.mark.parametrize("words", [("move",), ("jog",), ("confirm",), ("move", "60", "--at-um")])
def test_what_is_no_height(hand: Hand, words: tuple[str, ...], number: str) -> None:
    status, out, err = hand(*words, number)
    assert (status, out) == (2, "")
    assert "give a finite one" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ("0", "9000", "--high-um: focus height 9000 µm is beyond the limits -100 to 400 µm"),
        ("-95", "300", "--low-um: focus height -95 µm is approached up from -107.5 µm"),
        ("-900", "300", "--low-um: focus height -900 µm is beyond the limits -100 to 400 µm"),
        ("nan", "300", "zstackd: Invalid value for '--low-um': nan is no number"),
    ],
)
def test_auto_holds_its_range_against_the_limits(
    hand: Hand, tmp_path: Path, low: str, high: str, said: str
) -> None:
    status, out, err = hand("auto", "--low-um", low, "--high-um", high)
    assert (status, out) == (2, "")
    assert err.startswith(said)
    assert not (tmp_path / "state").exists(), "refused before the rig is opened"


def test_auto_asks_for_the_operators_word(hand: Hand) -> None:
    status, _, err = hand("auto", "--low-um", "0", "--high-um", "90", reference="confirm")
    assert status == 3
    assert "vouch for where it stands with --at-um UM" in err


def test_auto_finds_focus_on_the_simulated_rig(hand: Hand) -> None:
    status, out, _ = hand("auto", "--low-um", "-60", "--high-um", "260", "--json")
    assert status == 0
    assert 0 <= json.loads(out)["z_um"] <= 200
    status, _, err = hand("auto", "--low-um", "10", "--high-um", "10")
    assert status == 2
    assert "must be less than" in err


def test_ctrl_c_ends_a_search_by_its_own_name(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(devices: Devices, *_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        until_s = time.monotonic() + 30
        while time.monotonic() < until_s:
            devices.camera.capture(after_ns=0)

    monkeypatch.setattr(by_hand, "find_focus", interrupted)
    status, _, err = hand("auto", "--low-um", "0", "--high-um", "200")
    assert (status, err) == (130, "stopped by SIGINT")


def test_auto_says_why_there_is_no_focus(hand: Hand) -> None:
    status, out, err = hand("auto", "--low-um", "250", "--high-um", "380")
    assert (status, out) == (3, "")
    assert err.startswith("autofocus: ")


@pytest.mark.parametrize("words", [("home",), ("auto", "--low-um", "0", "--high-um", "200")])
def test_a_rig_that_somebody_else_uses_is_left_alone(
    hand: Hand, tmp_path: Path, words: tuple[str, ...]
) -> None:
    hand("where")
    with Spool(load_rig(tmp_path / "rig.yaml").paths.state):
        status, _, err = hand(*words)
    assert status != 0
    assert "state folder is in use by process" in err


def test_stop(hand: Hand) -> None:
    assert hand("stop")[:2] == (0, "stopped")


def test_a_port_that_does_not_exist(hand: Hand) -> None:
    status, _, err = hand("where", port="/dev/nowhere")
    assert status == 3
    assert "/dev/nowhere does not exist" in err
    assert len(err.splitlines()) == 1
