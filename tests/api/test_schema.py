"""Every operation under what schemathesis makes of the OpenAPI document, valid and not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.api.conftest import PATIENCE_S, TOKEN

from zstackd.api.app import create_app
from zstackd.api.metrics import Metrics
from zstackd.api.recent import RecentMessages
from zstackd.service.control import Reloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import APIOperation
    from tests.api.conftest import Running

    from zstackd.service.control import Control

EXAMPLES = 15
ENDLESS = {"GET /v1/events"}
"""A stream is read in other tests; here its answer would never end."""

ANY_TEXT = {"POST /v1/runs", "POST /v1/plans"}
"""Any text is a document to these, so none is invalid by the schema."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def operations() -> Iterator[APIOperation[Any, Any, Any, Any]]:
    nobody = cast("Control", None)  # the document is made without asking the service
    app = create_app(nobody, reload=Reloaded, messages=RecentMessages(), metrics=Metrics(nobody))
    for found in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.label not in ENDLESS:
            yield operation


OPERATIONS = {operation.label: operation for operation in operations()}


def test_the_document_describes_the_whole_api() -> None:
    assert len(OPERATIONS) >= 24
    assert set(OPERATIONS) >= ANY_TEXT


def cases() -> Iterator[Any]:
    """Yield each operation with valid requests and, where it takes anything, with invalid ones."""
    for label, operation in OPERATIONS.items():
        raw = operation.definition.raw
        takes_anything = raw.get("parameters") or raw.get("requestBody")
        for mode in GenerationMode if takes_anything else [GenerationMode.POSITIVE]:
            yield pytest.param(label, mode, id=f"{label} {mode.value}")


@pytest.mark.parametrize(("label", "mode"), list(cases()))
def test_answers_are_as_documented(service: Running, label: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[label]
    checks = list(CHECKS)
    if label not in ANY_TEXT:
        checks.append(negative_data_rejection)
    asked = 0

    @given(st.data())
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def ask(data: st.DataObject) -> None:
        nonlocal asked
        case = data.draw(operation.as_strategy(generation_mode=mode))
        case.call_and_validate(
            base_url=service.tcp,
            headers={"Authorization": f"Bearer {TOKEN}"},
            checks=checks,
            timeout=PATIENCE_S,
        )
        asked += 1

    ask()
    assert asked > 0
