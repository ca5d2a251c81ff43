"""Graph -> graph, in the order in which they run. Each keeps what the graph answers, within rounding."""

from __future__ import annotations

from collections.abc import Callable

from onnx_import.graph import Graph
from onnx_import.passes import batch_norms, constants, layer_norms, unused

PASSES: list[tuple[str, Callable[[Graph], bool]]] = [
    ("constants", constants.run),
    ("batch norms", batch_norms.run),
    ("layer norms", layer_norms.run),
    ("unused", unused.run),
]
"""Names and functions; a function changes the graph in place and says whether it did."""


def run(graph: Graph) -> tuple[Graph, list[str]]:
    """The graph after all passes, and the names of those that changed something."""
    return graph, [name for name, change in PASSES if change(graph)]
