"""What is asked of a TensorFlow container besides serving: its user scripts, its variables, its clients."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ovmsclient
import PIL.Image
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.parametrize("framework", ["tf"], indirect=True)]

Model = Callable[..., Path]
Start = Callable[..., Any]

BY_REQUESTS = '''"""Asks the model as TF Serving's REST API."""

import requests


def handler(data, context):
    """Each number of a line is an instance."""
    numbers = [float(word) for word in data.read().decode().split()]
    response = requests.post(context.rest_uri, json={"instances": numbers})
    return response.content, context.accept_header
'''

BY_GRPC = '''"""Asks the model as TF Serving's gRPC API, with TensorFlow itself."""

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def handler(data, context):
    """The bytes of the answer's tensor, as text."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_three"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[float(data.read())]]))
    assert isinstance(context.channel, grpc.Channel)
    answer = prediction_service_pb2_grpc.PredictionServiceStub(context.channel).Predict(request)
    return str(tf.make_ndarray(answer.outputs["y"]).tolist()), "text/plain"
'''

IN_TWO = '''"""A picture in, a word out: the container asks the model in between."""

import json

import numpy as np
import tensorflow as tf


def input_handler(data, context):
    """The picture's first column."""
    pixels = tf.io.decode_image(data.read(), channels=1).numpy().astype(np.float32)
    return json.dumps({"instances": pixels[:, 0, 0].tolist()})


def output_handler(response, context):
    """The largest prediction."""
    if response.status_code != 200:
        raise ValueError(response.content.decode())
    return f"at most {max(json.loads(response.content)['predictions'])}", "text/plain"
'''


@pytest.fixture
def picture() -> bytes:
    """A grey PNG of two rows: 2, then 5."""
    file = io.BytesIO()
    PIL.Image.fromarray(np.array([[2], [5]], np.uint8)).save(file, "PNG")
    return file.getvalue()


HARDENED: dict[str, Any] = {"read_only": True, "cap_drop": ["ALL"]}


@pytest.mark.parametrize("options", [{}, HARDENED], ids=["as it is", "--read-only --cap-drop ALL"])
def test_script_with_requests(model: Model, start: Start, options: dict[str, Any]) -> None:
    """A `handler` that posts to `context.rest_uri` with `requests` is answered, and its Accept comes back."""
    server = start(model(BY_REQUESTS), **options).ready()
    status, body = server.invoke(b"1 2 5", Accept="application/json")
    assert (status, json.loads(body)) == (200, {"predictions": [3.5, 4.0, 5.5]})


def test_script_with_grpc(model: Model, start: Start) -> None:
    """A `handler` that uses `context.channel`, the stubs of tensorflow-serving-api and TensorFlow is answered."""
    server = start(model(BY_GRPC), environment={"SAGEMAKER_SAFE_PORT_RANGE": "9000-9999"}).ready()
    assert server.invoke(b"5") == (200, b"[[5.5]]")


def test_script_in_two(model: Model, start: Start, picture: bytes) -> None:
    """`input_handler` and `output_handler` stand around the model."""
    server = start(model(IN_TWO), read_only=True).ready()
    assert server.invoke(picture, Content_Type="image/png") == (200, b"at most 5.5")


VARIABLES = {
    "SAGEMAKER_TFS_ENABLE_BATCHING": "true",
    "SAGEMAKER_TFS_MAX_BATCH_SIZE": "16",
    "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": "500",
    "SAGEMAKER_TFS_NUM_BATCH_THREADS": "100",
    "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES": "1",
    "SAGEMAKER_TFS_INSTANCE_COUNT": "2",
    "SAGEMAKER_TFS_INTER_OP_PARALLELISM": "1",
    "SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "1",
    "SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN": "0.2",
    "SAGEMAKER_TFS_NGINX_LOGLEVEL": "info",
    "SAGEMAKER_TFS_WAIT_TIME_SECONDS": "300",
    "SAGEMAKER_GUNICORN_WORKERS": "2",
    "SAGEMAKER_GUNICORN_WORKER_CLASS": "gevent",
    "SAGEMAKER_SAFE_PORT_RANGE": "9000-9999",
    "SAGEMAKER_BIND_TO_PORT": "8080",
}


def test_variables_of_the_container(model: Model, start: Start) -> None:
    """With every variable of AWS's container set, the answers are the same, and no variable is told twice."""
    server = start(model(), environment=VARIABLES).ready()
    assert [server.invoke() for _ in range(10)] == [server.right] * 10
    for name in VARIABLES:
        assert server.log.count(name) <= 1, server.log


def test_versions(model: Model, start: Start) -> None:
    """Custom attributes choose the model, its version by number, and the method; an unknown version is told."""
    server = start(model()).ready()

    def ask(attributes: str, body: bytes | None = None) -> tuple[int, bytes]:
        answer: tuple[int, bytes] = server.invoke(body, X_Amzn_SageMaker_Custom_Attributes=attributes)
        return answer

    assert ask("tfs-model-name=half_plus_three,tfs-model-version=123") == server.right
    assert ask("tfs-model-version=124") == server.right
    examples = b'{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}]}'
    status, body = ask("tfs-method=regress", examples)
    assert (status, json.loads(body)) == (200, {"results": [3.5]})
    status, body = ask("tfs-model-version=125")
    assert status == 404
    assert b"error" in body


def test_grpc_clients(model: Model, start: Start) -> None:
    """With EI_GRPC, a TF Serving client of another maker is answered on port 9000."""
    server = start(model(), environment={"EI_GRPC": "true"}).ready()
    client = ovmsclient.make_grpc_client(f"{server.address}:9000")
    found = client.predict({"x": np.array([[1.0], [2.0]], np.float32)}, "half_plus_three")
    assert found.tolist() == [[3.5], [4.0]]
    assert client.get_model_status("half_plus_three")[124]["state"] == "AVAILABLE"
    assert server.stop() == 0
