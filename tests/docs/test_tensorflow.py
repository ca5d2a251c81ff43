"""The blocks of the page on TensorFlow, against a server that runs as the page says: each prints what its comments promise."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import noted
from tests import tf_models

PAGE = (Path(__file__).parents[2] / "docs" / "tensorflow.md").read_text()
BLOCKS = re.findall(r"<!-- test: ([\w-]+) -->\n```(\w+)\n(.*?)```", PAGE, re.DOTALL)
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server of the page's model: the ports that stand for the page's."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(tf_models.models() / "half_plus_three" / "00000123", folder / "models" / "half_plus_three" / "00000123")
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        found = {"8080": str(one.getsockname()[1]), "9000": str(other.getsockname()[1])}
    command = [str(BIN / "serve"), "--model", "models", "--port", found["8080"], "--grpc-port", found["9000"]]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        while not is_ready(found["8080"]):
            assert server.poll() is None, (folder / "log").read_text()
        yield found
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def is_ready(port: str) -> bool:
    """Whether the server answers its health route."""
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/ping") as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def bare(text: str) -> str:
    """A text without its white space, which TF Serving lays out in its own way."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize(("language", "code"), [block[1:] for block in BLOCKS], ids=[block[0] for block in BLOCKS])
def test_a_block_prints_what_it_says(ports: dict[str, str], language: str, code: str) -> None:
    """Run as it stands, but for the ports, a block prints what its comments say, in their order."""
    due = "".join(re.findall(r" # (.*)", code))
    for port, ours in ports.items():
        code = code.replace(port, ours)
    command = ["bash", "-c"] if language == "sh" else [sys.executable, "-c"]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run([*command, code], env=environment, capture_output=True, text=True, check=False)
    assert bare(done.stdout) == bare(due), done.stderr
    assert due


def test_every_form_has_an_example() -> None:
    """The page shows rows, columns, short forms, arrays, examples, attributes, gRPC and errors at work."""
    assert len(BLOCKS) == 7


def test_what_means_nothing_is_listed() -> None:
    """Every variable that is only noted is on the page."""
    assert [name for name in noted.NOTED if name not in PAGE] == []
