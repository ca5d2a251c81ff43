"""The context of a script: the request's headers in, the reply's status, headers and metrics out."""

from __future__ import annotations

import logging

import pytest

from serving.handlers import context as contexts
from serving.handlers.context import Context
from serving.invocation import Request


@pytest.fixture
def context() -> Context:
    """The context of one request with a few headers."""
    headers = [("X-Amzn-SageMaker-Custom-Attributes", "a=1"), ("X-Many", "1"), ("x-many", "2")]
    base = Context("resnet", "/opt/ml/model")
    return contexts.of_request(base, Request(b"", "text/csv", "application/json", headers, "id-7"))


@pytest.mark.parametrize("name", ["x-amzn-sagemaker-custom-attributes", "X-Amzn-SageMaker-Custom-Attributes"])
def test_headers_in_any_case(context: Context, name: str) -> None:
    """A header is found however it is spelled, and None where there is none."""
    assert context.get_request_header(0, name) == "a=1"
    assert context.get_request_header(0, "absent") is None


def test_all_request_headers(context: Context) -> None:
    """All headers come with content type and accept; one sent twice is a list."""
    assert context.get_all_request_header(0) == {
        "X-Amzn-SageMaker-Custom-Attributes": "a=1",
        "X-Many": "1, 2",
        "Content-Type": "text/csv",
        "Accept": "application/json",
    }
    assert context.request_processor[0].get_request_property("accept") == "application/json"
    assert context.get_request_id(0) == context.get_request_id() == "id-7"


def test_system_properties(context: Context) -> None:
    """The properties have MMS's keys."""
    assert context.system_properties["model_dir"] == "/opt/ml/model"
    assert set(context.system_properties) == {"model_dir", "gpu_id", "batch_size", "server_name", "server_version"}
    assert (context.model_name, context.manifest) == ("resnet", None)


def test_response_headers_and_status(context: Context) -> None:
    """What a script sets can be read back; line breaks cannot end a header."""
    context.set_response_content_type(0, "text/html")
    context.set_response_header(0, "X-Note", "two\r\nlines")
    context.set_response_status(404, "gone", 0)
    assert context.get_response_content_type(0) == "text/html"
    assert context.get_response_headers(0)["X-Note"] == "two  lines"
    assert context.get_response_status(0) == context.get_http_response_status(0) == (404, "gone")
    context.set_all_response_status(code=200)
    assert context.get_response_status(0)[0] == 200


def test_framing_headers_are_the_servers(context: Context) -> None:
    """Content-Length and its like do not reach the reply from a script."""
    for name in ("Content-Length", "transfer-encoding", "Connection", "X-Kept"):
        context.set_response_header(0, name, "1")
    assert contexts.response_headers(context) == [("X-Kept", "1")]


def test_requests_do_not_see_each_other() -> None:
    """Two requests have own headers and metrics, and share what the script put on the context at load."""
    base = Context("m", "/d")
    base.vocabulary = ["a"]  # type: ignore[attr-defined]
    first, second = (contexts.of_request(base, Request(b"", id=name)) for name in "ab")
    first.set_response_header(0, "X", "1")
    first.metrics.add_counter("n", 1)
    assert second.get_response_headers(0) == {}
    assert second.metrics.store == []
    assert second.vocabulary == ["a"]  # type: ignore[attr-defined]


def test_metrics_go_to_the_log(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    """Each metric is one [METRICS] line; without any there is none."""
    with caplog.at_level(logging.INFO, "ei.script"):
        contexts.emit_metrics(context)
        assert caplog.records == []
        context.metrics.add_time("work", 2.5)
        contexts.emit_metrics(context)
    assert caplog.records[0].getMessage().startswith("[METRICS]work.Milliseconds:2.5|#ModelName-resnet,Level-Model|#hostname:")
