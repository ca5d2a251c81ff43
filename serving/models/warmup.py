"""The passes before the first request: they bind executors and build kernels, and tell how long a pass takes."""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol, TypeGuard

import numpy as np
import orjson

from serving import codecs
from serving.errors import ModelError, ServingError
from serving.invocation import Inputs, Request, Service, invoke
from serving.models.signature import Signature

log = logging.getLogger("ei.models")
MAX_SAMPLE_BYTES = 64 << 20


class Measurable(Protocol):
    """A service whose passes can be measured: no user code stands in them."""

    @property
    def stackable(self) -> bool:
        """Whether requests may share a pass."""

    @property
    def takes_samples(self) -> bool:
        """Whether a pass over a sample has to succeed; False where one may lack what only the model knows of."""

    @property
    def max_batch(self) -> int:
        """Rows that one pass may have."""

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the parameters, 0 where they are not known."""

    def sample(self, rows: int = 1) -> Any | None:
        """Inputs for a pass over so many rows; None where none can be made."""

    def predict(self, inputs: list[Any], requests: list[Request]) -> list[Any]:
        """An output, or the exception it failed with, for each."""


def measurable(service: Service) -> TypeGuard[Measurable]:
    """Whether the service says of itself that no user code is in it."""
    return not getattr(service, "has_user_code", True)


def sample(signature: Signature | None, rows: int = 1) -> Inputs | None:
    """Inputs of zeros that fit the signature, 1 where a size is open; None where a rank is, or where they would be huge.

    A signature that knows inputs which its model takes has a `sample` of its own.
    """
    own = getattr(signature, "sample", None)
    if own is not None:
        found: Inputs | None = own(rows)
        return found
    inputs: Inputs = {}
    for tensor in signature.inputs if signature else ():
        if tensor.shape is None:
            return None
        shape = (rows, *[size or 1 for size in tensor.shape[1:]])
        if math.prod(shape) * tensor.dtype.itemsize > MAX_SAMPLE_BYTES:
            return None
        inputs[tensor.name] = np.zeros(shape, tensor.dtype)
    return inputs or None


def time_pass(service: Measurable, rows: int, times: int = 5) -> float | None:
    """Seconds of the fastest of some passes after the first, with so many rows; None where there is no sample that passes.

    ModelError where the service has to take samples, and does not.
    """
    inputs = service.sample(rows)
    if inputs is None:
        return None
    taken = []
    for _ in range(times + 1):
        begin = perf_counter()
        fault = _fault(service, inputs)
        if fault is not None:
            if not service.takes_samples:
                return None
            raise ModelError(f"a pass over zeros of the signature's shapes fails: {fault}; check the shapes file")
        taken.append(perf_counter() - begin)
    return min(taken[1:])


def _fault(service: Measurable, inputs: Any) -> ServingError | None:
    """What a pass fails with."""
    try:
        answer = service.predict([inputs], [])[0]
    except ServingError as error:
        return error
    return answer if isinstance(answer, ServingError) else None


def time_script(service: Service, signature: Signature | None, times: int = 9) -> float | None:
    """Seconds (the median of some) that a request of zeros takes through a user script, or None where it answers no sample with a 200."""
    with _unlogged():
        for request in _sample_requests(signature):
            if _seconds(service, request) is not None:
                taken = [seconds for _ in range(times) if (seconds := _seconds(service, request)) is not None]
                return statistics.median(taken) if len(taken) == times else None
    return None


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep a script that does not take our samples from logging its tracebacks: nothing is wrong with it."""
    loggers = [logging.getLogger(name) for name in ("ei.script", "ei.invocation")]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False


def _seconds(service: Service, request: Request) -> float | None:
    begin = perf_counter()
    reply = invoke(service, [request])[0]
    return perf_counter() - begin if reply.status == 200 and isinstance(reply.body, bytes) else None


def _sample_requests(signature: Signature | None) -> list[Request]:
    inputs = sample(signature)
    if inputs is None or len(inputs) > 1:
        return []
    ((_, array),) = inputs.items()
    as_json = orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
    requests = [Request(as_json, "application/json", "application/json", id="warm-up")]
    for content_type in ("application/x-npy", "text/csv"):
        body, _ = codecs.encode({"": array.reshape(1, -1) if content_type == "text/csv" else array}, content_type, content_type)
        requests.append(Request(body, content_type, "application/json", id="warm-up"))
    return requests
