"""Errors as answers: the same one line that the command line prints, with the right status."""

from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from zstackd.api.models import Problem
from zstackd.api.patterns import IN_WORDS
from zstackd.runs.autofocus import NoFocusError
from zstackd.service.control import NoSuchRun, WrongState
from zstackd.service.lease import RigBusy
from zstackd_config.errors import (
    ConfigError,
    HardwareError,
    InputError,
    Interrupted,
    StorageError,
    ZstackdError,
)
from zstackd_config.locate import dotted
from zstackd_config.suggest import nearest
from zstackd_config.values import shown
from zstackd_config.wording import worded

MEDIA_TYPE: Final = "application/problem+json"
_USAGE: Final = 2
_STATUSES: Final[tuple[tuple[type[ZstackdError], HTTPStatus], ...]] = (
    (NoSuchRun, HTTPStatus.NOT_FOUND),
    (WrongState, HTTPStatus.CONFLICT),
    (RigBusy, HTTPStatus.CONFLICT),
    (NoFocusError, HTTPStatus.CONFLICT),
    (Interrupted, HTTPStatus.CONFLICT),
    (ConfigError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (HardwareError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StorageError, HTTPStatus.INSUFFICIENT_STORAGE),
)
"""The first kind that fits counts; all others are the service's own failure."""


def problem(
    status: int,
    detail: str,
    *,
    exit_status: int = 1,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return the answer that refuses a request."""
    content = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, exit_status=exit_status
    )
    return JSONResponse(
        content.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, object]]:
    """Return the OpenAPI entries of the problems that an operation answers with."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        int(status): {"description": status.phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def status_of(error: ZstackdError) -> HTTPStatus:
    """Return the HTTP status that an error stands for."""
    return next(
        (status for kind, status in _STATUSES if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def refusal(error: HTTPException) -> JSONResponse:
    """Return the answer that an HTTP error stands for."""
    return problem(
        error.status_code,
        str(error.detail),
        exit_status=_USAGE,
        headers=None if error.headers is None else dict(error.headers),
    )


async def _known(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ZstackdError):
        raise error
    return problem(status_of(error), str(error), exit_status=error.exit_status)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    lines = (_worded(entry) for entry in error.errors())
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "\n".join(lines), exit_status=_USAGE)


def _worded(entry: ErrorDetails) -> str:
    """Return what is wrong with a value of the query or the document, and where."""
    if entry["type"] == "json_invalid" or entry["loc"] == ("body",):
        return "body: not what is wanted; send a JSON object, with content-type application/json"
    place = entry["loc"][1:] or entry["loc"]
    said = _unfit(entry) if entry["type"] == "string_pattern_mismatch" else None
    return f"{dotted(place)}: {said or worded([entry], place, ())}"


def _unfit(entry: ErrorDetails) -> str | None:
    words = IN_WORDS.get(entry["ctx"]["pattern"])
    return None if words is None else f"{shown(entry['input'])} is {words}"


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        error = _not_so(request)
    elif error.detail == HTTPStatus.NOT_FOUND.phrase:
        error = _no_such_path(request)
    return refusal(error)


def _no_such_path(request: Request) -> HTTPException:
    return HTTPException(
        HTTPStatus.NOT_FOUND,
        f"{request.url.path}: no such path; /openapi.json names those there are",
    )


def _not_so(request: Request) -> HTTPException:
    """Name every method of a path; the framework knows those of one of its routes."""
    path, documented_paths = request.url.path, request.app.openapi()["paths"]
    methods = ", ".join(
        sorted(
            method.upper()
            for template, operations in documented_paths.items()
            if compile_path(template)[0].match(path)
            for method in operations
        )
    )
    said = f"{path}: {request.method} is not possible; use {methods or 'GET'}"
    return HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, said, headers={"Allow": methods or "GET"})


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    """Answer without a word of the inside; the traceback goes to the log."""
    del error
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; the service's log has it")


def only_known_words(request: Request) -> None:
    """Refuse a query with a word that the route does not know: `?status=` would list all runs."""
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    lines = [
        f"{word}: unknown word of the query; {nearest(word, known)}"
        for word in request.query_params
        if word not in known
    ]
    if lines:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "\n".join(lines))


def answer_errors(app: FastAPI) -> None:
    """Let every error leave as a problem."""
    app.add_exception_handler(ZstackdError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _unexpected)
