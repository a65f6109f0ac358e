"""A client of the running service, over its control socket."""

import errno
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict

import httpx

from zstackd.api.recalls import heeded
from zstackd.api.sockets import DEFAULT_SOCKET, socket_of
from zstackd_config.errors import HardwareError, InputError, Interrupted, ZstackdError

if TYPE_CHECKING:  # pydantic costs start-up
    from zstackd_config.rig import Rig

_TIMEOUT_S: Final = 30.0
_MOTION_S: Final = 3600.0
"""The axis has a bound of its own for each motion, by its speed and distance."""

_FOCUSING_S: Final = 900.0
_LOOK_S: Final = 120.0
_SILENCE_S: Final = 60.0
"""The service says something on a stream, of events or of a loan, at least every 15 s."""

_KINDS: Final[Mapping[int, type[ZstackdError]]] = {
    InputError.exit_status: InputError,
    HardwareError.exit_status: HardwareError,
    Interrupted.exit_status: Interrupted,
}

Words = Mapping[str, str | int | float | list[str]]


class Unreachable(ZstackdError):
    """No service answers at the socket, or it stopped answering."""


class RunJson(TypedDict):
    """A run, as far as the command line shows it; times are ISO 8601 in UTC."""

    run_id: str
    name: str
    state: str
    accepted_at: str
    started_at: str | None
    ended_at: str | None
    attempts: int
    priority: int
    not_before: str | None
    series: str | None
    planes_done: int
    planes_total: int | None
    reason: str | None
    result: str | None
    is_partial: bool
    frames_kept: bool
    consumed: bool


class EventJson(TypedDict):
    """One event of the stream."""

    number: int | None
    at: str
    kind: str
    run_id: str | None
    facts: dict[str, Any]


class Client:
    """While entered, asks the service behind `socket`; every method raises a `ZstackdError`.

    `state` is the state folder that the service must have; None: any.
    """

    def __init__(self, path: Path, *, state: Path | None = None) -> None:
        self._socket = path
        self._state = state
        self._http = httpx.Client(
            # A Unix socket has no TLS: reading certificates for it would take 30 ms.
            transport=httpx.HTTPTransport(uds=str(path), verify=False),
            base_url="http://zstackd",
            timeout=_TIMEOUT_S,
        )

    def __enter__(self) -> Self:
        self._knock()
        self._http.__enter__()
        if self._state is not None:
            self._require(self._state)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, words: Words | None = None) -> dict[str, Any]:
        """Return what the service answers to a question."""
        return self._answer("GET", path, params=words)

    def post(
        self,
        path: str,
        words: Words | None = None,
        *,
        content: bytes | None = None,
        document: Mapping[str, float] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> dict[str, Any]:
        """Give an order, with a run file as `content` or figures as `document`; return the answer.

        Any `content` may be a run file: the service judges it.
        """
        return self._answer(
            "POST", path, params=words, content=content, json=document, timeout=timeout_s
        )

    def look(self, words: Words) -> tuple[bytes, dict[str, Any]]:
        """Return a picture of what the camera sees, and what is known of it."""
        response = self._response("GET", "/v1/view", params=words, timeout=_LOOK_S)
        facts: dict[str, Any] = json.loads(response.headers["zstackd-view"])
        return response.content, facts

    def home(self) -> dict[str, Any]:
        """Home the focus axis, however long it takes."""
        return self.post("/v1/focus/home", timeout_s=_MOTION_S)

    def move_to(self, z_um: float) -> dict[str, Any]:
        """Move the focus axis, however long it takes."""
        return self.post("/v1/focus/move", document={"z_um": z_um}, timeout_s=_MOTION_S)

    def find_focus(self, low_um: float, high_um: float) -> dict[str, Any]:
        """Look for the sharpest height, however long it takes."""
        document = {"low_um": low_um, "high_um": high_um}
        return self.post("/v1/focus/auto", document=document, timeout_s=_FOCUSING_S)

    @contextmanager
    def borrowing(self, by: str, recall: Callable[[str], None]) -> Iterator[None]:
        """While entered, the rig is lent to this program, and its devices are free to be opened.

        Calls `recall` in another thread, with the reason, where they are to be closed soon: the
        service ended, or an operator stopped the motor.
        """
        try:
            with self._http.stream(
                "POST", "/v1/loan", params={"by": by}, timeout=_SILENCE_S
            ) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                with heeded(response, recall):
                    yield
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    @contextmanager
    def listening(self, *, run_id: str | None = None) -> Iterator[Iterator[EventJson]]:
        """Listen while entered: events from now on as they come, until the service ends them."""
        words = {} if run_id is None else {"run_id": run_id}
        try:
            with self._http.stream(
                "GET", "/v1/events", params=words, timeout=_SILENCE_S
            ) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield (
                    json.loads(line.removeprefix("data: "))
                    for line in response.iter_lines()
                    if line.startswith("data: ")
                )
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _knock(self) -> None:
        """Raise where nobody listens; httpx would leave the socket of its attempt unclosed."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(_TIMEOUT_S)
            try:
                attempt.connect(str(self._socket))
            except OSError as error:
                raise self._unreachable(error) from error

    def _require(self, state: Path) -> None:
        try:
            folder = Path(self.get("/v1/status")["spool"]["folder"])
            if folder.resolve() != state.resolve():
                raise Unreachable(
                    f"{self._socket}: the service there is another rig's, with the state folder "
                    f"{folder}, not {state}; start this rig's, or name its socket (--socket)"
                )
        except ZstackdError:
            self._http.close()
            raise

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        response = self._response(method, path, **request)
        if not response.content:
            return {}
        answer: dict[str, Any] = response.json()
        return answer

    def _response(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise _refusal(response)
        return response

    def _unreachable(self, error: httpx.TransportError | OSError) -> Unreachable:
        number = _error_number(error)
        if number in {errno.EACCES, errno.EPERM}:
            what = "you may not use it; join its group (sudo adduser NAME zstackd), log in again"
        elif number in {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}:
            what = (
                "no service answers there; start it, or name its socket (--socket) or rig (--rig)"
            )
        else:
            what = f"the service stopped answering ({error}); see `zstackd status`"
        return Unreachable(f"{self._socket}: {what}")


def client_of(rig: "Rig") -> Client:
    """Return a client of the service of this rig, for which no other rig's may stand in.

    The usual socket is a guess, where the rig file names none and there is none in its state
    folder.
    """
    path = socket_of(rig)
    is_guess = path == DEFAULT_SOCKET and rig.api.socket is None
    return Client(path, state=rig.paths.state if is_guess else None)


def _refusal(response: httpx.Response) -> ZstackdError:
    """Return the service's own words as the error that they were there."""
    try:
        problem = response.json()
        detail, exit_status = str(problem["detail"]), int(problem["exit_status"])
    except (ValueError, KeyError, TypeError):
        return ZstackdError(f"the service refused with HTTP status {response.status_code}")
    return _KINDS.get(exit_status, ZstackdError)(detail)


def _error_number(error: BaseException) -> int | None:
    """Return the system's error number behind an error of httpx, which wraps it twice."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause.errno
        cause = cause.__cause__ or cause.__context__
    return None
