"""ModelProto -> Graph: attributes as Python values with ONNX's defaults, local functions inlined.

Operators that have no converter are replaced by the function bodies that ONNX defines for them (`expand`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from onnx import AttributeProto

from onnx_import import expand, weights
from onnx_import.dtypes import ONNX_NAMES, carry, name_of
from onnx_import.errors import InvalidModel
from onnx_import.graph import Attribute, Dim, Graph, Node, Tensor, Type, ValueInfo

DOMAINS = {"ai.onnx": ""}


def read(model: onnx.ModelProto) -> Graph:
    """The graph of a checked model; InvalidModel names what breaks ONNX's rules."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    model = expand.expand(model)
    opsets = {DOMAINS.get(entry.domain, entry.domain): entry.version for entry in model.opset_import} or {"": 1}
    return _graph(model.graph, opsets)


def tensor(proto: onnx.TensorProto) -> Tensor:
    """A TensorProto in its carrier dtype, a view of its bytes where it can be."""
    array = weights.array(proto)
    if proto.data_type == onnx.TensorProto.STRING:
        texts = [item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel()]
        return Tensor("string", np.array(texts, object).reshape(array.shape))
    return Tensor(name_of(array), carry(array))


def type_of(proto: onnx.TypeProto) -> Type:
    """The type that a TypeProto describes."""
    kind = proto.WhichOneof("value")
    if kind in ("sequence_type", "optional_type"):
        return Type(kind.removesuffix("_type"), element=type_of(getattr(proto, kind).elem_type))
    if kind == "map_type":
        return Type("map", ONNX_NAMES[proto.map_type.key_type], element=type_of(proto.map_type.value_type))
    if kind is None:
        return Type()
    content = getattr(proto, kind)
    shape = tuple(_dim(dim) for dim in content.shape.dim) if content.HasField("shape") else None
    return Type("tensor", ONNX_NAMES.get(content.elem_type, "float32"), shape)


def _dim(dim: Any) -> Dim:
    return int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or None


def _graph(proto: onnx.GraphProto, opsets: dict[str, int]) -> Graph:
    initializers = {item.name: tensor(item) for item in proto.initializer}
    for sparse in proto.sparse_initializer:
        initializers[sparse.values.name] = _dense(sparse)
    nodes = _sorted([_node(node, opsets) for node in proto.node], proto.name)
    return Graph(nodes, [_info(i) for i in proto.input], [_info(o) for o in proto.output], initializers, proto.name)


def _info(proto: onnx.ValueInfoProto) -> ValueInfo:
    return ValueInfo(proto.name, type_of(proto.type))


def _dense(sparse: onnx.SparseTensorProto) -> Tensor:
    values, indices = tensor(sparse.values), weights.array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.data.dtype)
    if indices.ndim == 2:
        dense[tuple(indices.T)] = values.data
    else:
        dense.reshape(-1)[indices] = values.data
    return Tensor(values.dtype, dense)


def _node(proto: onnx.NodeProto, opsets: dict[str, int]) -> Node:
    domain = DOMAINS.get(proto.domain, proto.domain)
    attributes: dict[str, Attribute] = {}
    since = opsets.get(domain, 1)
    try:
        schema = onnx.defs.get_schema(proto.op_type, since, domain)
    except onnx.defs.SchemaError:
        schema = None
    if schema is not None:
        since = schema.since_version
        for name, declared in schema.attributes.items():
            if declared.default_value.type != AttributeProto.UNDEFINED:
                attributes[name] = _attribute(declared.default_value, opsets)
    for attribute in proto.attribute:
        attributes[attribute.name] = _attribute(attribute, opsets)
    return Node(proto.op_type, list(proto.input), list(proto.output), attributes, domain, since, proto.name)


def _attribute(proto: onnx.AttributeProto, opsets: dict[str, int]) -> Attribute:
    kind = proto.type
    if kind == AttributeProto.GRAPH:
        return _graph(proto.g, opsets)
    if kind == AttributeProto.GRAPHS:
        return [_graph(graph, opsets) for graph in proto.graphs]
    if kind == AttributeProto.TENSOR:
        return tensor(proto.t)
    if kind == AttributeProto.SPARSE_TENSOR:
        return _dense(proto.sparse_tensor)
    if kind == AttributeProto.TYPE_PROTO:
        return type_of(proto.tp)
    value = onnx.helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return _text(value)
    if kind == AttributeProto.STRINGS:
        return [_text(item) for item in value]  # type: ignore[return-value]
    if kind in (AttributeProto.INTS, AttributeProto.FLOATS):
        return list(value)
    if kind in (AttributeProto.INT, AttributeProto.FLOAT):
        return value  # type: ignore[no-any-return]
    raise InvalidModel(f"attribute {proto.name} is of a type that is not supported: {AttributeProto.AttributeType.Name(kind)}")


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _sorted(nodes: list[Node], name: str) -> list[Node]:
    """The nodes in topological order, their own where it is one; InvalidModel names the nodes of a cycle."""
    makers = {output: index for index, node in enumerate(nodes) for output in node.outputs if output}
    waits = [{makers[name] for name in node.reads() if name in makers} for node in nodes]
    if all(all(source < index for source in sources) for index, sources in enumerate(waits)):
        return nodes
    done: set[int] = set()
    order: list[int] = []
    while len(order) < len(nodes):
        ready = [index for index, sources in enumerate(waits) if index not in done and sources <= done]
        if not ready:
            stuck = ", ".join(_labels(nodes, set(range(len(nodes))) - done))
            raise InvalidModel(f"the graph {name!r} is cyclic: {stuck}")
        order += ready
        done.update(ready)
    return [nodes[index] for index in order]


def _labels(nodes: list[Node], indices: Iterable[int]) -> list[str]:
    return [nodes[index].label for index in sorted(indices)][:8]
