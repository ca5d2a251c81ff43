"""The tensors of a ModelProto: where their bytes are, and arrays of them without a copy where that can be.

A large weight of a model file stays in its file: its TensorProto is *mapped*, that is external with an absolute location.
Only `loader` makes such tensors, after it has checked them; a file that names an absolute location itself is refused.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from onnx_import.dtypes import ONNX_NAMES, Array, true_dtype
from onnx_import.errors import InvalidModel
from onnx_import.outline import LARGE

MAX_ELEMENTS = 1 << 40

SUB_BYTE = ("int4", "uint4", "int2", "uint2", "float4_e2m1fn")


def is_external(tensor: TensorProto) -> bool:
    """Whether a tensor's bytes lie elsewhere."""
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def inner_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of a model but those of its own graph: of its functions, and of graphs inside nodes."""
    stack = [function.node for function in model.functions]
    stack += [graph.node for node in model.graph.node for graph in graphs(node)]
    while stack:
        for node in stack.pop():
            yield node
            stack += [graph.node for graph in graphs(node)]


def inner_graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Every graph inside the nodes of a model."""
    for node in (*model.graph.node, *inner_nodes(model)):
        yield from graphs(node)


def graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs among a node's attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def of_attribute(attribute: AttributeProto) -> Iterator[TensorProto]:
    """The tensors of an attribute, those of a sparse tensor too."""
    if attribute.HasField("t"):
        yield attribute.t
    if attribute.HasField("sparse_tensor"):
        yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
    yield from attribute.tensors


def array(tensor: TensorProto) -> Array:
    """A tensor's values; a read-only view of its file where it is mapped."""
    if not is_external(tensor):
        return numpy_helper.to_array(tensor)
    data = memoryview(content(tensor))
    name = ONNX_NAMES[tensor.data_type]
    if name in SUB_BYTE:
        copy = TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=bytes(data))
        return numpy_helper.to_array(copy)
    return np.frombuffer(data, true_dtype(name)).reshape(tuple(tensor.dims))


def content(tensor: TensorProto) -> memoryview:
    """The bytes of a mapped tensor."""
    places = {entry.key: entry.value for entry in tensor.external_data}
    if not os.path.isabs(places.get("location", "")):
        raise InvalidModel(f"tensor {tensor.name!r} has external data: give the model as a file, not as a proto or as bytes")
    start, size = int(places["offset"]), int(places["length"])
    found = memoryview(_file(places["location"]))[start : start + size]
    if len(found) < size:
        raise InvalidModel(f"tensor {tensor.name!r}: {places['location']} has become shorter while it was read")
    return found


def _file(path: str) -> mmap.mmap:
    state = os.stat(path)
    return _mapping(path, (state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=4)
def _mapping(path: str, _: tuple[int, int, int]) -> mmap.mmap:
    """A file's bytes; another file of the same name is another."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def forget(tensor: TensorProto) -> None:
    """Let the kernel take back the memory of a mapped tensor's pages; they are read again when they are needed."""
    if is_external(tensor):
        places = {entry.key: entry.value for entry in tensor.external_data}
        start = int(places["offset"]) // mmap.PAGESIZE * mmap.PAGESIZE
        stop = int(places["offset"]) + int(places["length"])
        _file(places["location"]).madvise(mmap.MADV_DONTNEED, start, stop - start)


def forget_all(model: onnx.ModelProto) -> None:
    """`forget` every weight of a model."""
    for tensor in model.graph.initializer:
        forget(tensor)


def place(tensor: TensorProto, path: str | Path, start: int, size: int) -> None:
    """Make a tensor a mapped one."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", str(path)), ("offset", str(start)), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)


def embed(tensor: TensorProto) -> None:
    """Copy a mapped tensor's bytes into it."""
    tensor.raw_data = bytes(content(tensor))
    tensor.ClearField("data_location")
    del tensor.external_data[:]


def whole(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, with the bytes of its mapped tensors copied into it."""
    for tensor in (*model.graph.initializer, *filter(None, map(constant, model.graph.node))):
        if is_external(tensor):
            embed(tensor)
    return model


def detach(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, TensorProto]]:
    """The model with its large weights as inputs, and those weights by name: small, and complete without files.

    What ONNX's own C++ should see of a model whose weights are mapped, or too large to be serialized.
    """
    made, large = onnx.ModelProto(), {}
    for field, value in model.ListFields():
        if field.name == "graph":
            continue
        if field.is_repeated:
            getattr(made, field.name).extend(value)
        else:
            setattr(made, field.name, value)
    for field, value in model.graph.ListFields():
        if field.name in ("node", "initializer"):
            continue
        if field.is_repeated:
            getattr(made.graph, field.name).extend(value)
        elif field.name != "metadata_props":
            setattr(made.graph, field.name, value)
    inputs = {info.name for info in model.graph.input}
    for initializer in model.graph.initializer:
        if _is_large(initializer):
            large[initializer.name] = initializer
        else:
            made.graph.initializer.append(initializer)
    for node in model.graph.node:
        tensor = constant(node)
        if tensor is not None and _is_large(tensor):
            large[node.output[0]] = tensor
        else:
            made.graph.node.append(node)
    for name, weight in large.items():
        if name not in inputs:
            made.graph.input.append(onnx.helper.make_tensor_value_info(name, weight.data_type, list(weight.dims)))
    return made, large


def _is_large(tensor: TensorProto) -> bool:
    return is_external(tensor) or tensor.ByteSize() >= LARGE


def constant(node: onnx.NodeProto) -> TensorProto | None:
    """The tensor of a Constant."""
    if node.op_type != "Constant" or len(node.output) != 1:
        return None
    return next((attribute.t for attribute in node.attribute if attribute.HasField("t")), None)


def byte_size(tensor: TensorProto) -> int:
    """The bytes that a tensor's values take; InvalidModel for a shape or an element type that no tensor has."""
    name = ONNX_NAMES.get(tensor.data_type)
    if name is None or name == "string":
        raise InvalidModel(
            f"tensor {tensor.name!r}: its element type {tensor.data_type} is unknown, or text where bytes should be"
        )
    return (element_count(tensor) * _bits(name) + 7) // 8


def misfit(what: str, tensor: TensorProto, found: int) -> InvalidModel:
    """The error for a tensor whose bytes are not those of its shape."""
    name = ONNX_NAMES[tensor.data_type]
    return InvalidModel(
        f"{what} has the shape {list(tensor.dims)[:8]} of {name}, which is {byte_size(tensor)} bytes, but has {found}"
    )


def element_count(tensor: TensorProto) -> int:
    """How many values a tensor's shape says it has; nothing is allocated."""
    count, largest = 1, 1
    for dim in tensor.dims:
        count, largest = count * dim, largest * max(dim, 1)
        if dim < 0 or largest > MAX_ELEMENTS:
            raise InvalidModel(f"tensor {tensor.name!r} has the shape {list(tensor.dims)[:8]}: no tensor is of that size")
    return count


def _bits(name: str) -> int:
    if name in SUB_BYTE:
        return 2 if name.endswith("int2") else 4
    return true_dtype(name).itemsize * 8
