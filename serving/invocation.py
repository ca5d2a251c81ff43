"""The line: requests in, replies out. No HTTP, no framework.

    Request -> decode -> predict (stack, forward, split) -> encode -> Reply

One function, `invoke`, for one request or many; both placements call it. An error belongs to its own request and never to
its neighbours.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import numpy as np
import orjson

from serving.errors import DeadlineExceeded, DeadlinePassed, MethodNotAllowed, Overloaded, ServingError, UserCodeError

log = logging.getLogger("ei.invocation")

Array: TypeAlias = "np.ndarray[Any, Any]"
Inputs: TypeAlias = dict[str, Array]
Outputs: TypeAlias = dict[str, Array]
Header: TypeAlias = tuple[str, str]

UNNAMED = ""
"""The key of a tensor that the request, or the user's `predict_fn`, gave no name."""


class Request:
    """One invocation: a body, its two content types, its other headers and its id.

    `arrived` is on the `perf_counter` clock, in seconds. `headers` keep the client's spelling and order.
    """

    __slots__ = ("accept", "arrived", "body", "content_type", "headers", "id")

    def __init__(
        self,
        body: bytes | memoryview,
        content_type: str = "",
        accept: str = "",
        headers: Sequence[Header] = (),
        id: str = "",
        arrived: float = 0.0,
    ) -> None:
        self.body = body
        self.content_type = content_type
        self.accept = accept
        self.headers = headers
        self.id = id
        self.arrived = arrived

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case, or None."""
        lowered = name.lower()
        return next((value for key, value in self.headers if key.lower() == lowered), None)


class Reply:
    """An answer: a status, a body (an iterator is sent chunked) and its content type.

    `stages` holds seconds spent in decode, forward and encode, for the log; `fault` what the log says of a failure.
    """

    __slots__ = ("body", "content_type", "fault", "headers", "stages", "status")

    def __init__(
        self,
        body: bytes | Iterator[bytes],
        content_type: str = "application/json",
        status: int = 200,
        headers: Sequence[Header] = (),
        fault: str = "",
    ) -> None:
        self.body = body
        self.content_type = content_type
        self.status = status
        self.headers = headers
        self.fault = fault
        self.stages = (0.0, 0.0, 0.0)


class Service(Protocol):
    """One loaded model behind its handler functions, composed once at load (`handlers/service.py`)."""

    def decode(self, request: Request) -> Any:
        """The request's inputs: the default or the user's `input_fn`."""

    def predict(self, inputs: list[Any], requests: list[Request]) -> list[Any]:
        """One output, or the exception it failed with, for each input, in order."""

    def encode(self, output: Any, request: Request) -> Reply:
        """The default or the user's `output_fn`."""


def invoke(service: Service, requests: list[Request]) -> list[Reply]:
    """Answer every request, each by itself where it fails and together where its model stacks."""
    begin = perf_counter()
    fail = getattr(service, "failure", failure)  # a service may have a form of errors of its own
    replies: list[Reply | None] = [None] * len(requests)
    inputs, live = [], []
    for at, request in enumerate(requests):
        try:
            inputs.append(service.decode(request))
            live.append(at)
        except (Exception, DeadlinePassed) as error:
            replies[at] = fail(error, request)
    decoded = perf_counter()
    outputs = _predict(service, inputs, [requests[at] for at in live]) if live else []
    predicted = perf_counter()
    for at, output in zip(live, outputs, strict=True):
        try:
            if isinstance(output, BaseException):
                raise output
            replies[at] = service.encode(output, requests[at])
        except (Exception, DeadlinePassed) as error:
            replies[at] = fail(error, requests[at])
    stages = (decoded - begin, predicted - decoded, perf_counter() - predicted)
    answers = []
    for reply in replies:
        assert reply is not None
        reply.stages = stages
        answers.append(reply)
    return answers


def _predict(service: Service, inputs: list[Any], requests: list[Request]) -> list[Any]:
    """`service.predict`, held to its promise: as many outputs as inputs. A failed stack fails all that were in it."""
    try:
        outputs = service.predict(inputs, requests)
    except (Exception, DeadlinePassed) as error:
        return [error] * len(inputs)
    if len(outputs) != len(inputs):
        return [UserCodeError(f"the model answered {len(outputs)} outputs for {len(inputs)} inputs")] * len(inputs)
    return outputs


def failure(error: BaseException, request: Request) -> Reply:
    """The reply for an exception: its own status and message where it is known, a 500 with the message alone where not."""
    if isinstance(error, DeadlinePassed):
        error = DeadlineExceeded("the invocation was not answered by its deadline")
    if not isinstance(error, ServingError):
        log.error("request %s failed", request.id, exc_info=error)
        error = UserCodeError(_words(error))
    message = error.message.encode("utf-8", "replace").decode()  # half a surrogate pair has no UTF-8, and no JSON
    answer = {"code": error.status, "type": type(error).__name__, "message": message, "request_id": request.id}
    headers: list[Header] = []
    if isinstance(error, Overloaded):
        answer["retry_after_seconds"] = error.retry_after
        headers = [("Retry-After", str(error.retry_after))]
    if isinstance(error, MethodNotAllowed):
        headers = [("Allow", error.allow)]
    return Reply(orjson.dumps(answer), "application/json", error.status, headers, fault=message)


def _words(error: BaseException) -> str:
    """An exception's type and text; its type alone where its own `__str__` fails."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
