"""The view of a symbol's JSON, across the versions of it."""

from __future__ import annotations

from typing import Any

import pytest

from serving.errors import ModelError
from serving.models.graph import Graph, Node


def node(**attrs: str) -> Node:
    """A node with these attributes."""
    return Node(0, "Convolution", "conv", attrs, ())


@pytest.mark.parametrize("key", ["attrs", "attr", "param"])
def test_attributes_of_all_versions(key: str) -> None:
    """Attributes are found under the names that MXNet 1.x, 0.9 and older gave them."""
    graph = Graph({"nodes": [{"op": "null", "name": "x", key: {"a": "1"}, "inputs": []}]}, {})
    assert graph.nodes[0].attrs == {"a": "1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1, 3)", (1, 3)),
        ("[1,3]", (1, 3)),
        ("(2,)", (2,)),
        ("7", (7,)),
        ("(None, -1)", (0, -1)),
        ("()", None),
        ("a", None),
        ("", None),
    ],
)
def test_tuples(text: str, expected: tuple[int, ...] | None) -> None:
    """Tuples are read in every spelling that MXNet writes; what is none is None."""
    assert node(kernel=text).shape_attr("kernel") == expected


def test_numbers_and_flags() -> None:
    """Numbers and truth values fall back to their defaults where they are absent or nonsense."""
    assert node(num_group="4").number("num_group", 1) == 4
    assert node(num_group="many").number("num_group", 1) == 1
    assert node(flatten="True").flag("flatten", False)
    assert node(flatten="1").flag("flatten", False)
    assert not node(flatten="False").flag("flatten", True)
    assert node().flag("flatten", True)


def test_consumers_and_parameters() -> None:
    """A node knows who takes it and in which slot, an operator the shape of a parameter in a slot."""
    nodes = [
        {"op": "null", "name": "x", "inputs": []},
        {"op": "null", "name": "w", "inputs": []},
        {"op": "dot", "name": "d", "inputs": [[0, 0, 0], [1, 0, 0]]},
        {"op": "elemwise_add", "name": "s", "inputs": [[2, 0, 0], [2, 0, 0]]},
    ]
    graph = Graph({"nodes": nodes}, {"w": (2, 3)})
    x, w, dot, total = graph.nodes
    assert graph.free == [x]
    assert graph.consumers(w) == [(dot, 1)]
    assert graph.consumers(dot) == [(total, 0), (total, 1)]
    assert graph.consumers(total) == []
    assert [graph.parameter(dot, slot) for slot in (0, 1, 2)] == [None, (2, 3), None]


@pytest.mark.parametrize(
    "nodes",
    [
        [{"op": "null", "inputs": []}],
        [{"op": "null", "name": "x"}],
        ["x"],
        [{"op": "relu", "name": "r", "inputs": [[]]}],
        [{"op": "relu", "name": "r", "inputs": [["x", 0, 0]]}],
        [{"op": "relu", "name": "r", "inputs": [[0, 0, 0]]}],
        [{"op": "relu", "name": "r", "inputs": [[-1, 0, 0]]}],
        None,
    ],
    ids=["no name", "no inputs", "text", "empty source", "named source", "itself", "negative", "no nodes"],
)
def test_graphs_that_are_none(nodes: Any) -> None:
    """A damaged graph is a ModelError, whatever is damaged."""
    with pytest.raises(ModelError, match="the symbol's JSON has a node"):
        Graph({"nodes": nodes}, {})
