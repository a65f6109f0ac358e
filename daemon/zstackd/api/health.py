"""What supervisors and monitors ask: is it alive, and how much of everything."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from zstackd.api.metrics import Metrics
from zstackd.api.models import HealthAnswer, LoanAnswer
from zstackd.service.control import Control


def health_router(control: Control, metrics: Metrics) -> APIRouter:
    """Return `/healthz` and `/metrics`."""
    routes = APIRouter(tags=["service"])

    @routes.get(
        "/healthz",
        responses={503: {"description": "A thread hangs.", "model": HealthAnswer}},
        operation_id="health",
    )
    def health(response: Response) -> HealthAnswer:
        """Tell whether every essential thread makes progress, and who has borrowed the rig."""
        late_s = control.overdue_s()
        if late_s:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        status = "hanging" if late_s else "ok"
        return HealthAnswer(status=status, late_s=late_s, loan=LoanAnswer.of(control.loan()))

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Figures.", "content": {"text/plain": {"schema": {}}}}},
        operation_id="metrics",
    )
    def figures() -> Response:
        """Show all figures in the text format of Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return routes
