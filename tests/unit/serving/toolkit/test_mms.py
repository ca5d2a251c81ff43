"""The names of mms: contexts, errors and metrics of custom services."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import pytest

from serving.handlers import faults


def named(module: str) -> Any:
    """A module of the package, imported by its public name."""
    return importlib.import_module(module)


def test_context_as_users_make_it_in_tests() -> None:
    """Context and RequestProcessor are made with MMS's arguments."""
    contexts = named("mms.context")
    context = contexts.Context("m", "/d", {}, 1, None, named("mms").__version__)
    context.request_processor = [contexts.RequestProcessor({"Content-Type": "text/csv"})]
    assert context.get_request_header(0, "Content-Type") == "text/csv"
    assert context.system_properties.get("model_dir") == "/d"


def test_prediction_exception_is_answered_with_its_status() -> None:
    """A service's own error chooses the status."""
    fault = faults.of("handle", named("mms.service").PredictionException("no rows", 400))
    assert (fault.status, fault.message) == (400, "no rows")


def test_metrics_names(caplog: pytest.LogCaptureFixture) -> None:
    """The metrics classes are where MMS has them, and emit_metrics logs them."""
    store = named("mms.metrics.metrics_store").MetricsStore({0: "a"}, "m")
    store.add_counter("n", 2, dimensions=[named("mms.metrics.dimension").Dimension("k", "v")])
    assert isinstance(store.store[0], named("mms.metrics.metric").Metric)
    with caplog.at_level(logging.INFO, "mms.service"):
        named("mms.service").emit_metrics(store.store)
        named("mms.service").emit_metrics(None)
    assert [record.getMessage()[:19] for record in caplog.records] == ["[METRICS]n.Count:2|"]
