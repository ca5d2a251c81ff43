"""Layer normalization spelt as a chain, as exporters before opset 17 had to.

centre = x - mean(x)      centre / sqrt(mean(centre ** 2) + epsilon) * scale + bias, over the last axis
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.graph import Graph, Node

SINCE = 17
"""The opset that LayerNormalization dates from."""


class Chains:
    """Who makes and who reads each name of a graph, and its constants that nobody can feed."""

    def __init__(self, graph: Graph) -> None:
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self.readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.reads():
                self.readers.setdefault(name, []).append(node)
        self._wanted = {info.name for info in graph.outputs}
        self._fed = {info.name for info in graph.inputs}
        self._graph = graph

    def maker(self, name: str, op: str) -> Node | None:
        """The node that makes a name, if it is of this operator."""
        node = self.makers.get(name)
        return node if node is not None and node.op == op and not node.domain else None

    def reader(self, name: str, op: str) -> Node | None:
        """The only node that reads a name, if it is of this operator and the name is no output."""
        found = self.readers.get(name, [])
        fits = len(found) == 1 and name not in self._wanted and found[0].op == op and not found[0].domain
        return found[0] if fits else None

    def constant(self, name: str) -> Array | None:
        """The numbers of a constant."""
        tensor = self._graph.initializers.get(name)
        return (
            tensor.data
            if tensor is not None and name not in self._fed and tensor.dtype in ("float32", "float64", "int64")
            else None
        )


@dataclass(frozen=True)
class Chain:
    """What a chain normalizes, with what, and the node that ends it."""

    x: str
    scale: str
    bias: str
    epsilon: float
    last: Node


def run(graph: Graph) -> bool:
    """Whether there were any."""
    chains = Chains(graph)
    changed = False
    for node in list(graph.nodes):
        found = _chain(chains, node) if node.op == "Div" and not node.domain else None
        if found is not None:
            attributes = {"axis": -1, "epsilon": found.epsilon, "stash_type": 1}
            at = next(place for place, each in enumerate(graph.nodes) if each is found.last)
            new = Node(
                "LayerNormalization",
                [found.x, found.scale, found.bias],
                list(found.last.outputs),
                dict(attributes),
                since=SINCE,
            )
            graph.nodes[at] = new
            changed = True
    return changed


def _chain(chains: Chains, divided: Node) -> Chain | None:
    """The chain whose division this is."""
    centre = chains.maker(divided.inputs[0], "Sub")
    root = chains.maker(divided.inputs[1], "Sqrt")
    if centre is None or root is None:
        return None
    x = centre.inputs[0]
    mean, total = chains.maker(centre.inputs[1], "ReduceMean"), chains.maker(root.inputs[0], "Add")
    if mean is None or total is None or mean.inputs[0] != x or not _is_last_axis(chains, mean):
        return None
    for variance, number in (total.inputs, total.inputs[::-1]):
        epsilon, power = chains.constant(number), chains.maker(variance, "ReduceMean")
        if epsilon is None or epsilon.size != 1 or power is None or not _is_last_axis(chains, power):
            continue
        if _is_square(chains, power.inputs[0], x, mean.outputs[0]):
            return _scaled(chains, divided, x, float(epsilon.reshape(-1)[0]))
    return None


def _is_last_axis(chains: Chains, node: Node) -> bool:
    """Whether a mean is over the last axis, which stays."""
    axes = node.attributes.get("axes")
    if axes is None and len(node.inputs) > 1:
        given = chains.constant(node.inputs[1])
        axes = None if given is None else [int(axis) for axis in given.reshape(-1)]
    return axes == [-1] and node.attributes.get("keepdims") == 1


def _is_square(chains: Chains, name: str, x: str, mean: str) -> bool:
    """Whether a name is the square of x less its mean."""
    power, product = chains.maker(name, "Pow"), chains.maker(name, "Mul")
    if power is not None:
        exponent = chains.constant(power.inputs[1])
        base = power.inputs[0] if exponent is not None and np.all(exponent == 2) and exponent.size == 1 else ""
    else:
        base = product.inputs[0] if product is not None and product.inputs[0] == product.inputs[1] else ""
    centre = chains.maker(base, "Sub")
    return centre is not None and centre.inputs == [x, mean]


def _scaled(chains: Chains, divided: Node, x: str, epsilon: float) -> Chain | None:
    """The chain with the scale and the bias behind it, each of one axis."""
    product = chains.reader(divided.outputs[0], "Mul")
    total = chains.reader(product.outputs[0], "Add") if product is not None else None
    if product is None or total is None:
        return None
    names = [next((name for name in node.inputs if chains.constant(name) is not None), "") for node in (product, total)]
    scale, bias = (chains.constant(name) for name in names)
    if scale is None or bias is None or scale.ndim != 1 or scale.shape != bias.shape or scale.dtype != np.float32:
        return None
    return Chain(x, names[0], names[1], epsilon, total)
