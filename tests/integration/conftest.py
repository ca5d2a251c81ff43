"""Servers as processes of their own, for the tests of faults: a fixture for what they serve and one that starts them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.backends.mxnet_import import import_mxnet
from tests.integration.faults import server as servers
from tests.integration.faults.server import Server

SCRIPTS = Path(__file__).parent / "faults" / "scripts"
Start = Callable[..., Server]


@pytest.fixture(scope="module", params=["inline", "pool"])
def placement(request: pytest.FixtureRequest) -> str:
    """Each of the two placements."""
    return str(request.param)


@pytest.fixture(scope="session")
def mlp_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gluon perceptron of two layers with fixed weights, hybridized and exported: 4 numbers to 3."""
    mx = import_mxnet()
    folder = tmp_path_factory.mktemp("mlp")
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(8, activation="relu", in_units=4), mx.gluon.nn.Dense(3, in_units=8))
    net.initialize(mx.init.Constant(0.5))
    net.hybridize()
    net(mx.nd.ones((1, 4)))
    net.export(str(folder / "model"))
    (folder / "model-shapes.json").write_text('[{"name": "data", "shape": [1, 4]}]')
    return folder


@pytest.fixture(scope="session")
def with_script(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a fresh model directory of one of the scripts, named after it and without a model."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("served") / name
        (folder / "code").mkdir(parents=True)
        shutil.copy(SCRIPTS / f"{name}.py", folder / "code" / "inference.py")
        return folder

    return make


@contextmanager
def starting(logs: Path) -> Iterator[Start]:
    """Starts servers (model directory, flags, settings as environment variables; stdout or stderr as a file descriptor).

    What is left of them at the end is killed.
    """
    running: list[Server] = []

    def begin(model: Path, *flags: str, ready: bool = True, **env: str | int) -> Server:
        texts = {name: value for name, value in env.items() if isinstance(value, str)}
        streams = {name: value for name, value in env.items() if isinstance(value, int)}
        server = servers.start(model, logs, texts, flags, **streams)
        running.append(server)
        return servers.await_ready(server) if ready else server

    try:
        yield begin
    finally:
        for server in running:
            servers.end(server)


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts servers for one test."""
    with starting(tmp_path_factory.mktemp("logs")) as begin:
        yield begin


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts servers that the tests of a module share, each leaving them as it found them."""
    with starting(tmp_path_factory.mktemp("logs")) as begin:
        yield begin
