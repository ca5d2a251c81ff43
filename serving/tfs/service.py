"""TensorFlow models behind the request line, in the forms that TF Serving and AWS's container in front of it have.

    decode:  custom attributes -> servable;  body -> document -> typed arrays        Call
    predict: calls of one signature and row shape share a pass where rows may
    encode:  outputs -> the answer's form (row, column, results, a message, NPY)     Reply

gRPC's messages come down the same line under content types of their own (`rpc_calls.CONTENT_TYPE`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from serving import codecs
from serving.backends.tensorflow import empty_like
from serving.codecs import negotiate
from serving.errors import ServingError
from serving.invocation import Outputs, Reply, Request, failure
from serving.tfs import answers, attributes, calls, document, examples, rpc_calls, tensors
from serving.tfs.calls import Answer, Call
from serving.tfs.servables import DEFAULT_SIGNATURE, Models, Servable

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
DOCUMENT = "application/x-tensorflow-serving-document"
"""The content type of a TF Serving REST body that comes from a user script: nothing of it is rewritten, nor of its answer."""
ARRAYS = ("application/x-npy", "application/x-npz")


class TfsService:
    """The models of a directory, without user code."""

    has_user_code = False
    takes_samples = False
    """Zeros and empty strings are a guess: a graph may want an image's bytes, or the features of an Example."""

    def __init__(self, servables: Models, default_accept: str = JSON, limit: int = 1 << 32) -> None:
        self.servables = servables
        self._accept, self._limit = default_accept, limit

    # ---- the request line

    def check(self, content_type: str, accept: str) -> None:
        """Refuse a request by these two headers alone: UnsupportedMediaType or NotAcceptable."""
        check(content_type, accept, self._accept)

    def decode(self, request: Request) -> Call:
        """What the request asks to be run."""
        if rpc_calls.is_message(request.content_type):
            return rpc_calls.decode(request, self.servables, self._limit)
        target = attributes.target(request.header(CUSTOM_ATTRIBUTES))
        servable = self.servables.find(target.model, target.version)
        media = negotiate.parse(request.content_type)[0]
        if media in ARRAYS:
            arrays = codecs.decode(request.body, request.content_type, None, self._limit)
            signature = servable.default_signature or servable.signature("")
            return Call(servable, signature.name, tensors.from_arrays(arrays, signature).inputs, answers.row)
        is_document = request.content_type == DOCUMENT
        text = request.body if is_document else document.rewrite(request.body, request.content_type)
        answered_in = JSON if is_document else ""
        if target.method == "predict":
            parsed = tensors.predict(text, servable.signature)
            name = parsed.signature or DEFAULT_SIGNATURE
            return Call(servable, name, parsed.inputs, answers.row if parsed.is_row else answers.column, answered_in)
        call = self._examples(servable, target.method, text)
        call.content_type = answered_in
        return call

    def predict(self, inputs: list[Call], requests: list[Request]) -> list[Any]:
        """(call, outputs), or the exception, for each call; those that can be are run together."""
        return calls.run(inputs)

    def encode(self, output: tuple[Call, Outputs], request: Request) -> Reply:
        """The outputs in the form that the call asked for."""
        call, outputs = output
        if call.done is not None:
            return Reply(call.done, call.content_type)
        if call.content_type:
            return Reply(call.answer(outputs), call.content_type)
        codec, content_type = _writer(request.accept, self._accept)
        if codec is not None:
            return Reply(codec(outputs), content_type)
        body = call.answer(outputs)
        return Reply(body.replace(b"\n", b"") if content_type else body, content_type or JSON)

    def failure(self, error: BaseException, request: Request) -> Reply:
        """An error as TF Serving's clients expect it: `{"error": message}`."""
        reply = failure(error, request)
        if not rpc_calls.is_message(request.content_type):
            reply.body = answers.error(reply.fault)
        return reply

    # ---- what placement and warm-up ask

    @property
    def stackable(self) -> bool:
        """Whether the default model's requests may share a pass."""
        signature = self.servables.find(None, None).default_signature
        return signature is not None and self.servables.find(None, None).stacking.allows(signature)

    @property
    def max_batch(self) -> int:
        """Rows that one pass may have."""
        return self.servables.find(None, None).max_rows if self.stackable else 1

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the default model's parameters."""
        return self.servables.parameter_bytes

    def sample(self, rows: int = 1) -> Call | None:
        """A call of the default model with inputs of zeros; None where none can be made, or nobody tells its signatures."""
        servable = self.servables.find(None, None)
        try:
            signature = servable.default_signature
        except ServingError:
            return None
        if signature is None:
            return None
        inputs = {info.name: array for info in signature.inputs if (array := empty_like(info, rows)) is not None}
        if len(inputs) < len(signature.inputs):
            return None
        return Call(servable, signature.name, inputs, answers.row)

    # ----

    def _examples(self, servable: Servable, method: str, text: bytes | memoryview) -> Call:
        """A classify or regress call over tf.Examples."""
        name, serialized = examples.parse(text)
        signature = examples.signature_for(method, servable.signature(name))
        batch = np.empty(len(serialized), object)
        batch[:] = serialized
        write = examples.classify_answer if method == "classify" else examples.regress_answer
        count = len(serialized)
        return Call(servable, signature.name, {signature.inputs[0].name: batch}, lambda outputs: write(outputs, count))


def check(content_type: str, accept: str, default: str) -> None:
    """Raise UnsupportedMediaType or NotAcceptable for what no model here reads or writes."""
    if not rpc_calls.is_message(content_type):
        document.check(content_type)
        _writer(accept, default)


@lru_cache(maxsize=128)
def _writer(accept: str, default: str) -> tuple[Answer | None, str]:
    """How an Accept is answered: a codec and its type, or None and the type to put on TF Serving's JSON on one line.

    As AWS's proxy has it: where the list names JSON or JSON Lines the answer has the first type of the list; without an
    Accept it is pretty-printed (""). NotAcceptable where neither JSON nor a codec is asked for.
    """
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if JSON in named or JSON_LINES in named:
        return None, named[0] if "/" in named[0] and "*" not in named[0] else JSON
    if not accept.strip() and default in (JSON, JSON_LINES):
        return None, "" if default == JSON else default
    codec, content_type, params = negotiate.answer(accept, default)
    if content_type in (JSON, JSON_LINES):
        return None, ""
    return (lambda outputs: codec.encode(outputs, params)), content_type
