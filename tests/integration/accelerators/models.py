"""MXNet models made for these tests, as artifacts."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from serving.accelerators import artifact
from serving.accelerators.artifact import Artifact
from serving.backends.mxnet_import import import_mxnet

WIDTH, UNITS = 8, 4


def dense(seed: int = 0, max_batch: int = 0, units: int = UNITS) -> Artifact:
    """A fully connected layer over rows of 8."""
    mx = import_mxnet()
    symbol = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=units, name="fc")
    random = np.random.RandomState(seed)
    params = {
        "arg:fc_weight": mx.nd.array(random.rand(units, WIDTH)),
        "arg:fc_bias": mx.nd.array(random.rand(units)),
    }
    return of(symbol, params, max_batch)


def of(symbol: object, params: dict[str, object], max_batch: int = 0) -> Artifact:
    """The artifact of a symbol whose input is `data`."""
    mx = import_mxnet()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "p")
        mx.nd.save(str(path), params)
        data = path.read_bytes()
    files = {artifact.SYMBOL: symbol.tojson().encode(), artifact.PARAMS: data}  # type: ignore[attr-defined]
    if max_batch:
        files[artifact.SHAPES] = json.dumps([{"name": "data", "shape": [1, WIDTH]}]).encode()
    return Artifact(artifact.MXNET, files, max_batch, {"inputs": '["data"]'})


def weights(made: Artifact) -> tuple[np.ndarray, np.ndarray]:
    """The weight and the bias of a dense artifact."""
    mx = import_mxnet()
    found = mx.nd.load_frombuffer(made.files[artifact.PARAMS])
    return found["arg:fc_weight"].asnumpy(), found["arg:fc_bias"].asnumpy()


def expected(made: Artifact, rows: np.ndarray) -> np.ndarray:
    """What numpy makes of rows."""
    weight, bias = weights(made)
    return rows @ weight.T + bias
