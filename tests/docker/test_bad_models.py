"""A model directory that cannot be served: one message, exit 1, and no loop of tracebacks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.fault]

Model = Callable[..., Path]
Start = Callable[..., Any]

WEIGHTS = {"mxnet": "model-0000.params", "tf": "variables.index"}
GRAPH = {"mxnet": "model-symbol.json", "tf": "saved_model.pb"}


def empty(folder: Path, framework: str) -> None:
    """Nothing in it."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def without_weights(folder: Path, framework: str) -> None:
    """A graph alone."""
    for path in folder.rglob(WEIGHTS[framework]):
        path.unlink()


def half_written(folder: Path, framework: str) -> None:
    """Weights that end in the middle."""
    for path in folder.rglob(WEIGHTS[framework]):
        path.write_bytes(path.read_bytes()[:100])


def not_a_graph(folder: Path, framework: str) -> None:
    """A graph file that holds something else."""
    for path in folder.rglob(GRAPH[framework]):
        path.write_text('{"hello": ')


BREAKS = [empty, without_weights, half_written, not_a_graph]


@pytest.mark.parametrize("spoil", BREAKS, ids=[spoil.__name__ for spoil in BREAKS])
def test_one_message(model: Model, start: Start, framework: str, spoil: Callable[[Path, str], None]) -> None:
    """The start says what was expected and found, once, and ends with 1."""
    folder = model()
    spoil(folder, framework)
    server = start(folder)
    assert server.wait() == 1
    assert server.log.count("serve: ") == 1, server.log
    assert "Traceback" not in server.log
    assert "/opt/ml/model" in server.log


def test_broken_script(model: Model, start: Start) -> None:
    """A script that does not compile is told by file and line, and the server does not try again."""
    server = start(model("import os\n\ndef model_fn(:\n"))
    assert server.wait() == 1
    assert server.log.count("serve: ") == 1, server.log
    assert "inference.py" in server.log.strip().splitlines()[-1]
    assert "line 3" in server.log.strip().splitlines()[-1]


def test_nothing_mounted(start: Start) -> None:
    """The image without a model says where it looks."""
    server = start(None)
    assert server.wait() == 1
    assert server.log.strip().splitlines()[-1].startswith("serve: ")
    assert "/opt/ml/model" in server.log


@pytest.mark.parametrize("framework", ["mxnet"], indirect=True)
def test_bad_settings(model: Model, start: Start) -> None:
    """Invalid variables are all named in one message before anything else happens."""
    server = start(model(), environment={"SAGEMAKER_BIND_TO_PORT": "99999", "EI_WORKERS": "many"})
    assert server.wait() == 1
    assert "SAGEMAKER_BIND_TO_PORT='99999'" in server.log
    assert "EI_WORKERS='many'" in server.log
    assert "Traceback" not in server.log
