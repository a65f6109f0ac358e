"""The small simulated rig that most tests begin from."""

from typing import Any


def simulated_rig(**changes: Any) -> dict[str, Any]:
    """Return a rig document; a change such as `focus={"port": …}` is merged into its section."""
    rig: dict[str, Any] = {
        "name": "bench",
        "camera": {"driver": "simulated", "size_px": [160, 120]},
        "optics": {"pixel_size_um": 1.2, "numerical_aperture": 0.12, "magnification": 4},
        "focus": {
            "driver": "grbl",
            "port": "simulated",
            "limits_um": [-100, 400],
            "backlash_um": 10,
            "speed_um_per_s": 1000,
            "settle_ms": 10,
        },
        "paths": {"state": "state", "output": "output"},
        "simulation": {"time_scale": 20},
    }
    return merged(rig, changes)


def merged(rig: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a rig with changes to its sections, or whole ones where it has none."""
    sections = {
        name: {**rig[name], **values} if isinstance(values, dict) and name in rig else values
        for name, values in changes.items()
    }
    return {**rig, **sections}
