"""The texts a GRBL 1.1h controller sends on request, for the firmware twin."""

from collections.abc import Mapping

_WHOLE = {0, 1, 2, 3, 4, 5, 6, 10, 13, 20, 21, 22, 23, 26, 30, 31, 32}


def status(state: str, height: float, rate: float, extras: Mapping[str, bool]) -> str:
    """Return a `?` report; `height` in units, `rate` in units per minute."""
    name = "WPos" if extras["work"] else "MPos"
    fields = [f"{name}:0.000,0.000,{height:.3f}"]
    if extras["buffer"]:
        fields.append("Bf:15,128")
    fields.append(f"FS:{rate:.0f},0")
    if extras["reordered"]:
        fields.reverse()
    fields.append("WCO:0.000,0.000,0.000" if extras["offset"] else "Ov:100,100,100")
    return f"<{'|'.join([state, *fields])}>"


def settings_dump(settings: Mapping[int, float]) -> list[str]:
    """Return the lines of `$$`."""
    return [
        f"${number}={value:.0f}" if number in _WHOLE else f"${number}={value:.3f}"
        for number, value in sorted(settings.items())
    ]


def build_info() -> list[str]:
    """Return the lines of `$I`."""
    return ["[VER:1.1h.20190825:]", "[OPT:V,15,128]"]


def parser_state() -> list[str]:
    """Return the line of `$G`."""
    return ["[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]"]


def parameters() -> list[str]:
    """Return the lines of `$#`."""
    zero = "0.000,0.000,0.000"
    places = ["G54", "G55", "G56", "G57", "G58", "G59", "G28", "G30", "G92"]
    return [*(f"[{place}:{zero}]" for place in places), "[TLO:0.000]", f"[PRB:{zero}:0]"]
