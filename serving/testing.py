"""An in-process client for tests of your own model directories and scripts: no server, no socket, the real request line.

    from serving.testing import Client

    def test_answers_two_rows():
        with Client("model") as client:
            reply = client.invocations([[1.0, 2.0], [3.0, 4.0]])
            assert reply.status == 200
            assert len(reply.json()) == 2

Settings are given by the names that `serve --help` lists: `Client("model", program="other.py", default_accept="text/csv")`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orjson

from serving import codecs, settings
from serving.errors import ServingError
from serving.invocation import UNNAMED, Array, Header, Reply, Request, failure, invoke

JSON = "application/json"


@dataclass(frozen=True)
class Response:
    """An answer: `body` is whole, a streamed one joined; `chunks` are its parts as they would be sent."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str]
    chunks: tuple[bytes, ...] = ()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as a JSON document; ValueError where it is none."""
        return orjson.loads(self.body)

    def array(self) -> Array:
        """The body as the array that its content type says it holds; a ServingError where it holds none."""
        return next(iter(codecs.decode(self.body, self.content_type, None, 1 << 32).values()))


class Client:
    """A model directory, loaded as the server loads it; ModelError or SettingsError where it would not start."""

    def __init__(self, model_dir: str | Path, **values: object) -> None:
        from serving.models import store

        flags = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
        self.settings = settings.read([f"--model={model_dir}", *flags], environ={})
        self.service = store.load(self.settings)

    def ping(self) -> Response:
        """GET /ping: 200, since a model that did not load raises in the constructor."""
        return Response(200, b"", JSON, {})

    def invocations(
        self,
        data: object,
        content_type: str = "",
        accept: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """POST /invocations: bytes and str are sent as they are, an array in its content type, all else as JSON."""
        body, content_type = _body(data, content_type)
        sent: list[Header] = list((headers or {}).items())
        request = Request(body, content_type, accept, sent, _header(sent, "x-request-id") or uuid.uuid4().hex)
        check = getattr(self.service, "check", None)
        try:
            if check is not None:
                check(content_type, accept)
        except ServingError as error:
            return _response(getattr(self.service, "failure", failure)(error, request))
        return _response(invoke(self.service, [request])[0])

    def close(self) -> None:
        """Give back what the model holds, and the ports that a TensorFlow script asked it over."""
        holders = (self.service, getattr(self.service, "model", None), getattr(self.service, "servables", None))
        close = next((found for holder in holders if (found := getattr(holder, "close", None)) is not None), None)
        if close is not None:
            close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _body(data: object, content_type: str) -> tuple[bytes, str]:
    if isinstance(data, str):
        return data.encode(), content_type
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), content_type
    if isinstance(data, np.ndarray) and content_type not in ("", JSON):
        return codecs.encode({UNNAMED: data}, content_type, content_type)
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY), content_type or JSON


def _header(headers: list[Header], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)


def _response(reply: Reply) -> Response:
    chunks = (reply.body,) if isinstance(reply.body, bytes) else tuple(reply.body)
    return Response(reply.status, b"".join(chunks), reply.content_type, dict(reply.headers), chunks)
