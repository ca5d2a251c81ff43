"""What a SavedModel's description says of its signatures, read from saved_model.pb without loading its graph.

The file is a SavedModel message with one MetaGraphDef per set of tags; the one tagged `serve` alone is what TF Serving loads
(tensorflow/core/protobuf/saved_model.proto, meta_graph.proto; tensorflow/cc/saved_model/loader.h).
"""

from __future__ import annotations

import logging
import mmap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from serving.backends import tensorflow_import, tf_tensors
from serving.errors import ModelError
from serving.models import layout, wire
from serving.models.saved_models import FILE

log = logging.getLogger("ei.models")

TAG = "serve"
RESERVED = "__saved_model"
"""How the names of signatures begin that are the loader's own."""

META_GRAPHS = 2
META_INFO, GRAPH, SAVER, OBJECTS = 1, 2, 3, 7
TAGS = 4
INDEX = "variables/variables.index"
VARIABLES = {b"VariableV2", b"Variable", b"VarHandleOp"}


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a signature.

    `name` is its key in the signature, `tensor` the graph's name, `enum` TensorFlow's DataType; the dtype of strings is object
    (bytes), `shape` has None for sizes that are open and is None where the rank is.
    """

    name: str
    tensor: str
    dtype: np.dtype[Any]
    enum: int
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class SignatureDef:
    """A signature: its name, TensorFlow Serving's method, and its inputs and outputs, sorted by name."""

    name: str
    method: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class Description:
    """`meta_graph` is the serialized MetaGraphDef without its graph."""

    meta_graph: bytes
    signatures: Mapping[str, SignatureDef]


def describe(directory: Path, tags: Collection[str] = (TAG,)) -> Description:
    """The description of the SavedModel in this folder, of its graph with these tags alone.

    ModelError where there is none, or none to serve, or half of one.
    """
    path = directory / FILE
    try:
        with path.open("rb") as file:
            return _describe(path, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), set(tags))
    except FileNotFoundError:
        raise ModelError(f"{directory} holds no {FILE}: expected a SavedModel") from None
    except OSError as error:
        raise layout.denied(path, error) from None
    except ValueError as error:
        fault = "it is empty (0 bytes)" if not path.stat().st_size else str(error)
        raise ModelError(f"{path} cannot be used: {fault}; was it copied or unpacked to its end?") from None


def _describe(path: Path, file: memoryview, wanted: set[str]) -> Description:
    kept = _meta_graph(path, file, wanted)
    tensorflow_import.protos()
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import meta_graph_pb2

    try:
        message = meta_graph_pb2.MetaGraphDef.FromString(kept)
    except DecodeError as error:
        raise wire.Broken(f"it is damaged ({error})") from None
    return Description(kept, _signatures(path, message))


def _meta_graph(path: Path, file: memoryview, wanted: set[str]) -> bytes:
    """The MetaGraphDef with these tags, without its nodes and objects."""
    found = []
    for meta_graph in wire.fields(file):
        if meta_graph.number != META_GRAPHS:
            continue
        parts = list(wire.fields(meta_graph.value))
        tags = {tag for part in parts if part.number == META_INFO for tag in _tags(part.value)}
        if tags == wanted:
            _check_variables(path.parent, parts)
            return b"".join(part.whole for part in parts if part.number not in (GRAPH, OBJECTS))
        found.append("+".join(sorted(tags)) or "none")
    told = f"it has {', '.join(found)}" if found else "it holds no graph at all"
    named = (
        f"the tag `{TAG}` alone, which is the one that is served" if wanted == {TAG} else f"the tags {'+'.join(sorted(wanted))}"
    )
    raise ModelError(f"{path} has no graph with {named}: {told}")


def _check_variables(directory: Path, parts: list[wire.Field]) -> None:
    """ModelError where a graph's variables were left out: TensorFlow would load it, and fail in every pass."""
    if (directory / INDEX).is_file() or not any(part.number == SAVER for part in parts):
        return
    if any(VARIABLES & set(_operations(part.value)) for part in parts if part.number == GRAPH):
        raise ModelError(f"{directory} cannot be served: its variables are missing: expected {INDEX} and its data files")


def _tags(meta_info: memoryview) -> Iterator[str]:
    for field in wire.fields(meta_info):
        if field.number == TAGS:
            yield bytes(field.value).decode("utf-8", "replace")


def _operations(graph: memoryview) -> Iterator[bytes]:
    """The operation of each node: GraphDef.node is 1, NodeDef.op is 2."""
    for node in wire.fields(graph):
        if node.number == 1:
            yield from (bytes(field.value) for field in wire.fields(node.value) if field.number == 2)


def _signatures(path: Path, message: Any) -> dict[str, SignatureDef]:
    """The signatures that can be served, by name; a warning tells of the others."""
    found, refused = {}, []
    for name, definition in sorted(message.signature_def.items()):
        if name.startswith(RESERVED):
            continue
        try:
            inputs, outputs = (tuple(_infos(tensors)) for tensors in (definition.inputs, definition.outputs))
            if not outputs:
                raise ValueError("it has no outputs")
            found[name] = SignatureDef(name, definition.method_name, inputs, outputs)
        except ValueError as error:
            refused.append(f"signature {name}: {error}")
    if not found:
        raise ModelError(f"{path} has no signature that can be served: {'; '.join(refused) or 'it has none'}")
    for told in refused:
        log.warning("%s: not served: %s", path, told)
    return found


def _infos(tensors: Mapping[str, Any]) -> Iterator[TensorInfo]:
    for name, info in sorted(tensors.items()):
        if info.WhichOneof("encoding") != "name":
            raise ValueError(f"{name} is a sparse or composite tensor")
        enum = info.dtype % tf_tensors.REFERENCE
        shape = info.tensor_shape
        sizes = None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
        yield TensorInfo(name, info.name, _dtype(name, enum), enum, sizes)


def retyped(info: TensorInfo, enum: int) -> TensorInfo:
    """The tensor with another DataType; ValueError where none can be sent or answered in it."""
    return info if info.enum == enum else replace(info, enum=enum, dtype=_dtype(info.name, enum))


def _dtype(name: str, enum: int) -> np.dtype[Any]:
    if enum not in tf_tensors.DTYPES:
        raise ValueError(f"{name} is {tf_tensors.REFUSED.get(enum, f'of dtype {enum}')}, which has no form in a request")
    return tf_tensors.DTYPES[enum]
