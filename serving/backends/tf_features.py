"""The features that a graph parses out of `tf.Example`s, and Examples that have them: inputs for models whose only input they are.

The inputs of ParseExample and ParseExampleV2 are as tensorflow/core/ops/parsing_ops.cc has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from serving.backends import tensorflow_import

FLOAT, INT64 = 1, 9
"""DT_FLOAT and DT_INT64; the third kind of feature is DT_STRING."""

SPARSE_VALUES = 2


@dataclass(frozen=True)
class Feature:
    """A feature's key, its DataType, and how many values it has."""

    key: bytes
    enum: int
    count: int


def features(graph: Any) -> tuple[Feature, ...]:
    """The features that any node of the graph parses, each once; keys that are computed are left out."""
    nodes = {node.name: node for node in graph.node}
    found = {}
    for node in graph.node:
        if node.op in ("ParseExample", "ParseExampleV2"):
            found.update({feature.key: feature for feature in _parsed(nodes, node)})
    return tuple(found.values())


def examples(wanted: Sequence[Feature], rows: int, random: np.random.Generator) -> list[bytes]:
    """Serialized Examples with these features: normal floats, 0 or 1, and one-letter strings."""
    tensorflow_import.protos()
    from tensorflow.core.example import example_pb2

    made = []
    for _ in range(rows):
        example = example_pb2.Example()
        for feature in wanted:
            entry = example.features.feature[feature.key.decode()]
            if feature.enum == FLOAT:
                entry.float_list.value.extend(random.standard_normal(feature.count).tolist())
            elif feature.enum == INT64:
                entry.int64_list.value.extend(random.integers(0, 2, feature.count).tolist())
            else:
                entry.bytes_list.value.extend(random.choice([b"a", b"b"], feature.count).tolist())
        made.append(example.SerializeToString())
    return made


def _parsed(nodes: dict[str, Any], node: Any) -> Iterator[Feature]:
    """The features of one node."""
    dense = [
        (enum, shape) for enum, shape in zip(node.attr["Tdense"].list.type, node.attr["dense_shapes"].list.shape, strict=True)
    ]
    sparse = list(node.attr["sparse_types"].list.type)
    inputs = [one for one in node.input if not one.startswith("^")][2:]  # behind the serialized Examples and their names
    if node.op == "ParseExample":
        keys = [key for name in inputs[: len(sparse) + len(dense)] for key in _strings(nodes, name)]
        sparse_keys, dense_keys = keys[: len(sparse)], keys[len(sparse) :]
    else:
        sparse_keys, dense_keys = _strings(nodes, inputs[0]), _strings(nodes, inputs[1])
    yield from (Feature(key, enum, SPARSE_VALUES) for key, enum in zip(sparse_keys, sparse, strict=False))
    for key, (enum, shape) in zip(dense_keys, dense, strict=False):
        yield Feature(key, enum, prod(max(dim.size, 1) for dim in shape.dim))


def _strings(nodes: dict[str, Any], name: str) -> list[bytes]:
    """The strings of a constant; none of what is computed."""
    node = nodes.get(name.partition(":")[0])
    return list(node.attr["value"].tensor.string_val) if node is not None and node.op == "Const" else []
