"""Nodes and initializers that nothing needs are left out."""

from __future__ import annotations

from onnx_import.graph import Graph


def run(graph: Graph) -> bool:
    """Whether there were any."""
    needed = {info.name for info in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        if any(name in needed for name in node.outputs if name):
            kept.append(node)
            needed.update(node.reads())
    declared = {info.name for info in graph.inputs}
    unused = [name for name in graph.initializers if name not in needed and name not in declared]
    changed = len(kept) < len(graph.nodes) or bool(unused)
    graph.nodes = kept[::-1]
    for name in unused:
        del graph.initializers[name]
    return changed
