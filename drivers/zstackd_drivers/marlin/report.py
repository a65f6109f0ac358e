"""The texts a Marlin 2 controller sends, for the firmware twin."""

from zstackd_drivers.marlin.setup import MarlinSetup

VERSION = "2.1.2.1"


def greeting() -> list[str]:
    """Return the lines of a start."""
    return [
        "start",
        "echo: External Reset",
        f"Marlin {VERSION}",
        "echo: Last Updated: 2023-05-16 | Author: (none, default config)",
        "echo: Free Memory: 5727  PlannerBufferBytes: 1152",
        "echo:Hardcoded Default Settings Loaded",
    ]


def identity() -> list[str]:
    """Return the lines of M115."""
    built = "(May 16 2023 12:00:00) PROTOCOL_VERSION:1.0 MACHINE_TYPE:Focus EXTRUDER_COUNT:1"
    return [
        f"FIRMWARE_NAME:Marlin {VERSION} {built}",
        "Cap:SERIAL_XON_XOFF:0",
        "Cap:EEPROM:1",
        "Cap:EMERGENCY_PARSER:0",
    ]


def settings(setup: MarlinSetup) -> list[str]:
    """Return the lines of M503."""
    jerk = "J0.01" if setup.jerk is None else f"X10.00 Y10.00 Z{setup.jerk:.2f} E5.00"
    travel = f"{setup.acceleration:.2f}"
    return [
        "echo:; Steps per unit:",
        *_by_extruder(setup, f"echo: M92 X80.00 Y80.00 Z{setup.steps_per_unit:.2f}", 93.0),
        "echo:; Maximum feedrates (units/s):",
        *_by_extruder(setup, f"echo:  M203 X300.00 Y300.00 Z{setup.max_speed:.2f}", 25.0),
        "echo:; Maximum Acceleration (units/s2):",
        *_by_extruder(setup, f"echo:  M201 X3000.00 Y3000.00 Z{setup.acceleration:.2f}", 1e4),
        "echo:; Acceleration (units/s2): P<print_accel> R<retract_accel> T<travel_accel>",
        f"echo:  M204 P3000.00 R3000.00 T{travel}",
        f"echo:  M205 B20000.00 S0.00 T0.00 {jerk}",
        "echo:  M206 X0.00 Y0.00 Z0.00",
    ]


def _by_extruder(setup: MarlinSetup, axes: str, value: float) -> list[str]:
    """Return a setting's line, with a line more for each extruder where those differ."""
    if setup.extruders == 1:
        return [f"{axes} E{value:.2f}"]
    command = axes.split()[1]
    return [axes, *(f"echo:  {command} T{n} E{value:.2f}" for n in range(setup.extruders))]


def end_stops(setup: MarlinSetup, *, active: bool) -> str:
    """Return the line of M211."""
    low, high = setup.travel
    return (
        f"echo:Soft endstops: {'ON' if active else 'OFF'}  Min: X0.00 Y0.00 Z{low:.2f}"
        f"  Max: X200.00 Y200.00 Z{high:.2f}"
    )


def position(z: float, count: int) -> str:
    """Return the line of M114: the target in mm, and the steps."""
    return f"X:0.00 Y:0.00 Z:{z:.2f} E:0.00 Count X:0 Y:0 Z:{count}"
