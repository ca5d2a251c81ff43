"""Our client attached to KServe's server: the protocol is the same, so any server of it can be an accelerator."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.accelerators.client import Accelerator
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.rpc.target import Target
from tests.integration.accelerators import models
from tests.integration.faults.server import free_ports, until

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("peers") / "kserve_double.py"
PEERS = ROOT / ".venv" / "peers"


@pytest.fixture(scope="module")
def kserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accelerator]:
    """A KServe server that is ready, with our client attached to it."""
    assert PEERS.is_dir(), "KServe is not installed: make .venv/.peers"
    http, port = free_ports(2)
    log = tmp_path_factory.mktemp("kserve") / "log"
    command = [sys.executable, str(SCRIPT), str(http), str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(PEERS)}, stdout=file, stderr=file)
    accelerator = Accelerator(Target(f"127.0.0.1:{port}"))

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return accelerator.is_ready()
        except AcceleratorError:
            return False

    try:
        until(ready, "KServe answers", 60)
        yield accelerator
    finally:
        accelerator.close()
        process.kill()
        process.wait()


def test_it_says_what_it_is(kserve: Accelerator) -> None:
    """A server that is none of ours is known by its own name, and has no type or id of ours."""
    info = kserve.info()
    assert (info.name, info.type, info.id) == ("kserve", "", "")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "uint8"])
@pytest.mark.parametrize("shape", [(1, 3), (4, 150)], ids=str)
def test_infer(kserve: Accelerator, dtype: str, shape: tuple[int, ...]) -> None:
    """Its answers to our bytes are right, in shape and dtype too."""
    x: Any = np.arange(np.prod(shape)).reshape(shape).astype(dtype) % 100
    (answer,) = kserve.infer("double", {"x": x}).values()
    np.testing.assert_array_equal(answer, x * np.array(2, dtype), strict=True)
    assert kserve.calls


def test_an_unknown_model_has_its_code(kserve: Accelerator) -> None:
    """KServe's NOT_FOUND is ours."""
    with pytest.raises(AcceleratorError) as caught:
        kserve.infer("nobody", {"x": np.zeros(1, "float32")})
    assert caught.value.code == Code.NOT_FOUND


def test_it_takes_no_artifact(kserve: Accelerator) -> None:
    """KServe loads models of its own alone: an artifact is refused in one line, not waited for."""
    with pytest.raises(AcceleratorError) as caught:
        kserve.load(models.dense(), timeout=30)
    assert "\n" not in str(caught.value)
