"""Calls of functions, replaced by the functions' nodes: a model's own functions, and ONNX's bodies for operators without a converter.

    ModelProto -> own functions inlined -> (element types inferred -> bodies put in) until nothing changes -> ModelProto

A body may be written for another opset than the model's: its nodes then carry their opsets in `metadata_props`, for `opsets_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TypeProto

from onnx_import import registry, weights

Opsets = Mapping[str, int]
Key = tuple[str, str, str]

OPSETS = "onnx_import.opsets"

ROUNDS = 16
"""Bodies inside bodies: the types of what a body computes are inferred before the bodies in it are put in."""


def expand(model: ModelProto) -> ModelProto:
    """The model itself, its nodes replaced where they call functions or need the bodies of ONNX's schemas."""
    expansion = _Expansion(model)
    if model.functions:
        expansion.inline(model.graph)
        del model.functions[:]
    for _ in range(ROUNDS):
        if not any(expansion.needs_body(node) for node in (*model.graph.node, *weights.inner_nodes(model))):
            break
        if not expansion.put_bodies(model.graph, _types(model)):
            break
    return model


def opsets_of(node: NodeProto, opsets: Opsets) -> Opsets:
    """The opset of each domain by which a node is meant; `opsets` are the model's."""
    said = next((entry.value for entry in node.metadata_props if entry.key == OPSETS), None)
    return opsets if said is None else {**opsets, **_parsed(said)}


def opsets_of_model(model: ModelProto) -> dict[str, int]:
    """The opset of each domain that a model imports."""
    return {entry.domain: entry.version for entry in model.opset_import} or {"": 1}


def schema_of(node: NodeProto, opsets: Opsets) -> Any:
    """ONNX's OpSchema of a node's operator (its type stub lacks the functions); None where it has none."""
    try:
        return onnx.defs.get_schema(node.op_type, opsets.get(node.domain, 1), node.domain)
    except onnx.defs.SchemaError:
        return None


@lru_cache(maxsize=256)
def _parsed(said: str) -> dict[str, int]:
    pairs = (entry.partition("=") for entry in said.split(";"))
    return {place: int(version) for place, _, version in pairs if version.isdecimal()}


def _types(model: ModelProto) -> dict[str, TypeProto]:
    """The type of every value that ONNX can infer, those of graphs inside nodes too."""
    with suppress(RuntimeError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)  # without it, bodies that need no types can be put in
    found: dict[str, TypeProto] = {}
    for graph in (*weights.inner_graphs(model), model.graph):
        found.update((info.name, info.type) for info in (*graph.value_info, *graph.output, *graph.input))
        for tensor in graph.initializer:
            found[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
    return found


class _Expansion:
    """One model's expansion: its functions, and what makes names new."""

    def __init__(self, model: ModelProto) -> None:
        self._opsets = opsets_of_model(model)
        self._imports = model.opset_import
        self._functions: dict[Key, FunctionProto] = {(f.domain, f.name, f.overload): f for f in model.functions}
        self._calls = 0
        self._mark = "~"
        given = {name for node in (*model.graph.node, *weights.inner_nodes(model)) for name in (*node.input, *node.output)}
        given |= {info.name for graph in (model.graph, *weights.inner_graphs(model)) for info in graph.input}
        while any(self._mark in name for name in given):  # what stands in no name makes new names unique
            self._mark += "~"

    def needs_body(self, node: NodeProto) -> bool:
        """Whether a node's operator has no converter, but a body in ONNX's schemas."""
        schema = schema_of(node, opsets_of(node, self._opsets))
        if schema is None or not (schema.has_function or schema.has_context_dependent_function):
            return False
        return registry.find(node.op_type, schema.domain, schema.since_version) is None

    def inline(self, graph: GraphProto) -> None:
        """Replace every call of a function of the model, inside nodes and functions too; `checks.functions` bounds it."""
        made: list[NodeProto] = []
        for node in graph.node:
            for inner in weights.graphs(node):
                self.inline(inner)
            function = self._functions.get((node.domain, node.op_type, node.overload))
            if function is None:
                made.append(node)
                continue
            body = GraphProto(node=self._called(node, function, {d.name: d for d in function.attribute_proto}))
            self.inline(body)
            made.extend(body.node)
        _replace(graph, made)

    def put_bodies(self, graph: GraphProto, types: Mapping[str, TypeProto]) -> bool:
        """Replace nodes by bodies of schemas, once; whether there was one."""
        made: list[NodeProto] = []
        changed = False
        for node in graph.node:
            # Before the graphs inside it: a body that takes one of them in renames only what it reads by itself.
            body = self._body(node, types) if self.needs_body(node) else None
            if body is None:
                for inner in weights.graphs(node):
                    changed |= self.put_bodies(inner, types)
                made.append(node)
                continue
            schema = schema_of(node, opsets_of(node, self._opsets))
            assert schema is not None
            defaults = {name: a.default_value for name, a in schema.attributes.items() if a.default_value.type}
            made.extend(self._called(node, body, defaults))
            changed = True
        _replace(graph, made)
        return changed

    def _body(self, node: NodeProto, types: Mapping[str, TypeProto]) -> FunctionProto | None:
        """The body of ONNX's schema: the newest that is not above the node's opset."""
        opsets = opsets_of(node, self._opsets)
        schema = schema_of(node, opsets)
        assert schema is not None
        version = opsets.get(schema.domain, 1)
        if schema.has_function:
            fitting = [v for v in schema.function_opset_versions if v <= version] or schema.function_opset_versions[:1]
            text = schema.get_function_with_opset_version(max(fitting))
        else:
            versions = schema.context_dependent_function_opset_versions
            fitting = [v for v in versions if v <= version] or versions[:1]
            given = [types.get(name, TypeProto()).SerializeToString() for name in node.input]
            text = schema.get_context_dependent_function_with_opset_version(max(fitting), node.SerializeToString(), given)
        return FunctionProto.FromString(text) if isinstance(text, bytes) and text else text or None

    def _called(self, node: NodeProto, function: FunctionProto, defaults: Mapping[str, AttributeProto]) -> list[NodeProto]:
        """The nodes of a function in place of one call of it."""
        self._calls += 1
        label = node.name or next(filter(None, node.output), node.op_type)
        naming = _Naming(
            f"{label[:200]}{self._mark}{self._calls}{self._mark}", {**defaults, **{a.name: a for a in node.attribute}}
        )
        naming.names.update(dict.fromkeys(function.input, ""))
        naming.names.update(zip(function.input, node.input, strict=False))
        passed = [name for name in function.output if name in naming.names]
        naming.names.update(
            (formal, actual)
            for formal, actual in zip(function.output, node.output, strict=False)
            if actual and formal not in passed
        )
        opsets = {entry.domain: entry.version for entry in function.opset_import}
        self._import(opsets)
        made = [naming.node(inner) for inner in function.node]
        for formal, actual in zip(function.output, node.output, strict=False):
            if actual and formal in passed:  # a function that gives what it got
                made.append(NodeProto(op_type="Identity", name=actual, input=[naming.names[formal]], output=[actual]))
        if any(self._opsets.get(place) != version for place, version in opsets.items()):
            said = ";".join(f"{place}={version}" for place, version in sorted(opsets.items()))
            for inner in made:
                _state(inner, said)
        return made

    def _import(self, opsets: Opsets) -> None:
        for place, version in opsets.items():
            if place not in self._opsets:
                self._opsets[place] = version
                self._imports.add(domain=place, version=version)


class _Naming:
    """What the names and the attributes of one function are for one call of it."""

    def __init__(self, prefix: str, attributes: Mapping[str, AttributeProto]) -> None:
        self._prefix, self._attributes = prefix, attributes
        self.names: dict[str, str] = {"": ""}

    def node(self, node: NodeProto) -> NodeProto:
        """A copy of a node of the function."""
        made = NodeProto()
        made.CopyFrom(node)
        made.name = self._prefix + (node.name or node.op_type)
        del made.input[:], made.output[:], made.attribute[:]
        made.input.extend(self._name(name) for name in node.input)
        made.output.extend(self._name(name) for name in node.output)
        made.attribute.extend(self._given(node.attribute))
        return made

    def _given(self, attributes: Iterable[AttributeProto]) -> Iterator[AttributeProto]:
        """Attributes, those of the call in place of references; a reference to one that the call lacks is left out."""
        for attribute in attributes:
            made = AttributeProto()
            if not attribute.ref_attr_name:
                made.CopyFrom(attribute)
                if attribute.HasField("g"):
                    made.g.CopyFrom(self._graph(attribute.g))
                del made.graphs[:]
                made.graphs.extend(self._graph(graph) for graph in attribute.graphs)
            elif attribute.ref_attr_name in self._attributes:
                made.CopyFrom(self._attributes[attribute.ref_attr_name])
                made.name = attribute.name
            else:
                continue
            yield made

    def _graph(self, graph: GraphProto) -> GraphProto:
        made = GraphProto()
        made.CopyFrom(graph)
        del made.node[:], made.value_info[:]
        for info in (*made.input, *made.output):
            info.name = self._name(info.name)
        for tensor in made.initializer:
            tensor.name = self._name(tensor.name)
        for sparse in made.sparse_initializer:
            sparse.values.name = self._name(sparse.values.name)
        made.node.extend(self.node(node) for node in graph.node)
        return made

    def _name(self, name: str) -> str:
        return self.names.setdefault(name, self._prefix + name)


def _state(node: NodeProto, said: str) -> None:
    """Write a node's opsets into it and into the nodes of its graphs; those of a function inside come before."""
    if not any(entry.key == OPSETS for entry in node.metadata_props):
        node.metadata_props.add(key=OPSETS, value=said)
    for graph in weights.graphs(node):
        for inner in graph.node:
            _state(inner, said)


def _replace(graph: GraphProto, nodes: list[NodeProto]) -> None:
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
