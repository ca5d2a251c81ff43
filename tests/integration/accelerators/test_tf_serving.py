"""TensorFlow models of a server whose accelerator runs them: the same answers over REST and gRPC, and TensorFlow in no process of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests import tf_models
from tests.integration.accelerators.conftest import RunningAccelerator, StartAccelerator
from tests.integration.conftest import Start, starting
from tests.integration.faults.server import Server, free_port, until
from tests.integration.test_tf_grpc import Client, code, on_examples

from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, regression_pb2  # isort: skip

SERVED = ("dtypes", "half", "half_plus_three", "pair", "strings", "unknown")
SCRIPT = """
def input_handler(data, context):
    return data.read()


def output_handler(response, context):
    return response.content.upper(), 'text/shout'
"""
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
X = np.array([[1.0], [2.0]], "float32")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory of several models."""
    return tf_models.copied(tmp_path_factory.mktemp("models"), *SERVED)


@pytest.fixture(scope="module")
def pair(
    models: Path, accelerator: RunningAccelerator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, Client]]:
    """A server that is attached, and one that is not."""
    ports = free_port(), free_port()
    with starting(tmp_path_factory.mktemp("logs")) as start:
        attached = Client(start(models, f"--grpc-port={ports[0]}", EI_ACCELERATORS=accelerator.address), ports[0])
        plain = Client(start(models, f"--grpc-port={ports[1]}"), ports[1])
        yield attached, plain
        attached.channel.close()
        plain.channel.close()


DOCUMENTS = [
    ("half_plus_three", {"instances": [1.0, 2.5]}),
    ("half_plus_three", {"instances": [[1.0], [2.5]]}),
    ("half", {"instances": [[1.0] * 64] * 5}),
    ("half", {"inputs": [[1.0] * 64]}),
    ("half", {"instances": [[1.0] * 3]}),
    ("pair", {"instances": [{"a": [1, 2], "b": [3, 4]}]}),
    ("pair", {"signature_name": "total", "inputs": {"a": [[1, 2]], "b": [[3, 4]]}}),
    ("pair", {"signature_name": "nope", "inputs": {"a": [[1, 2]]}}),
    ("pair", {"instances": [{"a": [1, 2, 3], "b": [3, 4]}]}),
    ("pair", {"instances": [{"a": [1, 2]}]}),
    ("strings", {"instances": ["abc", "é"]}),
    ("unknown", {"instances": [[1.0, 2.0]]}),
    ("dtypes", {"signature_name": "bfloat16", "instances": [1.5, -2]}),
    ("dtypes", {"signature_name": "uint64", "instances": [1, 2**64 - 1]}),
    ("dtypes", {"signature_name": "bool", "instances": [True, False]}),
    ("nowhere", {"instances": [1.0]}),
]


@pytest.mark.parametrize(("name", "document"), DOCUMENTS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(DOCUMENTS)])
def test_a_document_is_answered_as_without(pair: tuple[Client, Client], name: str, document: Any) -> None:
    """Status and body are those of a server that runs the model itself, but that TensorFlow's words are on one line."""
    there, here = (
        one.server.ask(json.dumps(document), ("Content-Type", "application/json"), (ATTRIBUTES, f"tfs-model-name={name}"))
        for one in pair
    )
    assert (there.status, there.body) == (here.status, re.sub(rb"(?:\\[nt])+\s*", b" ", here.body))


@pytest.mark.parametrize("name", tf_models.DTYPES)
def test_every_dtype_over_grpc(pair: tuple[Client, Client], name: str) -> None:
    """A PredictRequest of every dtype is answered as without an accelerator, first calls of a signature among them."""
    if name in ("float8_e5m2", "float8_e4m3fn", "int4", "uint4"):
        pytest.skip("a TensorProto of these needs TensorFlow's own packing")
    values: Any = {"string": [b"a", b"\xff"], "bool": [True, False]}.get(name, [1, 2])
    import ml_dtypes

    array = np.array(values, object if name == "string" else getattr(ml_dtypes, name, None) or name)
    there, here = (one.predict("dtypes", name, x=array) for one in pair)
    assert there.SerializeToString(deterministic=True) == here.SerializeToString(deterministic=True)


def test_the_clients_of_tensorflow_serving(pair: tuple[Client, Client], accelerator: RunningAccelerator) -> None:
    """Predict, Classify, Regress and GetModelMetadata answer the same; each pass is one call at the accelerator."""
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = "half_plus_three"
    examples = (
        on_examples(classification_pb2.ClassificationRequest, "tensorflow/serving/classify", 1, 2),
        on_examples(regression_pb2.RegressionRequest, "regress_x_to_y2", 1, 2),
    )
    replies, counted = [], []
    for one in pair:
        before = accelerator.requests()
        found = [one.predict(x=X), one.predict(version=123, x=X)]
        found += [one.prediction.Classify(examples[0], timeout=60), one.prediction.Regress(examples[1], timeout=60)]
        counted.append(accelerator.requests() - before)
        replies.append([reply.SerializeToString(deterministic=True) for reply in found])
        replies[-1].append(one.prediction.GetModelMetadata(metadata, timeout=60).SerializeToString(deterministic=True))
    assert replies[0] == replies[1]
    assert counted[0] >= 4  # warm-ups of models that are loaded at their first call are counted too
    assert counted[1] == 0


def test_errors_have_their_code(pair: tuple[Client, Client]) -> None:
    """What a client asks wrongly has the same code and the same words."""
    wrong = [
        lambda one: one.predict("nowhere", x=X),
        lambda one: one.predict("half_plus_three", version=7, x=X),
        lambda one: one.predict("half_plus_three", "nope", x=X),
        lambda one: one.predict("half_plus_three", z=X),
    ]
    for call in wrong:
        there, here = (code(lambda one=one, call=call: call(one)) for one in pair)
        assert there == here


def test_no_process_has_tensorflow(pair: tuple[Client, Client]) -> None:
    """TensorFlow's library is mapped by no process of the attached server, and by those of the other."""
    attached, plain = (
        [
            pid
            for pid in (one.server.process.pid, *one.server.children())
            if "libtensorflow" in Path(f"/proc/{pid}/maps").read_text()
        ]
        for one in pair
    )
    assert (attached, bool(plain)) == ([], True)


def test_the_start_names_the_device(pair: tuple[Client, Client]) -> None:
    """The line that says what is served tells of the accelerator; the other one says cpu."""
    told = [one.server.logged() for one in pair]
    assert "device eia:0 (ml.eia2.medium eia-" in told[0]
    assert "device cpu" in told[1]


# ---- an accelerator that goes


@pytest.fixture
def lone(start_accelerator: StartAccelerator, start: Start, tmp_path: Path) -> tuple[RunningAccelerator, Server]:
    """An accelerator of one test's own, and a server of `half`."""
    shutil.copytree(tf_models.models() / "half", tmp_path / "half")
    accelerator = start_accelerator()
    return accelerator, start(tmp_path, EI_ACCELERATORS=accelerator.address)


def ask(server: Server) -> tuple[int, str]:
    """Status and text of a request to `half`."""
    response = server.ask(json.dumps({"instances": [[1.0] * 64]}), ("Content-Type", "application/json"))
    return response.status, response.body.decode()


def test_killed_and_started_anew(lone: tuple[RunningAccelerator, Server], start_accelerator: StartAccelerator) -> None:
    """Without its accelerator a request is a 503 with the phrase that users know; a new one at its address gets the model again."""
    accelerator, server = lone
    status, text = ask(server)
    assert (status, "predictions" in text) == (200, True)
    assert accelerator.requests() >= 1
    accelerator.stop(signal.SIGKILL)
    status, text = ask(server)
    assert (status, "Failed to detect any accelerator" in text) == (503, True)
    again = start_accelerator(port=accelerator.port)
    until(lambda: ask(server)[0] == 200, "the model runs on the new accelerator")
    assert again.requests() >= 1


def test_a_script_around_it(accelerator: RunningAccelerator, start: Start, tmp_path: Path) -> None:
    """A script of AWS's container stands before the models as it does without an accelerator."""
    shutil.copytree(tf_models.models() / "half", tmp_path / "half")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(SCRIPT)
    server = start(tmp_path, EI_ACCELERATORS=accelerator.address)
    before = accelerator.requests()
    status, text = ask(server)
    assert (status, "PREDICTIONS" in text) == (200, True)
    assert accelerator.requests() == before + 1


def test_the_engine_is_killed(lone: tuple[RunningAccelerator, Server]) -> None:
    """A `kill -9` of the engine costs no more than the requests in it: the next ones are answered."""
    accelerator, server = lone
    assert ask(server)[0] == 200
    for pid in accelerator.engines():
        os.kill(pid, signal.SIGKILL)
    until(lambda: ask(server)[0] == 200, "the next requests are answered")


def test_a_model_that_may_not_run_there(accelerator: RunningAccelerator, start: Start, tmp_path: Path) -> None:
    """A graph that reads files is no model for an accelerator: the start fails and says why; EI_DEVICE=cpu serves it here."""
    shutil.copytree(tf_models.models() / "faults", tmp_path / "faults")
    server = start(tmp_path, ready=False, EI_ACCELERATORS=accelerator.address)
    assert server.process.wait(60) != 0
    assert "it uses ReadFile" in server.logged()
    assert "Traceback" not in server.logged()
    start(tmp_path, EI_ACCELERATORS=accelerator.address, EI_DEVICE="cpu")


def test_a_deadline_is_carried_over(accelerator: RunningAccelerator, start: Start, tmp_path: Path) -> None:
    """A pass that does not answer in time is a 504 over REST and DEADLINE_EXCEEDED over gRPC."""
    shutil.copytree(tf_models.models() / "half", tmp_path / "half")
    port = free_port()
    client = Client(
        start(tmp_path, f"--grpc-port={port}", EI_ACCELERATORS=accelerator.address, EI_DEADLINE_SECONDS="1.5"), port
    )
    ones = np.ones((1, 64), "float32")
    assert client.predict("half", x=ones).outputs["y"].float_val[0] == 2.5
    engines = accelerator.engines()
    for pid in engines:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert ask(client.server)[0] == 504
        assert code(lambda: client.predict("half", x=ones))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        for pid in engines:
            os.kill(pid, signal.SIGCONT)
    until(lambda: ask(client.server)[0] == 200, "it answers once its accelerator does")
    client.channel.close()
