"""The graph that converters write into."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx_import.exporting import build
from onnx_import.exporting.build import Builder


@pytest.fixture
def builder() -> Builder:
    """An empty graph."""
    return Builder(17, onnx.GraphProto())


def test_names_are_unique(builder: Builder) -> None:
    """A second node of a name gets a number."""
    assert [builder.node("Neg", ["x"], "a")[0] for _ in range(3)] == ["a", "a_1", "a_2"]


def test_small_constants_are_written_once(builder: Builder) -> None:
    """Equal ones of one type and shape share a name; a scalar stays one."""
    one = builder.constant(np.asarray(1, np.int64), "c")
    assert builder.constant(np.asarray(1, np.int64), "d") == one
    assert builder.constant(np.asarray([1], np.int64), "d") != one
    assert list(builder.graph.initializer[0].dims) == []


def test_what_nothing_reads_is_dropped(builder: Builder) -> None:
    """Nodes whose outputs lead nowhere, and their constants."""
    constant = builder.constant(np.zeros(100, np.float32), "w")
    builder.node("Add", ["x", constant], "unread")
    (kept,) = builder.node("Neg", ["x"], "y")
    builder.graph.output.add(name=kept)
    builder.finish()
    assert [node.op_type for node in builder.graph.node] == ["Neg"]
    assert not builder.graph.initializer


def test_attributes_of_none_are_left_out(builder: Builder) -> None:
    """ONNX's default holds then."""
    builder.node("Selu", ["x"], "y", alpha=None, gamma=2.0)
    assert [attribute.name for attribute in builder.graph.node[0].attribute] == ["gamma"]


def test_a_second_converter_of_an_operator_raises() -> None:
    """Nobody overwrites one unseen."""
    assert build.find("Convolution")
    with pytest.raises(ValueError, match="Convolution has two converters"):
        build.mx("Convolution")(lambda use: "")
