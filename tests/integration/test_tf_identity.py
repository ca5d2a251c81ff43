"""One request for each dtype: in process, over gRPC, behind `backends.tf_serving`, and by a raw `session.run` of Python's TensorFlow."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest

from serving.backends import tf_serving
from serving.invocation import Request, invoke
from serving.models import saved_models
from serving.settings import Settings
from serving.tfs import loading, messages
from serving.tfs.messages import Spec
from tests import tf_models
from tests.integration.conftest import starting
from tests.integration.faults.server import ROOT, free_port

PREDICT = "/tensorflow.serving.PredictionService/Predict"
LIMIT = 1 << 20
Plain = dict[str, tuple[str, tuple[int, ...], Any]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes and gives every dtype, and one that computes."""
    return tf_models.copied(tmp_path_factory.mktemp("models"), "dtypes", "half_plus_three")


@pytest.fixture(scope="module")
def asked() -> list[bytes]:
    """A serialized PredictRequest for each dtype, of random bits, and one to compute."""
    made = [messages.predict_request(Spec("dtypes", 1, name), {"x": values(name)}) for name in tf_models.DTYPES]
    rows = np.random.default_rng(5).normal(size=(4, 1)).astype("float32")
    return [*made, messages.predict_request(Spec("half_plus_three", 124), {"x": rows})]


@pytest.fixture(scope="module")
def in_process(models: Path, asked: list[bytes]) -> list[bytes]:
    """The replies of the request line in this process."""
    service = loading.load(Settings(model=models), saved_models.find(models))
    replies = invoke(service, [Request(body, "application/x-tfs; message=Predict") for body in asked])
    assert [reply.fault for reply in replies] == [""] * len(replies)
    return [reply.body for reply in replies if isinstance(reply.body, bytes)]


@pytest.fixture(scope="module")
def raw(models: Path, asked: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> list[Plain]:
    """What `session.run` answers, in a process of its own."""
    folder = tmp_path_factory.mktemp("raw")
    places = ["dtypes/1"] * (len(asked) - 1) + ["half_plus_three/00000124"]
    requests = [(str(models / place), body) for place, body in zip(places, asked, strict=True)]
    (folder / "requests").write_bytes(pickle.dumps(requests))
    command = [sys.executable, "-m", "tests.tf_serving_server.raw", str(folder / "requests"), str(folder / "answers")]
    subprocess.run(command, cwd=ROOT, check=True)
    found: list[Plain] = pickle.loads((folder / "answers").read_bytes())
    return found


@pytest.fixture(scope="module", params=["inline", "pool"])
def address(request: pytest.FixtureRequest, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gRPC port of a server of each placement."""
    port = free_port()
    with starting(tmp_path_factory.mktemp("logs")) as start:
        start(models, f"--grpc-port={port}", f"--placement={request.param}")
        yield f"127.0.0.1:{port}"


def test_a_raw_session_run(in_process: list[bytes], raw: list[Plain]) -> None:
    """Every output of every dtype equals what `session.run` gives, bit for bit."""
    assert [plain(messages.predict_outputs(body, LIMIT)) for body in in_process] == [settled(one) for one in raw]


def test_over_grpc(address: str, asked: list[bytes], in_process: list[bytes]) -> None:
    """The gRPC port answers every dtype with the very bytes that the line gives in process."""
    with grpc.insecure_channel(address) as channel:
        assert [channel.unary_unary(PREDICT)(body, timeout=60) for body in asked] == in_process


def test_behind_grpc(address: str, raw: list[Plain]) -> None:
    """A model behind gRPC gives the outputs of every dtype that it gives in process, bit for bit."""
    server = tf_serving.connect(address, 60)
    model = server.model("dtypes", 1)
    found = [plain(model.run(name, {"x": values(name)})) for name in tf_models.DTYPES]
    server.close()
    assert found == [settled(one) for one in raw[:-1]]
    assert set(tf_models.DTYPES) <= set(model.signatures)


def values(name: str) -> Any:
    """Random bits of a dtype, NaNs among them."""
    random = np.random.default_rng(len(name))
    if name == "string":
        texts = np.empty(9, object)
        texts[:] = [random.bytes(size) for size in range(9)]
        return texts
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    if dtype.kind == "b" or "int4" in name:
        return random.integers(0, 2 if dtype.kind == "b" else 8, 64).astype(dtype)
    return np.frombuffer(random.bytes(64 * dtype.itemsize), dtype)


def plain(outputs: dict[str, Any]) -> Plain:
    """Arrays as what can be compared bit for bit."""
    return {
        name: (array.dtype.name, array.shape, array.tolist() if array.dtype.kind == "O" else array.tobytes())
        for name, array in outputs.items()
    }


def settled(one: Plain) -> Plain:
    """A raw answer, its dtypes by the names that numpy gives them."""
    return {name: (np.dtype(getattr(ml_dtypes, dtype, dtype)).name, shape, data) for name, (dtype, shape, data) in one.items()}
