"""A command line whose errors are one line, like all others."""

import argparse
from pathlib import Path
from typing import NoReturn

from zstackd_config.errors import InputError


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises InputError instead of printing its usage and exiting."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog,
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise InputError(f"{self.prog}: {message}; see {self.prog} --help")


def file_path(word: str) -> Path:
    """A path from the command line, which must not be empty."""
    if not word:
        raise argparse.ArgumentTypeError("an empty name is no file")
    return Path(word)
