"""The server in front of a TF Serving process: started by it because its binary is on PATH, or running at an address.

No TF Serving binary is to be had: a stand-in is run under its name, `tests/tf_serving_server`, which shares no code with ours.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tf_models
from tests.integration.faults.server import ROOT, STOP_SECONDS, Server, free_port, free_ports, until

pytestmark = [pytest.mark.fault, pytest.mark.slow]
Start = Callable[..., Server]
JSON = ("Content-Type", "application/json")
ASK = '{"instances": [[1.0], [2.0], [5.0]]}'
ANSWER = b'{\n    "predictions": [[3.5], [4.0], [5.5]\n    ]\n}'


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which the stand-in is called `tensorflow_model_server`."""
    folder = tmp_path_factory.mktemp("bin")
    binary = folder / "tensorflow_model_server"
    binary.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m tests.tf_serving_server "$@"\n')
    binary.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """half_plus_three, in both of its versions."""
    folder = tmp_path_factory.mktemp("attached")
    shutil.copytree(tf_models.models() / "half_plus_three", folder / "half_plus_three")
    return folder


@pytest.fixture(scope="module")
def server(start_shared: Start, path: str, model: Path) -> Server:
    """A server that has started the binary on its PATH."""
    return start_shared(model, PATH=path, SAGEMAKER_SAFE_PORT_RANGE=two_ports())


def two_ports() -> str:
    """A range of ports for one TF Serving process."""
    return "-".join(map(str, free_ports(2)))


def tf_serving_pid(server: Server) -> int:
    """The pid of the TF Serving process that the server keeps, 0 while there is none."""
    for pid in server.children():
        if b"tf_serving_server" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return 0


def test_answers_come_from_the_binary(server: Server) -> None:
    """Requests of every form are answered by the process on PATH, in the form that our own answers have."""
    assert tf_serving_pid(server)
    assert server.ask(ASK, JSON).body == ANSWER
    versioned = ("X-Amzn-SageMaker-Custom-Attributes", "tfs-model-version=123")
    assert server.ask(ASK, JSON, versioned).body == ANSWER
    assert server.ask("[1.0]\n[2.0]", ("Content-Type", "application/jsonlines")).json == {"predictions": [[3.5], [4.0]]}


@pytest.mark.parametrize(
    ("attributes", "status"), [("tfs-model-name=nope", 404), ("tfs-model-version=9", 404)], ids=["model", "version"]
)
def test_its_errors_are_handed_on(server: Server, attributes: str, status: int) -> None:
    """What TF Serving does not have is a 404, as where the models are ours."""
    reply = server.ask(ASK, JSON, ("X-Amzn-SageMaker-Custom-Attributes", attributes))
    assert (reply.status, list(reply.json)) == (status, ["error"])


def test_it_is_started_anew(server: Server) -> None:
    """A TF Serving process that dies is a `/ping` that says so and errors that name the cause, until the next one serves."""
    pid = tf_serving_pid(server)
    os.kill(pid, signal.SIGKILL)
    until(lambda: server.ping() == 503, "/ping tells of it")
    lost = server.ask(ASK, JSON)
    assert lost.status in (200, 503), "the next one may be there by now"
    until(lambda: server.ping() == 200, "the next one serves", 60)
    assert tf_serving_pid(server) not in (0, pid)
    assert server.ask(ASK, JSON).body == ANSWER


def test_both_end(start: Start, path: str, model: Path) -> None:
    """SIGTERM ends TF Serving after the server's last answer, and the server with 0."""
    server = start(model, PATH=path, SAGEMAKER_SAFE_PORT_RANGE=two_ports())
    pid = tf_serving_pid(server)
    assert server.stop() == 0
    assert not Path(f"/proc/{pid}").exists()


def test_an_address(start: Start, server: Server, tmp_path: Path) -> None:
    """A server without a model of its own answers by the TF Serving process at EI_TFS_ADDRESS."""
    command = Path(f"/proc/{tf_serving_pid(server)}/cmdline").read_bytes().decode().split("\0")
    port = next(flag for flag in command if flag.startswith("--port=")).removeprefix("--port=")
    attached = start(tmp_path, EI_TFS_ADDRESS=f"127.0.0.1:{port}", SAGEMAKER_TFS_DEFAULT_MODEL_NAME="half_plus_three")
    assert attached.ask(ASK, JSON).body == ANSWER
    assert attached.stop() == 0


def test_nobody_at_the_address(start: Start, tmp_path: Path) -> None:
    """Where nobody answers at the address `/ping` is 503 and an invocation says so."""
    port = free_port()
    server = start(tmp_path, ready=False, EI_TFS_ADDRESS=f"127.0.0.1:{port}")
    until(lambda: server.ping() == 503, "the server listens")
    reply = server.ask(ASK, JSON)
    assert reply.status == 503
    assert f"127.0.0.1:{port} cannot be reached" in reply.json["error"]
    assert server.stop() == 0


def test_a_binary_that_cannot_serve(start: Start, path: str, tmp_path: Path) -> None:
    """A model that TF Serving does not load ends the start with a message."""
    shutil.copytree(tf_models.models() / "unknown_op", tmp_path / "unknown_op")
    server = start(tmp_path, ready=False, PATH=path, SAGEMAKER_SAFE_PORT_RANGE=two_ports())
    assert server.process.wait(STOP_SECONDS) == 1
    assert "TF Serving" in server.logged()
    assert "Traceback" not in server.logged().partition("serve: ")[2]


def test_a_start_that_fails_leaves_nothing(start: Start, path: str, model: Path, tmp_path: Path) -> None:
    """Where the server itself cannot start, the process that it started ends, and its configuration goes."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        ports = {"SAGEMAKER_SAFE_PORT_RANGE": two_ports(), "EI_GRPC_PORT": str(taken.getsockname()[1])}
        server = start(model, ready=False, PATH=path, TMPDIR=str(tmp_path), **ports)
        assert server.process.wait(STOP_SECONDS) == 1
    assert list(tmp_path.glob("ei-tfs-*")) == []
