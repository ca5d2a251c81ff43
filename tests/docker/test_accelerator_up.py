"""`ei accelerator up`: a pair by one command, and nothing of it left afterwards."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from container.engine import wait_until
from tests.docker.served import SAMPLES
from tests.integration.faults.server import free_port

pytestmark = pytest.mark.docker


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """An answer of the server on this host's port; 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def test_up(docker_client: docker.DockerClient, model: Callable[..., Path], image: str, framework: str, tmp_path: Path) -> None:
    """The model answers through its accelerator; Ctrl-C ends both containers, and their network is gone."""
    before = (
        {each.name for each in docker_client.networks.list()},
        {each.id for each in docker_client.containers.list(all=True)},
    )
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "container.cli", "accelerator", "up", str(model()), "--image", image, "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--output", str(tmp_path / "pair")], stdout=output, stderr=output, start_new_session=True
        )
    try:
        assert wait_until(lambda: ask(port, "GET", "/ping")[0] == 200 or process.poll() is not None, 120), log.read_text()
        assert process.poll() is None, log.read_text()
        sample = SAMPLES[framework]
        assert ask(port, "POST", "/invocations", sample.body) == (200, sample.answer)
        assert "loaded" in log.read_text(), "the accelerator's log is beside the model's"
    finally:
        subprocess.run(["kill", "-INT", "--", f"-{process.pid}"], check=False)
        process.wait(90)
    after = {each.name for each in docker_client.networks.list()}, {each.id for each in docker_client.containers.list(all=True)}
    assert after == before
    assert (tmp_path / "pair" / "compose.yaml").is_file()
