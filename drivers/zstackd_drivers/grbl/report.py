"""The texts a GRBL 1.1h controller sends on request, for the firmware twin."""

from collections.abc import Mapping

_WHOLE = {0, 1, 2, 3, 4, 5, 6, 10, 13, 20, 21, 22, 23, 26, 30, 31, 32}


def status(
    state: str, height: float, rate: float, extras: Mapping[str, bool], *, work_offset: float
) -> str:
    """Return a `?` report; heights in units, `rate` in units per minute."""
    work = extras["work"]
    name, told = ("WPos", height - work_offset) if work else ("MPos", height)
    fields = [f"{name}:0.000,0.000,{told:.3f}"]
    if extras["buffer"]:
        fields.append("Bf:15,128")
    fields.append(f"FS:{rate:.0f},0")
    if extras["reordered"]:
        fields.reverse()
    fields.append(f"WCO:0.000,0.000,{work_offset:.3f}" if extras["offset"] else "Ov:100,100,100")
    return f"<{'|'.join([state, *fields])}>"


def settings_dump(settings: Mapping[int, float]) -> list[str]:
    """Return the lines of `$$`."""
    return [
        f"${number}={value:.0f}" if number in _WHOLE else f"${number}={value:.3f}"
        for number, value in sorted(settings.items())
    ]


def build_info(travel: tuple[float, float]) -> list[str]:
    """Return the lines of `$I`; a build that puts zero in the midst of its travel has no options.

    With zero at the bottom it is one of HOMING_FORCE_SET_ORIGIN.
    """
    version = "[VER:1.1h.20190825:]"
    if 0.0 not in travel:
        return [version]
    return [version, f"[OPT:{'VZ' if travel[0] == 0 else 'V'},15,128]"]


def parser_state() -> list[str]:
    """Return the line of `$G`."""
    return ["[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]"]


def parameters(*, work_offset: float) -> list[str]:
    """Return the lines of `$#`."""
    zero, offset = "0.000,0.000,0.000", f"[G54:0.000,0.000,{work_offset:.3f}]"
    places = ["G55", "G56", "G57", "G58", "G59", "G28", "G30", "G92"]
    return [offset, *(f"[{place}:{zero}]" for place in places), "[TLO:0.000]", f"[PRB:{zero}:0]"]
