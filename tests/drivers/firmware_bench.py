"""A firmware twin alone, in rig time that only passes when told to."""

from zstackd_drivers.firmware.twin import Firmware

S = 1_000_000_000


class FirmwareBench:
    """Bytes in, lines out."""

    def __init__(self, firmware: Firmware) -> None:
        self.firmware = firmware
        self.now = 0

    def send(self, *lines: str) -> list[str]:
        """Send lines, and return what it says at once."""
        return self.send_bytes("".join(f"{line}\n" for line in lines).encode())

    def send_bytes(self, data: bytes) -> list[str]:
        """Send bytes as they are, and return what it says at once."""
        self.firmware.receive(data, self.now)
        return self.heard()

    def wait(self, seconds: float) -> list[str]:
        """Let time pass, and return what it says meanwhile."""
        self.now += round(seconds * S)
        self.firmware.advance(self.now)
        return self.heard()

    def heard(self) -> list[str]:
        """Return what it has said, without line ends."""
        return [line.decode().strip() for line in self.firmware.take_output()]
