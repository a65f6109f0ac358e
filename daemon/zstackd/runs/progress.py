"""How a run, or a search by hand, tells an onlooker where it stands."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol

from zstackd_config.values import height

Stage = Literal["capture", "stack", "publish"]


class Tell(Protocol):
    """Hears of progress, from any thread of the run; must return at once."""

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """Note that `done` of `total` steps of `stage` are finished."""
        ...


def nobody(stage: Stage, done: int, total: int) -> None:
    """Hear nothing."""
    del stage, done, total


Say = Callable[[str], None]
"""Hears in a few words what is done from now on; must return at once."""


def unheard(words: str) -> None:
    """Say it to nobody."""
    del words


def said_planes(heights_um: Sequence[float], say: Say, named: str = "plane") -> Iterator[float]:
    """Yield each height once it is said which of how many it is."""
    for number, z_um in enumerate(heights_um, start=1):
        say(f"{named} {number} of {len(heights_um)} at {height(z_um)}")
        yield z_um
