"""TensorFlow Serving's services over the models, as classes of its own stubs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tests.tf_serving_server.models import Fault, Models

CODES = {code.value[0]: code for code in grpc.StatusCode}


def told(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """A method whose faults are gRPC's statuses."""

    def answer(self: Any, request: Any, context: Any) -> Any:
        try:
            return method(self, request)
        except Fault as fault:
            context.abort(CODES[fault.code], fault.words)

    return answer


class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """PredictionService."""

    def __init__(self, models: Models) -> None:
        self._models = models

    @told
    def Predict(self, request: Any) -> Any:
        """Run a signature on tensors."""
        number, version = self._models.find(request.model_spec)
        signature = version.signature(request.model_spec.signature_name)
        try:
            inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        except (TypeError, ValueError) as error:
            raise Fault(3, str(error)) from error
        response = predict_pb2.PredictResponse()
        _answering(response, request, number)
        for name, value in version.run(signature, inputs, list(request.output_filter)).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value, dtype=signature.outputs[name].dtype))
        return response

    @told
    def Classify(self, request: Any) -> Any:
        """Run a signature on Examples: labels, scores."""
        number, outputs = self._on_examples(request)
        response = classification_pb2.ClassificationResponse()
        _answering(response, request, number)
        rows = len(next(iter(outputs.values())))
        for row in range(rows):
            classes = response.result.classifications.add().classes
            for at in range(len(next(iter(outputs.values()))[row])):
                one = classes.add()
                if "classes" in outputs:
                    one.label = outputs["classes"][row][at].decode()
                if "scores" in outputs:
                    one.score = outputs["scores"][row][at]
        return response

    @told
    def Regress(self, request: Any) -> Any:
        """Run a signature on Examples: values."""
        number, outputs = self._on_examples(request)
        response = regression_pb2.RegressionResponse()
        _answering(response, request, number)
        for value in outputs["outputs"].ravel():
            response.result.regressions.add(value=value)
        return response

    @told
    def GetModelMetadata(self, request: Any) -> Any:
        """The signatures."""
        number, version = self._models.find(request.model_spec)
        if list(request.metadata_field) != ["signature_def"]:
            raise Fault(3, f"Metadata field {list(request.metadata_field)} is not supported")
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in version.meta_graph.signature_def.items():
            found.signature_def[name].CopyFrom(signature)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        _answering(response, request, number)
        response.metadata["signature_def"].Pack(found)
        return response

    def _on_examples(self, request: Any) -> tuple[int, dict[str, Any]]:
        number, version = self._models.find(request.model_spec)
        signature = version.signature(request.model_spec.signature_name)
        examples = getattr(request.input, request.input.WhichOneof("kind") or "example_list").examples
        if not examples:
            raise Fault(3, "Input is empty.")
        return number, version.run(signature, {"inputs": [one.SerializeToString() for one in examples]}, [])


class Statuses(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """ModelService."""

    def __init__(self, models: Models) -> None:
        self._models = models

    @told
    def GetModelStatus(self, request: Any) -> Any:
        """What is available."""
        spec = request.model_spec
        found = self._models.versions.get(spec.name, {})
        asked = [spec.version.value] if spec.HasField("version") else sorted(found, reverse=True)
        if not set(asked) & set(found):
            raise Fault(5, f"Could not find any versions of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for number in asked:
            one = response.model_version_status.add(version=number, state=30)
            one.status.error_code = 0
        return response


def _answering(response: Any, request: Any, number: int) -> None:
    response.model_spec.CopyFrom(request.model_spec)
    response.model_spec.version.value = number
