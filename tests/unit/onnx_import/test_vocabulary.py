"""Promises of seeded inputs for encoders: every element is one that the encoder of its column knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_import import feeds
from onnx_import.reader import read


def _model(kind: int, columns: int, middle: list[Any], width: int = 2) -> onnx.ModelProto:
    """Inputs `a` and `b` whose joined columns go through some nodes into two strict encoders."""
    words = {"cats_strings": ["x", "y"]} if kind == TensorProto.STRING else {"cats_int64s": [107, 109]}
    more = {"cats_strings": ["u", "v", "w"]} if kind == TensorProto.STRING else {"cats_int64s": [120]}
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["both"], axis=1),
        *middle,
        helper.make_node("ArrayFeatureExtractor", ["both", "first"], ["p"], domain="ai.onnx.ml"),
        helper.make_node("ArrayFeatureExtractor", ["both", "last"], ["q"], domain="ai.onnx.ml"),
        helper.make_node("Reshape", ["q", "column"], ["r"]),
        helper.make_node("OneHotEncoder", ["p"], ["y"], domain="ai.onnx.ml", zeros=0, **words),
        helper.make_node("OneHotEncoder", ["r"], ["z"], domain="ai.onnx.ml", zeros=0, **more),
    ]
    constants = [("first", [0]), ("last", [columns - 1]), ("column", [-1, 1])]
    tensors = [helper.make_tensor(name, TensorProto.INT64, [len(v)], v) for name, v in constants]
    inputs = [helper.make_tensor_value_info(name, kind, ["n", count]) for name, count in (("a", width), ("b", columns - width))]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "z")]
    graph = helper.make_graph(nodes, "encoders", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)])


@pytest.mark.parametrize("is_read", [True, False], ids=["graph", "proto"])
@pytest.mark.parametrize(
    ("kind", "known"), [(TensorProto.STRING, "xy uvw"), (TensorProto.INT64, None)], ids=["texts", "numbers"]
)
def test_known_to_encoders(kind: int, known: str | None, is_read: bool) -> None:
    """Columns are followed through joins, picks and reshapes to each encoder."""
    model = _model(kind, 4, [])
    drawn = feeds.seeded(read(model) if is_read else model, sizes={"n": 20})
    first, last = (set(known.split()[0]), set(known.split()[1])) if known else ({107, 109}, {120})
    assert set(drawn["a"][:, 0].tolist()) == first
    assert set(drawn["b"][:, 1].tolist()) <= last
    assert not set(drawn["a"][:, 1].tolist()) & first, "a column of no encoder is drawn as ever"


def test_computed_columns() -> None:
    """What is computed before it is encoded is nobody's column."""
    nodes = [helper.make_node("Add", ["x", "x"], ["y"]), helper.make_node("LabelEncoder", ["y"], ["z"], domain="ai.onnx.ml")]
    nodes[1].attribute.extend([helper.make_attribute("keys_int64s", [100]), helper.make_attribute("values_int64s", [1])])
    ends = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", 1]) for name in ("x", "z")]
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph(nodes, "sum", ends[:1], ends[1:]), opset_imports=imports)
    assert np.all(feeds.seeded(model, sizes={"n": 9})["x"] < 100)
