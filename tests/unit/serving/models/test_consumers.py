"""The rules that say what an operator's input must look like, one graph of a few nodes each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.models.consumers import RULES, Shape, demands
from serving.models.graph import Graph

Step = tuple[str, dict[str, str]]


def chain(*steps: Step, **parameters: tuple[int, ...]) -> Shape:
    """What a chain of operators asks of its input; an operator's other slots take the parameters that begin with its number."""
    nodes: list[dict[str, Any]] = [{"op": "null", "name": "x", "inputs": []}]
    source = 0
    for at, (op, attrs) in enumerate(steps):
        slots = [source]
        for name in [name for name in parameters if name.startswith(f"p{at}")]:
            nodes.append({"op": "null", "name": name, "inputs": []})
            slots.append(len(nodes) - 1)
        nodes.append({"op": op, "name": f"n{at}", "attrs": attrs, "inputs": [[slot, 0, 0] for slot in slots]})
        source = len(nodes) - 1
    return demands(Graph({"nodes": nodes}, parameters))[0]


DENSE: Step = ("FullyConnected", {"num_hidden": "3"})
CONV: Step = ("Convolution", {"kernel": "(3, 3)"})


@pytest.mark.parametrize(
    ("step", "weight", "expected"),
    [
        (DENSE, (3, 8), (None, 8)),
        (("FullyConnected", {"flatten": "False"}), (3, 8), None),
        (("dot", {}), (8, 3), (None, 8)),
        (("dot", {"transpose_b": "True"}), (3, 8), (None, 8)),
        (("dot", {"transpose_a": "True"}), (8, 3), None),
        (CONV, (16, 3, 3, 3), (None, 3, None, None)),
        (("Convolution", {"num_group": "2"}), (16, 3, 3, 3), (None, 6, None, None)),
        (("Convolution", {"layout": "NHWC"}), (16, 3, 3, 4), (None, None, None, 4)),
        (("Convolution", {"layout": "NCW"}), (16, 3, 5), (None, 3, None)),
        (("Convolution", {"layout": "NCDHW"}), (16, 3, 1, 1, 1), (None, 3, None, None, None)),
        (("Deconvolution", {}), (8, 3, 4, 4), (None, 8, None, None)),
        (("Embedding", {}), (1000, 16), None),
        (("broadcast_sub", {}), (1, 3, 1, 1), (None, 3, None, None)),
        (("broadcast_sub", {}), (1,), None),
        (("SomethingNew", {}), (3, 8), None),
    ],
)
def test_operators_with_a_weight(step: Step, weight: tuple[int, ...], expected: Shape) -> None:
    """A weight fixes what its operator takes, by layout, groups and transposition; what it does not fix stays open."""
    assert chain(step, p0_weight=weight) == expected


@pytest.mark.parametrize(
    "op",
    [
        "Activation",
        "BatchNorm",
        "Cast",
        "LayerNorm",
        "LeakyReLU",
        "_mul_scalar",
        "_npi_true_divide_scalar",
        "_rminus_scalar",
        "clip",
        "relu",
    ],
)
def test_operators_that_keep_shapes(op: str) -> None:
    """An operator that keeps its input's shape is looked through, even several of them."""
    assert chain((op, {}), ("Dropout", {}), DENSE, p2_weight=(3, 8)) == (None, 8)
    assert chain((op, {})) is None


@pytest.mark.parametrize("op", ["Flatten", "Reshape", "reshape"])
def test_reshapes_are_not_guessed(op: str) -> None:
    """Any shape of the right product goes through a reshape, so nothing is said of what stands before it."""
    assert chain((op, {}), DENSE, p1_weight=(3, 8)) is None


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (("Pooling", {"kernel": "(2, 2)"}), (None, 3, None, None)),
        (("Pooling", {"global_pool": "True"}), (None, 3, None, None)),
        (("Pad", {"pad_width": "(0, 0, 0, 0, 1, 1, 1, 1)"}), (None, 3, None, None)),
        (("Pad", {"pad_width": "(0, 0, 1, 0, 1, 1, 1, 1)"}), (None, 2, None, None)),
        (("Pad", {"pad_width": "(0, 0)"}), None),
        (("transpose", {"axes": "(0, 3, 1, 2)"}), (None, None, None, 3)),
        (("transpose", {}), (None, None, 3, None)),
        (("transpose", {"axes": "(0, 1)"}), None),
        (("SwapAxis", {"dim1": "1", "dim2": "3"}), (None, None, None, 3)),
        (("SwapAxis", {"dim1": "1", "dim2": "9"}), None),
        (("expand_dims", {"axis": "1"}), (None, None, None)),
        (("expand_dims", {"axis": "-1"}), (None, 3, None)),
        (("expand_dims", {"axis": "0"}), None),
    ],
)
def test_operators_that_move_axes(step: Step, expected: Shape) -> None:
    """Axes are followed backwards through pooling, padding and transposition to the convolution behind."""
    assert chain(step, CONV, p1_weight=(16, 3, 3, 3)) == expected


def test_pooling_alone() -> None:
    """A pooling's kernel tells the rank, though not the channels."""
    assert chain(("Pooling", {"kernel": "(2, 2)"})) == (None, None, None, None)


@pytest.mark.parametrize(
    ("mode", "gates", "layers", "ways"),
    [("lstm", 4, 1, 1), ("lstm", 4, 2, 2), ("gru", 3, 3, 1), ("rnn_tanh", 1, 2, 1)],
)
def test_recurrent_layers_by_their_vector(mode: str, gates: int, layers: int, ways: int) -> None:
    """The features of a fused recurrent layer follow from the length of its one parameter vector."""
    hidden, features = 5, 7
    row = gates * hidden * ways
    size = row * (features + hidden) + row * (hidden * ways + hidden) * (layers - 1) + 2 * row * layers
    attrs = {"mode": mode, "state_size": str(hidden), "num_layers": str(layers), "bidirectional": str(ways == 2)}
    assert chain(("RNN", attrs), p0_weight=(size,)) == (None, None, features)
    assert chain(("RNN", attrs), p0_weight=(size + 1,)) is None


def test_first_consumer_that_knows() -> None:
    """Of several consumers the first that fixes a shape counts, whatever the others are."""
    nodes = [
        {"op": "null", "name": "x", "inputs": []},
        {"op": "null", "name": "w", "inputs": []},
        {"op": "Unknown", "name": "u", "inputs": [[0, 0, 0]]},
        {"op": "FullyConnected", "name": "f", "inputs": [[0, 0, 0], [1, 0, 0]]},
    ]
    assert demands(Graph({"nodes": nodes}, {"w": (3, 8)}))[0] == (None, 8)


SIZES = st.lists(st.integers(0, 5), max_size=5).map(tuple)
ATTRIBUTES = (
    "axis",
    "axes",
    "kernel",
    "layout",
    "num_group",
    "pad_width",
    "dim1",
    "dim2",
    "mode",
    "state_size",
    "num_layers",
    "flatten",
)
VALUES = (
    "",
    "0",
    "-1",
    "7",
    "x",
    "None",
    "(1, 0)",
    "(3, 1, 0, 2)",
    "(0, 0, 0, 0, 1, 1, 1, 1)",
    "NHWC",
    "lstm",
    "True",
    "--5",
    "\u00b2",
)


@settings(max_examples=100)
@given(data=st.data())
def test_any_graph_has_an_answer(data: st.DataObject) -> None:
    """No graph, however its operators, attributes and parameters are put together, raises: the answer is a shape or None."""
    nodes: list[dict[str, Any]] = [{"op": "null", "name": "x", "inputs": []}, {"op": "null", "name": "w", "inputs": []}]
    for at in range(data.draw(st.integers(1, 6))):
        attrs = data.draw(st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(VALUES), max_size=4))
        sources = data.draw(st.lists(st.integers(0, len(nodes) - 1), max_size=4))
        op = data.draw(st.sampled_from(sorted(RULES)))
        nodes.append({"op": op, "name": f"n{at}", "attrs": attrs, "inputs": [[source, 0, 0] for source in sources]})
    for shape in demands(Graph({"nodes": nodes}, {"w": data.draw(SIZES)})):
        assert shape is None or len(shape) > 0


def test_long_chains() -> None:
    """A chain of thousands of operators, each adding a node to itself, takes no deep stack and no exponential time."""
    nodes: list[dict[str, Any]] = [{"op": "null", "name": "x", "inputs": []}]
    nodes += [{"op": "elemwise_add", "name": f"a{at}", "inputs": [[at, 0, 0], [at, 0, 0]]} for at in range(5000)]
    assert demands(Graph({"nodes": nodes}, {}))[0] is None
