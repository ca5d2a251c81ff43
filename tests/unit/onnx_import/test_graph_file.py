"""A graph written as JSON and read back is the same graph."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from onnx_import.graph import Graph, Node, Tensor, Type, ValueInfo
from onnx_import.graph_file import Store, from_document, to_document


def test_round_trip() -> None:
    """Attributes of every kind, tensors small and large, text, infinities and graphs inside graphs survive."""
    rows = ValueInfo("x", Type(shape=("N", None, 3)))
    inner = Graph([Node("Neg", ["x"], ["y"])], [], [ValueInfo("y", Type("sequence", element=Type(dtype="int8", shape=())))])
    attributes: dict[str, Any] = {
        "i": 3,
        "f": float("inf"),
        "s": "text",
        "b": b"\xff\x00",
        "is": [1, 2],
        "fs": [0.1, float("-inf")],
        "ss": ["a", "b"],
        "t": Tensor("bfloat16", np.ones((2, 0), np.float32)),
        "g": inner,
        "gs": [inner, inner],
        "tp": Type("optional", element=Type()),
        "none": None,
    }
    weights = {
        "large": Tensor("float32", np.arange(1000, dtype=np.float32).reshape(10, 100)),
        "same": Tensor("float32", np.arange(1000, dtype=np.float32).reshape(10, 100)),
        "words": Tensor("string", np.array([["a"], ["ü"]], object)),
        "scalar": Tensor("int64", np.array(7)),
    }
    graph = Graph([Node("Op", ["x", ""], ["y"], attributes, "com.example", 3, "n")], [rows], [rows], weights, "g")
    store = Store()
    document = json.loads(json.dumps(to_document(graph, store), allow_nan=False))
    assert list(store.arrays) == ["graph:large"]
    again = from_document(document, store.arrays)
    assert json.dumps(to_document(again, Store()), sort_keys=True) == json.dumps(document, sort_keys=True)
    assert again.nodes[0].attributes["b"] == b"\xff\x00"
    assert again.nodes[0].attributes["f"] == float("inf")
    assert again.initializers["words"].data.tolist() == [["a"], ["ü"]]
    np.testing.assert_array_equal(again.initializers["same"].data, weights["large"].data)
