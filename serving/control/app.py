"""The Flask app: `/metrics`, `/status` and `/execution-parameters`, and a JSON 404 for every other path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from serving import cores
from serving.settings import Settings
from serving.telemetry.metrics import Metrics, exposition

REQUEST_ID = "ei.request_id"
"""The key of the request's id in the WSGI environment."""


def create_app(settings: Settings, metrics: Metrics, status: Callable[[], dict[str, Any]] = dict) -> Flask:
    """The app of one process; it answers for all of them, since the metrics are shared. `status` tells which model runs where."""
    app = Flask("ei", static_folder=None)

    @app.get("/metrics")
    def _metrics() -> Response:
        body, content_type = exposition(metrics)
        return Response(body, content_type=content_type)

    @app.get("/status")
    def _status() -> Response:
        return jsonify(status())

    @app.get("/execution-parameters")
    def _execution_parameters() -> Response:
        """What a batch transform job should use (Developer Guide, "Use your own inference code with batch transform")."""
        return jsonify(
            MaxConcurrentTransforms=settings.max_concurrent_transforms or settings.workers or cores.count(),
            BatchStrategy=settings.batch_strategy or "MULTI_RECORD",
            MaxPayloadInMB=min(settings.max_payload_mb or 100, 100),
        )

    @app.errorhandler(HTTPException)
    def _error(error: HTTPException) -> Response:
        """Keep the status and the headers (a 405's `Allow`), in the server's own form of an error."""
        answer = Response(status=error.code, headers=error.get_headers())
        body = {"code": error.code, "type": type(error).__name__, "message": error.description}
        answer.data = orjson.dumps({**body, "request_id": request.environ.get(REQUEST_ID, "")})
        answer.content_type = "application/json"
        return answer

    return app
