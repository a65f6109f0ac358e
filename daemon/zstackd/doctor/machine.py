"""The computer: memory, clock, power and heat."""

from pathlib import Path
from typing import Final

from zstackd.doctor.commands import answer
from zstackd.doctor.diagnosis import Diagnosis, failure, fine, warning
from zstackd.store.room import available_memory_bytes, readable

LEAST_MEMORY_BYTES: Final = 400 * 2**20
LEAST_CMA_BYTES: Final = 64 * 2**20
HOT_C: Final = 80.0
_THROTTLED: Final = (
    (0, "under-voltage now", True),
    (1, "its speed is capped now", True),
    (2, "throttled now", True),
    (3, "at the soft temperature limit now", True),
    (16, "under-voltage since it started", False),
    (17, "its speed was capped since it started", False),
    (18, "it was throttled since it started", False),
)
_POWER_REMEDY: Final = "use the official power supply, a short cable, and cool the board"


def machine(*, meminfo: Path = Path("/proc/meminfo")) -> list[Diagnosis]:
    """Return what there is to say of the computer."""
    lines = [memory(available_memory_bytes()), cma(meminfo), clock()]
    lines += [power(answer(["vcgencmd", "get_throttled"])), temperature(_temperature_c())]
    return [line for line in lines if line is not None]


def memory(available_bytes: int | None) -> Diagnosis:
    """Judge the memory that is free for a stack."""
    if available_bytes is None:
        return warning("memory", "the system does not say how much is free", "look with `free`")
    said = f"{readable(available_bytes)} free"
    if available_bytes < LEAST_MEMORY_BYTES:
        return warning(
            "memory",
            f"{said}, less than {readable(LEAST_MEMORY_BYTES)}",
            "stop other programs; `zstackd check` says what a run needs",
        )
    return fine("memory", said)


def cma(meminfo: Path) -> Diagnosis | None:
    """Judge the contiguous memory that a Pi's camera takes its buffers from."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    total, free = (_kilobytes(fields.get(key)) for key in ("CmaTotal", "CmaFree"))
    if not total:
        return None
    said = f"{readable(free)} of {readable(total)} contiguous memory free"
    if total < LEAST_CMA_BYTES:
        return warning(
            "camera memory",
            f"{said}; a full-size camera needs {readable(LEAST_CMA_BYTES)} or more",
            "add `dtoverlay=vc4-kms-v3d,cma-256` to /boot/firmware/config.txt and start again",
        )
    return fine("camera memory", said)


def _kilobytes(text: str | None) -> int:
    words = (text or "").split()
    return int(words[0]) * 1024 if words and words[0].isdigit() else 0


def clock() -> Diagnosis:
    """Judge whether the clock is set by the network: results are named by it."""
    synchronised = answer(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised == "yes" or Path("/run/systemd/timesync/synchronized").exists():
        return fine("clock", "synchronised")
    if synchronised is None:
        return warning(
            "clock", "nothing here says whether it is synchronised", "compare `date` with a clock"
        )
    return warning(
        "clock",
        "not synchronised; results would bear a wrong time",
        "connect the network once, or fit a real-time clock; `timedatectl status` says more",
    )


def power(throttled: str | None) -> Diagnosis | None:
    """Judge the answer of a Pi's `vcgencmd get_throttled`, such as throttled=0x50000."""
    if throttled is None:
        return None
    try:
        bits = int(throttled.partition("=")[2], 16)
    except ValueError:
        return warning("power", f"vcgencmd answers {throttled!r}", _POWER_REMEDY)
    now = [words for bit, words, present in _THROTTLED if bits >> bit & 1 and present]
    past = [words for bit, words, present in _THROTTLED if bits >> bit & 1 and not present]
    if now:
        return failure("power", f"the board is {', '.join(now)}", _POWER_REMEDY)
    if past:
        return warning("power", f"the board saw {', '.join(past)}", _POWER_REMEDY)
    return fine("power", "no under-voltage or throttling since it started")


def temperature(degrees_c: float | None) -> Diagnosis | None:
    """Judge the processor's temperature in °C."""
    if degrees_c is None:
        return None
    if degrees_c >= HOT_C:
        return warning(
            "temperature",
            f"{degrees_c:.0f} °C, at least {HOT_C:.0f} °C: it slows down",
            "give the board air or a cooler",
        )
    return fine("temperature", f"{degrees_c:.0f} °C")


def _temperature_c() -> float | None:
    try:
        return int(Path("/sys/class/thermal/thermal_zone0/temp").read_text()) / 1000
    except (OSError, ValueError):
        return None
