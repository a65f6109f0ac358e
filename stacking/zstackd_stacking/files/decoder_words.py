"""What the decoders inside OpenCV say of damage, which it tells nobody.

An image whose coded data is spoilt in its midst is decoded all the same, the rest of it shifted or
grey. libjpeg and libtiff notice, and write so to the process' standard error output. A program
that lets `listen_to_decoders` has that output led elsewhere while OpenCV decodes, some milliseconds
at a time. What others wrote there meanwhile is passed on. It costs next to nothing.
"""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from zstackd_stacking.files.containers import Data

_STDERR: Final = 2
_MOST_BYTES: Final = 65536
_DECODERS: Final = re.compile(
    rb"Corrupt JPEG data|Premature end of JPEG|.*\bglobal (grfmt_|loadsave)"
)
_DAMAGE: Final = re.compile(
    r"Corrupt JPEG data: (?P<jpeg>.*)|(?P<end>Premature end of JPEG file)|TIFF_Error (?P<tiff>.*)"
)
_BEHIND: Final = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_PADDING_BYTES: Final = 16
_JPEG_END: Final = b"\xff\xd9"


@dataclass(slots=True)
class Words:
    """What was said while an image was decoded, a line each."""

    lines: list[str] = field(default_factory=list)

    def damage(self) -> str | None:
        """The first that tells of damage, in the decoder's own words."""
        for line in self.lines:
            found = _DAMAGE.search(line)
            if found:
                return next(word for word in found.groups() if word).strip()
        return None


class _Ear:
    """The place to which standard error output is led; only one at a time can listen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._place: int | None = None

    def open(self) -> None:
        if self._place is None and hasattr(os, "memfd_create"):
            with contextlib.suppress(OSError):
                self._place = os.memfd_create("decoders")

    def close(self) -> None:
        """Listen no more; whoever still does comes to its end first, and standard error back."""
        with self._lock:
            if self._place is not None:
                os.close(self._place)
                self._place = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[Words]:
        words = Words()
        if self._place is None:
            yield words
            return
        with self._lock, contextlib.ExitStack() as afterwards:
            place, usual = self._still_open(), _duplicate(_STDERR)
            if place is not None and usual is not None:
                afterwards.callback(self._hear, place, words)
                afterwards.callback(os.close, usual)
                afterwards.callback(os.dup2, usual, _STDERR)
                os.dup2(place, _STDERR)
            yield words

    def _still_open(self) -> int | None:
        return self._place

    @staticmethod
    def _hear(place: int, words: Words) -> None:
        said = os.pread(place, _MOST_BYTES, 0)
        os.ftruncate(place, 0)
        os.lseek(place, 0, os.SEEK_SET)
        for line in said.splitlines(keepends=True):
            if _DECODERS.match(line):
                words.lines.append(line.decode(errors="replace"))
            elif line.strip() or not words.lines:
                with contextlib.suppress(OSError):
                    os.write(_STDERR, line)


def _duplicate(descriptor: int) -> int | None:
    """Another descriptor of the same file; None where it is closed."""
    try:
        return os.dup(descriptor)
    except OSError:
        return None


_EAR: Final = _Ear()


@contextlib.contextmanager
def listen_to_decoders() -> Iterator[None]:
    """Find damage by what decoders say, as long as the block lasts; for a program's main part."""
    sys.stderr.flush()
    _EAR.open()
    try:
        yield
    finally:
        _EAR.close()


def decoder_words() -> contextlib.AbstractContextManager[Words]:
    """Note what decoders say in the block; nothing where no program listens to them."""
    return _EAR.listening()


def is_padding(said: str, data: Data) -> bool:
    """Whether all that is said of a JPEG is that a camera filled it up before its end.

    Many do, with some bytes of one value; what a spoilt image leaves over is coded data.
    """
    found = _BEHIND.fullmatch(said)
    if found is None:
        return False
    count = int(found[1])
    end = data.rfind(_JPEG_END)
    return count <= _PADDING_BYTES or len(set(data[max(end - count, 0) : end])) == 1
