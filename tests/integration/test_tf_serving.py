"""Models behind a TF Serving process that we start and keep: against a stand-in that runs SavedModels by `session.run`.

No TF Serving binary is to be had; `tests/tf_serving_server` takes its flags, and a script of its name on PATH starts it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.backends import tensorflow, tf_server_process, tf_serving
from serving.backends.tf_server_process import Options, Servers
from serving.errors import BadRequest, NotFound, ServingError
from serving.models import saved_models
from tests import tf_models
from tests.integration.faults.server import ROOT, free_ports, until

WAIT_SECONDS = 120
X = np.array([[1.0], [2.0]], "float32")


@pytest.fixture(scope="module")
def models() -> dict[str, dict[int, Path]]:
    """Two models, one of two versions in zero-padded folders."""
    found = {name: saved_models.find(tf_models.models() / name) for name in ("half_plus_three", "strings")}
    return {name: versions["model"] for name, versions in found.items()}


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in as `tensorflow_model_server` on PATH, found there."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "tensorflow_model_server"
    script.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m tests.tf_serving_server "$@"\n')
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        found = tf_server_process.find()
    assert found == script
    return script


@pytest.fixture(scope="module")
def servers(binary: Path, models: dict[str, dict[int, Path]]) -> Iterator[Servers]:
    """One process, started and available."""
    made = Servers(binary, models, Options(ports=free_ports(2)))
    try:
        made.start()
        made.await_available(WAIT_SECONDS)
        yield made
    finally:
        made.stop()


@pytest.fixture
def remote(servers: Servers) -> Iterator[tf_serving.Server]:
    """A connection to it."""
    server = tf_serving.connect(servers.addresses[0], 30)
    yield server
    server.close()


def test_the_same_answers_as_in_process(remote: tf_serving.Server, models: dict[str, dict[int, Path]]) -> None:
    """A model answers behind TF Serving what it answers in process, bit for bit, numbers and strings."""
    text = np.array([b"ab", b"\xff\x00"], object)
    for name, version, inputs in (("half_plus_three", 124, {"x": X}), ("strings", 1, {"text": text})):
        ours = tensorflow.load(models[name][version])
        answer = remote.model(name, version).run("serving_default", inputs)
        expected = ours.run("serving_default", inputs)
        ours.close()
        assert {key: (a.dtype, a.tolist()) for key, a in answer.items()} == {
            k: (a.dtype, a.tolist()) for k, a in expected.items()
        }


def test_the_same_signatures_as_in_process(remote: tf_serving.Server, models: dict[str, dict[int, Path]]) -> None:
    """A model's signatures are told by TF Serving as they are read from its file."""
    for name, versions in models.items():
        version = max(versions)
        ours = tensorflow.load(versions[version])
        assert dict(remote.model(name, version).signatures) == dict(ours.signatures)
        ours.close()


def test_versions(remote: tf_serving.Server) -> None:
    """Every version that was configured is there, and no other."""
    assert remote.versions("half_plus_three") == {123: "", 124: ""}
    assert remote.is_available("strings")
    assert not remote.is_available("missing")


def test_faults(remote: tf_serving.Server) -> None:
    """What TF Serving refuses has its status and its words."""
    with pytest.raises(NotFound, match="missing"):
        remote.model("missing").run("serving_default", {"x": X})
    with pytest.raises(BadRequest, match="none"):
        remote.model("half_plus_three").run("none", {"x": X})
    with pytest.raises(BadRequest, match="input size"):
        remote.model("half_plus_three").run("serving_default", {"w": X})


def test_a_process_that_dies_is_started_anew(servers: Servers, remote: tf_serving.Server) -> None:
    """While the process is gone passes are a 503 and the model is not available; it is started anew, and answers again."""
    model = remote.model("half_plus_three")
    (pid,) = servers.pids
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ServingError, match="cannot be reached") as caught:
        model.run("serving_default", {"x": X})
    assert caught.value.status == 503
    assert not remote.is_available("half_plus_three")
    until(lambda: servers.revive() or servers.pids != [pid], "it is started anew")
    servers.await_available(WAIT_SECONDS)
    until(lambda: remote.is_available("half_plus_three"), "the channel finds it again")
    assert model.run("serving_default", {"x": X})["y"].tolist() == [[3.5], [4.0]]
