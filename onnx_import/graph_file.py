"""A graph as `model-graph.json`: what a served model is lowered from for shapes that its symbol does not cover.

Small tensors lie in the document (base64), larger ones in the params file under the key that it names; equal ones once.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import numpy as np

from onnx_import.dtypes import CARRIERS, Array
from onnx_import.errors import InvalidModel
from onnx_import.graph import Graph, Node, Tensor, Type, ValueInfo

INLINE_BYTES = 1024
"""Tensors up to this size are written into the document."""


class Store:
    """The arrays of a params file by key, equal ones once."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self._keys: dict[Any, str] = {}
        self._by_id: dict[int, str] = {}

    def put(self, key: str, array: Array) -> str:
        """Keep an array under a key, or under the one that it has already; the key it has."""
        known = self._by_id.get(id(array))
        if known is None:
            flat = np.ascontiguousarray(array)
            digest = (str(array.dtype), array.shape, hashlib.blake2b(flat.data, digest_size=16).digest())
            known = self._keys.setdefault(digest, key)
            self.arrays.setdefault(known, array)
            self._by_id[id(array)] = known
        return known


def to_document(graph: Graph, store: Store) -> dict[str, Any]:
    """The graph as JSON; large tensors go into the store."""
    return {
        "name": graph.name,
        "inputs": [_info(info) for info in graph.inputs],
        "outputs": [_info(info) for info in graph.outputs],
        "initializers": {name: _tensor(tensor, name, store) for name, tensor in graph.initializers.items()},
        "nodes": [
            {
                "op": node.op,
                "domain": node.domain,
                "since": node.since,
                "name": node.name,
                "inputs": node.inputs,
                "outputs": node.outputs,
                "attributes": {
                    name: _attribute(value, f"{node.label}.{name}", store) for name, value in node.attributes.items()
                },
            }
            for node in graph.nodes
        ],
    }


def from_document(document: dict[str, Any], arrays: dict[str, Array]) -> Graph:
    """The graph of a document and the arrays of its params file; InvalidModel where they do not belong together."""
    try:
        return Graph(
            [_node(entry, arrays) for entry in document["nodes"]],
            [ValueInfo(entry["name"], _type_of(entry["type"])) for entry in document["inputs"]],
            [ValueInfo(entry["name"], _type_of(entry["type"])) for entry in document["outputs"]],
            {name: _tensor_of(entry, arrays) for name, entry in document["initializers"].items()},
            document["name"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(f"the converted graph cannot be read: {error!r}; was the artifact copied to its end?") from None


def _node(entry: dict[str, Any], arrays: dict[str, Array]) -> Node:
    attributes = {name: _attribute_of(value, arrays) for name, value in entry["attributes"].items()}
    return Node(entry["op"], entry["inputs"], entry["outputs"], attributes, entry["domain"], entry["since"], entry["name"])


def _info(info: ValueInfo) -> dict[str, Any]:
    return {"name": info.name, "type": _type(info.type)}


def _type(kind: Type) -> dict[str, Any]:
    element = _type(kind.element) if kind.element else None
    return {
        "kind": kind.kind,
        "dtype": kind.dtype,
        "shape": None if kind.shape is None else list(kind.shape),
        "element": element,
    }


def _type_of(entry: dict[str, Any]) -> Type:
    shape = None if entry["shape"] is None else tuple(entry["shape"])
    return Type(entry["kind"], entry["dtype"], shape, _type_of(entry["element"]) if entry["element"] else None)


def _tensor(tensor: Tensor, key: str, store: Store) -> dict[str, Any]:
    entry: dict[str, Any] = {"dtype": tensor.dtype, "shape": list(tensor.shape)}
    if tensor.dtype == "string":
        return {**entry, "text": [str(item) for item in tensor.data.ravel()]}
    if tensor.data.nbytes <= INLINE_BYTES or tensor.dtype not in CARRIERS:
        return {**entry, "base64": base64.b64encode(np.ascontiguousarray(tensor.data).tobytes()).decode()}
    return {**entry, "key": store.put(f"graph:{key}", tensor.data)}


def _tensor_of(entry: dict[str, Any], arrays: dict[str, Array]) -> Tensor:
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    if "text" in entry:
        return Tensor(dtype, np.array(entry["text"], object).reshape(shape))
    if "base64" in entry:
        flat = np.frombuffer(base64.b64decode(entry["base64"]), CARRIERS.get(dtype, dtype))
        return Tensor(dtype, flat.reshape(shape))
    return Tensor(dtype, arrays[entry["key"]].reshape(shape))


def _attribute(value: Any, key: str, store: Store) -> Any:
    if isinstance(value, Tensor):
        return {"tensor": _tensor(value, key, store)}
    if isinstance(value, Graph):
        return {"graph": to_document(value, store)}
    if isinstance(value, Type):
        return {"type": _type(value)}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [_attribute(item, f"{key}.{index}", store) for index, item in enumerate(value)]
    # JSON has no infinities
    return {"float": repr(value)} if isinstance(value, float) else value


def _attribute_of(value: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(value, list):
        return [_attribute_of(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return _tensor_of(content, arrays)
    if kind == "graph":
        return from_document(content, arrays)
    if kind == "type":
        return _type_of(content)
    return base64.b64decode(content) if kind == "bytes" else float(content)
