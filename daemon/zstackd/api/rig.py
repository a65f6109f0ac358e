"""The service and its rig over HTTP: status, pause, reload, focus, the latest frame."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from zstackd.api.files import absent, file_answer, file_contents
from zstackd.api.models import (
    AxisAnswer,
    FocusAnswer,
    MessagesAnswer,
    Position,
    ReloadAnswer,
    StatusAnswer,
    Sweep,
    Target,
)
from zstackd.api.problems import documented
from zstackd.api.recent import RecentMessages
from zstackd.api.runs import Words
from zstackd.service.control import Control, Reloaded
from zstackd.system.temperature import temperature_c

Reload = Callable[[], Reloaded]
"""Reads the rig file again and returns what changed; raises what is wrong with it."""


def rig_router(control: Control, reload: Reload, messages: RecentMessages) -> APIRouter:
    """Return the routes of the service as a whole and of its devices."""
    routes = APIRouter()
    _add_service(routes, control, reload, messages)
    _add_focus(routes, control)

    @routes.get(
        "/v1/frames/latest",
        tags=["rig"],
        responses=file_contents("The frame, as it is stored.") | documented(HTTPStatus.NOT_FOUND),
        response_class=Response,
        operation_id="latest_frame",
    )
    def latest_frame() -> StreamingResponse:
        """Fetch the newest whole frame of the run in work, or of the last one."""
        return file_answer(control.latest_frame() or absent("no frame was captured yet"))

    return routes


def _add_service(
    routes: APIRouter, control: Control, reload: Reload, messages: RecentMessages
) -> None:
    @routes.get("/v1/status", tags=["service"], operation_id="status")
    def status() -> StatusAnswer:
        """Show what the service and the rig are doing."""
        return StatusAnswer.of(control.status(), temperature_c=temperature_c())

    @routes.post(
        "/v1/pause",
        tags=["service"],
        responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY),
        operation_id="pause",
    )
    def pause(by: Words = "API") -> StatusAnswer:
        """Hold the service before its next plane or run."""
        control.pause(by=by)
        return status()

    @routes.post("/v1/resume", tags=["service"], operation_id="resume")
    def resume() -> StatusAnswer:
        """Let the service go on."""
        control.resume()
        return status()

    @routes.post(
        "/v1/reload",
        tags=["service"],
        responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY),
        operation_id="reload",
    )
    def reload_rig() -> ReloadAnswer:
        """Read the rig file again; a bad one is refused, and the old settings stay."""
        taken = reload()
        return ReloadAnswer(changes=taken.changes, note=taken.note)

    @routes.get("/v1/messages", tags=["service"], operation_id="messages")
    def newest_messages() -> MessagesAnswer:
        """Show the newest log messages of the service."""
        return MessagesAnswer.model_validate({"messages": messages.all()})


def _add_focus(routes: APIRouter, control: Control) -> None:
    refusals = documented(
        HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
    )
    malformed = refusals | documented(HTTPStatus.BAD_REQUEST)

    @routes.post("/v1/focus/home", tags=["focus"], responses=refusals, operation_id="home")
    def home() -> AxisAnswer:
        """Home the idle axis; may take a minute. Refused while a run has the rig."""
        return AxisAnswer.of(control.home())

    @routes.post("/v1/focus/confirm", tags=["focus"], responses=malformed, operation_id="confirm")
    def confirm(position: Position) -> AxisAnswer:
        """Take an operator's word on where the idle axis stands; nothing moves."""
        return AxisAnswer.of(control.confirm(position.position_um))

    @routes.post("/v1/focus/move", tags=["focus"], responses=malformed, operation_id="move")
    def move(target: Target) -> AxisAnswer:
        """Move the idle, referenced axis within its limits."""
        return AxisAnswer.of(control.move_to(target.z_um))

    @routes.post("/v1/focus/auto", tags=["focus"], responses=malformed, operation_id="auto")
    def auto(sweep: Sweep) -> FocusAnswer:
        """Look for the sharpest height and go there; may take a minute."""
        found = control.find_focus((sweep.low_um, sweep.high_um))
        return FocusAnswer.model_validate(found)

    @routes.post(
        "/v1/focus/stop",
        tags=["focus"],
        status_code=HTTPStatus.NO_CONTENT,
        responses=documented(HTTPStatus.SERVICE_UNAVAILABLE),
        operation_id="stop",
    )
    def stop() -> None:
        """Stop the motor now; a run in work, or who borrowed the rig, is interrupted by it."""
        control.stop_motion()
