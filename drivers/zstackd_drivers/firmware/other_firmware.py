"""Controllers that no driver is for, to prove that each refuses them."""

from typing import Literal

from zstackd_drivers.firmware.setup import TwinSetup, Witness

Kind = Literal["grbl-0.9", "repetier", "silent", "sensor"]
_NS = 1_000_000_000
_BOOT_S = 1.4
_GREETINGS: dict[Kind, list[str]] = {
    "grbl-0.9": ["", "Grbl 0.9j ['$' for help]"],
    "repetier": ["start", "Info:Repetier_1.0.4", "Info:External Reset"],
    "silent": [],
    "sensor": [],
}
_MEASURES_EVERY_S = 0.5


class OtherFirmware:
    """Greets after power-up, and answers lines in its own manner; a sensor is never silent."""

    def __init__(self, kind: Kind, setup: TwinSetup) -> None:
        self.motor = setup.motor(1.0)
        self.witness = Witness(setup.travel)
        self.lines: list[str] = []
        self._kind = kind
        self._greets_at: int | None = None
        self._rx = bytearray()
        self._out: list[bytes] = []

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes from the line; those sent while it boots are lost."""
        self.advance(now_ns)
        if self._greets_at is not None:
            return
        self._rx += data
        while b"\n" in self._rx:
            line, _, rest = bytes(self._rx).partition(b"\n")
            self._rx = bytearray(rest)
            self._answer(line.decode("ascii", errors="replace").strip("\x18?\r"))

    def advance(self, now_ns: int) -> None:
        """Let time pass until `now_ns`."""
        if self._greets_at is None or now_ns < self._greets_at:
            return
        self._say(*_GREETINGS[self._kind])
        self._greets_at = None
        if self._kind == "sensor":
            self._say("21.5;48.2")
            self._greets_at = now_ns + round(_MEASURES_EVERY_S * _NS)

    def next_event_ns(self) -> int | None:
        """Return the rig time of the greeting, while it is to come."""
        return self._greets_at

    def board_reset(self, now_ns: int) -> None:
        """Reboot."""
        self._greets_at = now_ns + round(_BOOT_S * _NS)

    def take_output(self) -> list[bytes]:
        """Return, and forget, the lines to send."""
        out, self._out = self._out, []
        return out

    def is_reply(self, line: bytes) -> bool:
        """Return whether a line answers a command."""
        return line.startswith(b"ok")

    def alarm(self) -> None:
        """Have nothing that could fail."""

    def stall(self) -> None:
        """Have nothing that could hang."""

    def _answer(self, line: str) -> None:
        if self._kind == "repetier" and line:
            self._say(f"Error:Unknown command {line}", "ok")
        elif self._kind == "grbl-0.9":
            self._say("[0.9j.20160303:]", "ok")

    def _say(self, *lines: str) -> None:
        self._out += [line.encode("ascii") + b"\r\n" for line in lines]
