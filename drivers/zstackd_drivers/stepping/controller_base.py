"""What the controllers of all dialects share: the line, and starting anew on it."""

import logging
import threading
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from zstackd_config.focus import StepperFocus
from zstackd_drivers.errors import LinkError, WrongDeviceError
from zstackd_drivers.serial.dialogue import Dialogue, Timeouts
from zstackd_drivers.serial.hearing import Hearing
from zstackd_drivers.serial.link import Port
from zstackd_drivers.stepping.controller import Machine, Stopped
from zstackd_drivers.stepping.rest import RestWatch

_log = logging.getLogger(__name__)
_Heard = TypeVar("_Heard", bound=Hearing)


class ControllerBase(ABC, Generic[_Heard]):
    """Half a `Controller`; a dialect adds `prove`, `prepare` and all that moves.

    `kind` is the firmware's name as in messages.
    """

    kind: ClassVar[str]

    def __init__(
        self, settings: StepperFocus, *, port: Port, timeouts: Timeouts, heard: _Heard
    ) -> None:
        self._focus = settings
        self._heard = heard
        self._talk = Dialogue(
            kind=self.kind, port=port, baud=settings.baud, timeouts=timeouts, heard=heard
        )

    @property
    def condition(self) -> threading.Condition:
        """Guards and announces all state."""
        return self._talk.condition

    @property
    def port(self) -> str:
        """The device path in use, or used last."""
        return self._talk.port

    @property
    def alive(self) -> bool:
        """Whether the line is open and holds."""
        return self._talk.alive

    @property
    def version(self) -> str:
        """The firmware's words on itself."""
        return self._heard.version

    @abstractmethod
    def prove(self, *, wake: bool) -> None:
        """On an open line, ask who is there; raises WrongDeviceError where it is another.

        With `wake`, a firmware that does not answer is reset.
        """

    @abstractmethod
    def prepare(self) -> Machine:
        """Stop whatever moves and read the settings."""

    def connect(self) -> Machine:
        """Open the port, prove the firmware's identity, stop whatever moves, read the settings."""
        self._talk.open()
        return self._introduce()

    def probe(self) -> str:
        """Return the firmware's words on itself, and leave it as it is."""
        try:
            self._talk.open()
            self.prove(wake=False)
            return self.version
        finally:
            self._talk.close()

    def close(self) -> None:
        """Release the port; a second call does nothing."""
        self._talk.close()

    def recover(self) -> Machine | None:
        """Make it answer again after any disturbance; nothing moves afterwards."""
        if self._talk.alive and not self._talk.disturbed:
            return None
        if self._talk.alive:
            try:
                return self._introduce()
            except LinkError as error:
                _log.info("%s: to be opened again, since %s", self.port, error)
        self.close()
        return self.connect()

    def check(self) -> None:
        """Raise what has happened since `connect` or `recover`: LinkError or MotionError."""
        self._talk.check()

    def wrong_device(self) -> WrongDeviceError:
        """Return the error that tells what is at the other end instead."""
        words = self.version or " / ".join(self._heard.strange)
        return WrongDeviceError(
            f"serial port {self.port} is not {self.kind}: it says {words[:80]!r}; correct "
            "focus.port, focus.baud or focus.driver"
        )

    def watch(self, stopped: Stopped) -> RestWatch:
        """Return what watches one motion."""
        return RestWatch(
            self._talk.name,
            pause=self._talk.pause,
            stopped=stopped,
            margin_s=self._talk.timeouts.margin_s,
            um_per_unit=self._focus.um_per_unit,
        )

    def _introduce(self) -> Machine:
        with self.condition:
            self._heard.begin()
        self.prove(wake=True)
        return self.prepare()
