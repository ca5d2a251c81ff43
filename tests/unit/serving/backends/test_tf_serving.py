"""Models behind gRPC, against a server of TF Serving's own stubs: it doubles x, and fails as it is asked to.

It stands in for TF Serving, of which no binary is to be had; tests/integration/test_tf_serving.py has one that runs SavedModels.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving.backends import tf_serving
from serving.backends.tf_serving import RemoteModel
from serving.errors import BadRequest, DeadlineExceeded, NotFound, ServingError
from serving.tfs import messages

from tensorflow_serving.apis import (  # isort: skip - importable through the messages
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

ROOT = Path(__file__).parents[4]


class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """y = 2x, and y + 1 as z; the signature's name may ask for a failure."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.release = threading.Event()

    def Predict(self, request: Any, context: Any) -> Any:
        """Double."""
        self.requests.append(request)
        asked = request.model_spec.signature_name
        if asked.startswith("fail "):
            context.abort(getattr(grpc.StatusCode, asked.split()[1]), "what TF Serving said")
        if asked == "hold":
            self.release.wait(30)
        response = predict_pb2.PredictResponse()
        if asked == "quantized":
            response.outputs["y"].dtype = 11
            return response
        x = np.frombuffer(request.inputs["x"].tensor_content, "float32")
        for name, values in (("y", x * 2), ("z", x * 2 + 1)):
            if not request.output_filter or name in request.output_filter:
                response.outputs[name].dtype = 1
                response.outputs[name].tensor_shape.CopyFrom(request.inputs["x"].tensor_shape)
                response.outputs[name].float_val.extend(values.tolist())
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """One signature to serve, one of sparse tensors, and the loader's own."""
        self.requests.append(request)
        found = get_model_metadata_pb2.SignatureDefMap()
        for name in ("serving_default", "sparse", "__saved_model_init_op"):
            signature = found.signature_def[name]
            signature.method_name = "tensorflow/serving/predict"
            for key, tensors in (("x", signature.inputs), ("y", signature.outputs), ("z", signature.outputs)):
                tensors[key].name, tensors[key].dtype = f"{key}:0", 1
                tensors[key].tensor_shape.dim.add(size=-1)
        found.signature_def["sparse"].inputs["x"].coo_sparse.values_tensor_name = "x:0"
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(found)
        return response


class Statuses(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """`half` has a version that is available, one that ended and one that loads; `broken` has the second alone."""

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """States."""
        if request.model_spec.name not in ("half", "broken"):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
        response = get_model_status_pb2.GetModelStatusResponse()
        ended = response.model_version_status.add(version=2, state=50)
        ended.status.error_code, ended.status.error_message = 2, "corrupt variables"
        if request.model_spec.name == "half":
            response.model_version_status.add(version=1, state=30)
            response.model_version_status.add(version=3, state=20)
        return response


class TfServing:
    """The server, which can be stopped and started anew on its port."""

    def __init__(self) -> None:
        self.predictions, self.port = Predictions(), 0
        self.start()

    def start(self) -> None:
        """Listen."""
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self.predictions, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(Statuses(), self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        """End at once."""
        self.predictions.release.set()
        self._server.stop(0).wait()


@pytest.fixture(scope="module")
def shared() -> Iterator[TfServing]:
    """A server for all tests that leave it as it was."""
    server = TfServing()
    yield server
    server.stop()


@pytest.fixture
def remote(shared: TfServing) -> Iterator[tf_serving.Server]:
    """A connection to the shared server."""
    server = tf_serving.connect(f"127.0.0.1:{shared.port}", 30)
    yield server
    server.close()


@pytest.fixture
def model(remote: tf_serving.Server) -> RemoteModel:
    """Its model `half`."""
    return remote.model("half", 1)


X = np.array([1.5, -2.0], "float32")


def test_run(model: RemoteModel, shared: TfServing) -> None:
    """A pass sends the inputs to the model, version and signature, and gives all outputs."""
    outputs = model.run("serving_default", {"x": X})
    assert {name: array.tolist() for name, array in outputs.items()} == {"y": [3.0, -4.0], "z": [4.0, -3.0]}
    spec = shared.predictions.requests[-1].model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half", 1, "serving_default")


def test_run_some_outputs(model: RemoteModel) -> None:
    """Only the outputs that are asked for come, in their order."""
    assert list(model.run("serving_default", {"x": X}, ("z", "y"))) == ["z", "y"]
    assert list(model.run("serving_default", {"x": X}, ("z",))) == ["z"]


def test_the_newest_version_is_asked_for_without_one(remote: tf_serving.Server, shared: TfServing) -> None:
    """A model without a version leaves the choice to TF Serving."""
    remote.model("half").run("serving_default", {"x": X})
    assert not shared.predictions.requests[-1].model_spec.HasField("version")


def test_signatures(model: RemoteModel) -> None:
    """Signatures come from the metadata, those alone whose tensors a request can hold."""
    assert list(model.signatures) == ["serving_default"]
    signature = model.signatures["serving_default"]
    assert [(info.name, info.tensor, info.dtype, info.enum, info.shape) for info in signature.inputs] == [
        ("x", "x:0", np.dtype("float32"), 1, (None,))
    ]
    assert [info.name for info in signature.outputs] == ["y", "z"]


def test_metadata_is_asked_for_once(model: RemoteModel, shared: TfServing) -> None:
    """Signatures are remembered."""
    _ = model.signatures, model.meta_graph
    before = len(shared.predictions.requests)
    _ = model.signatures, model.meta_graph
    assert len(shared.predictions.requests) == before


def test_versions(remote: tf_serving.Server) -> None:
    """Each version is told with what speaks against it."""
    assert remote.versions("half") == {1: "", 2: "corrupt variables", 3: "it is LOADING"}


def test_is_available(remote: tf_serving.Server) -> None:
    """A model is available where one of its versions is."""
    assert [remote.is_available(name) for name in ("half", "broken", "missing")] == [True, False, False]


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        ("INVALID_ARGUMENT", BadRequest, 400),
        ("FAILED_PRECONDITION", BadRequest, 400),
        ("NOT_FOUND", NotFound, 404),
        ("RESOURCE_EXHAUSTED", ServingError, 429),
        ("INTERNAL", ServingError, 500),
        ("UNKNOWN", ServingError, 500),
    ],
)
def test_errors(model: RemoteModel, code: str, kind: type[ServingError], status: int) -> None:
    """What TF Serving refuses has its words, and the status that its REST API would give."""
    with pytest.raises(kind, match="what TF Serving said") as caught:
        model.run(f"fail {code}", {"x": X})
    assert caught.value.status == status


def test_a_missing_model_is_told(remote: tf_serving.Server) -> None:
    """Asking for the versions of a model that is not there is a 404."""
    with pytest.raises(NotFound, match="no such model"):
        remote.versions("missing")


def test_unavailable_is_tried_once_more(model: RemoteModel, shared: TfServing) -> None:
    """A call that finds the server gone is made a second time, and no third."""
    before = len(shared.predictions.requests)
    with pytest.raises(ServingError, match="cannot be reached") as caught:
        model.run("fail UNAVAILABLE", {"x": X})
    assert caught.value.status == 503
    assert len(shared.predictions.requests) == before + 2


def test_other_errors_are_not_tried_again(model: RemoteModel, shared: TfServing) -> None:
    """A call that was refused is not repeated."""
    before = len(shared.predictions.requests)
    with pytest.raises(ServingError):
        model.run("fail INTERNAL", {"x": X})
    assert len(shared.predictions.requests) == before + 1


def test_a_server_that_was_started_anew_is_found() -> None:
    """After a restart on the same port the next pass answers; while it was down, passes were a 503."""
    server = TfServing()
    remote = tf_serving.connect(f"127.0.0.1:{server.port}", 30)
    try:
        model = remote.model("half")
        assert model.run("serving_default", {"x": X})["y"].tolist() == [3.0, -4.0]
        server.stop()
        with pytest.raises(ServingError, match=f"TF Serving at 127.0.0.1:{server.port} cannot be reached"):
            model.run("serving_default", {"x": X})
        assert not remote.is_available("half")
        server.start()
        remote.close()  # a channel of its own need not wait for its next attempt
        assert model.run("serving_default", {"x": X})["y"].tolist() == [3.0, -4.0]
    finally:
        remote.close()
        server.stop()


def test_a_pass_has_a_deadline(shared: TfServing) -> None:
    """A pass that takes longer than its deadline is a 504."""
    remote = tf_serving.connect(f"127.0.0.1:{shared.port}", 0.1)
    try:
        with pytest.raises(DeadlineExceeded, match="did not answer by the deadline"):
            remote.model("half").run("hold", {"x": X})
    finally:
        shared.predictions.release.set()
        remote.close()


def test_an_answer_that_cannot_be_read_is_no_fault_of_the_client(model: RemoteModel) -> None:
    """An output that has no form in an answer is a 502."""
    with pytest.raises(ServingError, match=r"cannot be read: .*DT_QINT8") as caught:
        model.run("quantized", {"x": X})
    assert caught.value.status == 502


def test_nothing_is_opened_before_the_fork(shared: TfServing) -> None:
    """A model that was made before a fork answers in the child, over a channel that the child opened."""
    code = f"""
import os, sys
import numpy as np
from serving.backends import tf_serving
threads = os.listdir("/proc/self/task")
model = tf_serving.connect("127.0.0.1:{shared.port}", 30).model("half")
assert "grpc" not in sys.modules and os.listdir("/proc/self/task") == threads
for _ in range(2):
    pid = os.fork()
    if not pid:
        os._exit(model.run("serving_default", {{"x": np.ones(1, "float32")}})["y"].tolist() != [2.0])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_what_was_asked_is_a_message(model: RemoteModel, shared: TfServing) -> None:
    """Inputs travel as `tensor_content`, strings in their field: TF Serving reads both."""
    model.run("serving_default", {"x": X, "text": np.array([b"a"], object)})
    sent = shared.predictions.requests[-1]
    assert sent.inputs["x"].tensor_content == X.tobytes()
    assert list(sent.inputs["text"].string_val) == [b"a"]
    assert messages.predict_call(sent.SerializeToString(), 1 << 20).inputs["text"].tolist() == [b"a"]
