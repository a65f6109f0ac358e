"""A command line whose errors are one line, like all others."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from zstackd_config.errors import InputError
from zstackd_config.values import number_hint, shown

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

T = TypeVar("T")

_NEGATIVE_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises InputError instead of printing its usage and exiting."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog,
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # By itself it takes -1e3 for an option.
        self._negative_number_matcher = _NEGATIVE_NUMBER

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """Print the help; unlike argparse, let an output that takes none be an error."""
        (file or sys.stdout).write(self.format_help())

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise InputError(f"{self.prog}: {message}; see {self.prog} --help")


def file_path(word: str) -> Path:
    """A path from the command line, which must not be empty."""
    if not word:
        raise argparse.ArgumentTypeError("an empty name is no file")
    return Path(word)


def micrometres(word: str) -> float:
    """A length from the command line, in µm."""
    return _read(word, float, "a number", number_hint(word, "µm"))


def whole_number(word: str) -> int:
    """A whole number from the command line."""
    return _read(word, int, "a whole number", number_hint(word, "", whole=True))


def _read(word: str, number: Callable[[str], T], kind: str, hint: str) -> T:
    try:
        return number(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{shown(word)} is not {kind}; {hint}") from None


class Once(argparse.Action):
    """An option that is refused where it is given again: the first value would be lost."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep the value."""
        del parser, option_string
        before = getattr(namespace, self.dest)
        if before is not None:
            raise argparse.ArgumentError(
                self, f"given twice, {before} and {values}; give one of them"
            )
        setattr(namespace, self.dest, values)
