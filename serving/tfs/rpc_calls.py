"""gRPC's messages on the request line: which servable a message asks, what it runs, and how the outputs become its reply.

    Request (content type names the message) -> messages -> Call          decode
    GetModelMetadata, GetModelStatus         -> metadata -> Call.done     nothing is run

`messages`, and protobuf with it, is imported at the first message: a server that is never asked one does not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from serving.errors import BadRequest
from serving.invocation import Outputs, Request
from serving.tfs import examples
from serving.tfs.calls import Call
from serving.tfs.servables import Models

if TYPE_CHECKING:
    from serving.tfs import messages

CONTENT_TYPE = "application/x-tfs; message="
REPLY_TYPE = "application/x-tfs"


def is_message(content_type: str) -> bool:
    """Whether a request is one of TF Serving's messages."""
    return content_type.startswith(CONTENT_TYPE)


def warm_up(kind: str, recorded: bytes, name: str, version: int) -> Request:
    """The request of a recorded message (`predict`, `classify`, `regress`), asking this model and version.

    BadRequest where it is no such message.
    """
    from serving.tfs import messages

    message = kind.capitalize()
    return Request(messages.addressed(message, recorded, messages.Spec(name, version)), CONTENT_TYPE + message, id="warm-up")


def decode(request: Request, servables: Models, limit: int) -> Call:
    """What a message asks to be run; BadRequest and NotFound as for the same request over HTTP."""
    from serving.tfs import messages

    message = messages.message_of(request.content_type)
    if message in ("GetModelMetadata", "GetModelStatus"):
        return _about(message, request.body, servables)
    if message == "Predict":
        return _predict(messages.predict_call(request.body, limit), servables)
    if message == "Classify":
        return _examples("classify", messages.classify_call(request.body), servables)
    if message == "Regress":
        return _examples("regress", messages.regress_call(request.body), servables)
    raise BadRequest(f"{message[:40]!r} is not a message that is answered here")


def _predict(asked: messages.Call, servables: Models) -> Call:
    from serving.tfs import messages

    servable = servables.find(asked.spec.model, asked.spec.version)
    signature = servable.signature(asked.spec.signature)
    answering = messages.Spec(servable.name, servable.version, signature.name)
    call = Call(servable, signature.name, asked.inputs, lambda outputs: messages.predict_reply(answering, outputs), REPLY_TYPE)
    call.only = asked.output_filter
    return call


def _examples(method: str, asked: messages.Call, servables: Models) -> Call:
    from serving.tfs import messages

    servable = servables.find(asked.spec.model, asked.spec.version)
    signature = examples.signature_for(method, servable.signature(asked.spec.signature))
    answering = messages.Spec(servable.name, servable.version, signature.name)
    count = len(asked.inputs[messages.EXAMPLES])
    answer: Callable[[Outputs], bytes]
    if method == "classify":

        def answer(outputs: Outputs) -> bytes:
            return messages.classify_reply(answering, examples.classifications(outputs, count))
    else:

        def answer(outputs: Outputs) -> bytes:
            return messages.regress_reply(answering, examples.regressions(outputs, count))

    return Call(servable, signature.name, asked.inputs, answer, REPLY_TYPE)


def _about(message: str, body: bytes | memoryview, servables: Models) -> Call:
    """The answer to a question about a model, made at once."""
    from serving.tfs import messages, metadata

    if message == "GetModelStatus":
        asked = metadata.status_call(body)
        return done(servables, metadata.status_reply(servables.versions(asked.model, asked.version)))
    asked = metadata.metadata_call(body)
    servable = servables.find(asked.model, asked.version)
    return done(servables, metadata.metadata_reply(messages.Spec(servable.name, servable.version), servable.model.meta_graph))


def done(servables: Models, answer: bytes) -> Call:
    """A call that runs nothing: its answer is there."""
    call = Call(servables.find(None, None), "", {}, lambda outputs: b"", REPLY_TYPE)
    call.done = answer
    return call
