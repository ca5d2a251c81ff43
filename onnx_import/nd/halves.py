"""float16 around convolutions: MXNet has no such convolution on the CPU, so that it runs in float32 between two casts.

Casting its result down only to cast it up again for what follows costs more than the work, and loses precision. Here a node whose
input is such a result runs in float32 too, and is cast down behind it; casts that nobody reads are not part of any symbol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnx_import.nd.value import TapeNode, Value

FROM = {"Convolution", "Deconvolution", "Pooling"}
THROUGH = {
    *("Activation", "LeakyReLU", "clip", "Concat", "Pooling", "Reshape", "slice", "slice_axis", "transpose", "Pad"),
    *("_maximum_scalar", "_npi_maximum_scalar", "_minimum_scalar", "_npi_minimum_scalar", "_plus_scalar", "_mul_scalar"),
    *("elemwise_add", "elemwise_mul", "broadcast_add", "broadcast_mul", "BatchNorm"),
}

Emit = Callable[[str, list[Value], dict[str, str], list[tuple[tuple[int, ...], str]]], list[Value]]


def widened(op: str, inputs: list[Value], attrs: dict[str, str], outputs: Any, emit: Emit) -> list[Value] | None:
    """The outputs of a node without the casts before it; None where it has none that can be spared."""
    if op == "Cast" and attrs.get("dtype") == "float32":
        source = _source(inputs[0])
        return [source] if source is not None else None
    if op not in THROUGH or any(dtype != "float16" for _, dtype in outputs):
        return None
    sources = [_source(value) for value in inputs]
    if not any(sources) or not all(source or value.data is not None for source, value in zip(sources, inputs, strict=True)):
        return None
    wide = [source or _constant(value) for source, value in zip(sources, inputs, strict=True)]
    if op.endswith("maximum_scalar") and float(attrs["scalar"]) == 0:
        op, attrs = "Activation", {"act_type": "relu"}  # which oneDNN joins to the convolution
    results = emit(op, wide, attrs, [(shape, "float32") for shape, _ in outputs])
    return [emit("Cast", [result], {"dtype": "float16"}, [(result.shape, "float16")])[0] for result in results]


def _source(value: Value) -> Value | None:
    """The float32 value that a float16 one was cast from, if it comes from a convolution."""
    cast = value.node
    if cast is None or cast.op != "Cast" or value.dtype != "float16":
        return None
    node, index = cast.inputs[0]
    if not _is_convolved(node):
        return None
    shape, dtype = node.outputs[index]
    return Value(dtype, shape or (), None, node, index) if dtype == "float32" else None


def _is_convolved(node: TapeNode) -> bool:
    if node.is_convolved is None:
        node.is_convolved = node.op in FROM or (node.op in THROUGH and any(_is_convolved(source) for source, _ in node.inputs))
    return node.is_convolved


def _constant(value: Value) -> Value:
    assert value.data is not None
    return Value("float32", value.shape, value.data.astype(np.float32))
