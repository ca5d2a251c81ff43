"""Real servers for the contract tests: real MXNet models, a process each, both placements."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
START_SECONDS = 60
STOP_SECONDS = 30

ENVIRONMENT = {
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1",
    "EI_HEADER_TIMEOUT_SECONDS": "1",
    "EI_WORKERS": "2",
    "EI_HOST": "127.0.0.1",
}
"""Limits low enough for small files to cross them. The header timeout is what the cases of slow clients wait for."""


class Server(NamedTuple):
    """A running server: its process, its port, and the file that holds what it wrote."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the models that `models.py` makes."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run(
        [sys.executable, HERE / "models.py", folder], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return folder


@pytest.fixture(scope="session")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Server]]:
    """A function from a model's name and a placement to the server of both, started when first asked for."""
    running: dict[tuple[str, str], Server] = {}

    def get(model: str, placement: str) -> Server:
        if (model, placement) not in running:
            log = tmp_path_factory.mktemp("logs") / f"{model}-{placement}.log"
            running[model, placement] = _start(models / model, placement, log)
        return running[model, placement]

    yield get
    for one in running.values():
        one.process.send_signal(signal.SIGTERM)
    statuses = {name: one.process.wait(STOP_SECONDS) for name, one in running.items()}
    assert not any(statuses.values()), f"servers must end with 0 on SIGTERM: {statuses}"


def _start(model: Path, placement: str, log: Path) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, **ENVIRONMENT, "EI_PLACEMENT": placement}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "serving", "--model", str(model), "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"the server did not start:\n{log.read_text()}")
        time.sleep(0.02)
    return Server(process, port, log)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
