"""A GraphDef and the MetaGraphDef around it, as freezing looks at them: nodes, what they need, and the ends that a model has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

INIT_SIGNATURE = "__saved_model_init_op"
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
"""Where a MetaGraphDef names the step that the loader runs first: TF2's way, and TF1's [tensorflow/cc/saved_model/constants.h]."""


class Nodes:
    """The nodes of a graph by name, and what they call."""

    def __init__(self, graph: Any) -> None:
        self.nodes = {node.name: node for node in graph.node}
        self._functions = {function.signature.name: function for function in graph.library.function}

    def behind(self, names: Iterable[str]) -> Iterator[Any]:
        """These nodes, all that they depend on, and what is in the functions that any of them call."""
        reached = list(self.reached(names))
        yield from reached
        for function in self.called_by(reached):
            yield from function.node_def

    def reached(self, names: Iterable[str]) -> Iterator[Any]:
        """These nodes and all that they depend on."""
        seen, pending = set(), list(names)
        while pending:
            name = pending.pop()
            if name not in seen and name in self.nodes:
                seen.add(name)
                yield self.nodes[name]
                pending += map(node_name, self.nodes[name].input)

    def called_by(self, nodes: Iterable[Any]) -> Iterator[Any]:
        """The functions that these nodes call, and those that these call."""
        seen, pending = set(), [name for node in nodes for name in calls(node)]
        while pending:
            name = pending.pop()
            if name not in seen and name in self._functions:
                seen.add(name)
                yield self._functions[name]
                pending += [inner for node in self._functions[name].node_def for inner in calls(node)]


def calls(node: Any) -> Iterator[str]:
    """The functions that a node calls."""
    for value in node.attr.values():
        yield from [value.func.name] if value.HasField("func") else [one.name for one in value.list.func]


def ends(described: Any) -> set[str]:
    """The nodes that the signatures name."""
    found = set()
    for signature in described.signature_def.values():
        infos = (*signature.inputs.values(), *signature.outputs.values())
        found |= {node_name(tensor) for info in infos for tensor in tensors(info)}
    return found


def tensors(info: Any) -> list[str]:
    """The graph's tensors that a TensorInfo stands for: three where it is sparse."""
    kind = info.WhichOneof("encoding")
    if kind == "coo_sparse":
        sparse = info.coo_sparse
        return [sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name]
    if kind == "composite_tensor":
        return [tensor for component in info.composite_tensor.components for tensor in tensors(component)]
    return [info.name]


def node_name(reference: str) -> str:
    """The node of an input or a tensor: `^name`, `name` or `name:1`."""
    return reference.lstrip("^").partition(":")[0]


def initial(described: Any) -> str:
    """The node that the loader runs after it has restored the variables; empty where there is none."""
    if INIT_SIGNATURE in described.signature_def:
        return node_name(described.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE].name)
    for name in INIT_COLLECTIONS:
        if name in described.collection_def and described.collection_def[name].node_list.value:
            return node_name(described.collection_def[name].node_list.value[0])
    return ""


def every_node(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def named(operations: Iterable[str]) -> str:
    """Operations for a message, each once."""
    return ", ".join(sorted(set(operations)))
