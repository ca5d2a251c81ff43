"""PredictionService's messages: requests to typed inputs, outputs to replies, and the same from the client's side.

    PredictRequest                               -> Call(spec, {name: array}, output_filter)   -> PredictResponse
    ClassificationRequest, RegressionRequest     -> Call(spec, {"inputs": serialized Examples}) -> ...Response

gRPC's calls travel down the request line as their bytes, under a content type that names the message. A reply holds its tensors
in the typed fields (`float_val` and so on), as TF Serving's does unless it is told otherwise, since clients read them there;
its bytes are the same for the same outputs. [tensorflow/serving apis/*.proto, servables/tensorflow/predict_util.cc, util.cc]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, Message

from serving.backends import tensorflow_import
from serving.errors import BadRequest, ServingError
from serving.invocation import Array, Inputs, Outputs
from serving.tfs import tensor_proto
from serving.tfs.rpc_calls import CONTENT_TYPE

tensorflow_import.protos()

from tensorflow_serving.apis import classification_pb2, model_pb2, predict_pb2, regression_pb2  # noqa: E402

DEFAULT_SIGNATURE = "serving_default"
EXAMPLES = "inputs"
"""The name that the only input of a classify or regress signature has (kClassifyInputs, kRegressInputs)."""
REQUESTS = {
    "Predict": predict_pb2.PredictRequest,
    "Classify": classification_pb2.ClassificationRequest,
    "Regress": regression_pb2.RegressionRequest,
}


@dataclass(frozen=True)
class Spec:
    """Whom a message asks, or who answers: no version is the newest, no signature the default one."""

    model: str
    version: int | None = None
    signature: str = ""


@dataclass(frozen=True)
class Call:
    """What a message asks to be run; an empty `output_filter` asks for all outputs."""

    spec: Spec
    inputs: Inputs
    output_filter: tuple[str, ...] = ()


def message_of(content_type: str) -> str:
    """The name of the message that a body of this content type is: `Predict`, `GetModelStatus`...; empty for other types."""
    return content_type[len(CONTENT_TYPE) :] if content_type.startswith(CONTENT_TYPE) else ""


def addressed(message: str, body: bytes, asking: Spec) -> bytes:
    """A recorded Predict, Classify or Regress request, asking this model and version; its signature stays.

    BadRequest where the bytes are no such request.
    """
    request = parse(REQUESTS[message], body)
    put_spec(request, replace(asking, signature=asking.signature or request.model_spec.signature_name))
    return _bytes(request)


# ---- the server's side


def predict_call(body: bytes | memoryview, limit: int) -> Call:
    """The call of a PredictRequest; BadRequest where it is none, PayloadTooLarge where a tensor is over `limit` bytes."""
    request = parse(predict_pb2.PredictRequest, body)
    asked = spec(request)
    left, inputs = limit, {}
    for name in sorted(request.inputs):
        inputs[name] = _tensor(name, request.inputs[name], left)
        left -= inputs[name].nbytes
    wanted = tuple(request.output_filter)
    if len(set(wanted)) < len(wanted):
        raise BadRequest(f"output_filter names an output twice: {list(wanted)}"[:240])
    return Call(asked, inputs, wanted)


def classify_call(body: bytes | memoryview) -> Call:
    """The call of a ClassificationRequest; BadRequest where it is none."""
    return _examples_call(parse(classification_pb2.ClassificationRequest, body))


def regress_call(body: bytes | memoryview) -> Call:
    """The call of a RegressionRequest; BadRequest where it is none."""
    return _examples_call(parse(regression_pb2.RegressionRequest, body))


def predict_reply(answering: Spec, outputs: Outputs) -> bytes:
    """A PredictResponse of these outputs."""
    response = predict_pb2.PredictResponse()
    _put_spec(response, answering)
    for name, array in outputs.items():
        tensor_proto.write(array, response.outputs[name])
    return _bytes(response)


def classify_reply(answering: Spec, results: Iterable[Iterable[tuple[str, float]]]) -> bytes:
    """A ClassificationResponse: for each example its (label, score) pairs."""
    response = classification_pb2.ClassificationResponse()
    _put_spec(response, answering)
    response.result.SetInParent()
    for pairs in results:
        classes = response.result.classifications.add().classes
        for label, score in pairs:
            classes.add(label=label, score=score)
    return _bytes(response)


def regress_reply(answering: Spec, values: Iterable[float]) -> bytes:
    """A RegressionResponse: a value for each example."""
    response = regression_pb2.RegressionResponse()
    _put_spec(response, answering)
    response.result.SetInParent()
    for value in values:
        response.result.regressions.add(value=value)
    return _bytes(response)


# ---- the client's side


def predict_request(asking: Spec, inputs: Inputs, output_filter: Sequence[str] = ()) -> bytes:
    """A PredictRequest with these inputs, as `tensor_content` save for strings."""
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    _put_spec(request, asking)
    for name, array in inputs.items():
        tensor_proto.write_content(array, request.inputs[name])
    return _bytes(request)


def predict_outputs(body: bytes, limit: int) -> Outputs:
    """The outputs of a PredictResponse; BadRequest where it is none."""
    response = parse(predict_pb2.PredictResponse, body)
    return {name: _tensor(name, response.outputs[name], limit) for name in sorted(response.outputs)}


# ---- what all messages have


def parse(kind: Any, body: bytes | memoryview) -> Any:
    """A message of this class; BadRequest where the bytes are none."""
    try:
        return kind.FromString(body)
    except DecodeError:
        raise BadRequest(f"the body is not a {kind.DESCRIPTOR.full_name} message") from None


def spec(request: Any) -> Spec:
    """Whom a request asks; BadRequest where it names no model, or a version by its label."""
    asked: model_pb2.ModelSpec = request.model_spec
    if not asked.name:
        raise BadRequest("the request's model_spec names no model")
    if asked.WhichOneof("version_choice") == "version_label":
        raise BadRequest(
            f"the version of {asked.name[:60]!r} is asked for by the label {asked.version_label[:60]!r}: "
            "labels are not kept here; name its number, or none for the newest"
        )
    version = asked.version.value if asked.HasField("version") else None
    return Spec(asked.name, version, asked.signature_name)


def put_spec(message: Any, answering: Spec) -> None:
    """Say in a message whom it asks or who answers."""
    message.model_spec.name = answering.model
    message.model_spec.signature_name = answering.signature
    message.model_spec.ClearField("version_choice")
    if answering.version is not None:
        message.model_spec.version.value = answering.version


def _put_spec(message: Any, answering: Spec) -> None:
    """Likewise, with the default signature by its name, as TF Serving's replies have it."""
    put_spec(message, replace(answering, signature=answering.signature or DEFAULT_SIGNATURE))


def _examples_call(request: Any) -> Call:
    """The Examples of a classify or regress request, each behind the context that they share: a later field wins."""
    asked = spec(request)
    kind = request.input.WhichOneof("kind")
    examples: Any = getattr(request.input, kind).examples if kind else ()
    if not examples:
        raise BadRequest("the request's input holds no examples")
    context = request.input.example_list_with_context.context if kind == "example_list_with_context" else None
    prefix = context.SerializeToString() if context is not None else b""
    array: Array = np.empty(len(examples), object)
    array[:] = [prefix + example.SerializeToString() for example in examples]
    return Call(asked, {EXAMPLES: array})


def _tensor(name: str, proto: Any, limit: int) -> Array:
    try:
        return tensor_proto.read(proto, limit)
    except ServingError as error:
        raise type(error)(f"{name[:60]!r}: {error.message}") from None


def _bytes(message: Message) -> bytes:
    """The message's wire form, with maps in the order of their keys."""
    return message.SerializeToString(deterministic=True)
