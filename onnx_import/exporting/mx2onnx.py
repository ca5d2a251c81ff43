"""MXNet's own exporter, asked one node at a time for operators that have no converter here.

`mx2onnx` of 1.9.1 writes opset 13 and names what onnx has taken away since (`onnx.mapping`); it gets that back.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from onnx import helper

from onnx_import.exporting.build import Refused, Use
from serving.backends.mxnet_import import import_mxnet

OPSET = 13


def knows(op: str) -> bool:
    """Whether mx2onnx has a converter of an MXNet operator."""
    return any(op in _registry().get(opset, {}) for opset in (12, OPSET))


def convert(use: Use) -> list[str]:
    """The outputs of one node by mx2onnx; Refused where it raises or gives what the asked opset does not have."""
    table = _registry()
    function = table.get(OPSET, {}).get(use.node.op) or table[12][use.node.op]
    initializers: list[onnx.TensorProto] = []
    node = _node(use)
    weights = {use.source.nodes[at].name: use.source.array((at, output)) for at, output in use.node.inputs}
    keywords = {
        "is_input": False,
        "mx_graph": use.source.graph,
        "weights": weights,
        "proc_nodes": use.build.graph.node,
        "idx": use.at,
    }
    try:
        found = function(node, **keywords, initializer=initializers, outputs_lookup=_lookup(use), opset_version=OPSET)
    except Exception as error:  # noqa: BLE001 - a boundary: it raises whatever a dict or an assertion does
        raise Refused(f"mx2onnx fails on it: {str(error) or type(error).__name__}") from error
    nodes = found[0] if isinstance(found, tuple) else found
    return _adopted(use, nodes, initializers)


def _registry() -> dict[int, dict[str, Any]]:
    if not hasattr(onnx, "mapping"):
        numbers = {np.dtype(helper.tensor_dtype_to_np_dtype(kind)): kind for kind in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13)}
        names = {kind: dtype for dtype, kind in numbers.items()}
        tables = SimpleNamespace(NP_TYPE_TO_TENSOR_TYPE=numbers, TENSOR_TYPE_TO_NP_TYPE=names)
        onnx.__dict__["mapping"] = tables
    registry: dict[int, dict[str, Any]] = import_mxnet().onnx.mx2onnx._export_onnx.MXNetGraph.registry_
    if not registry:  # MXNet was imported without onnx, as it is by a server: its converters register once onnx is there
        for opset in (12, OPSET):
            importlib.reload(importlib.import_module(f"mxnet.onnx.mx2onnx._op_translations._op_translations_opset{opset}"))
    return registry


def _lookup(use: Use) -> dict[int, dict[int, Any]]:
    """The name and the dtype of what the node reads and gives, by node and output."""
    found: dict[int, dict[int, Any]] = {}
    for (at, output), name in zip(use.node.inputs, use.inputs, strict=True):
        found.setdefault(at, {})[output] = SimpleNamespace(name=name, dtype=np.dtype(use.source.dtypes[at, output]))
    return found


def _node(use: Use) -> dict[str, Any]:
    return {
        "op": use.node.op,
        "name": use.node.name,
        "attrs": use.node.attrs,
        "inputs": [[*entry, 0] for entry in use.node.inputs],
    }


def _adopted(use: Use, nodes: list[Any], initializers: list[onnx.TensorProto]) -> list[str]:
    """Its nodes and constants under names that are free; the names of the outputs."""
    renamed: dict[str, str] = {}
    for tensor in initializers:
        renamed[tensor.name] = use.build.name(tensor.name)
        tensor.name = renamed[tensor.name]
        use.build.graph.initializer.append(tensor)
    made: dict[str, str] = {}
    for node in nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        for at, name in enumerate(node.output):
            made[name] = renamed[name] = use.build.name(name)
            node.output[at] = made[name]
        use.build.graph.node.append(node)
    name = use.node.name
    wanted = [name] if use.outputs == 1 and name in made else [f"{name}{at}" for at in range(use.outputs)]
    if all(each in made for each in wanted):
        return [made[each] for each in wanted]
    return [list(made.values())[-1]]
