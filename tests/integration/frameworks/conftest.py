"""Model files of each framework, trained on real data, and the way from such a file to a served model's answers."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_import import frameworks
from onnx_import.convert import convert
from tests.integration.faults.server import ROOT, Server

HERE = Path(__file__).parent
NPZ = "application/x-npz"
Start = Callable[..., Server]
Served = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def keras_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `trained.py` writes."""
    folder = tmp_path_factory.mktemp("keras")
    done = subprocess.run([sys.executable, HERE / "trained.py", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture
def served(start: Start, tmp_path: Path) -> Served:
    """A function from a model to its served answers to inputs by name: a file goes by `ei convert`, an object by the library."""

    def answers(source: Any, inputs: Mapping[str, Any], *flags: str) -> dict[str, Any]:
        target = tmp_path / "converted"
        if isinstance(source, Path):
            command = [sys.executable, "-m", "container.cli", "convert", str(source), str(target), *flags]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-4000:]
        else:
            convert(frameworks.export(source), target)
        server = start(target)
        outputs = ask(server, inputs)
        assert server.stop() == 0
        return outputs

    return answers


def ask(server: Server, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A server's answers to inputs by name."""
    body = io.BytesIO()
    np.savez(body, **inputs)
    response = server.ask(body.getvalue(), ("Content-Type", NPZ), ("Accept", NPZ))
    assert response.status == 200, response.body
    with np.load(io.BytesIO(response.body), allow_pickle=False) as outputs:
        return dict(outputs)
