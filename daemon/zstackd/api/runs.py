"""Runs over HTTP: submit, judge, list, show, cancel, pause, resume, and what they published."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from zstackd.api.files import absent, file_answer, file_contents, published_file
from zstackd.api.models import (
    AcceptedAnswer,
    AllSeriesAnswer,
    JournalAnswer,
    PlanAnswer,
    RunAnswer,
    RunsAnswer,
    SeriesAnswer,
)
from zstackd.api.patterns import FILE_NAME, PRINTABLE, RUN_ID
from zstackd.api.problems import documented
from zstackd.service.control import Control
from zstackd.store.run_state import RunState

MOST_RUNS: Final = 1000

RunId = Annotated[str, Path(pattern=RUN_ID, max_length=100, description="Id of the run.")]
Words = Annotated[
    str,
    Query(
        min_length=1,
        max_length=100,
        pattern=PRINTABLE,
        description="Who asks, or what the file is called: for messages and the journal only.",
    ),
]
_DOCUMENT: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "A run file: YAML, of which JSON is a part; at most 1 MiB.",
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}
_MANIFEST: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The manifest, as it stands in the folder of the result.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Manifest"}}},
    }
}


def runs_router(control: Control) -> APIRouter:
    """Return the routes under `/v1/runs`."""
    routes = APIRouter(tags=["runs"])
    _add_documents(routes, control)
    _add_views(routes, control)
    _add_orders(routes, control)
    _add_results(routes, control)
    return routes


def _add_documents(routes: APIRouter, control: Control) -> None:
    refusals = documented(
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.INSUFFICIENT_STORAGE,
    )

    @routes.post(
        "/v1/runs",
        status_code=HTTPStatus.CREATED,
        responses=refusals,
        openapi_extra=_DOCUMENT,
        operation_id="submit",
    )
    async def submit(request: Request, response: Response, source: Words = "API") -> AcceptedAnswer:
        """Accept a run, or a series of runs; answered once it is safe on the disk."""
        document = await request.body()
        accepted = AcceptedAnswer.of(
            await run_in_threadpool(control.submit, document, source=source)
        )
        if accepted.run is not None:
            response.headers["Location"] = f"/v1/runs/{accepted.run.run_id}"
        return accepted

    @routes.post("/v1/plans", responses=refusals, openapi_extra=_DOCUMENT, operation_id="check")
    async def check(request: Request, source: Words = "API") -> PlanAnswer:
        """Judge a run as submitting it would, and say what it would do; nothing is kept."""
        document = await request.body()
        return PlanAnswer.of(await run_in_threadpool(control.check, document, source=source))


def _add_views(routes: APIRouter, control: Control) -> None:
    unknown = documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)

    @routes.get(
        "/v1/runs", responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY), operation_id="list"
    )
    def list_runs(
        state: Annotated[
            list[RunState] | None, Query(description="Only runs in these states.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_RUNS, description="At most so many.")] = 100,
    ) -> RunsAnswer:
        """List runs, the newest first."""
        runs = control.runs(states=state, limit=limit)
        return RunsAnswer(runs=tuple(RunAnswer.of(run) for run in runs))

    @routes.get("/v1/series", operation_id="list_series")
    def list_series() -> AllSeriesAnswer:
        """List the series that have points left, oldest first."""
        return AllSeriesAnswer(series=tuple(SeriesAnswer.of(one) for one in control.series()))

    @routes.get("/v1/runs/{run_id}", responses=unknown, operation_id="show")
    def show(run_id: RunId) -> RunAnswer:
        """Show one run."""
        return RunAnswer.of(control.run(run_id))

    @routes.get("/v1/runs/{run_id}/journal", responses=unknown, operation_id="journal")
    def journal(run_id: RunId) -> JournalAnswer:
        """Show everything that happened to a run."""
        return JournalAnswer(entries=tuple(control.journal(run_id)))


def _add_orders(routes: APIRouter, control: Control) -> None:
    refusals = documented(
        HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY
    )

    @routes.post("/v1/runs/{run_id}/cancel", responses=refusals, operation_id="cancel")
    def cancel(run_id: RunId, by: Words = "API") -> RunAnswer:
        """End a run: at once where it waits, between planes where it is in work."""
        return RunAnswer.of(control.cancel(run_id, by=by))

    @routes.post("/v1/runs/{run_id}/pause", responses=refusals, operation_id="pause_run")
    def pause(run_id: RunId, by: Words = "API") -> RunAnswer:
        """Hold a run before its next plane."""
        control.pause(run_id, by=by)
        return RunAnswer.of(control.run(run_id))

    @routes.post("/v1/runs/{run_id}/resume", responses=refusals, operation_id="resume_run")
    def resume(run_id: RunId) -> RunAnswer:
        """Let a paused run go on."""
        control.resume(run_id)
        return RunAnswer.of(control.run(run_id))


def _add_results(routes: APIRouter, control: Control) -> None:
    refusals = documented(
        HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY
    )

    @routes.get(
        "/v1/runs/{run_id}/manifest",
        responses=_MANIFEST | refusals,
        response_class=JSONResponse,
        operation_id="manifest",
    )
    def manifest(run_id: RunId) -> StreamingResponse:
        """Fetch the manifest of a published run."""
        return file_answer(control.manifest(run_id))

    @routes.get(
        "/v1/runs/{run_id}/preview",
        responses=file_contents("A small JPEG of the fused image.") | refusals,
        response_class=Response,
        operation_id="preview",
    )
    def preview(run_id: RunId) -> StreamingResponse:
        """Fetch the preview of a published run."""
        return file_answer(control.preview(run_id) or absent(f"{run_id} has no preview"))

    @routes.get(
        "/v1/runs/{run_id}/files/{name}",
        responses=file_contents("The file.") | refusals,
        response_class=Response,
        operation_id="result_file",
    )
    def result_file(
        run_id: RunId,
        name: Annotated[
            str,
            Path(pattern=FILE_NAME, max_length=100, description="Its name."),
        ],
    ) -> StreamingResponse:
        """Fetch a file that the manifest of a published run names."""
        return file_answer(published_file(control.manifest(run_id), name))
