"""What a TensorFlow script is given: the context, the request's body as a stream, TF Serving's answer as a response.

The names are those of AWS's container [aws/sagemaker-tensorflow-serving-container tfs_utils.py; aws/deep-learning-containers
tfs_utils.py for `timeout`] and of `requests`, by which that container asks TF Serving.
"""

from __future__ import annotations

import io
import json
from collections import namedtuple
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from http.client import HTTPMessage, responses
from types import ModuleType
from typing import Any

from serving.invocation import Reply, Request

JSON = "application/json"

Context = namedtuple(  # noqa: PYI024 scripts construct and unpack it: it is the container's own
    "Context",
    "model_name, model_version, method, rest_uri, grpc_port, channel, "
    "custom_attributes, request_content_type, accept_header, content_length, timeout",
    defaults=(60,),
)
"""A request, as a script sees it; the first three are None unless the request's custom attributes name them."""


def stream(request: Request) -> io.BytesIO:
    """The request's body as a file: `.read()` gives bytes, iteration lines."""
    return io.BytesIO(request.body)


class HTTPError(OSError):
    """What `raise_for_status` raises where `requests` is not installed."""


class Response:
    """What scripts use of `requests.Response`, where `requests` is not installed."""

    encoding = "utf-8"

    def __init__(self, status: int, content: bytes, content_type: str, url: str) -> None:
        self.status_code, self.content, self.url = status, content, url
        self.reason = responses.get(status, "")
        self.headers = HTTPMessage()
        self.headers["Content-Type"] = content_type
        self.headers["Content-Length"] = str(len(content))

    @property
    def ok(self) -> bool:
        """Whether the status is no error."""
        return self.status_code < 400

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(self.encoding, "replace")

    def json(self, **options: Any) -> Any:
        """The body as a JSON document; ValueError where it is none."""
        return json.loads(self.content, **options)

    def raise_for_status(self) -> None:
        """HTTPError where the status is an error."""
        if not self.ok:
            raise HTTPError(f"{self.status_code} Error: {self.reason} for url: {self.url}")

    def iter_content(self, chunk_size: int = 1) -> Iterator[bytes]:
        """The body in pieces."""
        return (self.content[at : at + chunk_size] for at in range(0, len(self.content), chunk_size))

    def close(self) -> None:
        """Nothing is held."""

    def __bool__(self) -> bool:
        return self.ok


def response(reply: Reply, url: str) -> Any:
    """TF Serving's answer as a `requests.Response`, or as what looks like one where `requests` is not installed."""
    content = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
    library = requests_library()
    if library is None:
        return Response(reply.status, content, reply.content_type, url)
    made = library.Response()
    made.status_code, made.url, made.encoding = reply.status, url, "utf-8"
    made.reason = responses.get(reply.status, "")
    made.headers["Content-Type"] = reply.content_type
    made.headers["Content-Length"] = str(len(content))
    made.elapsed = timedelta(seconds=sum(reply.stages))
    made.raw = io.BytesIO(content)
    made._content, made._content_consumed = content, True
    return made


@cache
def requests_library() -> ModuleType | None:
    """`requests`, where it is installed."""
    try:
        import requests
    except ImportError:
        return None
    return requests
