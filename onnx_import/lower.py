"""The walk over a graph: each node's converter is called with the values of its inputs.

A name lives in its scope until its last reader has run, so that the values still held are those that are still needed.
Every node that cannot be lowered is reported in one error: what depends on it is passed over.
"""

from __future__ import annotations

from typing import Any

from onnx_import import registry
from onnx_import.errors import InvalidInput, InvalidModel, Problem, Unsupported, UnsupportedModel, place
from onnx_import.graph import Graph, Node
from onnx_import.nd import tape
from onnx_import.nd.value import constant


class Scope:
    """Names of one graph, in front of those of the graph around it."""

    def __init__(self, outer: Scope | None = None) -> None:
        self.outer = outer
        self.values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """The value of a name here or further out."""
        if name in self.values or self.outer is None:
            return self.values[name]
        return self.outer[name]


class _Missing:
    """Stands for what a node that cannot be lowered would have given."""


MISSING = _Missing()


def missing(graph: Graph) -> list[Problem]:
    """Every node, in subgraphs too, whose operator has no converter."""
    return [
        Problem(node.label, _operator(node), "no converter for this operator", registry.hint(node.op, node.domain, node.since))
        for node in graph.walk()
        if registry.find(node.op, node.domain, node.since) is None
    ]


def lower(graph: Graph, feeds: dict[str, Any], outer: Scope | None = None) -> list[Any]:
    """The values of a graph's outputs, of fed values by input name; UnsupportedModel lists all that cannot be lowered."""
    scope, problems = Scope(outer), []
    for name, tensor in graph.initializers.items():
        scope.values[name] = constant(tensor.data, tensor.dtype, name)
    scope.values.update(feeds)
    ends = _last_readers(graph)
    recording = tape.current()
    before, recording.scope = recording.scope, scope
    try:
        for index, node in enumerate(graph.nodes):
            problems += _lower_node(node, scope)
            for name in ends.get(index, ()):
                scope.values.pop(name, None)
    finally:
        recording.scope = before
    if problems:
        raise UnsupportedModel(problems)
    return [scope[info.name] for info in graph.outputs]


def subgraph(graph: Graph, inputs: list[Any]) -> list[Any]:
    """The outputs of a graph attribute in the scope of the node being lowered, of its inputs in order."""
    names = [info.name for info in graph.inputs]
    return lower(graph, dict(zip(names, inputs, strict=True)), tape.current().scope)


def _lower_node(node: Node, scope: Scope) -> list[Problem]:
    """Bind the outputs of one node; the problems that kept it from that."""
    inputs = [scope[name] if name else None for name in node.inputs]
    outputs: Any = MISSING
    problems: list[Problem] = []
    captured = (scope[name] for graph in node.graphs() for name in graph.captures())
    if not any(value is MISSING for value in (*inputs, *captured)):
        while inputs and inputs[-1] is None:
            inputs.pop()
        try:
            outputs = _convert(node, inputs)
        except Unsupported as error:
            problems = [Problem(node.label, _operator(node), error.reason, error.hint)]
        except UnsupportedModel as error:  # of a graph inside the node
            problems = list(error.problems)
    if outputs is MISSING:
        outputs = [MISSING] * len(node.outputs)
    elif not isinstance(outputs, tuple):
        outputs = (outputs,)
    for name, value in zip(node.outputs, outputs, strict=False):
        if name:
            scope.values[name] = value
    return problems


def _convert(node: Node, inputs: list[Any]) -> Any:
    converter = registry.find(node.op, node.domain, node.since)
    if converter is None:
        raise Unsupported("no converter for this operator", registry.hint(node.op, node.domain, node.since))
    recording = tape.current()
    before = recording.label, recording.operator
    recording.label, recording.operator = node.label, _operator(node)
    try:
        return converter(node, inputs)
    except MemoryError:
        raise InvalidInput(f"{_operator(node)} ({node.label}): what it asks for does not fit into memory") from None
    except (InvalidInput, InvalidModel) as error:
        place(error, _operator(node), node.label)
        raise
    finally:  # of a node inside of another's graph
        recording.label, recording.operator = before


def _operator(node: Node) -> str:
    return f"{node.domain}.{node.op}" if node.domain else node.op


def _last_readers(graph: Graph) -> dict[int, list[str]]:
    """For each node, the names that nobody reads after it."""
    kept = {info.name for info in graph.outputs}
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        for name in (*node.reads(), *node.outputs):
            last[name] = index
    ends: dict[int, list[str]] = {}
    for name, index in last.items():
        if name not in kept:
            ends.setdefault(index, []).append(name)
    return ends
