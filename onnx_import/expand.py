"""Operators that have no converter, replaced by the function bodies that ONNX defines for them."""

from __future__ import annotations

from typing import Any

import onnx

from onnx_import import registry

DEPTH = 8
"""Bodies inside bodies."""


def expand(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with function bodies in place of operators without a converter; itself where there are none."""
    for _ in range(DEPTH):
        versions = {entry.domain: entry.version for entry in model.opset_import}
        if not any(_body_needed(node, versions) for node in _nodes(model.graph)):
            return model
        types = _types(model)
        made = onnx.ModelProto()
        made.CopyFrom(model)
        _Expander(made, versions, types).graph(made.graph)
        for entry in _missing_imports(made):
            made.opset_import.append(entry)
        model = made
    return model


def _missing_imports(model: onnx.ModelProto) -> list[Any]:
    have = {entry.domain for entry in model.opset_import}
    need = {node.domain for node in _nodes(model.graph)} - have
    return [onnx.helper.make_opsetid(d, max(s.since_version for s in onnx.defs.get_all_schemas() if s.domain == d)) for d in need]


def _nodes(graph: onnx.GraphProto) -> Any:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from _nodes(inner)


def _schema(node: onnx.NodeProto, versions: dict[str, int]) -> Any:
    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        return onnx.defs.get_schema(node.op_type, versions.get(domain, versions.get("ai.onnx", 1)), domain)
    except onnx.defs.SchemaError:
        return None


def _body_needed(node: onnx.NodeProto, versions: dict[str, int]) -> bool:
    schema = _schema(node, versions)
    if schema is None or not (schema.has_function or schema.has_context_dependent_function):
        return False
    return registry.find(node.op_type, schema.domain, schema.since_version) is None


def _types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:
        inferred = model
    graph = inferred.graph
    found = {info.name: info.type for info in [*graph.input, *graph.value_info, *graph.output]}
    for item in graph.initializer:
        found[item.name] = onnx.helper.make_tensor_type_proto(item.data_type, list(item.dims))
    return found


class _Expander:
    def __init__(self, model: onnx.ModelProto, versions: dict[str, int], types: dict[str, onnx.TypeProto]) -> None:
        self.versions, self.types, self.count = versions, types, 0
        self.imports = list(model.opset_import)

    def graph(self, graph: onnx.GraphProto) -> None:
        kept = []
        for node in graph.node:
            for attribute in node.attribute:
                for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                    self.graph(inner)
            kept += self.node(node) if _body_needed(node, self.versions) else [node]
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)

    def node(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        schema = _schema(node, self.versions)
        version = self.versions.get(schema.domain, 1)
        types = [self.types.get(name, onnx.TypeProto()) if name else onnx.TypeProto() for name in node.input]
        body = None
        if schema.has_function:
            fitting = [v for v in schema.function_opset_versions if v <= version] or schema.function_opset_versions[:1]
            body = schema.get_function_with_opset_version(max(fitting)) if fitting else None
        if body is None and schema.has_context_dependent_function:
            fitting = [v for v in schema.context_dependent_function_opset_versions if v <= version]
            fitting = fitting or schema.context_dependent_function_opset_versions[:1]
            text = schema.get_context_dependent_function_with_opset_version(
                max(fitting), node.SerializeToString(), [t.SerializeToString() for t in types]
            )
            body = onnx.FunctionProto.FromString(text) if text else None
        if body is None:
            return [node]
        if isinstance(body, bytes):
            body = onnx.FunctionProto.FromString(body)
        self.count += 1
        return self._inlined(node, body, schema)

    def _inlined(self, node: onnx.NodeProto, body: onnx.FunctionProto, schema: Any) -> list[onnx.NodeProto]:
        prefix = f"{node.name or node.output[0]}_{node.op_type}{self.count}_"
        names = {formal: "" for formal in body.input}
        names.update(dict(zip(body.input, node.input, strict=False)))
        names.update({formal: actual for formal, actual in zip(body.output, node.output, strict=False) if actual})
        given = {attribute.name: attribute for attribute in node.attribute}
        for name, declared in schema.attributes.items():
            if name not in given and declared.default_value.type:
                given[name] = declared.default_value
        return [self._copied(inner, names, given, prefix) for inner in body.node]

    def _copied(self, inner: Any, names: dict[str, str], given: dict[str, Any], prefix: str) -> onnx.NodeProto:
        made = onnx.NodeProto()
        made.CopyFrom(inner)
        made.name = prefix + (inner.name or inner.op_type)
        for field in (made.input, made.output):
            renamed = [names.setdefault(name, prefix + name) if name else "" for name in field]
            del field[:]
            field.extend(renamed)
        attributes = []
        for attribute in made.attribute:
            copy = onnx.AttributeProto()
            if attribute.ref_attr_name:
                if attribute.ref_attr_name not in given:
                    continue
                copy.CopyFrom(given[attribute.ref_attr_name])
                copy.name = attribute.name
            else:
                copy.CopyFrom(attribute)
                if copy.HasField("g"):
                    for node in copy.g.node:
                        node.CopyFrom(self._copied(node, names, given, prefix))
                    for info in [*copy.g.output, *copy.g.input]:
                        info.name = names.setdefault(info.name, prefix + info.name)
            attributes.append(copy)
        del made.attribute[:]
        made.attribute.extend(attributes)
        return made
