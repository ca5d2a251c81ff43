"""ModelProto -> Graph: attributes as Python values with ONNX's defaults, local functions inlined.

Operators that have no converter are replaced by the function bodies that ONNX defines for them (`expand`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto

from onnx_import import expand, weights
from onnx_import.dtypes import ONNX_NAMES, carry, name_of
from onnx_import.errors import InvalidModel
from onnx_import.graph import Attribute, Dim, Graph, Node, Tensor, Type, ValueInfo


def read(model: onnx.ModelProto) -> Graph:
    """The graph of a checked model (`loader.load`); large weights are views of the model's file where they are mapped."""
    bare, large = weights.detach(model)
    opsets = expand.opsets_of_model(expand.expand(bare))
    graph = _graph(bare.graph, opsets)
    graph.inputs = [_info(info) for info in model.graph.input]
    graph.initializers.update((name, tensor(weight)) for name, weight in large.items())
    return graph


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
        return Type("map", ONNX_NAMES.get(proto.map_type.key_type, "int64"), element=type_of(proto.map_type.value_type))
    if kind is None:
        return Type(dtype="")
    content = getattr(proto, kind)
    shape = tuple(_dim(dim) for dim in content.shape.dim) if content.HasField("shape") else None
    return Type("tensor", ONNX_NAMES.get(content.elem_type, "float32"), shape)


def _dim(dim: Any) -> Dim:
    return int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or None


def _graph(proto: onnx.GraphProto, opsets: expand.Opsets) -> Graph:
    initializers = {item.name: tensor(item) for item in proto.initializer}
    for sparse in proto.sparse_initializer:
        initializers[sparse.values.name] = _dense(sparse)
    nodes = [_node(node, opsets) for node in proto.node]
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


def _node(proto: onnx.NodeProto, opsets: expand.Opsets) -> Node:
    attributes: dict[str, Attribute] = {}
    own = expand.opsets_of(proto, opsets)
    schema = expand.schema_of(proto, own)
    since = own.get(proto.domain, 1)
    if schema is not None:
        since = schema.since_version
        for name, declared in schema.attributes.items():
            if declared.default_value.type != AttributeProto.UNDEFINED:
                attributes[name] = _attribute(declared.default_value, opsets)
    for attribute in proto.attribute:
        attributes[attribute.name] = _attribute(attribute, opsets)
    return Node(proto.op_type, list(proto.input), list(proto.output), attributes, proto.domain, since, proto.name)


def _attribute(proto: onnx.AttributeProto, opsets: expand.Opsets) -> Attribute:
    kind = proto.type or _kind(proto)
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
    if kind == AttributeProto.STRING:
        return _text(proto.s)
    if kind == AttributeProto.STRINGS:
        return [_text(item) for item in proto.strings]  # type: ignore[return-value]
    if kind == AttributeProto.INT:
        return proto.i
    if kind == AttributeProto.FLOAT:
        return proto.f
    if kind in (AttributeProto.INTS, AttributeProto.FLOATS):
        return list(proto.ints if kind == AttributeProto.INTS else proto.floats)
    raise InvalidModel(f"attribute {proto.name!r} is of a type that no operator has: {kind}")


def _kind(proto: onnx.AttributeProto) -> int:
    """The type of an attribute that does not say it, as files before IR 2 do not: that of the field which it fills."""
    kinds = {"f": 1, "i": 2, "s": 3, "t": 4, "g": 5, "floats": 6, "ints": 7, "strings": 8, "tensors": 9, "graphs": 10}
    return next((kinds[field.name] for field, _ in proto.ListFields() if field.name in kinds), AttributeProto.INTS)


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
