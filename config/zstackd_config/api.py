"""`api:` of the rig file: where the control API listens."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from zstackd_config.base import Settings, SettingsPath


class Tcp(Settings):
    """The control API on TCP, for whoever shows the token."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        max_length=253,
        description="Address to listen on; another than the loopback's is open to the network, "
        "unencrypted.",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        description="Port to listen on; 0 takes a free one and logs it."
    )
    token_file: SettingsPath = Field(
        description="File with the token that clients must show: one line of at least 16 "
        "characters, readable by the service only; relative to the rig file."
    )


class Api(Settings):
    """The control API; always on a Unix socket, on TCP only where asked for."""

    socket: SettingsPath | None = Field(
        None,
        description="Path of the Unix socket, relative to the rig file; absent: control.sock in "
        "systemd's runtime directory, or else in the state folder.",
    )
    tcp: Tcp | None = Field(None, description="Also listen on TCP.")

    def relative_to(self, folder: Path) -> "Api":
        """Return the settings with relative paths taken from `folder`."""
        changes: dict[str, object] = {}
        if self.socket is not None:
            changes["socket"] = folder / self.socket
        if self.tcp is not None:
            token_file = folder / self.tcp.token_file
            changes["tcp"] = self.tcp.model_copy(update={"token_file": token_file})
        return self.model_copy(update=changes)
