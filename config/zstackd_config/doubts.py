"""What a valid rig file says, but hardly means."""

from pathlib import Path
from typing import Final

from zstackd_config.lines import one_line
from zstackd_config.load import read_document, told_at
from zstackd_config.rig import Optics, Rig

LEAST_SENSOR_PIXEL_UM: Final = 0.5
MOST_SENSOR_PIXEL_UM: Final = 50.0


def doubts(rig: Rig, path: Path) -> tuple[str, ...]:
    """Return what the rig of a file hardly means, each in one line that begins with its place.

    Raises:
        InputError: the file cannot be read any more.
    """
    said = [each for each in (sensor_pixel(rig.optics),) if each is not None]
    content = read_document(path) if said else None
    return tuple(one_line(told_at(path, content, each)) for each in said)


def sensor_pixel(optics: Optics) -> str | None:
    """Return what to say of pixels that are of no sensor's size; None where they may be of one.

    A pixel on the specimen, times the magnification of the objective, is one on the sensor, in µm.
    Data sheets have 0.56 µm (Samsung S5KHP3, telephones), 1.12, 1.4 and 1.55 µm (Sony IMX219,
    IMX708 and IMX477, the Raspberry Pi's), 3.45 to 5.86 µm (Sony IMX250, IMX174, industry), 6.5 to
    16 µm (sCMOS; Andor iXon 897). Binning, and frames that are scaled down, multiply that, by up to
    4 as a rule; so does the inverse of what lies between objective and camera: adapters of 0.35×
    to 0.5×, tubes of up to 1.6×. 1.12 µm behind 1.6× are 0.7 µm, 5.86 µm binned by 4 behind 0.5×
    are 47 µm. A bound of 50 µm still shows who has not divided by a magnification of 40.
    """
    pixel_um = optics.pixel_size_um * optics.magnification
    if LEAST_SENSOR_PIXEL_UM <= pixel_um <= MOST_SENSOR_PIXEL_UM:
        return None
    return (
        f"optics.pixel_size_um: {optics.pixel_size_um:g} µm at magnification "
        f"{optics.magnification:g} would be {pixel_um:.4g} µm on the sensor, where pixels have "
        f"{LEAST_SENSOR_PIXEL_UM:g} to {MOST_SENSOR_PIXEL_UM:g} µm, and scale bars and the "
        "distance of planes go by it: give the size on the specimen in µm (`zstackd calibrate "
        "pixel-size` measures it), and the objective's magnification"
    )
