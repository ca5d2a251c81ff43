"""Our client attached to NVIDIA's Triton: its own model, and an artifact of ours that it is handed over the wire.

Outside the suites, for `make test-full`: .venv/triton has a server program of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.accelerators.artifact import PARAMS, SYMBOL, Artifact
from serving.accelerators.client import Accelerator
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.rpc.target import Target
from tests.integration.faults.server import free_ports, until

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).resolve().parent / "peers"
TRITON = ROOT / ".venv" / "triton"
PYTHON = TRITON / "bin" / "python"


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accelerator]:
    """A Triton that is ready, with our client attached to it."""
    folder = tmp_path_factory.mktemp("triton")
    first, last = free_ports(3)

    environment = {"HOME": str(folder), "PATH": os.defpath}
    command = [str(PYTHON), str(PEERS / "triton_double.py"), *map(str, range(first, last + 1))]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    accelerator = Accelerator(Target(f"127.0.0.1:{first + 1}"))

    def ready() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return bool(accelerator.infer("double", {"x": np.zeros((1, 1), "float32")}))
        except AcceleratorError:
            return False

    try:
        until(ready, "Triton answers", 60)
        yield accelerator
    finally:
        accelerator.close()
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_it_says_what_it_is(triton: Accelerator) -> None:
    """A server that is none of ours is known by its own name, and has no type or id of ours."""
    info = triton.info()
    assert (info.name, info.type, info.id) == ("triton", "", "")
    assert "model_repository" in info.extensions


@pytest.mark.parametrize("rows", [1, 5])
def test_infer(triton: Accelerator, rows: int) -> None:
    """Its answer to our bytes is the right one, in shape and dtype too."""
    x = np.random.default_rng(rows).standard_normal((rows, 150), dtype="float32")
    (answer,) = triton.infer("double", {"x": x}).values()
    np.testing.assert_array_equal(answer, x * 2, strict=True)


def test_an_unknown_model_has_its_code(triton: Accelerator) -> None:
    """Triton's NOT_FOUND is ours."""
    with pytest.raises(AcceleratorError) as caught:
        triton.infer("nobody", {"x": np.zeros((1, 1), "float32")})
    assert caught.value.code == Code.NOT_FOUND


def test_a_wrong_input_has_its_code(triton: Accelerator) -> None:
    """Triton's refusal of an input that the model has not is INVALID_ARGUMENT, in one line."""
    with pytest.raises(AcceleratorError) as caught:
        triton.infer("double", {"z": np.zeros((1, 1), "float32")})
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert "\n" not in str(caught.value)


def test_an_artifact_goes_to_a_stock_triton(triton: Accelerator, mlp: tuple[str, bytes, Any]) -> None:
    """Files sent by our `load`, with a model for its Python backend beside them, are loaded, run, and unloaded again."""
    symbol, params, local = mlp
    files = {"1/model.py": PEERS / "triton_model.py", SYMBOL: symbol.encode(), PARAMS: params}
    options = {"path": f"{sysconfig.get_path('purelib')}:{ROOT}"}
    model = triton.load(Artifact("python", files, options=options))
    assert [(spec.name, spec.datatype) for spec in model.inputs] == [("data", "FP32")]
    data = np.random.default_rng(7).standard_normal((3, 8), dtype="float32")
    np.testing.assert_array_equal(model({"data": data})["softmax_output"], local(data), strict=True)
    model.close()
    until(lambda: not _ready(triton, model.name), "the model is gone")


def _ready(triton: Accelerator, name: str) -> bool:
    try:
        return bool(triton.infer(name, {"data": np.zeros((1, 8), "float32")}))
    except AcceleratorError:
        return False


@pytest.fixture
def mlp(tmp_path: Path) -> tuple[str, bytes, Any]:
    """A small network: its symbol, its params, and what answers here."""
    from serving.backends.mxnet_import import import_mxnet

    mx = import_mxnet()
    data = mx.sym.Variable("data")
    symbol = mx.sym.softmax(mx.sym.FullyConnected(data, num_hidden=4, name="fc"), name="softmax")
    module = mx.mod.Module(symbol, label_names=None)
    module.bind([("data", (3, 8))], for_training=False)
    module.init_params(mx.init.Xavier())
    module.save_checkpoint(str(tmp_path / "model"), 0)

    def local(rows: Any) -> Any:
        module.forward(mx.io.DataBatch([mx.nd.array(rows)]), is_train=False)
        return module.get_outputs()[0].asnumpy()

    return symbol.tojson(), (tmp_path / "model-0000.params").read_bytes(), local
