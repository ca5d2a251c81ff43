"""A model directory that cannot be served: one message, exit 1, and no loop of tracebacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.fault]

Model = Callable[..., Path]
Start = Callable[..., Any]


def empty(folder: Path) -> None:
    """Nothing in it."""
    for path in folder.iterdir():
        path.unlink()


def without_weights(folder: Path) -> None:
    """A graph alone."""
    (folder / "model-0000.params").unlink()


def half_written(folder: Path) -> None:
    """Weights that end in the middle."""
    path = folder / "model-0000.params"
    path.write_bytes(path.read_bytes()[:100])


def not_a_graph(folder: Path) -> None:
    """A graph file that holds something else."""
    (folder / "model-symbol.json").write_text('{"hello": ')


BREAKS = [empty, without_weights, half_written, not_a_graph]


@pytest.mark.parametrize("spoil", BREAKS, ids=[spoil.__name__ for spoil in BREAKS])
def test_one_message(model: Model, start: Start, spoil: Callable[[Path], None]) -> None:
    """The start says what was expected and found, once, and ends with 1."""
    folder = model()
    spoil(folder)
    server = start(folder)
    assert server.wait() == 1
    assert server.log.count("serve: ") == 1, server.log
    assert "Traceback" not in server.log
    assert "/opt/ml/model" in server.log


def test_broken_script(model: Model, start: Start) -> None:
    """A script that does not compile is told by file and line, and the server does not try again."""
    folder = model()
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text("import os\n\ndef model_fn(:\n")
    server = start(folder)
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


def test_bad_settings(model: Model, start: Start) -> None:
    """Invalid variables are all named in one message before anything else happens."""
    server = start(model(), environment={"SAGEMAKER_BIND_TO_PORT": "99999", "EI_WORKERS": "many"})
    assert server.wait() == 1
    assert "SAGEMAKER_BIND_TO_PORT='99999'" in server.log
    assert "EI_WORKERS='many'" in server.log
    assert "Traceback" not in server.log
