"""Looking through the microscope over HTTP: one picture at a time, and a page that shows them."""

from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from zstackd.api.picture import LEAST_SHOWN_PX, Kind, shown
from zstackd.api.problems import documented
from zstackd.service.control import Control
from zstackd.service.viewfinder import Exposure
from zstackd_config.errors import InputError
from zstackd_config.run import LockedAutoExposure, ManualExposure

FACTS: Final = "Zstackd-View"
_MOST_SHOWN_PX: Final = 20_000
_MEDIA: Final[dict[Kind, str]] = {"jpg": "image/jpeg", "png": "image/png"}
_PAGE_MAY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The page loads nothing from elsewhere, and nobody frames it."""

_PICTURE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The picture.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in _MEDIA.values()
        },
        "headers": {
            FACTS: {
                "description": "What is known of the frame: ViewAnswer as JSON.",
                "schema": {"type": "string"},
            }
        },
    }
}

Side = Annotated[
    int | None,
    Query(ge=LEAST_SHOWN_PX, le=_MOST_SHOWN_PX, description="Reduce the picture to this side."),
]
Crop = Annotated[
    int | None,
    Query(ge=LEAST_SHOWN_PX, le=_MOST_SHOWN_PX, description="Show a square of this side alone."),
]
Milliseconds = Annotated[
    float | None,
    Query(gt=0, le=1e6, description="Expose for as long; absent: as the camera finds right."),
]
Gain = Annotated[
    float | None, Query(ge=0, le=255, description="Analogue gain to this exposure time.")
]


def view_router(control: Control) -> APIRouter:
    """Return the routes of what the camera sees."""
    routes = APIRouter(tags=["rig"])
    refusals = documented(
        HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
    )

    @routes.get(
        "/v1/view", responses=_PICTURE | refusals, response_class=Response, operation_id="view"
    )
    def view(
        *,
        max_side_px: Side = None,
        crop_px: Crop = None,
        picture: Annotated[Kind, Query(alias="format", description="Of the picture.")] = "jpg",
        exposure_time_ms: Milliseconds = None,
        analogue_gain: Gain = None,
        expose_anew: Annotated[bool, Query(description="Find the exposure again.")] = False,
    ) -> Response:
        """Take a frame and show it; while a run has the rig, show its newest frame.

        `crop_px` cuts a square out of the middle. The exposure is held from one look to the next;
        `expose_anew` finds it again.
        """
        wish = exposure_of(exposure_time_ms, analogue_gain)
        seen = control.look(wish, expose_anew=expose_anew)
        made = shown(seen, picture, max_side_px=max_side_px, crop_px=crop_px)
        headers = {FACTS: made.facts.model_dump_json(), "Cache-Control": "no-store"}
        return Response(made.picture, media_type=_MEDIA[picture], headers=headers)

    @routes.get("/live", response_class=HTMLResponse, include_in_schema=False)
    def live() -> HTMLResponse:
        """Show the page that looks again and again, and moves the focus."""
        page = files("zstackd.api").joinpath("live.html").read_text(encoding="utf-8")
        headers = {"Content-Security-Policy": _PAGE_MAY, "Cache-Control": "no-store"}
        return HTMLResponse(page, headers=headers)

    return routes


def exposure_of(exposure_time_ms: float | None, analogue_gain: float | None) -> Exposure:
    """Return the exposure that is asked for; raises InputError where a gain has no time to it."""
    if exposure_time_ms is not None:
        gain = 1.0 if analogue_gain is None else analogue_gain
        return ManualExposure(mode="manual", exposure_time_ms=exposure_time_ms, analogue_gain=gain)
    if analogue_gain is not None:
        raise InputError(
            f"analogue_gain {analogue_gain:g} goes with an exposure time: give exposure_time_ms too"
        )
    return LockedAutoExposure(mode="locked_auto")
