"""`ei run`: a model in the image, as the platform starts it, stopped by Ctrl-C."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from container.engine import wait_until

pytestmark = pytest.mark.docker

Model = Callable[..., Path]


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ping(port: int) -> int:
    """The status of GET /ping, 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_serves_until_interrupted(model: Model, image: str, free_port: int, tmp_path: Path) -> None:
    """The model answers on the port asked for, the talk says how to ask, and Ctrl-C leaves nothing behind."""
    command = [sys.executable, "-m", "container.images", "run", f"MODEL={model()}", "--image", image, "--port", str(free_port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        assert wait_until(lambda: ping(free_port) == 200 or process.poll() is not None, 60), "it does not answer"
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert f"http://localhost:{free_port}/invocations" in (tmp_path / "log").read_text()
    finally:
        # As a terminal does: to all processes of the foreground.
        subprocess.run(["kill", "-INT", "--", f"-{process.pid}"], check=False)
        status = process.wait(60)
    assert status == 0
    assert ping(free_port) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "/nowhere/at/all"], "is not a directory"),
        (["run", ".", "--image", "ei-no-such-image"], "build it first"),
        (["size", "--image", "ei-no-such-image"], "build it first"),
        (["build", "--mxnet-wheel", "no-such.whl"], "is not a wheel file"),
        (["build", "--image", "tf", "--tfs-binary", "no-such-file"], "is not a model server file"),
    ],
    ids=["no directory", "no image", "no image to measure", "no wheel", "no model server"],
)
def test_errors_are_two_lines(cli: str, arguments: list[str], told: str) -> None:
    """What is wrong and what to type next, and exit 1."""
    done = subprocess.run([sys.executable, "-m", "container.cli", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
