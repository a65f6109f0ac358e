"""The application: all routes on one facade."""

from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi

from zstackd.api.health import health_router
from zstackd.api.loan import loan_router
from zstackd.api.metrics import Metrics
from zstackd.api.models import EventAnswer, Problem, ViewAnswer
from zstackd.api.problems import answer_errors, documented, only_known_words
from zstackd.api.recent import RecentMessages
from zstackd.api.rig import Reload, rig_router
from zstackd.api.runs import runs_router
from zstackd.api.stream import stream_router
from zstackd.api.view import view_router
from zstackd.runs.manifest import Manifest
from zstackd.service.control import Control

_TITLE = "zstackd"
_SUMMARY = "Control of a microscope capture-and-stack service."


class Application(FastAPI):
    """FastAPI whose OpenAPI document names the models that no route returns as such."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title, version=self.version, summary=self.summary, routes=self.routes
            )
            schemas = document["components"]["schemas"]
            for model in (Problem, EventAnswer, ViewAnswer, Manifest):
                schema = model.model_json_schema(
                    mode="serialization", ref_template="#/components/schemas/{model}"
                )
                schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
            _describe_validation_errors(document)
            self.openapi_schema = document
        return self.openapi_schema


def create_app(
    control: Control, *, reload: Reload, messages: RecentMessages, metrics: Metrics
) -> Application:
    """Return the application of one service."""
    app = Application(
        title=_TITLE,
        summary=_SUMMARY,
        version=version("zstackd"),
        dependencies=[Depends(only_known_words)],
        # A redirect answers an order with nothing done and nothing said.
        redirect_slashes=False,
        # The pages that show the document load scripts from elsewhere; a rig may have no network.
        docs_url=None,
        redoc_url=None,
    )
    answer_errors(app)
    for router in (
        health_router(control, metrics),
        runs_router(control),
        rig_router(control, reload, messages),
        loan_router(control),
        stream_router(control),
        view_router(control),
    ):
        app.include_router(router)
    return app


def _describe_validation_errors(document: dict[str, Any]) -> None:
    """Describe 422 as what it is here: a problem, like every other refusal, of every query."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"] |= {
                str(status): answer
                for status, answer in documented(HTTPStatus.UNPROCESSABLE_ENTITY).items()
            }
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
