"""The throw-away process that a model is measured in: what an engine process does, and what it took.

    stdin: JSON question -> prepare, a small convolution -> baseline -> load, passes -> stdout: JSON answer

The parent asks by `measured`.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from serving.accelerators.artifact import MXNET, PARAMS, SYMBOL
from serving.accelerators.engines import memory
from serving.accelerators.engines.base import Config, EngineModel, Host
from serving.accelerators.errors import AcceleratorError, Code
from serving.errors import ServingError
from serving.invocation import Array, Inputs
from serving.models import params_file
from serving.models.signature import Tensor

SMALL = {
    "nodes": [
        {"op": "null", "name": "x", "inputs": []},
        {"op": "null", "name": "w", "inputs": []},
        {
            "op": "Convolution",
            "name": "y",
            "attrs": {"kernel": "(3, 3)", "num_filter": "4", "no_bias": "True"},
            "inputs": [[0, 0, 0], [1, 0, 0]],
        },
    ],
    "arg_nodes": [0, 1],
    "heads": [[2, 0, 0]],
    "attrs": {"mxnet_version": ["int", 10901]},
}
"""A convolution, so that what MXNet makes once for all models is not counted as this one's."""
SECONDS = 3.0
"""Passes go on so long at most once there have been three."""


def main() -> None:
    """Answer the question on stdin: with a measurement, an estimate, or what went wrong."""
    asked = json.load(sys.stdin)
    try:
        answer = ANSWERS[asked["ask"]](asked)
    except ServingError as error:
        code = error.code if isinstance(error, AcceleratorError) else Code.INVALID_ARGUMENT
        answer = {"error": str(error), "code": int(code)}
    print(json.dumps(answer), flush=True)


def _measured(asked: Mapping[str, Any]) -> dict[str, Any]:
    framework = importlib.import_module(f"serving.accelerators.engines.{asked['framework']}")
    framework.prepare(Host(asked["threads"]))
    if asked["framework"] == MXNET:
        _run_small(framework)
    config = Config(Path(asked["folder"]), asked["max_batch"], asked["options"], asked["limit"] or 1 << 60)
    inputs = _made({name: tuple(shape) for name, shape in asked["shapes"].items()}, asked["dtypes"])
    if asked["limit"]:
        memory.confine(asked["limit"])
    _forget_peak()
    before, mapped = memory.status("VmRSS"), memory.status("VmData")
    model = framework.load(config)
    inputs = inputs or _of_signature(model.inputs, asked["batch"])
    times = _times(model, inputs, asked["passes"])
    return {
        "peak": memory.status("VmHWM") - before,
        "mapped": memory.status("VmData") - mapped,
        "seconds": sorted(times)[len(times) // 2],
        "passes": len(times),
        "shapes": {name: list(array.shape) for name, array in inputs.items()},
        "dtypes": {name: array.dtype.name for name, array in inputs.items()},
    }


def _estimated(asked: Mapping[str, Any]) -> dict[str, Any]:
    engine = importlib.import_module("serving.accelerators.engines.mxnet_estimate")
    shapes = {name: tuple(shape) for name, shape in asked["shapes"].items()}
    need = engine.need(Config(Path(asked["folder"]), 0, asked["options"]), shapes)
    return {"total": need.total, "parts": vars(need)}


def _times(model: EngineModel, inputs: Inputs, passes: int) -> list[float]:
    """Seconds of passes; the first ones bind and warm."""
    for _ in range(3):
        model.forward(inputs, ())
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 3 or (len(times) < passes and time.perf_counter() < end):
        began = time.perf_counter()
        model.forward(inputs, ())
        times.append(time.perf_counter() - began)
    return times


def _made(shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str]) -> Inputs:
    return {name: values(shape, np.dtype(dtypes.get(name, "float32"))) for name, shape in shapes.items()}


def _of_signature(tensors: tuple[Tensor, ...], batch: int) -> Inputs:
    """Inputs as the model describes them, the first axis `batch` long; AcceleratorError where sizes are open."""
    made = {}
    for tensor in tensors:
        if tensor.shape is None or None in tensor.shape[1:]:
            raise AcceleratorError(
                Code.INVALID_ARGUMENT, f"the model leaves sizes open ({tensor}): give them, --shape {tensor.name}=..."
            )
        sizes = tuple(batch if size is None or not at else size for at, size in enumerate(tensor.shape))
        made[tensor.name] = values(sizes, tensor.dtype)
    return made


def values(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Numbers of 0 to 1, the same each time; 0 and 1 where they are whole, which are indices into any table; text is digits."""
    random = np.random.default_rng(0)
    whole = random.integers(0, 2, shape)
    if dtype.kind in "OSU":
        return whole.astype(str).astype(object)
    return (random.random(shape) if dtype.kind == "f" else whole).astype(dtype)


def _run_small(framework: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in (SYMBOL, PARAMS):
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / SYMBOL).write_text(json.dumps(SMALL))
        params_file.write(Path(folder) / PARAMS, {"arg:w": np.ones((4, 3, 3, 3), np.float32)})
        model = framework.load(Config(Path(folder), options={"inputs": '["x"]'}))
        model.forward({"x": np.ones((1, 3, 8, 8), np.float32)}, ())
        model.close()


def _forget_peak() -> None:
    """Let the peak begin here (man 5 proc, clear_refs)."""
    with suppress(OSError):  # then what the imports took is in the peak too
        Path("/proc/self/clear_refs").write_text("5")


ANSWERS = {"measure": _measured, "estimate": _estimated}

if __name__ == "__main__":
    main()
