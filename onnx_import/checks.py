"""What onnx's own checker leaves open, or is not safe from: each a function that raises InvalidModel naming node or tensor.

Every walk here is bounded by the size of the file, and no shape or length is believed before it has been compared with it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from onnx_import import weights
from onnx_import.dtypes import ONNX_NAMES, Array
from onnx_import.errors import InvalidModel

MAX_DEPTH = 30
"""Graphs inside graphs: what protobuf's own limit of a hundred messages inside each other leaves."""

MAX_NODES = 200_000
"""Nodes of a model with its functions written out: a few functions that call each other twice would fill any memory."""

MAX_DENSE = 1 << 28
"""Values of a sparse tensor written out."""

CHUNK = 1 << 20


def depth(model: onnx.ModelProto) -> None:
    """No graphs inside graphs beyond what can be written to a file and read again."""
    stack = [(model.graph, 1)]
    stack += [(graph, 2) for function in model.functions for node in function.node for graph in weights.graphs(node)]
    while stack:
        graph, level = stack.pop()
        if level > MAX_DEPTH:
            raise too_deep(level)
        stack.extend((inner, level + 1) for node in graph.node for inner in weights.graphs(node))


def too_deep(level: int) -> InvalidModel:
    """The error for graphs that lie too deep inside each other."""
    return InvalidModel(
        f"subgraphs or calls of functions lie {level} deep or more inside each other; at most {MAX_DEPTH} can be read"
    )


def texts(model: onnx.ModelProto) -> None:
    """Every name is UTF-8. Protobuf does not look, and hands out bytes for one that is not, or raises UnicodeDecodeError."""
    stack: list[Any] = [model]
    while stack:
        message = stack.pop()
        if isinstance(message, TensorProto):
            _text(message.name)  # its values are no names, and many
            continue
        for field, value in message.ListFields():
            if field.type == field.TYPE_MESSAGE:
                stack.extend(value if field.is_repeated else [value])
            elif field.type == field.TYPE_STRING:
                for text in value if field.is_repeated else [value]:
                    _text(text)


def _text(text: str | bytes) -> None:
    if not isinstance(text, str):
        raise InvalidModel(f"the name {text[:80]!r} is not UTF-8")


def functions(model: onnx.ModelProto) -> None:
    """The model's functions do not call themselves, and their calls written out are not too many nodes."""
    bodies = {(f.domain, f.name, f.overload): f.node for f in model.functions}
    sizes: dict[tuple[str, str, str], int] = {}

    def size_of(nodes: Iterable[onnx.NodeProto], path: tuple[tuple[str, str, str], ...], level: int) -> int:
        if level > MAX_DEPTH:
            raise too_deep(level)
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type, node.overload)
            if key in path:
                raise InvalidModel(f"the function {node.domain}.{node.op_type} calls itself, by way of {label(node)}")
            if key in bodies and key not in sizes:
                sizes[key] = size_of(bodies[key], (*path, key), level + 1)
            total += 1 + sizes.get(key, 0) + sum(size_of(graph.node, path, level + 1) for graph in weights.graphs(node))
        if total > MAX_NODES:
            raise InvalidModel(f"the model has more than {MAX_NODES} nodes with the calls of its functions written out")
        return total

    size_of(model.graph.node, (), 1)


def names(graph: onnx.GraphProto, outer: tuple[frozenset[str], ...] = ()) -> None:
    """Every name is given once and every name that is read is given; nodes are put in topological order where they are not."""
    where = f"graph {graph.name[:80]!r}"
    initializers = [t.name for t in graph.initializer] + [s.values.name for s in graph.sparse_initializer]
    _once((info.name for info in graph.input), f"an input of {where}")
    _once((info.name for info in graph.output), f"an output of {where}")
    if not outer and not graph.output:
        raise InvalidModel(f"{where} has no output: there is nothing that it could answer")
    _once(initializers, f"an initializer of {where}")
    given = {info.name for info in graph.input} | set(initializers)
    makers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in makers:
                raise InvalidModel(f"{name!r} is given twice: by {label(graph.node[makers[name]])} and by {label(node)}")
            if name in given:
                raise InvalidModel(f"{name!r} is given twice: by {label(node)}, and as an input or initializer")
            makers[name] = index
    scopes = (*outer, frozenset(given | set(makers)))
    for node in graph.node:
        for name in filter(None, node.input):
            if not any(name in scope for scope in scopes):
                raise InvalidModel(f"{label(node)} reads {name!r}, which nothing gives")
        for inner in weights.graphs(node):
            names(inner, scopes)
    for info in graph.output:
        if not any(info.name in scope for scope in scopes):
            raise InvalidModel(f"the output {info.name!r} of {where} is given by no node")
    _sort(graph, makers)


def _once(given: Iterable[str], what: str) -> None:
    for name, count in Counter(given).items():
        if count > 1 or not name:
            raise InvalidModel(f"{name!r} is {what} {count} times" if name else f"{what} has no name")


def label(node: onnx.NodeProto) -> str:
    """What to call a node in a message."""
    name = node.name or next(iter(node.output), "")
    return f"node {name[:200]!r} ({node.op_type[:80]})"


def _sort(graph: onnx.GraphProto, makers: dict[str, int]) -> None:
    """Topological order; the nodes' own where it is one. A cycle is an error that names its nodes."""
    waits = [{makers[name] for name in _reads(node) if name in makers} for node in graph.node]
    if all(max(sources, default=-1) < index for index, sources in enumerate(waits)):
        return
    readers: dict[int, list[int]] = {}
    for index, sources in enumerate(waits):
        for source in sources:
            readers.setdefault(source, []).append(index)
    missing = [len(sources) for sources in waits]
    order = [index for index, count in enumerate(missing) if not count]
    for index in order:  # grows while it is walked
        for reader in readers.get(index, ()):
            missing[reader] -= 1
            if not missing[reader]:
                order.append(reader)
    if len(order) < len(waits):
        cycle = _cycle(waits, set(range(len(waits))) - set(order))
        raise InvalidModel(f"graph {graph.name!r} is cyclic: " + " <- ".join(label(graph.node[i]) for i in cycle[:8]))
    nodes = [graph.node[index] for index in order]
    copies = [onnx.NodeProto() for _ in nodes]
    for copy, node in zip(copies, nodes, strict=True):
        copy.CopyFrom(node)
    del graph.node[:]
    graph.node.extend(copies)


def _cycle(waits: list[set[int]], stuck: set[int]) -> list[int]:
    """Nodes that wait for each other in a ring, the first of them again at the end."""
    path: list[int] = []
    seen: dict[int, int] = {}
    at = min(stuck)
    while at not in seen:
        seen[at] = len(path)
        path.append(at)
        at = min(waits[at] & stuck)
    return [*path[seen[at] :], at]


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, and all that the graphs inside it mention."""
    yield from node.input
    for graph in weights.graphs(node):
        yield from (info.name for info in graph.output)
        for inner in graph.node:
            yield from _reads(inner)


_FIELDS = {
    **dict.fromkeys(("float32", "complex64"), "float_data"),
    **dict.fromkeys(("float64", "complex128"), "double_data"),
    **dict.fromkeys(("uint32", "uint64"), "uint64_data"),
    "int64": "int64_data",
    "string": "string_data",
}
"""The field of a TensorProto that holds the values of a type one by one; int32_data is that of all others."""


def tensors(model: onnx.ModelProto, allow_nan: bool) -> None:
    """Every tensor holds as many values as its shape says, and no weight is NaN (a scalar that is NaN is no weight)."""
    for graph in (model.graph, *weights.inner_graphs(model)):
        for tensor in graph.initializer:
            size(tensor, "initializer")
            if not allow_nan:
                _no_nan(tensor)
        for sparse in graph.sparse_initializer:
            _sparse(sparse)
    for node in (*model.graph.node, *weights.inner_nodes(model)):
        for attribute in node.attribute:
            for tensor in weights.of_attribute(attribute):
                size(tensor, f"attribute {attribute.name[:80]!r} of {label(node)}")
            if attribute.HasField("sparse_tensor"):
                _sparse(attribute.sparse_tensor)


def size(tensor: TensorProto, what: str) -> None:
    """The values that a tensor holds are as many as its shape says."""
    name = ONNX_NAMES.get(tensor.data_type)
    what = f"{what} {tensor.name[:200]!r}" if tensor.name else what
    if name is None:
        raise InvalidModel(f"{what} is of an unknown element type, {tensor.data_type}")
    if tensor.HasField("segment"):
        raise InvalidModel(f"{what} is a segment of a tensor, which ONNX has no use for")
    count = weights.element_count(tensor)
    if weights.is_external(tensor):
        return  # compared with its file already
    if tensor.HasField("raw_data") and name != "string":
        wanted, found, unit = weights.byte_size(tensor), len(tensor.raw_data), "bytes"
    else:
        wanted, found, unit = count, len(getattr(tensor, _FIELDS.get(name, "int32_data"))), "values"
        if name in weights.SUB_BYTE:
            per = 4 if name.endswith("int2") else 2
            wanted = (wanted + per - 1) // per
        wanted *= 2 if name.startswith("complex") else 1
    if name == "string":
        for value in tensor.string_data:
            try:
                value.decode()
            except UnicodeDecodeError:
                raise InvalidModel(f"{what} holds text that is not UTF-8: {value[:40]!r}") from None
    if wanted != found:
        raise InvalidModel(
            f"{what} has the shape {list(tensor.dims)[:8]} of {name}, which is {wanted} {unit}, but holds {found}"
        )


def _no_nan(tensor: TensorProto) -> None:
    name = ONNX_NAMES[tensor.data_type]
    if "float" not in name or name == "float4_e2m1fn" or not tensor.dims:
        return
    values: Array = weights.array(tensor).reshape(-1)
    for start in range(0, values.size, CHUNK):
        if np.isnan(values[start : start + CHUNK]).any():
            raise InvalidModel(
                f"initializer {tensor.name!r} has NaN among its values: the model was not trained, or its file is damaged"
            )
    weights.forget(tensor)


def _sparse(sparse: onnx.SparseTensorProto) -> None:
    """A sparse tensor has an index for every value, inside its shape, and a size that can be written out."""
    what = f"sparse tensor {sparse.values.name[:200]!r}"
    size(sparse.values, "values of a sparse tensor")
    size(sparse.indices, "indices of the sparse tensor")
    dims = list(sparse.dims)
    if min(dims, default=0) < 0 or math.prod(dims) > MAX_DENSE:
        raise InvalidModel(f"{what} has the shape {dims[:8]}: too large to be written out")
    indices = weights.array(sparse.indices)
    count = len(sparse.values.dims) == 1 and sparse.values.dims[0]
    if indices.dtype != np.int64 or indices.shape not in ((count,), (count, len(dims))):
        raise InvalidModel(f"{what} has indices of the shape {list(indices.shape)} for {count} values in the shape {dims[:8]}")
    bounds = np.array(dims if indices.ndim == 2 else [math.prod(dims)])
    if indices.size and (indices.min() < 0 or (indices >= bounds).any()):
        raise InvalidModel(f"{what} has an index outside its shape {dims[:8]}")
