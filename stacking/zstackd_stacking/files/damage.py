"""A frame whose file is as long as it should be, but whose image is spoilt."""

from typing import Final

from zstackd_config.errors import InputError

COPY_AGAIN: Final = "copy it again from the camera"


class DamagedError(InputError):
    """A frame cannot be decoded as it was encoded; `what` is wrong with it, without its name."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}; {COPY_AGAIN}")
        self.what = what
