"""The built-in specimens by name."""

from collections.abc import Callable
from typing import Literal

from zstackd_drivers.specimens.board import paint_board
from zstackd_drivers.specimens.diatom import paint_diatom
from zstackd_drivers.specimens.insect import paint_insect
from zstackd_drivers.specimens.specimen import Specimen, on_whole_tiles, painted_size_px

Name = Literal["diatom", "board", "insect"]

PAINTERS: dict[Name, Callable[..., Specimen]] = {
    "diatom": paint_diatom,
    "board": paint_board,
    "insect": paint_insect,
}


def build_specimen(name: Name, *, size_px: tuple[int, int], seed: int) -> Specimen:
    """Paint a specimen for frames of `size_px` (width, height); the same for the same seed."""
    return on_whole_tiles(PAINTERS[name](size_px=painted_size_px(size_px), seed=seed))
