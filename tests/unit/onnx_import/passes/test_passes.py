"""What passes leave of small graphs in ONNX's text syntax, and that these answer the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from onnx_import import oracle, passes
from onnx_import.graph import Graph
from onnx_import.loader import load
from onnx_import.program import Program
from onnx_import.reader import read

NORM = {name: abs(np.random.RandomState(seed).standard_normal(4)).astype(np.float32) + 0.5 for seed, name in enumerate("sbmv")}
IMAGE = "(float[N, 3, 6, 6] x) => (float[N, K, H, W] y)"
X = np.random.RandomState(9).standard_normal((2, 3, 6, 6)).astype(np.float32)


def numbers(*shape: int, seed: int = 0) -> Any:
    """Some float32 of the given shape."""
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def passed(
    signature: str, nodes: str, weights: dict[str, Any], feeds: dict[str, Any], opset: int = 15
) -> tuple[Graph, list[str]]:
    """The graph after all passes and their names, once it answers what the evaluator answers to the model."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> g {signature} {{ {nodes} }}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in weights.items())
    want = oracle.reference(model).run(feeds)
    graph, names = passes.run(read(load(model)))
    for mine, theirs in zip(Program(graph).run(feeds), want, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    return graph, names


def operators(graph: Graph) -> list[str]:
    """The operators of its nodes."""
    return [node.op for node in graph.nodes]


@pytest.mark.parametrize("with_bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("group", [1, 3])
def test_a_batch_norm_goes_into_a_convolution(group: int, with_bias: bool) -> None:
    """Its filters and its bias hold it."""
    weights = {**NORM, "w": numbers(4, 3, 2, 2), "k": numbers(4)} if group == 1 else {"w": numbers(6, 1, 2, 2), "k": numbers(6)}
    if group == 3:
        weights |= {name: np.resize(value, 6) for name, value in NORM.items()}
    nodes = f"c = Conv <group = {group}> (x, w{', k' * with_bias}) y = BatchNormalization <epsilon = 0.01> (c, s, b, m, v)"
    graph, names = passed(IMAGE, nodes, weights, {"x": X})
    assert operators(graph) == ["Conv"]
    assert names == ["batch norms", "unused"]
    assert len(graph.initializers) == 2


def test_a_batch_norm_goes_into_a_transposed_convolution() -> None:
    """Filters lie on the second axis, a group after the other."""
    weights = {**NORM, "w": numbers(4, 2, 2, 2)}
    signature = "(float[N, 4, 6, 6] x) => (float[N, K, H, W] y)"
    nodes = "c = ConvTranspose <group = 2> (x, w) y = BatchNormalization(c, s, b, m, v)"
    graph, _ = passed(signature, nodes, weights, {"x": numbers(2, 4, 6, 6)})
    assert operators(graph) == ["ConvTranspose"]


def test_a_convolution_that_others_read_keeps_its_filters() -> None:
    """An output, or a second reader, wants what was before the normalization."""
    weights = {**NORM, "w": numbers(4, 3, 2, 2)}
    signature = "(float[N, 3, 6, 6] x) => (float[N, K, H, W] c, float[N, K, H, W] y)"
    graph, names = passed(signature, "c = Conv(x, w) y = BatchNormalization(c, s, b, m, v)", weights, {"x": X})
    assert operators(graph) == ["Conv", "BatchNormalization"]
    assert names == []


def test_statistics_that_may_be_fed_stay() -> None:
    """An initializer that is an input as well is only its default."""
    weights = {**NORM, "w": numbers(4, 3, 2, 2)}
    signature = "(float[N, 3, 6, 6] x, float[4] m) => (float[N, K, H, W] y)"
    graph, _ = passed(signature, "c = Conv(x, w) y = BatchNormalization(c, s, b, m, v)", weights, {"x": X})
    assert operators(graph) == ["Conv", "BatchNormalization"]


def test_training_stays() -> None:
    """Statistics of the batch are in no weights."""
    weights = {**NORM, "w": numbers(4, 3, 2, 2)}
    nodes = "c = Conv(x, w) y, rm, rv = BatchNormalization <training_mode = 1> (c, s, b, m, v)"
    graph, _ = passed(IMAGE, nodes, weights, {"x": X})
    assert operators(graph) == ["Conv", "BatchNormalization"]


def test_constants_become_initializers() -> None:
    """Of every kind of numbers; also within graphs of nodes."""
    nodes = (
        "a = Constant <value_float = 2.0> () b = Constant <value_ints = [2, 3]> () "
        "t = Constant <value = float[1] {3.0}> () p = Mul(x, a) q = Reshape(p, b) y = Add(q, t)"
    )
    graph, names = passed("(float[6] x) => (float[2, 3] y)", nodes, {}, {"x": numbers(6)})
    assert operators(graph) == ["Mul", "Reshape", "Add"]
    assert names == ["constants"]


def test_a_constant_that_is_an_output_stays() -> None:
    """A graph's outputs are made by nodes."""
    graph, _ = passed(
        "(float[2] x) => (float[2] y, float k)", "k = Constant <value_float = 2.0> () y = Mul(x, k)", {}, {"x": numbers(2)}
    )
    assert operators(graph) == ["Constant", "Mul"]


def test_what_nothing_needs_is_left_out() -> None:
    """Nodes, what only they read, and initializers; not what a graph inside a node captures."""
    weights = {"w": numbers(2), "u": numbers(2, seed=1)}
    nodes = (
        "k = Add(x, w) n = Exp(x) o = Mul(n, u) "
        "y = If (f) <then_branch = t () => (float[2] r) { r = Neg(k) }, else_branch = e () => (float[2] s) { s = Abs(k) }>"
    )
    graph, names = passed("(float[2] x, bool f) => (float[2] y)", nodes, weights, {"x": numbers(2), "f": np.array(True)})
    assert operators(graph) == ["Add", "If"]
    assert list(graph.initializers) == ["w"]
    assert names == ["unused"]


NORMALIZED = {"g": numbers(4, seed=1), "h": numbers(4, seed=2), "e": np.array(1e-2, np.float32), "two": np.array(2, np.float32)}
MEANS = "a = ReduceMean <axes = [-1]> (x) c = Sub(x, a)"
LAYERS = {
    "PyTorch": f"{MEANS} p = Pow(c, two) v = ReduceMean <axes = [-1]> (p) s = Add(v, e) r = Sqrt(s) n = Div(c, r) t = Mul(n, g) y = Add(t, h)",
    "squares by a product, twice centred": (
        f"{MEANS} q = Sub(x, a) p = Mul(c, c) v = ReduceMean <axes = [-1]> (p) s = Add(e, v) r = Sqrt(s) n = Div(q, r) "
        "t = Mul(g, n) y = Add(h, t)"
    ),
}
OTHERS = {
    "another axis": LAYERS["PyTorch"].replace("-1", "1"),
    "another power": LAYERS["PyTorch"].replace("Pow(c, two)", "Pow(c, four)"),
    "another centre": LAYERS["PyTorch"].replace("n = Div(c, r)", "n = Div(x, r)"),
    "a scale of more axes": LAYERS["PyTorch"].replace("Mul(n, g)", "Mul(n, k)"),
}


@pytest.mark.parametrize("spelling", LAYERS)
def test_layer_norms_are_one_node(spelling: str) -> None:
    """As exporters spell them."""
    graph, names = passed("(float[N, 3, 4] x) => (float[N, 3, 4] y)", LAYERS[spelling], NORMALIZED, {"x": numbers(2, 3, 4)})
    assert operators(graph) == ["LayerNormalization"]
    assert names == ["layer norms", "unused"]


@pytest.mark.parametrize("spelling", OTHERS)
def test_what_only_looks_like_a_layer_norm_stays(spelling: str) -> None:
    """Whatever differs in one place."""
    weights = {**NORMALIZED, "k": numbers(3, 4, seed=3), "four": np.array(4, np.float32)}
    graph, _ = passed("(float[N, 3, 4] x) => (float[N, 3, 4] y)", OTHERS[spelling], weights, {"x": numbers(2, 3, 4)})
    assert "Div" in operators(graph)
