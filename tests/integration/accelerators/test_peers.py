"""Triton's own client against our accelerator: what was written for Triton finds what it knows."""

from __future__ import annotations

import asyncio
import json
import queue
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from serving.accelerators import artifact
from serving.accelerators.artifact import Artifact
from serving.accelerators.protocol.messages import message, path
from tests import tf_models
from tests.integration.accelerators import models
from tests.integration.accelerators.conftest import RunningAccelerator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tritonclient.grpc as triton
    import tritonclient.grpc.aio as triton_aio
    from tritonclient.utils import InferenceServerException

ROWS = np.random.default_rng(3).standard_normal((5, models.WIDTH), dtype="float32")
MADE = models.dense(seed=5)


@pytest.fixture(scope="module")
def client(accelerator: RunningAccelerator) -> Iterator[Any]:
    """Triton's client, and a model that it has loaded."""
    with triton.InferenceServerClient(accelerator.address) as client:
        load(client, "dense", MADE)
        yield client


def load(client: Any, name: str, made: Artifact) -> None:
    """Load an artifact's files as a user of Triton's client would."""
    client.load_model(name, config=made.config, files={f"file:{key}": value for key, value in made.files.items()})


def tensor(name: str, array: Any, datatype: str = "FP32") -> Any:
    """An input of Triton's client."""
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


def refused(call: Callable[[], object]) -> tuple[str, str]:
    """Status and message of a call that is refused; the message is one line."""
    with pytest.raises(InferenceServerException) as caught:
        call()
    said = caught.value.message()
    assert said
    assert "\n" not in said
    return caught.value.status().removeprefix("StatusCode."), said


def test_health(client: Any) -> None:
    """Live and ready, with a model that is and one that is not."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("dense")
    assert client.is_model_ready("dense", "1")
    assert not client.is_model_ready("dense", "2")
    assert not client.is_model_ready("nobody")


def test_metadata(client: Any) -> None:
    """The server's extensions are those that Triton's client may use, and the model's tensors are there."""
    extensions = client.get_server_metadata().extensions
    assert {"model_repository", "statistics", "model_configuration"} <= set(extensions)
    assert not [name for name in extensions if "shared_memory" in name]
    load(client, "stacked", models.dense(max_batch=16))
    told = client.get_model_metadata("stacked", as_json=True)
    assert told["inputs"] == [{"name": "data", "datatype": "FP32", "shape": ["-1", "8"]}]
    assert [(one["name"], one["datatype"]) for one in told["outputs"]] == [("fc_output", "FP32")]


def test_config(client: Any) -> None:
    """The configuration names the tensors in Triton's own words, without the axis that calls are stacked along."""
    load(client, "stacked", models.dense(max_batch=16))
    config = client.get_model_config("stacked").config
    assert (config.name, config.backend, config.max_batch_size) == ("stacked", "mxnet", 16)
    assert [(one.name, one.data_type, list(one.dims)) for one in config.input] == [("data", 11, [8])]  # TYPE_FP32
    assert [(one.name, one.data_type) for one in config.output] == [("fc_output", 11)]


def test_index(client: Any) -> None:
    """The repository's index has what is loaded, as ready."""
    states = {one.name: one.state for one in client.get_model_repository_index().models}
    assert states["dense"] == "READY"


def test_infer(client: Any) -> None:
    """An inference is right, carries its id back, and is counted."""
    before = client.get_inference_statistics("dense").model_stats[0].inference_stats.success.count
    reply = client.infer("dense", [tensor("data", ROWS)], request_id="seven")
    np.testing.assert_allclose(reply.as_numpy("fc_output"), models.expected(MADE, ROWS), rtol=1e-5)
    assert reply.get_response().id == "seven"
    after = client.get_inference_statistics("dense").model_stats[0].inference_stats.success.count
    assert after == before + 1


def test_named_outputs(client: Any) -> None:
    """Outputs may be asked for; one that is not there is refused by its name."""
    wanted = [triton.InferRequestedOutput("fc_output")]
    assert client.infer("dense", [tensor("data", ROWS)], outputs=wanted).as_numpy("fc_output").shape == (5, 4)
    wanted = [triton.InferRequestedOutput("other")]
    status, said = refused(lambda: client.infer("dense", [tensor("data", ROWS)], outputs=wanted))
    assert status == "INVALID_ARGUMENT"
    assert "other" in said


def test_compressed(client: Any) -> None:
    """A message that gRPC has compressed by gzip is read; another compression has gRPC's own status for it."""
    inputs = [tensor("data", ROWS)]
    found = client.infer("dense", inputs, compression_algorithm="gzip").as_numpy("fc_output")
    np.testing.assert_allclose(found, models.expected(MADE, ROWS), rtol=1e-5)
    assert refused(lambda: client.infer("dense", inputs, compression_algorithm="deflate"))[0] == "UNIMPLEMENTED"


def test_callbacks(client: Any) -> None:
    """Calls by callbacks, many at once, have each their own answer."""
    answers: queue.Queue[tuple[int, Any, Any]] = queue.Queue()
    for number in range(20):
        rows = ROWS + np.float32(number)
        client.async_infer("dense", [tensor("data", rows)], lambda result, error, n=number: answers.put((n, result, error)))
    for _ in range(20):
        number, result, error = answers.get(timeout=30)
        assert error is None
        due = models.expected(MADE, ROWS + np.float32(number))
        np.testing.assert_allclose(result.as_numpy("fc_output"), due, rtol=1e-4)


def test_stream(client: Any) -> None:
    """A stream's calls are all answered, each with its id; one that is wrong is told so and ends nothing."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    try:
        for number in range(6):
            rows = ROWS[:, :3] if number == 3 else ROWS + np.float32(number)
            client.async_stream_infer("dense", [tensor("data", rows)], request_id=str(number))
        found = [answers.get(timeout=30) for _ in range(6)]
    finally:
        client.stop_stream()
    assert sum(error is not None for _, error in found) == 1
    right = {int(result.get_response().id): result.as_numpy("fc_output") for result, error in found if error is None}
    assert sorted(right) == [0, 1, 2, 4, 5]
    for number, answer in right.items():
        np.testing.assert_allclose(answer, models.expected(MADE, ROWS + np.float32(number)), rtol=1e-4)


def test_asyncio(accelerator: RunningAccelerator, client: Any) -> None:
    """Its asyncio client works likewise, with calls side by side."""

    async def calls() -> list[Any]:
        async with triton_aio.InferenceServerClient(accelerator.address) as aio:
            assert await aio.is_server_ready()
            return list(await asyncio.gather(*[aio.infer("dense", [tensor("data", ROWS)]) for _ in range(10)]))

    for reply in asyncio.run(calls()):
        np.testing.assert_allclose(reply.as_numpy("fc_output"), models.expected(MADE, ROWS), rtol=1e-5)


def test_typed_contents(accelerator: RunningAccelerator, client: Any) -> None:
    """A client that sends numbers as repeated fields, as small ones in other languages do, is understood."""
    request = message("ModelInferRequest")(model_name="dense")
    request.inputs.add(name="data", datatype="FP32", shape=ROWS.shape).contents.fp32_contents.extend(ROWS.ravel().tolist())
    with grpc.insecure_channel(accelerator.address) as channel:
        reply = message("ModelInferResponse").FromString(
            channel.unary_unary(path("ModelInfer"))(request.SerializeToString(), timeout=30)
        )
    output = reply.outputs[0]
    found = (
        reply.raw_output_contents[0] if reply.raw_output_contents else np.array(output.contents.fp32_contents, "f").tobytes()
    )
    np.testing.assert_allclose(np.frombuffer(found, "f").reshape(output.shape), models.expected(MADE, ROWS), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "array", "datatype", "status"),
    [
        ("nobody", ROWS, "FP32", "NOT_FOUND"),
        ("dense", ROWS[:, :3], "FP32", "INVALID_ARGUMENT"),
        ("dense", np.array([b"a", b"b"], object), "BYTES", "INVALID_ARGUMENT"),
    ],
    ids=["model", "shape", "text"],
)
def test_errors(client: Any, name: str, array: Any, datatype: str, status: str) -> None:
    """What Triton's client sends wrong has the status that it would have from Triton."""
    assert refused(lambda: client.infer(name, [tensor("data", array, datatype)]))[0] == status


def test_shared_memory_is_refused(client: Any) -> None:
    """There is none between hosts: its calls say so, and a tensor that lies there is no tensor."""
    for call in (
        lambda: client.register_system_shared_memory("region", "/region", 64),
        client.get_system_shared_memory_status,
        client.get_cuda_shared_memory_status,
    ):
        assert refused(call)[0] == "UNIMPLEMENTED"
    there = triton.InferInput("data", list(ROWS.shape), "FP32")
    there.set_shared_memory("region", ROWS.nbytes)
    assert refused(lambda: client.infer("dense", [there]))[0] == "INVALID_ARGUMENT"


def test_other_extensions_are_refused(client: Any) -> None:
    """Extensions that the server does not name are no methods of it."""
    assert refused(client.get_trace_settings)[0] == "UNIMPLEMENTED"
    assert refused(client.get_log_settings)[0] == "UNIMPLEMENTED"


def test_load_and_unload(client: Any) -> None:
    """A model that is loaded under a name can be replaced there, and is gone when it is unloaded."""
    first, second = models.dense(seed=11), models.dense(seed=12)
    for made in (first, second):
        load(client, "changing", made)
        found = client.infer("changing", [tensor("data", ROWS)]).as_numpy("fc_output")
        np.testing.assert_allclose(found, models.expected(made, ROWS), rtol=1e-5)
    client.unload_model("changing")
    assert not client.is_model_ready("changing")
    assert refused(lambda: client.infer("changing", [tensor("data", ROWS)]))[0] == "NOT_FOUND"
    assert refused(lambda: client.load_model("changing"))[0] == "NOT_FOUND"


def test_a_python_model_is_refused(client: Any) -> None:
    """What Triton would run as a program is none here."""
    config = json.dumps({"backend": "python", "max_batch_size": 0})
    files = {"file:1/model.py": b"import os; os.abort()"}
    assert refused(lambda: client.load_model("program", config=config, files=files))[0] == "INVALID_ARGUMENT"


def test_text_goes_both_ways(client: Any) -> None:
    """BYTES tensors reach a TensorFlow model and come back, empty ones and those that are no text too."""
    folder = tf_models.models() / "strings" / "1"
    files = {f"{artifact.SAVED_MODEL}{one.relative_to(folder)}": one for one in folder.rglob("*") if one.is_file()}
    made = Artifact(artifact.TENSORFLOW, {name: found.read_bytes() for name, found in files.items()})
    load(client, "strings", made)
    text = np.array([b"ab", b"", b"\xff\x00x"], object)
    reply = client.infer("strings", [tensor("text", text, "BYTES")])
    assert reply.as_numpy("upper").tolist() == [b"AB", b"", b"\xff\x00X"]
    assert reply.as_numpy("length").tolist() == [2, 0, 3]
