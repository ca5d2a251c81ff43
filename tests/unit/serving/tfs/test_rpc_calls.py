"""TF Serving's messages on the request line: their replies beside those of the same request over HTTP."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from serving.invocation import Reply, Request, invoke
from serving.tfs import messages, rpc_calls
from serving.tfs.messages import Spec
from serving.tfs.service import TfsService
from tests import tf_models
from tests.unit.serving.tfs.conftest import loaded

from tensorflow_serving.apis import (  # isort: skip - by way of the messages
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)


def call(service: TfsService, message: str, body: bytes) -> Reply:
    """The reply to a message."""
    return invoke(service, [Request(body, rpc_calls.CONTENT_TYPE + message, id="id-1")])[0]


def predict(service: TfsService, spec: Spec, inputs: Any, only: tuple[str, ...] = ()) -> Any:
    """The PredictResponse, or the fault."""
    reply = call(service, "Predict", messages.predict_request(spec, inputs, only))
    return predict_pb2.PredictResponse.FromString(reply.body) if reply.status == 200 else (reply.status, reply.fault)


def test_predict(service: TfsService) -> None:
    """A PredictRequest is answered by the version and signature that answered it, and the outputs."""
    response = predict(service, Spec("add"), {"x": np.float32([1, 2])})
    assert (response.model_spec.name, response.model_spec.version.value) == ("add", 3)
    assert response.model_spec.signature_name == "serving_default"
    assert list(response.outputs["y"].float_val) == [4.0, 5.0]


def test_an_output_filter(service: TfsService) -> None:
    """Only the outputs asked for are computed and answered."""
    inputs = {"a": np.float32([[1, 2]]), "b": np.int32([[3, 4]])}
    assert list(predict(service, Spec("pair"), inputs, ("sum",)).outputs) == ["sum"]
    assert predict(service, Spec("pair"), inputs, ("nope",))[0] == 400


@pytest.mark.parametrize("dtype", tf_models.DTYPES)
def test_the_same_by_both_ways(dtype: str) -> None:
    """Every dtype that both ways carry has the same values over HTTP and as a message."""
    service = TfsService(loaded("dtypes"))
    if dtype.startswith(("complex", "float8", "int4", "uint4", "bfloat16", "float16")):
        values: Any = [1, 0]
    else:
        values = {"bool": [True, False], "string": ["a", "b"]}.get(dtype, [1, 0])
    body = json.dumps({"signature_name": dtype, "inputs": values}).encode()
    over_http = invoke(service, [Request(body, "application/json", id="id-1")])[0]
    info = service.servables.find(None, None).signature(dtype).inputs[0]
    array = np.array([b"a", b"b"], object) if dtype == "string" else np.array([1, 0]).astype(info.dtype)
    reply = call(service, "Predict", messages.predict_request(Spec("dtypes", None, dtype), {"x": array}))
    assert reply.status == 200, reply.fault
    found = messages.predict_outputs(reply.body, 1 << 20)["y"]
    assert found.dtype == info.dtype
    assert found.tobytes() == array.tobytes() if dtype != "string" else found.tolist() == [b"a", b"b"]
    if over_http.status == 200:
        assert json.loads(over_http.body)["outputs"] == values  # type: ignore[arg-type]
    else:
        assert over_http.status == 400


@pytest.mark.parametrize(
    ("spec", "inputs", "status", "words"),
    [
        (Spec("nope"), {"x": np.float32([1])}, 404, "no model 'nope'"),
        (Spec("add", 9), {"x": np.float32([1])}, 404, "no version 9"),
        (Spec("add", None, "nope"), {"x": np.float32([1])}, 400, "no signature 'nope'"),
        (Spec("add"), {"y": np.float32([1])}, 400, "y"),
        (Spec("add"), {"x": np.float64([1])}, 400, "float64"),
    ],
)
def test_refused(service: TfsService, spec: Spec, inputs: Any, status: int, words: str) -> None:
    """Wrong models, versions, signatures, names and dtypes have the statuses that they have over HTTP."""
    found, fault = predict(service, spec, inputs)
    assert found == status
    assert words in fault


@pytest.mark.parametrize("message", ["Predict", "Classify", "Regress", "GetModelMetadata", "GetModelStatus", "Nonsense"])
def test_bytes_that_are_no_message(service: TfsService, message: str) -> None:
    """A body that is not the message it should be is a 400."""
    assert call(service, message, b"\xff\xff").status == 400


def test_messages_share_passes_with_each_other(service: TfsService) -> None:
    """Messages go down the line together, and get their own rows."""
    bodies = [messages.predict_request(Spec("half"), {"x": np.full((1, 64), at, np.float32)}) for at in (2, 4)]
    replies = invoke(service, [Request(body, rpc_calls.CONTENT_TYPE + "Predict", id="id") for body in bodies])
    found = [predict_pb2.PredictResponse.FromString(reply.body).outputs["y"].float_val[0] for reply in replies]
    assert found == [3.0, 4.0]


def test_examples(service: TfsService) -> None:
    """Classify and Regress answer a result for each example."""
    for kind, message in (
        (regression_pb2.RegressionRequest, "Regress"),
        (classification_pb2.ClassificationRequest, "Classify"),
    ):
        request = kind()
        request.model_spec.name = "half_plus_three"
        request.model_spec.signature_name = f"tensorflow/serving/{message.lower()}"
        for value in (1.0, 2.0):
            request.input.example_list.examples.add().features.feature["x"].float_list.value.append(value)
        reply = call(service, message, request.SerializeToString())
        assert reply.status == 200, reply.fault
        if message == "Regress":
            response = regression_pb2.RegressionResponse.FromString(reply.body)
            assert [one.value for one in response.result.regressions] == [3.5, 4.0]
        else:
            answered = classification_pb2.ClassificationResponse.FromString(reply.body)
            assert len(answered.result.classifications) == 2


def test_metadata_and_status(service: TfsService) -> None:
    """A model's signatures and the states of its versions can be asked; no pass is made for it."""
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "pair"
    response = get_model_metadata_pb2.GetModelMetadataResponse.FromString(
        call(service, "GetModelMetadata", asked.SerializeToString()).body
    )
    assert response.model_spec.version.value == 1
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "add"
    told = get_model_status_pb2.GetModelStatusResponse.FromString(
        call(service, "GetModelStatus", status.SerializeToString()).body
    )
    assert [one.version for one in told.model_version_status] == [3, 2, 1]


def test_warm_up(service: TfsService) -> None:
    """A recorded request is made of the model and version that brought it, whatever name it was recorded under."""
    recorded = messages.predict_request(Spec("recorded", 77), {"x": np.float32([1])})
    reply = invoke(service, [rpc_calls.warm_up("predict", recorded, "add", 2)])[0]
    assert list(predict_pb2.PredictResponse.FromString(reply.body).outputs["y"].float_val) == [3.0]
