"""The blocks of the README and of the page on user scripts run as they stand, in the order in which a reader would run them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serving.testing import Client

ROOT = Path(__file__).parents[2]


PAGES = (ROOT / "README.md", ROOT / "docs" / "user-scripts.md")


def block(name: str) -> str:
    """The code block under the comment of that name."""
    text = "".join(page.read_text() for page in PAGES)
    found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert found, f"no page has a block named {name}"
    return found[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's model was made, by a process of its own."""
    folder = tmp_path_factory.mktemp("readme")
    subprocess.run([sys.executable, "-c", block("first-model")], cwd=folder, check=True)
    return folder


def test_first_model_is_short() -> None:
    """The first model takes ten lines at most."""
    assert len(block("first-model").strip().splitlines()) <= 10


def test_first_request(folder: Path) -> None:
    """The shell lines serve the model and print a row of three numbers for each row of four."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    for path in folder.glob("first/model-*"):
        path.rename(folder / path.name)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = block("first-request").replace("8080", port) + "wait\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert re.search(r"\[\[[^\[\]]+,[^\[\]]+,[^\[\]]+\],\s*\[[^\[\]]+,[^\[\]]+,[^\[\]]+\]\]", done.stdout), done.stderr


@pytest.fixture
def model(folder: Path, tmp_path: Path) -> Path:
    """A model directory named `model`, holding the README's model, with an empty `code` folder."""
    (tmp_path / "model" / "code").mkdir(parents=True)
    for path in folder.rglob("model-*"):
        (tmp_path / "model" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "model"


def test_user_script(model: Path) -> None:
    """The README's script reads lines of numbers and answers the best class of each."""
    (model / "code" / "inference.py").write_text(block("user-script"))
    answer = Client(model).invocations(b"1 2 3 4\n5 6 7 8\n", content_type="text/plain")
    assert answer.status == 200
    assert all(best in (0, 1, 2) for best in answer.json())
    assert len(answer.json()) == 2


def test_script_with_a_context(model: Path) -> None:
    """The script on the page answers probabilities, flatter at a higher temperature in the header."""
    (model / "code" / "inference.py").write_text(block("probabilities"))
    client = Client(model)
    plain, flat = (client.invocations([[1, 2, 3, 4]], headers=headers).json()[0] for headers in ({}, {"X-Temperature": "100"}))
    assert sum(plain) == pytest.approx(1)
    assert sum(flat) == pytest.approx(1)
    assert max(flat) < max(plain)


def test_client_block(model: Path) -> None:
    """The example of the test kit runs beside a folder named `model`."""
    subprocess.run([sys.executable, "-c", block("client")], cwd=model.parent, check=True)
