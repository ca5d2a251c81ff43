"""Constant nodes become initializers, which every other pass knows."""

from __future__ import annotations

import numpy as np

from onnx_import.graph import Graph, Node, Tensor


def run(graph: Graph) -> bool:
    """Whether there were any, here or in graphs inside nodes."""
    kept = []
    changed = False
    for node in graph.nodes:
        changed = any([run(inner) for inner in node.graphs()]) or changed
        tensor = _tensor(node) if node.op == "Constant" and not node.domain else None
        if tensor is None or node.outputs[0] in {info.name for info in graph.outputs}:
            kept.append(node)
        else:
            graph.initializers[node.outputs[0]] = tensor
            changed = True
    graph.nodes = kept
    return changed


def _tensor(node: Node) -> Tensor | None:
    """The numbers of a Constant; None where it holds text or is sparse."""
    for name, dtype in (
        ("value_float", "float32"),
        ("value_floats", "float32"),
        ("value_int", "int64"),
        ("value_ints", "int64"),
    ):
        numbers = node.attributes.get(name)
        if numbers is not None:
            return Tensor(dtype, np.asarray(numbers, dtype))
    value = node.attributes.get("value")
    return value if isinstance(value, Tensor) else None
