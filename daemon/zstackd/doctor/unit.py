"""The service: installed, enabled, running, and of the same version as this program."""

from importlib.metadata import version
from typing import Final

from zstackd.doctor.commands import answer
from zstackd.doctor.diagnosis import Diagnosis, failure, fine, warning

_UNIT: Final = "zstackd.service"
_PROGRAM: Final = "/opt/zstackd/bin/python"


def unit() -> list[Diagnosis]:
    """Return what there is to say of the systemd unit."""
    shown = answer(
        ["systemctl", "show", _UNIT, "--property=LoadState,UnitFileState,ActiveState,SubState"]
    )
    if shown is None:
        return [warning("service", "systemd does not run here", "start `zstackd serve` otherwise")]
    fields = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if fields.get("LoadState") != "loaded":
        return [warning("service", "not installed", "install it: `sudo make install`")]
    return [_state(fields), *_versions()]


def _state(fields: dict[str, str]) -> Diagnosis:
    said = f"{fields.get('ActiveState')} ({fields.get('SubState')}), {fields.get('UnitFileState')}"
    if fields.get("ActiveState") == "failed":
        return failure("service", said, f"`journalctl -u {_UNIT} -n 50` says why")
    if fields.get("UnitFileState") != "enabled":
        return warning(
            "service",
            f"{said}: it does not start with the system",
            f"`sudo systemctl enable {_UNIT}`",
        )
    if fields.get("ActiveState") != "active":
        return warning("service", said, f"`sudo systemctl start {_UNIT}`")
    return fine("service", said)


def _versions() -> list[Diagnosis]:
    code = "from importlib.metadata import version; print(version('zstackd'))"
    installed = answer([_PROGRAM, "-c", code])
    if installed is None:
        return []
    if installed != version("zstackd"):
        return [
            warning(
                "version",
                f"the service is {installed}, this program is {version('zstackd')}",
                "run `sudo make install` again",
            )
        ]
    return [fine("version", installed)]
