"""The udev rule, read as udev reads it: every known board gets the name, other things do not."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

RULES = Path(__file__).parents[2] / "systemd/60-zstackd.rules"
_PAIR = re.compile(r'([A-Z]+)(?:\{(\w+)\})?(==|!=|\+=|=)"([^"]*)"')


class Pair(NamedTuple):
    """One `KEY{name}operator"value"`."""

    key: str
    name: str
    operator: str
    value: str


def rules() -> list[list[Pair]]:
    """Return the pairs of every rule; fails on anything that is not one."""
    found = []
    for line in RULES.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        words = line.split(", ")
        matches = [_PAIR.fullmatch(word) for word in words]
        assert all(matches), line
        found.append([Pair(*(part or "" for part in m.groups())) for m in matches if m])
    return found


def outcome(**device: str) -> dict[str, str]:
    """Return what the rules give a device, following their jumps."""
    given: dict[str, str] = {}
    target = ""
    for rule in rules():
        label = next((pair.value for pair in rule if pair.key == "LABEL"), "")
        if target and label != target:
            continue
        target = ""
        if all(_fits(pair, device) for pair in rule if pair.operator in {"==", "!="}):
            for pair in rule:
                if pair.key == "GOTO":
                    target = pair.value
                elif pair.operator in {"=", "+="} and pair.key != "LABEL":
                    given[pair.name or pair.key] = pair.value
    assert target == "", f"no LABEL {target}"
    return given


def _fits(pair: Pair, device: dict[str, str]) -> bool:
    actual = device.get(pair.name or pair.key, "")
    fits = any(fnmatchcase(actual, pattern) for pattern in pair.value.split("|"))
    return fits == (pair.operator == "==")


def tty(vendor: str, model: str, **more: str) -> dict[str, str]:
    base = {"ACTION": "add", "SUBSYSTEM": "tty", "ID_BUS": "usb"}
    return {**base, "ID_VENDOR_ID": vendor, "ID_MODEL_ID": model, **more}


@pytest.mark.parametrize(
    ("vendor", "model"),
    [
        pytest.param("2341", "0043", id="Arduino Uno (GRBL)"),
        pytest.param("2341", "0042", id="Arduino Mega (Marlin)"),
        pytest.param("1a86", "7523", id="CH340 (GRBL on a clone)"),
        pytest.param("0403", "6001", id="FT232R (Arduino Nano)"),
        pytest.param("10c4", "ea60", id="CP2102 (UC2 on ESP32)"),
        pytest.param("0483", "5740", id="STM32 (Marlin)"),
        pytest.param("1d50", "6029", id="LPC1768 (Marlin)"),
        pytest.param("2e8a", "000a", id="RP2040 (Sangaboard 0.5)"),
    ],
)
def test_known_boards_get_the_name(vendor: str, model: str) -> None:
    given = outcome(**tty(vendor, model))
    assert given == {
        "SYMLINK": "zstackd-focus",
        "TAG": "systemd",
        "GROUP": "dialout",
        "MODE": "0660",
        "ID_MM_DEVICE_IGNORE": "1",
    }


@pytest.mark.parametrize(
    "device",
    [
        pytest.param(tty("05ac", "12a8"), id="an unknown board"),
        pytest.param(tty("2341", "7523"), id="a model of another vendor"),
        pytest.param(tty("2341", "0043", SUBSYSTEM="usb"), id="not a serial port"),
        pytest.param(tty("2341", "0043", ID_BUS="pci"), id="not on USB"),
        pytest.param(tty("2341", "0043", ACTION="remove"), id="unplugged"),
    ],
)
def test_other_things_do_not(device: dict[str, str]) -> None:
    assert outcome(**device) == {}
