"""The control plane: metrics, what a batch job asks, and everything that is not there."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from serving import cores
from serving.control.app import REQUEST_ID, create_app
from serving.settings import Settings
from serving.telemetry.metrics import Metrics


def client(**settings: Any) -> FlaskClient:
    """A client of the app with these settings."""
    return create_app(Settings(**settings), Metrics(1)).test_client()


def test_metrics() -> None:
    """Prometheus reads them."""
    metrics = Metrics(1)
    metrics.answered(200, 0.01, 5, 6)
    answer = create_app(Settings(), metrics).test_client().get("/metrics")
    assert (answer.status_code, answer.content_type.partition(";")[0]) == (200, "text/plain")
    samples = {s.name: s.value for family in text_string_to_metric_families(answer.text) for s in family.samples}
    assert samples["ei_invocations_total"] == 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 100}),
        (
            {"workers": 3, "max_payload_mb": 6},
            {"MaxConcurrentTransforms": 3, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6},
        ),
        (
            {"max_concurrent_transforms": 9, "batch_strategy": "SINGLE_RECORD", "max_payload_mb": 0},
            {"MaxConcurrentTransforms": 9, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 100},
        ),
        ({"max_payload_mb": 4096}, {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 100}),
    ],
)
def test_execution_parameters(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    """A batch job is told what this server does best, or what the job itself has set; never more than the platform allows."""
    monkeypatch.setattr(cores, "count", lambda: 4)
    assert client(**settings).get("/execution-parameters").json == expected


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("GET", "/a/../b", 404), ("POST", "/metrics", 405)])
def test_errors_are_json(method: str, path: str, status: int) -> None:
    """An unknown path or method is answered in the form of all errors."""
    answer = client().open(path, method=method, environ_overrides={REQUEST_ID: "id-1"})
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["code"] == status
    assert set(answer.json) == {"code", "type", "message", "request_id"}
    assert answer.json["request_id"] == "id-1"
    assert status != 405 or "GET" in answer.headers["Allow"]


def test_nothing_else_is_served() -> None:
    """There is no static folder: no file of the server can be asked for."""
    assert client().get("/static/app.py").status_code == 404
