"""The in-process client for users' own tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.errors import ModelError, SettingsError
from serving.testing import Client

SCRIPT = """
def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept, context):
    context.set_response_header(0, "X-Id", context.get_request_id(0))
    if data == b"stream":
        return iter(["a", "b"]), "text/plain"
    return repr((data, content_type, accept, context.get_request_header(0, "x-mine"))), "text/plain"
"""


@pytest.fixture
def model_dir(tmp_path: Path) -> Iterator[Path]:
    """A model directory of a script that says what it was sent."""
    path = list(sys.path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(SCRIPT)
    yield tmp_path
    sys.path[:] = path


def test_objects_are_sent_as_json(model_dir: Path) -> None:
    """A list, an array or a dict is JSON; the default accept is the settings'."""
    with Client(model_dir, default_accept="text/csv") as client:
        reply = client.invocations(np.arange(2), headers={"X-Mine": "1"})
    assert (reply.status, reply.content_type) == (200, "text/plain")
    assert reply.text == "('[0,1]', 'application/json', 'text/csv', '1')"


def test_bytes_and_text_are_sent_as_they_are(model_dir: Path) -> None:
    """What is no object is not touched, and its content type is what the test says."""
    with Client(model_dir) as client:
        assert client.invocations(b"\x00", "image/png", "a/b").text == "(b'\\x00', 'image/png', 'a/b', None)"
        assert client.invocations("1,2", "text/csv").text.startswith("('1,2', 'text/csv'")
        assert r"\x93NUMPY" in client.invocations(np.zeros(1), "application/x-npy").text


def test_response(model_dir: Path) -> None:
    """Headers, request id and streamed chunks can be looked at."""
    with Client(model_dir) as client:
        assert client.ping().status == 200
        reply = client.invocations(b"stream", "a/b", headers={"X-Request-Id": "mine"})
    assert (reply.chunks, reply.body, reply.headers["X-Id"]) == ((b"a", b"b"), b"ab", "mine")
    with pytest.raises(ValueError, match="unexpected"):
        reply.json()


def test_what_the_server_would_not_start_with(tmp_path: Path) -> None:
    """An empty directory and a wrong setting are the start's errors."""
    with pytest.raises(ModelError):
        Client(tmp_path)
    with pytest.raises(SettingsError):
        Client(tmp_path, port="many")
