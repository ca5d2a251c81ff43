"""The context, the stream and the response that TensorFlow scripts are given."""

from __future__ import annotations

import json

import pytest
import requests

from serving.handlers import tfs_objects
from serving.invocation import Reply, Request

URL = "http://localhost:8501/v1/models/m:predict"
CONTENT = '{"predictions": ["é"]}'.encode()


def test_context_is_the_containers() -> None:
    """The fields are those of AWS's container, in its order, and `timeout` has a default."""
    context = tfs_objects.Context(*range(10))
    assert context._fields[:5] == ("model_name", "model_version", "method", "rest_uri", "grpc_port")
    assert context._fields[5:] == ("channel", "custom_attributes", "request_content_type", "accept_header", "content_length", "timeout")  # fmt: skip
    assert context.timeout == 60


def test_stream() -> None:
    """The body is read as a file is, as a whole or by lines, whatever memory it lies in."""
    assert tfs_objects.stream(Request(memoryview(b"a\nb"))).read().decode() == "a\nb"
    assert list(tfs_objects.stream(Request(b"a\nb"))) == [b"a\n", b"b"]


@pytest.fixture(params=["requests", "without requests"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """`response`, with `requests` installed and without."""
    if request.param != "requests":
        monkeypatch.setattr(tfs_objects, "requests_library", lambda: None)
    return tfs_objects.response


def test_response_reads_as_that_of_requests(make: type[tfs_objects.Response]) -> None:
    """What scripts use of a `requests.Response` is there and says the same."""
    response = tfs_objects.response(Reply(CONTENT), URL)
    assert (response.status_code, response.ok, bool(response), response.reason) == (200, True, True, "OK")
    assert (response.content, response.text, response.url) == (CONTENT, CONTENT.decode(), URL)
    assert response.json() == json.loads(response.text) == {"predictions": ["é"]}
    assert response.headers["content-type"] == response.headers["Content-Type"] == "application/json"
    assert response.headers.get("X-None") is None
    assert b"".join(response.iter_content(7)) == CONTENT
    response.raise_for_status()
    response.close()


def test_response_of_a_refusal(make: type[tfs_objects.Response]) -> None:
    """An error's response is falsy, and raises where it is asked to."""
    response = tfs_objects.response(Reply(iter([b"{", b"}"]), status=400), URL)
    assert (response.status_code, response.ok, bool(response), response.content) == (400, False, False, b"{}")
    with pytest.raises(OSError, match="400 .*: Bad Request for url"):
        response.raise_for_status()


def test_requests_own_class() -> None:
    """Where `requests` is installed, the response is of its class."""
    assert isinstance(tfs_objects.response(Reply(b""), URL), requests.Response)
