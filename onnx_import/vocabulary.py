"""Which words and numbers a model's inputs may be: those that its encoders know. Random ones would be refused, or be all unknown.

Columns are followed from the inputs to the encoders, through operators that only move, join, pick or rename them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.graph import Graph, Node, Tensor
from onnx_import.graph import ValueInfo as Info

KEYS = {
    "OneHotEncoder": ("cats_strings", "cats_int64s"),
    "LabelEncoder": ("keys_strings", "keys_int64s", "keys_tensor", "classes_strings"),
    "CategoryMapper": ("cats_strings", "cats_int64s"),
}
MOVES = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze")
Column = tuple[str, int]
"""A graph input, and the place in its last axis."""


def vocabulary(graph: Graph) -> dict[Column, list[Any]]:
    """What columns of inputs are encoded from."""
    columns = {info.name: _columns(info) for info in graph.inputs}
    constants = {name: tensor.data for name, tensor in graph.initializers.items()}
    found: dict[Column, list[Any]] = {}
    for node in graph.nodes:
        if node.op == "Constant" and isinstance(node.attributes.get("value"), Tensor):
            constants[node.outputs[0]] = node.attributes["value"].data  # type: ignore[union-attr]
        if node.op in KEYS:
            known = next(
                (list(keys) for keys in (_listed(node.attributes.get(name)) for name in KEYS[node.op]) if len(keys)), []
            )
            found.update({column: known for column in columns.get(node.inputs[0], ()) if known})
        for name in node.outputs:
            columns[name] = _followed(node, columns, constants)
    return found


def speak(feeds: dict[str, Any], words: dict[Column, list[Any]], random: np.random.Generator) -> None:
    """Replace columns of feeds by values that encoders know."""
    for (name, place), known in words.items():
        array = feeds.get(name)
        if isinstance(array, np.ndarray) and array.ndim and place < array.shape[-1]:
            chosen = random.integers(0, len(known), array.shape[:-1])
            array[..., place] = np.array(known, object if array.dtype == object else None)[chosen]


def _columns(info: Info) -> list[Column]:
    last = info.type.shape[-1] if info.type.kind == "tensor" and info.type.shape else None
    return [(info.name, place) for place in range(last)] if isinstance(last, int) else []


def _followed(node: Node, columns: dict[str, list[Column]], constants: dict[str, Array]) -> list[Column]:
    """The columns of a node's output; none where it computes."""
    sources = [columns.get(name, []) for name in node.inputs]
    if node.op in MOVES:
        return sources[0]
    if node.op in ("Concat", "FeatureVectorizer") and node.attributes.get("axis", 1) in (1, -1):
        return [column for source in sources for column in source]
    if node.op in ("ArrayFeatureExtractor", "Gather") and node.attributes.get("axis", 1) in (1, -1):
        places = constants.get(node.inputs[1])
        if places is not None and sources[0] and np.abs(places).max(initial=0) < len(sources[0]):
            return [sources[0][int(place)] for place in places.ravel()]
    return []


def _listed(keys: Any) -> Sequence[Any]:
    if isinstance(keys, Tensor):
        return list(keys.data.ravel().tolist())
    return keys if isinstance(keys, list) else []
