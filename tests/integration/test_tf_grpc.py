"""The gRPC port of `serve`, as clients of TF Serving use it: by the stubs of tensorflow-serving-api, and by ovmsclient."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import ovmsclient
import pytest

from serving.tfs import messages
from serving.tfs.messages import Spec
from tests import tf_models
from tests.integration.conftest import starting
from tests.integration.faults.server import Server, free_port

from tensorflow.core.example import example_pb2  # isort: skip - importable through the messages
from tensorflow_serving.apis import (  # isort: skip
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

SECONDS = 60
SERVED = ("dtypes", "half_plus_three", "pair", "strings")
PREDICT = "/tensorflow.serving.PredictionService/Predict"


class Client:
    """A channel to the gRPC port of a server, with the stubs over it."""

    def __init__(self, server: Server, port: int) -> None:
        self.server, self.address = server, f"127.0.0.1:{port}"
        self.channel = grpc.insecure_channel(self.address)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, name: str = "half_plus_three", signature: str = "", version: int | None = None, **inputs: Any) -> Any:
        """The PredictResponse to these inputs."""
        return self.prediction.Predict(predict_request(name, signature, version, **inputs), timeout=SECONDS)


def predict_request(name: str, signature: str = "", version: int | None = None, **inputs: Any) -> Any:
    """A PredictRequest."""
    return predict_pb2.PredictRequest.FromString(messages.predict_request(Spec(name, version, signature), inputs))


def on_examples(kind: Any, signature: str, *values: float) -> Any:
    """A request of this class over tf.Examples of a feature x."""
    request = kind()
    request.model_spec.name, request.model_spec.signature_name = "half_plus_three", signature
    for value in values:
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(value)
    return request


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory of several models."""
    return tf_models.copied(tmp_path_factory.mktemp("models"), *SERVED)


@pytest.fixture(scope="module", params=["inline", "pool"])
def client(request: pytest.FixtureRequest, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server of each placement."""
    port = free_port()
    with starting(tmp_path_factory.mktemp("logs")) as start:
        made = Client(start(models, f"--grpc-port={port}", f"--placement={request.param}"), port)
        yield made
        made.channel.close()


def code(call: Any) -> tuple[grpc.StatusCode, str]:
    """Status and words of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code(), error.details()


X = np.array([[1.0], [2.0]], "float32")


def test_predict(client: Client) -> None:
    """Predict answers in the typed field, and says which version did."""
    response = client.predict(x=X)
    assert list(response.outputs["y"].float_val) == [3.5, 4.0]
    assert (response.model_spec.version.value, response.model_spec.signature_name) == (124, "serving_default")
    assert client.predict(version=123, x=X).model_spec.version.value == 123


def test_output_filter(client: Client) -> None:
    """Only the outputs that are named come back; one that is not there is INVALID_ARGUMENT."""
    inputs = {"a": np.ones((1, 2), "float32"), "b": np.full((1, 2), 3, "int32")}
    request = predict_request("pair", **inputs)
    assert sorted(client.prediction.Predict(request, timeout=SECONDS).outputs) == ["product", "sum"]
    request.output_filter.append("sum")
    response = client.prediction.Predict(request, timeout=SECONDS)
    assert {name: list(proto.float_val) for name, proto in response.outputs.items()} == {"sum": [4.0, 4.0]}
    request.output_filter.append("quotient")
    assert code(lambda: client.prediction.Predict(request, timeout=SECONDS))[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_classify(client: Client) -> None:
    """Classify answers labels and scores for each Example."""
    request = on_examples(classification_pb2.ClassificationRequest, "tensorflow/serving/classify", 1, 2)
    response = client.prediction.Classify(request, timeout=SECONDS)
    found = [[(one.label, one.score) for one in row.classes] for row in response.result.classifications]
    assert found == [[("only", 3.5)], [("only", 4.0)]]
    assert response.model_spec.version.value == 124


def test_regress(client: Client) -> None:
    """Regress answers a value for each Example."""
    request = on_examples(regression_pb2.RegressionRequest, "regress_x_to_y2", 1, 2)
    response = client.prediction.Regress(request, timeout=SECONDS)
    assert [one.value for one in response.result.regressions] == [4.5, 5.0]


def test_metadata(client: Client) -> None:
    """GetModelMetadata tells the signatures as they were saved."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "half_plus_three"
    response = client.prediction.GetModelMetadata(request, timeout=SECONDS)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    assert response.model_spec.version.value == 124
    assert found.signature_def["serving_default"].inputs["x"].name == "x:0"
    assert found.signature_def["regress_x_to_y2"].method_name == "tensorflow/serving/regress"


def test_status(client: Client) -> None:
    """GetModelStatus tells every version, or the one that is asked about."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half_plus_three"
    response = client.model.GetModelStatus(request, timeout=SECONDS)
    assert [(one.version, one.state) for one in response.model_version_status] == [(124, 30), (123, 30)]
    request.model_spec.version.value = 123
    response = client.model.GetModelStatus(request, timeout=SECONDS)
    assert [one.version for one in response.model_version_status] == [123]


def test_ovmsclient(client: Client) -> None:
    """A client of another maker, made for TF Serving's API, finds the model, its metadata and its answers."""
    theirs = ovmsclient.make_grpc_client(client.address)
    assert theirs.get_model_status("half_plus_three")[124] == {"state": "AVAILABLE", "error_code": 0, "error_message": ""}
    metadata = theirs.get_model_metadata("half_plus_three", 123)
    assert (metadata["model_version"], metadata["inputs"]["x"]["dtype"]) == (123, "DT_FLOAT")
    assert theirs.predict({"x": X}, "half_plus_three").tolist() == [[3.5], [4.0]]
    upper = theirs.predict({"text": ["ab", "c"]}, "strings")
    assert upper["upper"].tolist() == [b"AB", b"C"]


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"name": "missing"}, grpc.StatusCode.NOT_FOUND, "missing"),
        ({"name": ""}, grpc.StatusCode.INVALID_ARGUMENT, "names no model"),
        ({"version": 5}, grpc.StatusCode.NOT_FOUND, "5"),
        ({"signature": "none"}, grpc.StatusCode.INVALID_ARGUMENT, "none"),
        ({"w": X}, grpc.StatusCode.INVALID_ARGUMENT, "w"),
        ({"x": X.astype("int32")}, grpc.StatusCode.INVALID_ARGUMENT, "int32"),
    ],
    ids=["model", "no-model", "version", "signature", "input", "dtype"],
)
def test_faults(client: Client, asked: dict[str, Any], status: grpc.StatusCode, words: str) -> None:
    """What is not there, or does not fit, is TF Serving's code with words that name it; the next call is answered."""
    found = code(lambda: client.predict(**({"x": X} | asked)))
    assert found[0] == status
    assert words in found[1]
    assert list(client.predict(x=X).outputs["y"].float_val) == [3.5, 4.0]


def test_what_is_no_message(client: Client) -> None:
    """Bytes that are no message are INVALID_ARGUMENT, without a traceback."""
    found = code(lambda: client.channel.unary_unary(PREDICT)(b"\xff\xff", timeout=SECONDS))
    assert found == (grpc.StatusCode.INVALID_ARGUMENT, "the body is not a tensorflow.serving.PredictRequest message")


def test_no_examples(client: Client) -> None:
    """A regress request without Examples, or with one that lacks a feature, is INVALID_ARGUMENT."""
    request = on_examples(regression_pb2.RegressionRequest, "regress_x_to_y")
    assert code(lambda: client.prediction.Regress(request, timeout=SECONDS))[0] == grpc.StatusCode.INVALID_ARGUMENT
    request.input.example_list.examples.append(example_pb2.Example())
    found = code(lambda: client.prediction.Regress(request, timeout=SECONDS))
    assert found[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_a_large_body(client: Client) -> None:
    """A body of megabytes comes back as it went."""
    x = np.random.default_rng(0).random(1 << 19, np.float32)
    response = client.predict("dtypes", "float32", x=x)
    assert np.array_equal(np.array(response.outputs["y"].float_val, "float32"), x)


def test_http_beside_it(client: Client) -> None:
    """The contract's own routes answer as without the gRPC port, and calls count among the invocations."""
    assert client.server.ping() == 200
    client.predict(x=X)
    with client.server.connect() as http:
        http.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b'ei_invocations_total{status="200"}' in http.response().body


def test_the_port_is_closed_unless_it_is_asked_for(models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without the setting nothing listens on a gRPC port, and no gRPC is loaded."""
    with starting(tmp_path_factory.mktemp("logs")) as start:
        server = start(models)
        for pid in server.children():
            assert "cygrpc" not in Path(f"/proc/{pid}/maps").read_text()


def test_stop(models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A server with a gRPC port and an open channel stops with 0."""
    port = free_port()
    with starting(tmp_path_factory.mktemp("logs")) as start:
        client = Client(start(models, f"--grpc-port={port}"), port)
        client.predict(x=X)
        assert client.server.stop(signal.SIGTERM) == 0
        client.channel.close()
