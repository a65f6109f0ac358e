"""How a run tells an onlooker where it stands."""

from typing import Literal, Protocol

Stage = Literal["capture", "stack", "publish"]


class Tell(Protocol):
    """Hears of progress, from any thread of the run; must return at once."""

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """Note that `done` of `total` steps of `stage` are finished."""
        ...


def nobody(stage: Stage, done: int, total: int) -> None:
    """Hear nothing."""
    del stage, done, total
