"""A serial line that distorts what a twin sends, when told to."""

from collections.abc import Callable, Sequence

from zstackd_drivers.firmware.faults import REPLY_ACTIONS, Action, Fault


def wrong_speed(data: bytes) -> bytes:
    """Return what a receiver at another speed makes of `data`: other bytes, and fewer."""
    return bytes(byte * 73 + 41 & 0xFF | 0x80 for byte in data[::3])


def garbled(data: bytes) -> bytes:
    """Return `data` with the lowest bit of its middle byte turned over."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


class Distortion:
    """Faults of the line that wait for the next bytes to spoil."""

    def __init__(self, is_reply: Callable[[bytes], bool]) -> None:
        self._is_reply = is_reply
        self._reply: list[Action] = []
        self._chunks: list[Fault] = []

    def distort(self, fault: Fault) -> None:
        """Let `fault` spoil the next reply, or the next bytes of any kind."""
        if fault.action in REPLY_ACTIONS:
            self._reply.append(fault.action)
        else:
            self._chunks.append(fault)

    def send(self, lines: Sequence[bytes]) -> list[bytes]:
        """Return the chunks to write for `lines`."""
        chunks = [line for given in lines for line in self._replies(given)]
        if not chunks:
            return []
        for fault in self._chunks:
            chunks = _spoil(fault, chunks)
        self._chunks.clear()
        return chunks

    def _replies(self, line: bytes) -> list[bytes]:
        if not self._reply or not self._is_reply(line):
            return [line]
        return [] if self._reply.pop(0) is Action.LOSE_REPLY else [line, line]


def _spoil(fault: Fault, chunks: list[bytes]) -> list[bytes]:
    if fault.action is Action.NOISE:
        return [fault.noise, *chunks]
    if fault.action is Action.SPLIT:
        return [bytes([byte]) for chunk in chunks for byte in chunk]
    return [b"".join(chunks)]
