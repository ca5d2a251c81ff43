"""A small symbol exported and proved, for the tests of its operators."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx

from onnx_import import export
from onnx_import.verify import Comparison
from serving.backends.mxnet_import import import_mxnet

DRAW = np.random.default_rng(0)


def numpy_op(op: str, count: int = 1, **attrs: Any) -> str:
    """The JSON of one operator with numpy's shapes, over inputs x, y, z; as converted models are written."""
    nodes: list[dict[str, Any]] = [{"op": "null", "name": name, "inputs": []} for name in "xyz"[:count]]
    inputs = [[at, 0, 0] for at in range(count)]
    nodes.append({"op": op, "name": "out", "attrs": {k: str(v) for k, v in attrs.items()}, "inputs": inputs})
    graph = {"mxnet_version": ["int", 10901], "is_np_shape": ["int", 1]}
    return json.dumps({"nodes": nodes, "arg_nodes": list(range(count)), "heads": [[count, 0, 0]], "attrs": graph})


def symbol_of(build: Callable[..., Any], names: list[str]) -> str:
    """The JSON of what `build` makes of variables."""
    mx = import_mxnet()
    text: str = build(mx.sym, *(mx.sym.Variable(name) for name in names)).tojson()
    return text


def export_op(
    build: Callable[..., Any] | str,
    shapes: Mapping[str, tuple[int, ...]],
    params: Mapping[str, Any] | None = None,
    feeds: Mapping[str, Any] | None = None,
    **given: Any,
) -> tuple[onnx.ModelProto, list[Comparison]]:
    """The model of a symbol over inputs and parameters, and the proof; parameters that are shapes are drawn."""
    drawn = {
        name: DRAW.standard_normal(value).astype(np.float32) if isinstance(value, tuple) else value
        for name, value in (params or {}).items()
    }
    text = build if isinstance(build, str) else symbol_of(build, [*shapes, *drawn])
    dtypes = {name: value.dtype.name for name, value in (feeds or {}).items()}
    model = export.to_model(text, drawn, shapes, dtypes, export.Form(**given))
    return model, export.prove(model, text, drawn, [feeds] if feeds else None)


def ops(model: onnx.ModelProto) -> list[str]:
    """The operators of a model in order."""
    return [node.op_type for node in model.graph.node]
